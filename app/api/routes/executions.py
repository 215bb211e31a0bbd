"""Executions: their history, and what an operator can do with one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Operator, Reporter, Viewer
from app.api.bodies import read_json, read_optional_json
from app.api.document import IDEMPOTENCY_KEY, LOCATION, READING, WRITING, answers, takes
from app.api.examples.executions import (
    CANCELLED,
    COMPLETE,
    COMPLETED,
    EXECUTION,
    EXECUTION_PAGE,
    RECORDED,
    RETRIED,
    RETRIED_DRY_RUN,
    RETRY_INPUT,
    RUNNING,
)
from app.api.idempotency import idempotency
from app.api.parameters import Cursor, Limit, check_parameters, instant, instant_query
from app.api.parts import parts_of
from app.api.rendering import PREFIX, accepted, answer_response, execution_json, json_response, page_json, retried
from app.api.routes.schedules import ScheduleId
from app.api.wire.base import read_model
from app.api.wire.executions import (
    CancelInput,
    CompleteInput,
    EmptyInput,
    Ended,
    Execution,
    ExecutionPage,
    Retried,
    RetryInput,
)
from app.core.execution import ExecutionStatus, Trigger
from app.core.principal import Principal
from app.core.queries import ExecutionFilter
from app.service.dead_letters import RetryRequest

router = APIRouter(prefix=PREFIX, tags=["executions"])

ExecutionId = Annotated[UUID, Path(description="The execution's id.")]
TriggeredBy = Annotated[
    Trigger | None,
    Query(
        description="Only those that were asked for in this way. `failure` and `cancel` are notices to a "
        "`failure_target` and a `cancel_url`: without this parameter they are left out."
    ),
]
Status = Annotated[ExecutionStatus | None, Query(description="Only those with this status.")]
From = Annotated[
    str | None,
    instant_query("Only those scheduled for this instant or later.", "from"),
]
To = Annotated[
    str | None,
    instant_query(
        "Only those scheduled for before this instant. Of what was recorded after it, a list across "
        "schedules has backfilled runs only with `trigger=backfill` or `status=failed`."
    ),
]


@router.get(
    "/schedules/{schedule_id:uuid}/executions",
    operation_id="list_executions_of_schedule",
    summary="List the executions of a schedule",
    responses=answers(200, "A part of the list.", ExecutionPage, EXECUTION_PAGE, errors=(*READING, 404)),
)
async def list_executions_of_schedule(
    request: Request,
    caller: Viewer,
    schedule_id: ScheduleId,
    status: Status = None,
    from_: From = None,
    to: To = None,
    backfill_id: Annotated[UUID | None, Query(description="Only the runs of one backfill.")] = None,
    trigger: TriggeredBy = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Newest first, also those of a removed schedule. `from` is inclusive, `to` exclusive, by `scheduled_for`. The runs
    of one backfill (`backfill_id`) are in the order of `scheduled_for`, the latest first.
    """
    wanted = ExecutionFilter(schedule_id, status, instant(from_, "from"), instant(to, "to"), backfill_id, trigger)
    return await _page(request, caller, wanted, limit, cursor)


