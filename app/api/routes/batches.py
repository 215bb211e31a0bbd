"""Schedules: many creates in one call."""

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Editor
from app.api.bodies import read_json_of_many, unstorable
from app.api.document import IDEMPOTENCY_KEY, WRITING, answers, takes
from app.api.edge import BATCH_PATH, request_id_of
from app.api.examples.schedules import BATCH, BATCH_RESULTS
from app.api.idempotency import idempotency
from app.api.parameters import DryRun
from app.api.parts import parts_of
from app.api.problems import problem
from app.api.rendering import PREFIX, answer_response, batch_answer
from app.api.wire.base import read_model
from app.api.wire.batches import BatchInput, BatchResults, BatchShape
from app.core.clock import give_way
from app.core.errors import ScheduleServiceException
from app.core.queries import Answer
from app.core.schedule import Definition, Schedule

router = APIRouter(prefix=PREFIX, tags=["schedules"])

_MIXED = {
    "results": [
        BATCH_RESULTS["results"][0],
        {
            "status": 400,
            "error": {
                "type": "https://schedule-service.dev/problems/invalid-schedule",
                "title": "Invalid schedule configuration",
                "status": 400,
                "detail": "workflow_id is required",
                "code": "INVALID_SCHEDULE",
                "errors": [{"field": "workflow_id", "message": "is required"}],
                "request_id": "5f0c8a52-7f6b-4b5e-9d6e-0f3a1f2b7c11",
            },
        },
    ]
}


@router.post(
    BATCH_PATH,
    operation_id="create_schedules",
    summary="Create many schedules",
    status_code=201,
    responses={
        **answers(201, "All were created.", BatchResults, BATCH_RESULTS, errors=WRITING),
        **answers(207, "Not atomic: one result each, in the order asked.", BatchResults, _MIXED),
    },
    openapi_extra=takes(BatchInput, BATCH, parameters=[IDEMPOTENCY_KEY]),
)
async def create_schedules(request: Request, caller: Editor, dry_run: DryRun = False) -> Response:
    """Up to 1000, all or nothing; with `"atomic": false` each by itself.

    An atomic batch answers with the first refusal; its fields begin with the schedule's place: `schedules.3.name`.
    """
    parts = parts_of(request)
    body = await read_json_of_many(request)
    repeatable = idempotency(request, body)
    await give_way()
    shape = read_model(BatchShape, body)
    unread = await unstorable(request, shape.schedules)
    given = [None if error else schedule for error, schedule in zip(unread, shape.schedules, strict=True)]
    definitions: Sequence[Definition | ScheduleServiceException] = [
        error or read for error, read in zip(unread, await parts.definitions.read_all(given), strict=True)
    ]

    async def answer(results: Sequence[Schedule | ScheduleServiceException]) -> Answer:
        request_id = request_id_of(request)
        return await batch_answer(results, atomic=shape.atomic, refused=lambda error: problem(error, request_id))

    schedules = parts.services.schedules
    return answer_response(
        await schedules.create_batch(
            caller,
            definitions,
            atomic=shape.atomic,
            answer=answer,
            idempotency=repeatable,
            dry_run=dry_run,
        )
    )
