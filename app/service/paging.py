"""Pages of lists, and cursors: the place at which a page ended, opaque to callers."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from app.core.errors import InvalidScheduleException
from app.core.queries import Page
from app.store.looks import Items, Seen

P = TypeVar("P")
T = TypeVar("T")

_PAGE_SIZE = 4 << 20
"""Characters: of items that are as large as they may be, five hundred have a hundred million."""
_READ_AT_ONCE = 20
_WINDOWS = (1_000, 4_000, 16_000, 64_000)
"""Rows that the looks of one request read at most: few where what is wanted is common."""
_LENGTH = 22


@dataclass(frozen=True, slots=True)
class Found(Generic[P]):
    """The places of a page's items, and the cursor of the next page; null at the end."""

    places: list[P]
    next_cursor: str | None


async def gather(
    look: Callable[[P | None, int, int], Awaitable[Seen[P]]],
    named: Callable[[P], str],
    *,
    start: P | None,
    limit: int,
    filtered: bool,
) -> Found[P]:
    """Look, from a place in the list on, until a page is full, the list ends, or enough rows were read.

    `look` is called with the place, the number still wanted and the number of rows to read; `named` makes the cursor of
    the page that follows a place. What is rare among many others may lie beyond what one request reads: the page then
    has fewer items than asked for, or none, and yet a cursor. Without a filter every row is wanted, and no more are
    read than that.
    """
    found: list[P] = []
    place = start
    for window in _WINDOWS if filtered else (limit + 1,):
        seen = await look(place, limit + 1 - len(found), window)
        found += seen.found
        place = seen.reached
        if len(found) > limit:
            return Found(found[:limit], named(found[limit - 1]))
        if place is None:
            return Found(found, None)
    return Found(found, None if place is None else named(place))


async def read(
    found: Found[P], these: Callable[[Sequence[P]], Awaitable[Items[T]]], named: Callable[[P], str]
) -> Page[T]:
    """The items of a page that was found, up to a size: what is left of them is the next page's.

    A caller has so much memory of this process, however large it has made what it lists. `these` reads the items of
    some places, without those that are gone by now; `named` as for `gather`.
    """
    items: list[T] = []
    size = 0
    for start in range(0, len(found.places), _READ_AT_ONCE):
        if size >= _PAGE_SIZE:
            return Page(tuple(items), named(found.places[start - 1]))
        part = await these(found.places[start : start + _READ_AT_ONCE])
        items += part.values
        size += part.size
    return Page(tuple(items), found.next_cursor)


def cursor_of(last: UUID) -> str:
    """The cursor of the page that follows an item, where the ids are the places."""
    return encoded(last.bytes)


def id_of(cursor: str) -> UUID:
    """The item after which a page starts.

    Raises InvalidScheduleException for what is not a cursor.
    """
    return UUID(bytes=decoded(cursor))


def encoded(place: bytes) -> str:
    """A place, of 16 bytes, as a cursor."""
    return urlsafe_b64encode(place).decode().rstrip("=")


def decoded(cursor: str) -> bytes:
    """The place that a cursor names.

    Raises InvalidScheduleException for what is not a cursor.
    """
    try:
        if len(cursor) != _LENGTH:
            raise ValueError("wrong length")
        place = urlsafe_b64decode(cursor.encode("ascii") + b"==")
        # The decoder passes over characters that are not of its alphabet.
        if encoded(place) != cursor:
            raise ValueError("not of the alphabet")
    except ValueError as refused:
        raise invalid_cursor() from refused
    return place


def invalid_cursor() -> InvalidScheduleException:
    """The refusal of a cursor that no page has named."""
    return InvalidScheduleException.of("cursor", "cursor: use a next_cursor as it was answered")
