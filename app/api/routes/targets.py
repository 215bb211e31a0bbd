"""Targets: try one before it is trusted with a schedule."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api import examples
from app.api.access import Operator
from app.api.bodies import read_json
from app.api.document import WRITING, answers, takes
from app.api.parts import parts_of
from app.api.rendering import PREFIX, json_response
from app.api.trials import tried_json
from app.api.wire.base import read_model
from app.api.wire.trying import TargetTest, TargetTestInput

router = APIRouter(prefix=f"{PREFIX}/targets", tags=["targets"])


@router.post(
    "/test",
    operation_id="test_target",
    summary="Send a target one request now",
    responses=answers(
        200, "What went out, and what came back.", TargetTest, examples.TARGET_TEST, errors=(*WRITING, 404, 429)
    ),
    openapi_extra=takes(TargetTestInput, examples.TARGET_TEST_INPUT),
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
