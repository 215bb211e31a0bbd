"""Pages of lists, and cursors: the id at which a page ended, opaque to callers."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from app.core.errors import InvalidScheduleException
from app.store.looks import Look

_WINDOWS = (1_000, 4_000, 16_000, 64_000)
"""Rows that the looks of one request read at most: few where what is wanted is common."""
_LENGTH = 22


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of a page, and the cursor of the next; null at the end."""

    ids: list[UUID]
    next_cursor: str | None


async def gather(
    look: Callable[[UUID | None, int, int], Awaitable[Look]], *, start: UUID | None, limit: int, filtered: bool
) -> Found:
    """Look, from a place in the list on, until a page is full, the list ends, or enough rows were read.

    `look` is called with the place, the number still wanted and the number of rows to read. What is rare among many
    others may lie beyond what one request reads: the page then has fewer items than asked for, or none, and yet a
    cursor. Without a filter every row is wanted, and no more are read than that.
    """
    found: list[UUID] = []
    place = start
    for window in _WINDOWS if filtered else (limit + 1,):
        seen = await look(place, limit + 1 - len(found), window)
        found += seen.found
        place = seen.reached
        if len(found) > limit:
            return Found(found[:limit], cursor_of(found[limit - 1]))
        if place is None:
            return Found(found, None)
    return Found(found, None if place is None else cursor_of(place))


def cursor_of(last: UUID) -> str:
    """The cursor of the page that follows an item."""
    return urlsafe_b64encode(last.bytes).decode().rstrip("=")


def id_of(cursor: str) -> UUID:
    """The item after which a page starts.

    Raises InvalidScheduleException for what is not a cursor.
    """
    try:
        if len(cursor) != _LENGTH:
            raise ValueError("wrong length")
        last = UUID(bytes=urlsafe_b64decode(cursor.encode("ascii") + b"=="))
        # The decoder passes over characters that are not of its alphabet.
        if cursor_of(last) != cursor:
            raise ValueError("not of the alphabet")
    except ValueError as refused:
        raise invalid_cursor() from refused
    return last


def invalid_cursor() -> InvalidScheduleException:
    """The refusal of a cursor that no page has named."""
    return InvalidScheduleException.of("cursor", "cursor: use a next_cursor as it was answered")
