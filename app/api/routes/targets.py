"""Targets: how their hosts fare, and trying one before it is trusted with a schedule."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Operator, Viewer
from app.api.bodies import read_json
from app.api.document import READING, WRITING, answers, takes
from app.api.examples.targets import TARGET_HOSTS, TARGET_TEST, TARGET_TEST_INPUT
from app.api.parameters import Cursor, Limit, check_parameters
from app.api.parts import parts_of
from app.api.rendering import PREFIX, json_response, page_json
from app.api.target_rendering import target_host_json
from app.api.trials import tried_json
from app.api.wire.base import read_model
from app.api.wire.targets import TargetHostPage
from app.api.wire.trying import TargetTest, TargetTestInput

router = APIRouter(prefix=f"{PREFIX}/targets", tags=["targets"])


@router.get(
    "",
    operation_id="list_targets",
    summary="List the hosts of targets, and how they fare",
    responses=answers(200, "A part of the list.", TargetHostPage, TARGET_HOSTS, errors=READING),
)
async def list_targets(request: Request, caller: Viewer, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """First the workflow engine, then the hosts of the targets of the community's schedules. Workers tell of a host
    while something is the matter with it, at once when its circuit opens or closes, else every three seconds.
    """
    check_parameters(request)
    page = await parts_of(request).services.targets.find(caller, limit=limit, cursor=cursor)
    return json_response(page_json(page, target_host_json))


@router.post(
    "/test",
    operation_id="test_target",
    summary="Send a target one request now",
    responses=answers(200, "What went out, and what came back.", TargetTest, TARGET_TEST, errors=(*WRITING, 404)),
    openapi_extra=takes(TargetTestInput, TARGET_TEST_INPUT),
)
async def test_target(request: Request, caller: Operator) -> Response:
    """The request is what a delivery would send, signed and with every header, of an execution that does not exist;
    its `trigger` is `test`. Nothing is stored, and nothing is retried. It answers when the target has, or after
    `TRIGGER_REQUEST_TIMEOUT_SECONDS`.
    """
    body, parts = read_model(TargetTestInput, await read_json(request)), parts_of(request)
    schedule = None
    if body.schedule_id is not None:
        schedule = await parts.services.schedules.get(caller, UUID(body.schedule_id))
    trial = await parts.trials.read(body, schedule)
    return json_response(tried_json(await parts.services.trying.test(caller, trial)))
