"""Entity tags: `If-Match` and `If-None-Match` (RFC 9110, section 13)."""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from app.core.errors import FieldProblem, InvalidScheduleException, StaleRevisionException

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
    header = _joined(request, "if-match")
    if header is None or header.strip() == "*":
        return None
    revisions = {int(tag) for weak, tag in _tags(header, "If-Match") if not weak and _REVISION.fullmatch(tag)}
    if len(revisions) == 1:
        return revisions.pop()
    found = await current()
    if found not in revisions:
        raise StaleRevisionException(f'If-Match names {header or "nothing"}, and it is at "{found}".')
    return found


def is_unchanged(request: Request, revision: int) -> bool:
    """Whether `If-None-Match` names the revision, weakly compared.

    Raises InvalidScheduleException for a header that is no list of entity tags.
    """
    header = _joined(request, "if-none-match")
    if header is None:
        return False
    return header.strip() == "*" or any(tag == str(revision) for _, tag in _tags(header, "If-None-Match"))


def _joined(request: Request, name: str) -> str | None:
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None


def _tags(header: str, name: str) -> list[tuple[str, str]]:
    if not _LIST.fullmatch(header):
        message = f'{name} must be * or a list of entity tags, such as "3"'
        raise InvalidScheduleException(message, [FieldProblem(name, message)])
    return _TAG.findall(header)