@router.get(
    "/executions",
    operation_id="list_executions",
    summary="List executions",
    responses=answers(200, "A part of the list.", ExecutionPage, EXECUTION_PAGE, errors=READING),
)
async def list_executions(
    request: Request,
    caller: Viewer,
    status: Status = None,
    from_: From = None,
    to: To = None,
    trigger: TriggeredBy = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Those of all schedules of the community, newest first. `from` is inclusive, `to` exclusive."""
    wanted = ExecutionFilter(None, status, instant(from_, "from"), instant(to, "to"), trigger=trigger)
    return await _page(request, caller, wanted, limit, cursor)


@router.get(
    "/executions/{execution_id:uuid}",
    operation_id="get_execution",
    summary="Read an execution",
    responses=answers(200, "The execution.", Execution, EXECUTION, errors=(*READING, 404)),
)
async def get_execution(request: Request, caller: Viewer, execution_id: ExecutionId) -> Response:
    """One execution with its delivery attempts."""
    execution = await parts_of(request).services.executions.get(caller, execution_id)
    return json_response(execution_json(execution))


@router.post(
    "/executions/{execution_id:uuid}/cancel",
    operation_id="cancel_execution",
    summary="Stop an unfinished execution",
    responses=answers(200, "The execution, cancelled.", Execution, CANCELLED, errors=(*WRITING, 404)),
    openapi_extra=takes(CancelInput, {"reason": "started by mistake"}, required=False),
)
async def cancel_execution(request: Request, caller: Operator, execution_id: ExecutionId) -> Response:
    """It is not delivered any more; one that is being sent at this moment may still arrive."""
    body = read_model(CancelInput, await read_optional_json(request))
    executions = parts_of(request).services.executions
    return json_response(execution_json(await executions.cancel(caller, execution_id, reason=body.reason)))


@router.post(
    "/executions/{execution_id:uuid}/complete",
    operation_id="complete_execution",
    summary="Report the end of an execution",
    responses=answers(200, "The execution, ended.", Execution, COMPLETED, errors=(*WRITING, 404)),
    openapi_extra=takes(CompleteInput, COMPLETE, reports=True),
)
async def complete_execution(request: Request, caller: Reporter, execution_id: ExecutionId) -> Response:
    """For work that goes on after the 2xx (`completion: callback`): with the token that came with the delivery, or as
    an operator. The same report twice changes nothing; one that comes after the execution has ended otherwise is
    refused.
    """
    body = read_model(CompleteInput, await read_json(request))
    execution = await parts_of(request).services.executions.complete(
        caller, execution_id, failed=body.status is Ended.FAILED, result=body.result, error=body.error
    )
    return json_response(execution_json(execution))


@router.post(
    "/executions/{execution_id:uuid}/heartbeat",
    operation_id="heartbeat_execution",
    summary="Say that an execution is alive",
    responses=answers(200, "The execution.", Execution, RUNNING, errors=(*WRITING, 404)),
    openapi_extra=takes(EmptyInput, {}, required=False, reports=True),
)
async def heartbeat_execution(request: Request, caller: Reporter, execution_id: ExecutionId) -> Response:
    """A running one may go on for `timeout_seconds` from now. Any other is answered as it stands, so that a target
    learns that its execution was cancelled.
    """
    read_model(EmptyInput, await read_optional_json(request))
    execution = await parts_of(request).services.executions.heartbeat(caller, execution_id)
    return json_response(execution_json(execution))


@router.post(
    "/executions/{execution_id:uuid}/retry",
    operation_id="retry_execution",
    summary="Deliver a failed execution again",
    status_code=202,
    responses=answers(
        202, "Recorded, and about to run.", Execution, RECORDED, headers=LOCATION, errors=(*WRITING, 404)
    ),
    openapi_extra=takes(EmptyInput, {}, required=False, parameters=[IDEMPOTENCY_KEY]),
)
async def retry_execution(request: Request, caller: Operator, execution_id: ExecutionId) -> Response:
    """Under the same id, with a fresh budget of retries, at once: overlap is ignored, as it is by a manual run."""
    body = await read_optional_json(request)
    read_model(EmptyInput, body)
    executions = parts_of(request).services.executions
    answer = await executions.retry(caller, execution_id, answer=accepted, idempotency=idempotency(request, body))
    return answer_response(answer)


@router.post(
    "/executions/retry",
    operation_id="retry_executions",
    summary="Deliver all failed executions that match",
    status_code=202,
    responses={
        **answers(202, "Recorded, and about to run.", Retried, RETRIED, errors=(*WRITING, 404)),
        **answers(200, "A dry run: what would be delivered again.", Retried, RETRIED_DRY_RUN),
    },
    openapi_extra=takes(RetryInput, RETRY_INPUT, parameters=[IDEMPOTENCY_KEY]),
)
async def retry_executions(request: Request, caller: Operator) -> Response:
    """After an incident: the newest first, up to `limit` of them, each as by its own `retry`. What is more is delivered
    by calling again with `next_cursor` as `cursor`.
    """
    raw = await read_json(request)
    body = read_model(RetryInput, raw)
    asked = RetryRequest(
        ExecutionFilter(
            None if body.schedule_id is None else UUID(body.schedule_id),
            ExecutionStatus(body.status),
            instant(body.from_, "from"),
            instant(body.to, "to"),
        ),
        limit=body.limit,
        cursor=body.cursor,
        dry_run=body.dry_run,
    )
    executions = parts_of(request).services.executions
    answer = await executions.retry_matching(caller, asked, answer=retried, idempotency=idempotency(request, raw))
    return answer_response(answer)


async def _page(
    request: Request, caller: Principal, wanted: ExecutionFilter, limit: int, cursor: str | None
) -> Response:
    check_parameters(request)
    page = await parts_of(request).services.executions.find(caller, wanted, limit=limit, cursor=cursor)
    return json_response(page_json(page, execution_json))
