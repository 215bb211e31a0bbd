"""Entity tags are read in linear time, whatever they hold."""

import pytest
from starlette.requests import Request

from app.api.preconditions import expected_revision, is_unchanged, precondition
from app.core.errors import InvalidScheduleException, StaleRevisionException


def request(header: str, name: bytes = b"if-none-match") -> Request:
    return Request({"type": "http", "headers": [(name, header.encode())]})


@pytest.mark.parametrize(
    "header", [", " * 20_000 + "x", '"a" ' * 10_000, '"a",' * 10_000 + "x", " " * 60_000 + "x", 'W/"' * 20_000]
)
def test_a_long_header_that_is_no_list_is_refused_at_once(header: str) -> None:
    with pytest.raises(InvalidScheduleException):
        is_unchanged(request(header), 1)


def test_a_long_list_is_read() -> None:
    assert is_unchanged(request(", ".join(f'"{number}"' for number in range(9_000))), 8_999)


@pytest.mark.parametrize("header", ['"03"', '"99999999999"', '"a"', "", '"2", "4"'])
async def test_a_tag_that_no_revision_has_is_refused_by_what_was_sent_and_what_is_current(header: str) -> None:
    async def current() -> int:
        return 3

    with pytest.raises(StaleRevisionException) as refused:
        await expected_revision(request(header, b"if-match"), current)
    assert refused.value.detail == f'If-Match names {header or "nothing"}, and it is at "3".'


@pytest.mark.parametrize("header", ['W/"3"', '"2", W/"3"', 'W/"1", W/"3"'])
async def test_a_tag_that_only_a_proxy_made_weak_is_answered_with_how_it_would_match(header: str) -> None:
    """As nginx does where it compresses: who sends back what came means what is current, and is refused."""

    async def current() -> int:
        return 3

    with pytest.raises(StaleRevisionException) as refused:
        precondition(request(header, b"if-match"))(3)
    assert (
        refused.value.detail
        == f'If-Match names {header}, and it is at "3": a weak tag never matches, leave out its W/.'
    )
    if header != '"2", W/"3"':
        with pytest.raises(StaleRevisionException, match="leave out its W/"):
            await expected_revision(request(header, b"if-match"), current)
