"""A token's text: what is read of it, and what is refused before anything is believed."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidTokenException
from app.core.jwt.compact import LONGEST, Token, read_token
from tests.issuers import base64url, encoded

HEADER = '{"alg":"ES256"}'


def of(header: str | bytes, claims: str | bytes = "{}", signature: str = "c2ln") -> str:
    return f"{encoded(header)}.{encoded(claims)}.{signature}"


def refused(text: str) -> str:
    with pytest.raises(InvalidTokenException) as error:
        read_token(text)
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return error.value.detail


def test_header_and_claims_are_read() -> None:
    token = read_token(of(HEADER, '{"sub":"ada é","n":{"a":[1]}}'))
    assert (token.header, token.claims) == ({"alg": "ES256"}, {"sub": "ada é", "n": {"a": [1]}})


def test_it_does_not_show_itself() -> None:
    text = of(HEADER)
    assert repr(read_token(text)) == str(Token(text, {}, {})) == "Token(********)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e",
        f"{of(HEADER)}=",
        f" {of(HEADER)}",
        f"{of(HEADER)}\n",
        of(HEADER).replace(".", ". "),
        of(HEADER, signature="a+b/"),
        of(HEADER, signature="é"),
        "\udce9.e.e",
        "ey.ey.ey٣",
    ],
)
def test_what_is_no_three_parts_of_base64url_is_no_jwt(text: str) -> None:
    assert "is no JWT" in refused(text)


@pytest.mark.parametrize(
    "part",
    [
        "[]",
        "null",
        '"text"',
        "{",
        "{} {}",
        '{"a":1,"a":2}',
        '{"a":{"b":1,"b":1}}',
        '{"exp":NaN}',
        '{"exp":Infinity}',
        '{"exp":-Infinity}',
        b'{"a":"\xff"}',
        '{"a":1}'.encode("utf-16"),
        "\ufeff{}".encode(),
        '{"a":' + "[" * 5000 + "]" * 5000 + "}",
        '{"a":' + "1" * 5000 + "}",
    ],
)
def test_a_part_is_one_json_object_in_utf_8_with_each_name_once(part: str | bytes) -> None:
    assert "header must be a JSON object" in refused(of(part))
    assert "payload must be a JSON object" in refused(of(HEADER, part))


@pytest.mark.parametrize("part", ["A", "AAAAA", "_"])
def test_a_part_that_no_bytes_are_written_as_is_refused(part: str) -> None:
    assert "header must be" in refused(f"{part}.e30.")
    assert "payload must be" in refused(f"{encoded(HEADER)}.{part}.")


def test_its_length_has_a_bound() -> None:
    rest = len(of(HEADER, ""))
    text = of(HEADER, '{"a":"%s"}' % ("a" * ((LONGEST - rest) * 3 // 4 - 8)))
    assert LONGEST - 4 <= len(text) <= LONGEST
    assert read_token(text).claims["a"]
    assert f"at most {LONGEST} characters" in refused(text + "aaaa")
    assert "at most" in refused("a" * (1 << 20))


@given(st.text(max_size=300) | st.builds(lambda *parts: ".".join(map(base64url, parts)), *[st.binary(max_size=80)] * 3))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidTokenException):
        assert isinstance(json.dumps(read_token(text).claims), str)
