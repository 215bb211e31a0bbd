"""Query parameters that several operations share, and their refusals."""

import re
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from app.api.wire.base import Refused, sort_problems
from app.core.errors import ScheduleServiceException
from app.core.occurrences import parse_instant

_DIGITS = re.compile("[0-9]+")


def _check_digits(text: object) -> object:
    if isinstance(text, str) and not _DIGITS.fullmatch(text):
        raise PydanticCustomError("whole_number", "must be a whole number, written in digits alone")
    return text


def _check_truth(text: object) -> object:
    if isinstance(text, str) and text not in ("true", "false"):
        raise PydanticCustomError("true_or_false", "must be true or false")
    return text


Whole = Annotated[int, BeforeValidator(_check_digits)]
"""A number in a query. Without this the library also takes 1.0, 1_0, +1 and white space around it."""
Limit = Annotated[Whole, Query(ge=1, le=500, description="Items in one part at most; fewer where they are large.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the part before.")]
DryRun = Annotated[
    bool,
    BeforeValidator(_check_truth),
    Query(
        description="`true`: answer as if it were done, and store nothing. `ETag` is that of what is stored, to be "
        "sent as `If-Match` when it is to be done; there is no `Location`, and an `Idempotency-Key` is passed over."
    ),
]


def instant_query(description: str, alias: str | None = None, **schema: Any) -> Any:
    """A parameter of the document that is an instant, as `instant` reads it; `schema` is what else it says of it."""
    return Query(alias=alias, description=description, json_schema_extra={"format": "date-time", **schema})


def check_parameters(request: Request) -> None:
    """Raises InvalidScheduleException for a NUL character, which cannot be looked for in Postgres."""
    refused = Refused()
    for name, value in request.query_params.multi_items():
        if "\0" in value:
            refused.value(name, "must not hold a NUL character")
    refused.raise_any()


def check_path(request: Request, field: str) -> None:
    """Refuse a path that no text in a body could be: its last part is the parameter `field`.

    Raises InvalidScheduleException for a NUL character, and for what is no UTF-8, of which the server makes U+FFFD.
    """
    refused = Refused()
    if "\0" in request.scope["path"]:
        refused.value(field, "must not hold a NUL character")
    try:
        unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError:
        refused.value(field, "must be UTF-8, percent-encoded")
    refused.raise_any()


def instant(text: str | None, field: str) -> datetime | None:
    """An RFC 3339 date and time with an offset. Raises InvalidScheduleException for anything else."""
    return None if text is None else parse_instant(text, field=field, timezone=None)


def refused_parameters(invalid: RequestValidationError) -> ScheduleServiceException:
    """What the framework found wrong with the query parameters of a request."""
    refused = Refused()
    sort_problems(invalid.errors(), refused, beneath=1)
    # Parameters are text: a value that is none of what is asked for is a refused value, not a wrong JSON type.
    refused.values.extend(refused.wrong_types)
    refused.wrong_types.clear()
    error_found = refused.error()
    assert error_found is not None
    return error_found
