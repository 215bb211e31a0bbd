"""Schedules: one action on all that match."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Editor
from app.api.bodies import read_json
from app.api.document import IDEMPOTENCY_KEY, WRITING, answers, takes
from app.api.examples.schedules import BULK_ACTED, BULK_INPUT
from app.api.idempotency import idempotency
from app.api.parts import parts_of
from app.api.rendering import PREFIX, acted, answer_response
from app.api.wire.base import read_model
from app.api.wire.bulk import CONDITIONS, BulkActed, BulkInput
from app.core.errors import InvalidScheduleException
from app.core.queries import ScheduleFilter
from app.service.bulk import BulkRequest

router = APIRouter(prefix=PREFIX, tags=["schedules"])


@router.post(
    "/schedules/bulk",
    operation_id="act_on_schedules",
    summary="Pause, resume or remove all schedules that match",
    responses=answers(200, "What was changed, or would be.", BulkActed, BULK_ACTED, errors=WRITING),
    openapi_extra=takes(BulkInput, BULK_INPUT, parameters=[IDEMPOTENCY_KEY]),
)
async def act_on_schedules(request: Request, caller: Editor) -> Response:
    """In an incident: the oldest first, up to `limit` of them, each as by its own `pause`, `resume` or `DELETE`; those
    of one call together or not at all. What its own operation would refuse, or leave as it is, is left alone and told.
    What is more is changed by calling again with `next_cursor` as `cursor`: a call may find fewer than `limit`, or
    none, and yet have a next one.

    At least one condition must be given, and none can be empty or null; who means all that fire says `"status":
    "active"`. A dry run goes by the status of each.
    """
    raw = await read_json(request)
    body = read_model(BulkInput, raw)
    asked = BulkRequest(
        body.action,
        _filter(body, parts_of(request).settings.workflow_engine_url),
        reason=body.reason,
        limit=body.limit,
        cursor=body.cursor,
        dry_run=body.dry_run,
    )
    schedules = parts_of(request).services.schedules
    answer = await schedules.act_on_matching(caller, asked, answer=acted, idempotency=idempotency(request, raw))
    return answer_response(answer)


def _filter(body: BulkInput, engine_url: str) -> ScheduleFilter:
    """Raises InvalidScheduleException where no condition is given: that would be everything, by mistake."""
    wanted = ScheduleFilter(
        status=body.status,
        schedule_type=body.schedule_type,
        workflow_id=None if body.workflow_id is None else UUID(body.workflow_id),
        tag=body.tag,
        name_prefix=body.name_prefix,
    )
    if body.target_host is not None:
        wanted = wanted.calling(body.target_host, engine_url=engine_url)
    if wanted == ScheduleFilter():
        raise InvalidScheduleException.of("body", f"at least one of {', '.join(CONDITIONS)} must be given")
    return wanted
