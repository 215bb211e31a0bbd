"""Query parameters that several operations share, and their refusals."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from app.api.wire.base import Refused, sort_problems
from app.core.errors import ScheduleServiceException
from app.core.occurrences import parse_instant

Limit = Annotated[int, Query(ge=1, le=500, description="Items in one part.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the part before.")]


def check_parameters(request: Request) -> None:
    """Raises InvalidScheduleException for a NUL character, which cannot be looked for in Postgres."""
    refused = Refused()
    for name, value in request.query_params.multi_items():
        if "\0" in value:
            refused.value(name, "must not hold a NUL character")
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
