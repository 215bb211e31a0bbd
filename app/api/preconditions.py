"""Entity tags: `If-Match` and `If-None-Match` (RFC 9110, section 13)."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request

from app.core.errors import (
    FieldProblem,
    InvalidScheduleException,
    PreconditionFailedException,
    StaleRevisionException,
)

_LIST = re.compile(r'\s*(?:(?:W/)?"[^"]*"\s*)?(?:,\s*(?:(?:W/)?"[^"]*"\s*)?)*')
_TAG = re.compile(r'(W/)?"([^"]*)"')
_REVISION = re.compile(r"[1-9][0-9]{0,9}")


async def expected_revision(request: Request, current: Callable[[], Awaitable[int]]) -> int | None:
    """The revision that `If-Match` demands; null when any will do.

    A weak tag never matches, nor one that is no revision. Where another number of them than one is named, the one that
    is current now is demanded; `current` looks it up.

    Raises InvalidScheduleException for a header that is no list of entity tags, StaleRevisionException when none is
    current, and what `current` raises.
    """
    match = _named(request, "If-Match")
    if match is None or match.anything:
        return None
    revisions = match.revisions
    if len(revisions) == 1:
        return next(iter(revisions))
    found = await current()
    if found not in revisions:
        raise _stale(match, found)
    return found


def precondition(request: Request) -> Callable[[int | None], None]:
    """What `If-Match` and `If-None-Match` demand of what a request finds where it writes: a check of its revision, null
    where there is nothing, to be made under its lock.

    `If-Match: *` demands that there is something, `If-None-Match: *` that there is nothing. The check raises
    StaleRevisionException and PreconditionFailedException.

    Raises InvalidScheduleException for a header that is no list of entity tags.
    """
    match, none_match = _named(request, "If-Match"), _named(request, "If-None-Match")

    def check(found: int | None) -> None:
        if match is not None and (found is None or not (match.anything or found in match.revisions)):
            raise _stale(match, found)
        if none_match is not None and found is not None and none_match.is_at(found):
            raise PreconditionFailedException(f'If-None-Match names {none_match.header}, and it is at "{found}".')

    return check


def is_unchanged(request: Request, revision: int) -> bool:
    """Whether `If-None-Match` names the revision, weakly compared.

    Raises InvalidScheduleException for a header that is no list of entity tags.
    """
    none_match = _named(request, "If-None-Match")
    return none_match is not None and none_match.is_at(revision)


@dataclass(frozen=True, slots=True)
class _Named:
    """What a header names: tags, each weak or not, or anything that there is."""

    header: str
    anything: bool
    tags: tuple[tuple[str, str], ...]

    @property
    def revisions(self) -> set[int]:
        """Those that are named, strongly compared."""
        return {int(tag) for weak, tag in self.tags if not weak and _REVISION.fullmatch(tag)}

    def is_at(self, revision: int) -> bool:
        """Whether that one is named, weakly compared."""
        return self.anything or any(tag == str(revision) for _, tag in self.tags)


def _named(request: Request, name: str) -> _Named | None:
    values = request.headers.getlist(name)
    if not values:
        return None
    header = ", ".join(values)
    if header.strip() == "*":
        return _Named(header, anything=True, tags=())
    if not _LIST.fullmatch(header):
        message = f'{name} must be * or a list of entity tags, such as "3"'
        raise InvalidScheduleException(message, [FieldProblem(name, message)])
    return _Named(header, anything=False, tags=tuple(_TAG.findall(header)))


def _stale(match: _Named, found: int | None) -> StaleRevisionException:
    at = "there is none" if found is None else f'it is at "{found}"'
    if any(weak and tag == str(found) for weak, tag in match.tags):
        # As a proxy has made it that compresses, nginx for one: the caller has read what is current.
        at += ": a weak tag never matches, leave out its W/"
    return StaleRevisionException(f"If-Match names {match.header or 'nothing'}, and {at}.")
