"""When it would fire: of a stored schedule, and of a timing that is not stored."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Viewer
from app.api.bodies import read_json
from app.api.document import READING, answers, takes
from app.api.examples.occurrences import OCCURRENCES, PREVIEW
from app.api.parameters import Whole
from app.api.parts import parts_of
from app.api.rendering import PREFIX, json_response
from app.api.routes.schedules import ScheduleId
from app.api.timings import calendar_use
from app.api.wire.base import read_model
from app.api.wire.occurrences import DEFAULT_OCCURRENCES, MAX_OCCURRENCES, Occurrences, PreviewInput
from app.core.clock import utc
from app.core.occurrences import (
    Adjustment,
    AdjustmentCause,
    Timing,
    adjustments,
    describe,
    never_occurs,
    occurrences_after,
    reading_adjusted,
    wall_reading,
)
from app.service.definitions import check_days

router = APIRouter(prefix=f"{PREFIX}/schedules", tags=["occurrences"])


@router.post(
    "/preview",
    operation_id="preview_occurrences",
    summary="Say when a timing would fire",
    responses=answers(200, "The next occurrences.", Occurrences, OCCURRENCES, errors=(*READING, 413, 415)),
    openapi_extra=takes(PreviewInput, PREVIEW),
)
async def preview_occurrences(request: Request, caller: Viewer) -> Response:
    """Nothing is stored. The occurrences are those strictly after `start`, before jitter."""
    parts = parts_of(request)
    body = read_model(PreviewInput, await read_json(request))
    timing, start = parts.timings.preview(body, parts.services.clock.now())
    days = await parts.services.calendars.days(caller, calendar_use(body.calendars))
    timing = replace(timing, days=days)
    # What the calendars come to together was not known when the timing was read.
    check_days(timing)
    occurrences = occurrences_after(timing, start, body.count)
    if not occurrences and (never := never_occurs(timing, start)) is not None:
        raise never
    read = None if body.scheduled_time is None else wall_reading(body.scheduled_time)
    return _answer(timing, occurrences, read)


@router.get(
    "/{schedule_id:uuid}/occurrences",
    operation_id="list_occurrences",
    summary="Say when a schedule fires next",
    responses=answers(200, "The next occurrences.", Occurrences, OCCURRENCES, errors=(*READING, 404)),
)
async def list_occurrences(
    request: Request,
    caller: Viewer,
    schedule_id: ScheduleId,
    count: Annotated[Whole, Query(ge=1, le=MAX_OCCURRENCES, description="How many.")] = DEFAULT_OCCURRENCES,
) -> Response:
    """Its next occurrences, before jitter; none while it is not active."""
    schedules = parts_of(request).services.schedules
    schedule = await schedules.get(caller, schedule_id)
    occurrences = await schedules.upcoming(caller, schedule_id, count)
    return _answer(schedule.timing, occurrences)


def _answer(timing: Timing, occurrences: Sequence[datetime], read: datetime | None = None) -> Response:
    """`read` is what a caller wrote for the only instant, where that is the reading of a clock."""
    adjusted = [
        {
            "occurrence": utc(occurrence),
            "cause": each.cause,
            "wall_times": each.wall_times,
            "text": each.text,
        }
        for occurrence in occurrences
        for each in _adjustments(timing, occurrence, read)
    ]
    shown = list(map(utc, occurrences))
    return json_response({"occurrences": shown, "adjusted": adjusted, "description": describe(timing)})


def _adjustments(timing: Timing, occurrence: datetime, read: datetime | None) -> tuple[Adjustment, ...]:
    found = adjustments(timing, occurrence)
    if read is None:
        return found
    # It does not fire where a gap moved it to if a day off moves it on.
    moved_on = any(each.cause is AdjustmentCause.CALENDAR for each in found)
    return (*reading_adjusted(read, timing.timezone, hypothetical=moved_on), *found)
