"""Schedules: pause, resume, skip the next occurrence, run once now."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Editor, Operator
from app.api.bodies import read_optional_json
from app.api.document import ETAG, IDEMPOTENCY_KEY, IF_MATCH, LOCATION, WRITING, answers, takes
from app.api.examples.executions import RECORDED, TRIGGER
from app.api.examples.schedules import PAUSE, SCHEDULE, SKIPPING
from app.api.idempotency import idempotency
from app.api.parts import parts_of
from app.api.rendering import PREFIX, accepted, answer_response, schedule_response
from app.api.routes.schedules import ScheduleId, revision_asked
from app.api.wire.base import read_model
from app.api.wire.executions import Execution
from app.api.wire.schedules import PauseInput, Schedule, SkipNextInput, TriggerInput

router = APIRouter(prefix=f"{PREFIX}/schedules", tags=["schedules"])

_PAUSED = SCHEDULE | {
    "status": "paused",
    "is_active": False,
    "status_reason": "the target is being upgraded",
    "next_execution_at": None,
    "next_due_at": None,
    "revision": 2,
}


@router.post(
    "/{schedule_id:uuid}/pause",
    operation_id="pause_schedule",
    summary="Pause a schedule",
    responses=answers(200, "The schedule, paused.", Schedule, _PAUSED, headers=ETAG, errors=(*WRITING, 404, 412)),
    openapi_extra=takes(PauseInput, PAUSE, required=False, parameters=[IF_MATCH]),
)
async def pause_schedule(request: Request, caller: Editor, schedule_id: ScheduleId) -> Response:
    """It does not fire until it is resumed. Pausing a paused one changes nothing."""
    body = read_model(PauseInput, await read_optional_json(request))
    expected = await revision_asked(request, caller, schedule_id)
    schedules = parts_of(request).services.schedules
    return schedule_response(await schedules.pause(caller, schedule_id, reason=body.reason, expected_revision=expected))


@router.post(
    "/{schedule_id:uuid}/resume",
    operation_id="resume_schedule",
    summary="Resume a schedule",
    responses=answers(200, "The schedule, active.", Schedule, SCHEDULE, headers=ETAG, errors=(*WRITING, 404, 412)),
    openapi_extra=takes(PauseInput, {"reason": "upgraded"}, required=False, parameters=[IF_MATCH]),
)
async def resume_schedule(request: Request, caller: Editor, schedule_id: ScheduleId) -> Response:
    """The next occurrence is computed from now; what was missed meanwhile is not made up for."""
    body = read_model(PauseInput, await read_optional_json(request))
    expected = await revision_asked(request, caller, schedule_id)
    schedules = parts_of(request).services.schedules
    return schedule_response(
        await schedules.resume(caller, schedule_id, reason=body.reason, expected_revision=expected)
    )


@router.post(
    "/{schedule_id:uuid}/skip-next",
    operation_id="skip_next_occurrence",
    summary="Skip the next occurrence",
    responses=answers(200, "The schedule.", Schedule, SKIPPING, headers=ETAG, errors=(*WRITING, 404, 412)),
    openapi_extra=takes(SkipNextInput, {"reason": "stock-taking"}, required=False, parameters=[IF_MATCH]),
)
async def skip_next_occurrence(request: Request, caller: Editor, schedule_id: ScheduleId) -> Response:
    """Exactly the next one, which is recorded as skipped when it is due, with who said so and why. Twice changes
    nothing. A pause or a new timing undoes it.
    """
    body = read_model(SkipNextInput, await read_optional_json(request))
    schedule = await parts_of(request).services.schedules.skip_next(
        caller, schedule_id, reason=body.reason, expected_revision=await revision_asked(request, caller, schedule_id)
    )
    return schedule_response(schedule)


@router.delete(
    "/{schedule_id:uuid}/skip-next",
    operation_id="undo_skip_next",
    summary="Do not skip the next occurrence",
    responses=answers(200, "The schedule.", Schedule, SCHEDULE, headers=ETAG, errors=(*WRITING, 404, 412)),
    openapi_extra=takes(parameters=[IF_MATCH]),
)
async def undo_skip_next(request: Request, caller: Editor, schedule_id: ScheduleId) -> Response:
    """It fires after all. Refused where none is to be skipped: the one that was may be recorded already."""
    schedule = await parts_of(request).services.schedules.undo_skip_next(
        caller, schedule_id, expected_revision=await revision_asked(request, caller, schedule_id)
    )
    return schedule_response(schedule)


@router.post(
    "/{schedule_id:uuid}/trigger",
    operation_id="trigger_schedule",
    summary="Run a schedule once now",
    status_code=202,
    responses=answers(
        202, "Recorded, and about to run.", Execution, RECORDED, headers=LOCATION, errors=(*WRITING, 404)
    ),
    openapi_extra=takes(TriggerInput, TRIGGER, required=False, parameters=[IDEMPOTENCY_KEY]),
)
async def trigger_schedule(request: Request, caller: Operator, schedule_id: ScheduleId) -> Response:
    """Beside its timing, also when it is paused or completed. Overlap counts only if `overlap_policy` is given."""
    raw = await read_optional_json(request)
    body = read_model(TriggerInput, raw)
    parts = parts_of(request)
    answer = await parts.services.schedules.trigger(
        caller,
        schedule_id,
        context_override=body.context_data,
        overlap_policy=body.overlap_policy,
        check=lambda schedule: parts.definitions.check_override(schedule, body.context_data),
        answer=accepted,
        idempotency=idempotency(request, raw),
    )
    return answer_response(answer)
