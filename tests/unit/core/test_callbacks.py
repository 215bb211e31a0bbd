"""Callback tokens open one execution, and outlive the rotation of the key that made them."""

from uuid import UUID, uuid4

import pytest

from app.core.callbacks import CallbackTokens
from app.core.errors import ConfigurationException

ONE, OTHER = UUID("01a22034-ceff-8dae-ad9d-5435cbb7dd14"), UUID("01a22034-ceff-8dae-ad9d-5435cbb7dd15")
OLD, NEW = "o" * 32, "n" * 43


def test_a_token_opens_its_execution_and_no_other() -> None:
    tokens = CallbackTokens.from_setting(NEW)
    token = tokens.token(ONE)
    assert tokens.opens(token, ONE)
    assert not tokens.opens(token, OTHER)
    assert token == tokens.token(ONE), "the same at every attempt"
    assert len({tokens.token(uuid4()) for _ in range(100)}) == 100


@pytest.mark.parametrize("changed", ["", "cb_", "cb_" + "A" * 43, "ü" * 46])
def test_what_is_not_the_whole_token_opens_nothing(changed: str) -> None:
    assert not CallbackTokens.from_setting(NEW).opens(changed, ONE)


@pytest.mark.parametrize("place", range(46))
def test_a_token_that_was_tampered_with_opens_nothing(place: int) -> None:
    tokens = CallbackTokens.from_setting(NEW)
    token = tokens.token(ONE)
    changed = token[:place] + ("-" if token[place] != "-" else "_") + token[place + 1 :]
    assert not tokens.opens(changed, ONE)


def test_a_new_key_makes_the_tokens_and_the_old_one_is_still_taken() -> None:
    before, after = CallbackTokens.from_setting(OLD), CallbackTokens.from_setting(f" {NEW} , {OLD},")
    assert after.opens(before.token(ONE), ONE)
    assert after.token(ONE) == CallbackTokens.from_setting(NEW).token(ONE)
    assert not CallbackTokens.from_setting(NEW).opens(before.token(ONE), ONE)


def test_without_a_key_there_are_no_tokens() -> None:
    nothing = CallbackTokens.from_setting("")
    assert not nothing
    assert not nothing.opens(CallbackTokens.from_setting(NEW).token(ONE), ONE)


def test_a_short_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationException) as refused:
        CallbackTokens.from_setting(f"{NEW},hunter2")
    assert refused.value.detail.startswith("SECRET_KEY: key 2 has 7 characters")
    assert "hunter2" not in refused.value.detail
