"""Reading a request's body: media type, JSON, and what no stored value may hold. Sizes are bounded in `edge.py`."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request

from app.api.problems import BrokenJsonException, UnsupportedMediaTypeException, refusal
from app.core.clock import give_way, in_turns
from app.core.errors import FieldProblem, ScheduleServiceException

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
# What is read back as it was written: a float from 2^63 on comes back from Postgres as an integer, up to 2^64 exactly.
_EXACT = range(-(1 << 63), 1 << 64)
# Windows begins files with one, where no editor shows it.
_MARKS = (BOM_UTF8, BOM_UTF16_LE, BOM_UTF16_BE)
# Every digit is a 0 and E is e: what is looked for is then found by its bytes, in a tenth of the time of a pattern.
_DIGITS_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_LONG_NUMBERS = (b"0" * 19, b"0e000", b"0e+000")


async def read_json(request: Request, *, media_types: tuple[str, ...] = (JSON,)) -> Any:
    """The body as JSON has it: dicts, lists, strings, numbers that are finite and exact.

    Raises UnsupportedMediaTypeException, BrokenJsonException (also for invalid UTF-8, a byte order mark, NaN, a lone
    surrogate, too deep a nesting), BodyTooLargeException, InvalidScheduleException for a NUL character or a number
    that can neither be stored nor given back as it was.
    """
    _check_media_type(request, media_types)
    return parse_json(await request.body())


async def read_json_of_many(request: Request) -> Any:
    """As `read_json`, but for what cannot be stored: `unstorable` tells of each part whether it can."""
    _check_media_type(request, (JSON,))
    parsed = _parsed(await request.body())
    # Of a body of many megabytes each look takes some hundredths of a second.
    await give_way()
    return parsed


async def unstorable(request: Request, parts: Sequence[Any]) -> list[ScheduleServiceException | None]:
    """Of each part of a body why it cannot be stored; null where it can."""
    suspicious = _may_be_unstorable(await request.body())
    await give_way()
    if not suspicious:
        return [None] * len(parts)
    return [_refusal(part) async for part in in_turns(parts)]


async def read_optional_json(request: Request) -> Any:
    """As `read_json`, and an empty object when there is no body."""
    raw = await request.body()
    if not raw:
        return {}
    _check_media_type(request, (JSON,))
    return parse_json(raw)


def parse_json(raw: bytes) -> Any:
    """A JSON text, as `read_json` describes it."""
    parsed = _parsed(raw)
    if _may_be_unstorable(raw) and (refused := _refusal(parsed)) is not None:
        raise refused
    return parsed


def _parsed(raw: bytes) -> Any:
    if not raw:
        raise BrokenJsonException("The body is empty; a JSON object is needed.")
    if raw.startswith(_MARKS):
        raise BrokenJsonException("The body begins with a byte order mark: JSON is sent as UTF-8, without one.")
    try:
        # Too deep a nesting stops the parser by itself, in constant stack: nothing has to be scanned before it.
        return from_json(raw, allow_inf_nan=False)
    except ValueError as broken:
        raise BrokenJsonException(f"The body is not JSON: {broken}.") from None


def _refusal(value: Any) -> ScheduleServiceException | None:
    return refusal((), [FieldProblem(path or "body", message) for path, message in _unstorable(value)])


def _check_media_type(request: Request, media_types: tuple[str, ...]) -> None:
    encoded = request.headers.get("content-encoding", "identity")
    if encoded.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaTypeException(f"The body must not be encoded; its Content-Encoding is {encoded!r}.")
    given = request.headers.get("content-type", "")
    if given == media_types[0]:
        return
    essence, *parameters = (part.strip().lower() for part in given.split(";"))
    charsets = [value for name, _, value in (part.partition("=") for part in parameters) if name.strip() == "charset"]
    if essence not in media_types or any(charset.strip(' "') not in ("utf-8", "utf8") for charset in charsets):
        shown = f"{given!r}" if given else "none"
        raise UnsupportedMediaTypeException(
            f"The body's Content-Type must be {' or '.join(media_types)} in UTF-8; it is {shown}."
        )


def _may_be_unstorable(raw: bytes) -> bool:
    """A cheap look: only a body with an escaped NUL, a number of 19 digits or a three-digit exponent is walked."""
    if b"\\u0000" in raw:
        return True
    alike = raw.translate(_DIGITS_ALIKE)
    return any(number in alike for number in _LONG_NUMBERS)


def _unstorable(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case str():
            if "\0" in value:
                yield path, "must not hold a NUL character (\\u0000), which cannot be stored"
        case dict():
            for key, inner in value.items():
                if "\0" in key:
                    yield path, "must not hold a NUL character (\\u0000), which cannot be stored, in a name either"
                yield from _unstorable(inner, f"{path}.{key}" if path else key)
        case list():
            for index, inner in enumerate(value):
                yield from _unstorable(inner, f"{path}.{index}" if path else str(index))
        case bool():
            return
        case int():
            if value not in _EXACT:
                yield path, "must be an integer within 64 bits, to be kept exactly; use a string"
        case float():
            if value in (float("inf"), float("-inf")):
                yield path, "must be a number within the range of a double"
