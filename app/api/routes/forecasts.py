"""How much is to come, and when it is most."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Viewer
from app.api.document import READING, answers
from app.api.examples.forecasts import FORECAST
from app.api.parameters import Cursor, Whole, check_parameters, instant, instant_query
from app.api.parts import parts_of
from app.api.rendering import PREFIX, json_response
from app.api.wire.forecasts import Forecast
from app.api.wire.targets import Host
from app.core.clock import EPOCH, utc
from app.core.errors import InvalidScheduleException
from app.core.forecasting import LONGEST_BUCKET_SECONDS, Span
from app.core.queries import ScheduleFilter
from app.service.forecasting import Forecast as Counted

router = APIRouter(prefix=PREFIX, tags=["occurrences"])

_A_DAY = timedelta(days=1)


@router.get(
    "/forecast",
    operation_id="forecast_occurrences",
    summary="Count what is to come",
    responses=answers(200, "How many occurrences, and when.", Forecast, FORECAST, errors=READING),
)
async def forecast_occurrences(
    request: Request,
    caller: Viewer,
    from_: Annotated[
        str | None,
        instant_query(
            "The beginning of the time span. Left out: that of the bucket that it is now, all beginning at "
            "multiples of `bucket_seconds` since 1970-01-01T00:00:00Z.",
            "from",
        ),
    ] = None,
    to: Annotated[
        str | None,
        instant_query("Its end, exclusive. Left out: a day after its beginning."),
    ] = None,
    bucket_seconds: Annotated[
        Whole,
        Query(
            ge=1,
            le=LONGEST_BUCKET_SECONDS,
            description="How long the parts are, from `from` on, in which occurrences are counted; at most 1000 of "
            "them in one answer.",
        ),
    ] = 3600,
    tag: Annotated[str | None, Query(description="Only of schedules with this tag.", max_length=64)] = None,
    workflow_id: Annotated[UUID | None, Query(description="Only of schedules of this workflow.")] = None,
    name_prefix: Annotated[
        str | None, Query(description="Only of schedules whose name begins with this.", max_length=255)
    ] = None,
    target_host: Annotated[
        Host | None,
        Query(
            description="Only of schedules that call this host, as `GET /targets` names it. The host of the workflow "
            "engine: those without a `target`, too."
        ),
    ] = None,
    cursor: Cursor = None,
) -> Response:
    """The occurrences that the active schedules of the caller's community have before them, as they are now: with
    their calendars, `end_at`, what `max_executions` leaves, and without what is to be skipped. What has fired already
    is not among them, nor what was missed. They are counted by their nominal instants: `jitter_seconds` may delay
    them.
    """
    check_parameters(request)
    parts = parts_of(request)
    span = _span(from_, to, bucket_seconds, parts.services.clock.now())
    wanted = ScheduleFilter(tag=tag, workflow_id=workflow_id, name_prefix=name_prefix)
    if target_host is not None:
        wanted = wanted.calling(target_host, engine_url=parts.settings.workflow_engine_url)
    found = await parts.services.forecasts.forecast(caller, wanted, span, cursor=cursor)
    return json_response(_forecast_json(found, bucket_seconds))


def _span(from_: str | None, to: str | None, bucket_seconds: int, now: datetime) -> Span:
    """Raises InvalidScheduleException."""
    start, end = instant(from_, "from"), instant(to, "to")
    if start is None:
        start = now - (now - EPOCH) % timedelta(seconds=bucket_seconds)
    try:
        return Span.of(start, end or start + _A_DAY, bucket_seconds)
    except OverflowError:
        raise InvalidScheduleException.of("from", "from: a day later no calendar goes; give to as well") from None


def _forecast_json(found: Counted, bucket_seconds: int) -> dict[str, Any]:
    span = found.span
    return {
        "from": utc(span.start),
        "to": utc(span.end),
        "bucket_seconds": bucket_seconds,
        "schedules": found.schedules,
        "occurrences": sum(found.counts),
        "buckets": [
            {"from": utc(span.begin(index)), "occurrences": number} for index, number in enumerate(found.counts)
        ],
        "next_cursor": found.next_cursor,
    }
