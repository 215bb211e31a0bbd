"""Errors as HTTP answers: RFC 9457 problem details. The only place that knows which error has which status."""

import re
from collections.abc import Collection, Mapping, Sequence
from math import ceil
from typing import Any

import orjson
from starlette.responses import Response

from app.core.errors import (
    ConflictException,
    CredentialsException,
    FieldProblem,
    InvalidScheduleException,
    InvalidTokenException,
    IssuerUnavailableException,
    MalformedRequestException,
    NotFoundException,
    PermissionDeniedException,
    PreconditionFailedException,
    QuotaExceededException,
    RateExceededException,
    ScheduleServiceException,
    StoreUnavailableException,
    TooManyAtOnceException,
    UnreadableRowException,
)
from app.scraping import CHALLENGE

PROBLEM_TYPES = "https://schedule-service.dev/problems/"
"""What a problem's `type` begins with; its last part is the `code` in lower case with hyphens."""
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
"""How long a caller is asked to wait while the database or the issuer is away, or too many do the same."""
_QUOTA_RETRY_AFTER_SECONDS = 60


class BrokenJsonException(ScheduleServiceException):
    """The body is not JSON"""

    code = "BROKEN_JSON"


class BrokenRequestException(ScheduleServiceException):
    """The request is not HTTP/1.1"""

    code = "BROKEN_REQUEST"


class UrlTooLongException(ScheduleServiceException):
    """The request's URL is too long"""

    code = "URL_TOO_LONG"


class HeadTooLargeException(ScheduleServiceException):
    """The request's headers are too large"""

    code = "HEAD_TOO_LARGE"


class UnsupportedMediaTypeException(ScheduleServiceException):
    """The body's media type is not supported"""

    code = "UNSUPPORTED_MEDIA_TYPE"


class BodyTooLargeException(ScheduleServiceException):
    """The body is too large"""

    code = "BODY_TOO_LARGE"


class MethodNotAllowedException(ScheduleServiceException):
    """The method is not allowed here"""

    code = "METHOD_NOT_ALLOWED"

    def __init__(self, allowed: Collection[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(f"This path does not have this method; it has {self.allowed}.")


class InternalException(ScheduleServiceException):
    """Internal error"""

    code = "INTERNAL_ERROR"


# The first one that fits: a class before the classes it derives from.
_STATUS: tuple[tuple[type[ScheduleServiceException], int], ...] = (
    (InvalidScheduleException, 400),
    (BrokenJsonException, 400),
    (BrokenRequestException, 400),
    (MalformedRequestException, 422),
    (CredentialsException, 401),
    (PermissionDeniedException, 403),
    (NotFoundException, 404),
    (MethodNotAllowedException, 405),
    (ConflictException, 409),
    (PreconditionFailedException, 412),
    (BodyTooLargeException, 413),
    (UrlTooLongException, 414),
    (UnsupportedMediaTypeException, 415),
    (TooManyAtOnceException, 429),
    (RateExceededException, 429),
    (QuotaExceededException, 429),
    (HeadTooLargeException, 431),
    (UnreadableRowException, 503),
    (IssuerUnavailableException, 503),
    (StoreUnavailableException, 503),
)


def status_of(error: ScheduleServiceException) -> int:
    """The HTTP status that an error answers with; 500 for one that was not meant for callers."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem_type(code: str) -> str:
    """The stable URI of a kind of problem."""
    return PROBLEM_TYPES + code.lower().replace("_", "-")


def problem(error: ScheduleServiceException, request_id: str | None) -> dict[str, Any]:
    """An error as a problem details object."""
    return {
        "type": problem_type(error.code),
        "title": error.title,
        "status": status_of(error),
        "detail": _printable(error.detail),
        "code": error.code,
        "errors": [{"field": _printable(each.field), "message": _printable(each.message)} for each in error.errors],
        "request_id": request_id,
    }


def problem_response(error: ScheduleServiceException, request_id: str | None) -> Response:
    """An error as an HTTP answer, with the headers that its status calls for."""
    return Response(
        orjson.dumps(problem(error, request_id)),
        status_code=status_of(error),
        headers=_headers(error),
        media_type=MEDIA_TYPE,
    )


def _headers(error: ScheduleServiceException) -> Mapping[str, str] | None:
    match error:
        case InvalidTokenException():
            # RFC 6750, 3.1.
            return {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'}
        case CredentialsException():
            return {"WWW-Authenticate": CHALLENGE}
        case (
            StoreUnavailableException()
            | IssuerUnavailableException()
            | TooManyAtOnceException()
            | UnreadableRowException()
        ):
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case RateExceededException(wait_seconds=seconds):
            return {"Retry-After": str(ceil(seconds))}
        case QuotaExceededException():
            # Something has to be removed first, by whoever it is.
            return {"Retry-After": str(_QUOTA_RETRY_AFTER_SECONDS)}
        case MethodNotAllowedException(allowed=allowed):
            return {"Allow": allowed}
        case BodyTooLargeException():
            # What was not read of the body would be taken for the next request.
            return {"Connection": "close"}
    return None


def refusal(
    wrong_types: Sequence[FieldProblem], refused_values: Sequence[FieldProblem]
) -> ScheduleServiceException | None:
    """One error for everything that is wrong with a request; null when nothing is.

    A wrong JSON type or an unknown field decides the status, but every refused value is named too.
    """
    problems = (*wrong_types, *refused_values)
    if not problems:
        return None
    detail = "; ".join(_sentence(each) for each in problems[:_SHOWN_IN_DETAIL])
    if len(problems) > _SHOWN_IN_DETAIL:
        detail += f"; and {len(problems) - _SHOWN_IN_DETAIL} more"
    if wrong_types:
        return MalformedRequestException(detail, problems[:_SHOWN])
    return InvalidScheduleException(detail, problems[:_SHOWN])


def _sentence(each: FieldProblem) -> str:
    names = (each.field, each.field.rpartition(".")[2])
    named = each.message.startswith(tuple(f"{name}{after}" for name in names for after in " :'"))
    return each.message if named else f"{each.field} {each.message}"


_SHOWN_IN_DETAIL = 5
_SHOWN = 100
_TEXT_SHOWN = 500
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")


def _printable(text: str) -> str:
    # Callers' own text is quoted in messages: it must neither break the encoding nor flood the answer.
    if len(text) > _TEXT_SHOWN:
        text = text[: _TEXT_SHOWN - 1] + "…"
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
