"""Entity tags are read in linear time, whatever they hold."""

import pytest
from starlette.requests import Request

from app.api.preconditions import is_unchanged
from app.core.errors import InvalidScheduleException


def request(header: str) -> Request:
    return Request({"type": "http", "headers": [(b"if-none-match", header.encode())]})


@pytest.mark.parametrize(
    "header", [", " * 20_000 + "x", '"a" ' * 10_000, '"a",' * 10_000 + "x", " " * 60_000 + "x", 'W/"' * 20_000]
)
def test_a_long_header_that_is_no_list_is_refused_at_once(header: str) -> None:
    with pytest.raises(InvalidScheduleException):
        is_unchanged(request(header), 1)


def test_a_long_list_is_read() -> None:
    assert is_unchanged(request(", ".join(f'"{number}"' for number in range(9_000))), 8_999)
