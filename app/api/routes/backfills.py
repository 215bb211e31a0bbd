"""Backfills: run what a schedule had, or would have had, in a time span."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Operator
from app.api.bodies import read_json
from app.api.document import IDEMPOTENCY_KEY, WRITING, answers, takes
from app.api.examples.executions import BACKFILL, BACKFILL_DRY_RUN, BACKFILL_INPUT
from app.api.idempotency import idempotency
from app.api.parts import parts_of
from app.api.rendering import PREFIX, answer_response, backfill_answer
from app.api.routes.schedules import ScheduleId
from app.api.wire.backfills import Backfill, BackfillInput
from app.api.wire.base import Refused, read_model
from app.core.errors import InvalidScheduleException
from app.core.occurrences import parse_instant
from app.service.backfilling import BackfillRequest

router = APIRouter(prefix=f"{PREFIX}/schedules", tags=["schedules"])


@router.post(
    "/{schedule_id:uuid}/backfill",
    operation_id="backfill_schedule",
    summary="Run every occurrence of a time span",
    status_code=202,
    responses={
        **answers(202, "Recorded as queued.", Backfill, BACKFILL, errors=(*WRITING, 404)),
        **answers(200, "A dry run: what would be run.", Backfill, BACKFILL_DRY_RUN),
    },
    openapi_extra=takes(BackfillInput, BACKFILL_INPUT, parameters=[IDEMPOTENCY_KEY]),
)
async def backfill_schedule(request: Request, caller: Operator, schedule_id: ScheduleId) -> Response:
    """At most 1000 occurrences in `[from, to)`, by the schedule's present rule, whatever its status and whatever was
    recorded of them before. They run in order, `max_parallel` at a time, beside the schedule's own timing.
    """
    raw = await read_json(request)
    asked, parts = _read(read_model(BackfillInput, raw)), parts_of(request)
    answer = await parts.services.schedules.backfill(
        caller,
        schedule_id,
        asked,
        check=lambda schedule: parts.definitions.check_override(schedule, asked.context_override),
        answer=backfill_answer,
        idempotency=idempotency(request, raw),
    )
    return answer_response(answer)


def _read(body: BackfillInput) -> BackfillRequest:
    refused = Refused()
    instants = []
    for field, text in (("from", body.from_), ("to", body.to)):
        try:
            instants.append(parse_instant(text, field=field, timezone=None))
        except InvalidScheduleException as wrong:
            refused.values.extend(wrong.errors)
    refused.raise_any()
    start, end = instants
    if end <= start:
        raise InvalidScheduleException.of("to", f"to '{body.to}' must be later than from '{body.from_}'")
    return BackfillRequest(start, end, body.max_parallel, body.dry_run, body.context_data)
