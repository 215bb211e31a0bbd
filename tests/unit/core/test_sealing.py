"""Secrets at rest."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ConfigurationException
from app.core.sealing import MASK, Sealed, SecretBox, UnknownKeyException, key_id

OLD = "the older key which has more than 32 characters"
NEW = "the newer key which has more than 32 characters"
BOUND = "example.com\nauthorization"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens_and_does_not_show(secret: str) -> None:
    box = SecretBox.from_setting(NEW)
    sealed = box.seal(secret, BOUND)
    assert box.open(sealed, BOUND) == secret
    assert sealed.encrypted
    if len(secret) > 3:
        assert secret not in sealed.stored
    assert repr(sealed) == f"Sealed({MASK})"


def test_no_two_are_alike() -> None:
    box = SecretBox.from_setting(NEW)
    assert box.seal("same", BOUND) != box.seal("same", BOUND)


def test_without_a_key_it_is_stored_as_it_is() -> None:
    sealed = SecretBox.from_setting("").seal("secret", BOUND)
    assert (sealed.encrypted, sealed.key_id, sealed.stored) == (False, None, "plain:secret")
    # A key that comes later does not lose what was stored before.
    assert SecretBox.from_setting(NEW).open(sealed, BOUND) == "secret"


def test_a_rotation_keeps_what_the_older_key_sealed() -> None:
    before, during, after = (SecretBox.from_setting(keys) for keys in (OLD, f"{NEW},{OLD}", NEW))
    old = before.seal("secret", BOUND)
    assert during.open(old, BOUND) == "secret"
    new = during.seal("secret", BOUND)
    assert (old.key_id, new.key_id) == (key_id(OLD.encode()), key_id(NEW.encode()))
    assert during.newest_key_id == new.key_id
    assert after.open(new, BOUND) == "secret"
    with pytest.raises(UnknownKeyException, match=f"the key {old.key_id}, which SECRET_KEY does not hold"):
        after.open(old, BOUND)


@pytest.mark.parametrize("bound", ["example.org\nauthorization", "example.com\nx-api-key", ""])
def test_it_opens_only_for_what_it_is_bound_to(bound: str) -> None:
    box = SecretBox.from_setting(NEW)
    with pytest.raises(UnknownKeyException, match="another header or host"):
        box.open(box.seal("secret", BOUND), bound)


def test_what_was_tampered_with_does_not_open() -> None:
    box = SecretBox.from_setting(NEW)
    version, name, encoded = box.seal("secret", BOUND).stored.split(":")
    raw = base64.urlsafe_b64decode(encoded)
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(UnknownKeyException):
            box.open(Sealed(f"{version}:{name}:{base64.urlsafe_b64encode(changed).decode()}"), BOUND)


@pytest.mark.parametrize("rest", ["", "x", "é", "AAAA", "AAAA:AAAA", ":"])
def test_what_was_never_sealed_does_not_open(rest: str) -> None:
    box = SecretBox.from_setting(NEW)
    for stored in (rest, f"v1:{rest}", f"v1:{box.newest_key_id}:{rest}", f"v1:{box.newest_key_id}"):
        with pytest.raises(UnknownKeyException):
            box.open(Sealed(stored), BOUND)


def test_it_says_which_keys_it_holds() -> None:
    box = SecretBox.from_setting(f"{NEW},{OLD}")
    assert [box.holds(key_id(key.encode())) for key in (NEW, OLD, "another")] == [True, True, False]


def test_a_key_that_is_too_short_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigurationException, match="key 2 has 5 characters") as refused:
        SecretBox.from_setting(f"{NEW},short")
    assert "short" not in refused.value.detail.replace("characters", "")


def test_nothing_encodes_one_by_accident() -> None:
    with pytest.raises(TypeError):
        orjson.dumps(SecretBox.from_setting("").seal("secret", BOUND))
