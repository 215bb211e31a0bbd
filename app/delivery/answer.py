"""What a target's answer means for an execution."""

from collections.abc import Collection
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto

import orjson

from app.core.clock import EPOCH
from app.core.values import value
from app.delivery.redacting import beginning_of
from app.delivery.reply import Reply

RETRY_AFTER_LIMIT_SECONDS = 3600.0
"""`Retry-After` is obeyed up to this, so that an absurd one does not park an execution for ever."""
_EXCERPT_CHARACTERS = 500
_ID_CHARACTERS = 255
_BYTES_AT_MOST = 4
"""Of a character."""
_GONE = 410
# Request Timeout, Too Early, Too Many Requests: the target asks to be asked again.
_TRY_AGAIN = frozenset({408, 425, 429})


class Meaning(Enum):
    """Taken; to be tried again; refused for good; refused, and the target is gone."""

    TAKEN = auto()
    RETRY = auto()
    REFUSED = auto()
    GONE = auto()


@value
class Verdict:
    """An answer, read. `wait_seconds` is what the target asked to wait at least; null when it did not ask."""

    meaning: Meaning
    error: str | None = None
    engine_execution_id: str | None = None
    wait_seconds: float | None = None


def read_answer(reply: Reply, now: datetime, secrets: Collection[str] = ()) -> Verdict:
    """What an answer means; these secrets are taken out of what it says.

    A 2xx took it, and so did a 409, which says that the target has this id already. 408, 425, 429 and 5xx are tried
    again. 410 is a failure that is not, and says that the target will not be back. Everything else, redirects
    included, is a failure.
    """
    status = reply.status
    if 200 <= status < 300 or status == 409:
        return Verdict(Meaning.TAKEN, engine_execution_id=_engine_execution_id(reply.body, secrets))
    error = _describe(reply, secrets)
    if status in _TRY_AGAIN or status >= 500:
        return Verdict(Meaning.RETRY, error, wait_seconds=_retry_after(reply.retry_after, now))
    return Verdict(Meaning.GONE if status == _GONE else Meaning.REFUSED, error)


def without_excerpt(error: str) -> str:
    """How an attempt failed, without what the target said: that is for the schedule's own community alone."""
    return error.partition(":")[0] if error.startswith("HTTP ") else error


def _describe(reply: Reply, secrets: Collection[str]) -> str:
    excerpt = _kept(reply.body, _EXCERPT_CHARACTERS, secrets, cut=reply.cut).strip()
    return f"HTTP {reply.status}" + (f": {excerpt[:_EXCERPT_CHARACTERS]}" if excerpt else "")


def _kept(text: bytes, characters: int, secrets: Collection[str], *, cut: bool = False) -> str:
    """As much of a text as may be kept, so that it can be stored."""
    kept = beginning_of(text, _BYTES_AT_MOST * characters, secrets, cut=cut)
    return kept.decode("utf-8", "replace").replace("\x00", "�")


def _engine_execution_id(body: bytes, secrets: Collection[str]) -> str | None:
    """The id in WaddleBot's `{"success": true, "data": {"execution_id": …}}`; null in any other answer."""
    if b"execution_id" not in body:
        return None
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    nested = answer.get("data") if isinstance(answer, dict) else None
    found = nested.get("execution_id") if isinstance(nested, dict) else None
    if not isinstance(found, (str, int)) or isinstance(found, bool):
        return None
    return _kept(str(found).encode(), _ID_CHARACTERS, secrets)[:_ID_CHARACTERS] or None


def _retry_after(header: str | None, now: datetime) -> float | None:
    """`Retry-After` in either form of RFC 9110, 10.2.3; null when it is neither."""
    if header is None:
        return None
    header = header.strip()
    if not header.isascii():
        return None
    if header.isdigit():
        # Cut, because Python refuses to read a number of thousands of digits.
        return min(float(header.lstrip("0")[:12] or 0), RETRY_AFTER_LIMIT_SECONDS)
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, OverflowError, TypeError, IndexError):
        # The parser has raised each of these for text that is no date.
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=EPOCH.tzinfo)
    return min(max((at - now).total_seconds(), 0.0), RETRY_AFTER_LIMIT_SECONDS)
