"""Reading JSON bodies."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.bodies import parse_json
from app.api.problems import BrokenJsonException
from app.core.errors import InvalidScheduleException

_STORABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", exclude_characters="\0")), inner)
    ),
)


@given(_STORABLE)
def test_what_can_be_stored_is_read_exactly(value: Any) -> None:
    for ascii_only in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary())
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    try:
        parse_json(raw)
    except (BrokenJsonException, InvalidScheduleException):
        return
    json.loads(raw)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (r'{"a": "\u0000"}', "a"),
        (r'{"a": ["x", {"b": "y\u0000"}]}', "a.1.b"),
        (r'{"a": {"\u0000": 1}}', "a"),
        (r'["\u0000"]', "0"),
        (r'"\u0000"', "body"),
        ('{"a": 18446744073709551616}', "a"),
        ('{"a": -9223372036854775809}', "a"),
        ('{"a": 1e309}', "a"),
        ('{"a": -1E400}', "a"),
        ('{"a": 1.5e+999}', "a"),
        ('{"a": ' + "9" * 400 + ".5}", "a"),
    ],
)
def test_what_cannot_be_kept_as_it_is_names_its_place(raw: str, field: str) -> None:
    with pytest.raises(InvalidScheduleException) as refused:
        parse_json(raw.encode())
    assert [each.field for each in refused.value.errors] == [field]


@pytest.mark.parametrize("raw", [r'"\\u0000"', "1e-999", "1e308", "9223372036854775807", "-0.0", '"1e999"', "[1e10]"])
def test_what_only_looks_like_it_is_read(raw: str) -> None:
    assert parse_json(raw.encode()) == json.loads(raw)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_nesting_is_bounded_by_the_parser(opening: bytes) -> None:
    with pytest.raises(BrokenJsonException, match="recursion"):
        parse_json(opening * 300_000)


def test_of_a_name_given_twice_the_last_counts() -> None:
    assert parse_json(b'{"a": 1, "a": 2}') == {"a": 2}
