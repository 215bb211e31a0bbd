"""Schedules: create, read, change, remove."""

from collections.abc import Callable
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Editor, Viewer
from app.api.bodies import JSON, MERGE_PATCH, read_json
from app.api.document import ETAG, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, LOCATION, READING, WRITING, answers, takes
from app.api.examples.schedules import CREATE, PATCH, SCHEDULE, SCHEDULE_PAGE
from app.api.idempotency import idempotency
from app.api.parameters import Cursor, DryRun, Limit, check_parameters, instant, instant_query
from app.api.parts import parts_of
from app.api.patching import patched
from app.api.preconditions import expected_revision, is_unchanged
from app.api.rendering import (
    PREFIX,
    answer_response,
    changed_response,
    created,
    etag,
    json_response,
    page_json,
    schedule_json,
    schedule_response,
)
from app.api.wire.base import require_object
from app.api.wire.schedules import Schedule, ScheduleInput, SchedulePage, SchedulePatch
from app.core.occurrences import ScheduleType
from app.core.principal import Principal
from app.core.queries import ScheduleFilter
from app.core.schedule import Definition, ScheduleStatus
from app.core.schedule import Schedule as StoredSchedule

router = APIRouter(prefix=f"{PREFIX}/schedules", tags=["schedules"])

ScheduleId = Annotated[UUID, Path(description="The schedule's id.")]


@router.post(
    "",
    operation_id="create_schedule",
    summary="Create a schedule",
    status_code=201,
    responses=answers(201, "Created.", Schedule, SCHEDULE, headers={**LOCATION, **ETAG}, errors=WRITING),
    openapi_extra=takes(ScheduleInput, CREATE, parameters=[IDEMPOTENCY_KEY]),
)
async def create_schedule(request: Request, caller: Editor, dry_run: DryRun = False) -> Response:
    """Store a schedule. Once this is answered it fires, whatever happens to the process that answered."""
    parts = parts_of(request)
    body = await read_json(request)
    repeatable = idempotency(request, body)
    definition = parts.definitions.read(body)
    await parts.definitions.check_addresses(body)
    answer = await parts.services.schedules.create(
        caller, definition, answer=partial(created, dry_run=dry_run), idempotency=repeatable, dry_run=dry_run
    )
    return answer_response(answer)


@router.get(
    "",
    operation_id="list_schedules",
    summary="List schedules",
    responses=answers(200, "A part of the list.", SchedulePage, SCHEDULE_PAGE, errors=READING),
)
async def list_schedules(
    request: Request,
    caller: Viewer,
    status: Annotated[ScheduleStatus | None, Query(description="Only those with this status.")] = None,
    schedule_type: Annotated[ScheduleType | None, Query(description="Only those of this type.")] = None,
    workflow_id: Annotated[UUID | None, Query(description="Only those of this workflow.")] = None,
    tag: Annotated[str | None, Query(description="Only those with this tag.", max_length=64)] = None,
    name_prefix: Annotated[
        str | None, Query(description="Only those whose name begins with this.", max_length=255)
    ] = None,
    due_before: Annotated[str | None, instant_query("Only those due before this instant.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The schedules of the caller's community, in an order that stays the same."""
    check_parameters(request)
    wanted = ScheduleFilter(
        status=status,
        schedule_type=schedule_type,
        workflow_id=workflow_id,
        tag=tag,
        name_prefix=name_prefix,
        due_before=instant(due_before, "due_before"),
    )
    return await _page(request, caller, wanted, limit, cursor)


@router.get(
    "/workflow/{workflow_id:uuid}",
    operation_id="list_schedules_of_workflow",
    summary="List the schedules of a workflow",
    responses=answers(200, "A part of the list.", SchedulePage, SCHEDULE_PAGE, errors=(*READING, 404)),
)
async def list_schedules_of_workflow(
    request: Request,
    caller: Viewer,
    workflow_id: Annotated[UUID, Path(description="The workflow's id.")],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Those of the caller's community; an empty list for a workflow that has none, or is not known."""
    check_parameters(request)
    return await _page(request, caller, ScheduleFilter(workflow_id=workflow_id), limit, cursor)


@router.get(
    "/{schedule_id:uuid}",
    operation_id="get_schedule",
    summary="Read a schedule",
    responses={
        **answers(200, "The schedule.", Schedule, SCHEDULE, headers=ETAG, errors=(*READING, 404)),
        **answers(304, "Unchanged since the revision that `If-None-Match` names.", headers=ETAG),
    },
    openapi_extra=takes(parameters=[IF_NONE_MATCH]),
)
async def get_schedule(request: Request, caller: Viewer, schedule_id: ScheduleId) -> Response:
    """One schedule. Its ETag counts changes by callers, not firings."""
    schedule = await parts_of(request).services.schedules.get(caller, schedule_id)
    if is_unchanged(request, schedule.revision):
        return Response(status_code=304, headers={"ETag": etag(schedule.revision)})
    return schedule_response(schedule)


@router.put(
    "/{schedule_id:uuid}",
    operation_id="replace_schedule",
    summary="Replace a schedule's definition",
    responses=answers(200, "The schedule afterwards.", Schedule, SCHEDULE, headers=ETAG, errors=(*WRITING, 404, 412)),
    openapi_extra=takes(ScheduleInput, CREATE, parameters=[IF_MATCH]),
)
async def replace_schedule(
    request: Request, caller: Editor, schedule_id: ScheduleId, dry_run: DryRun = False
) -> Response:
    """Replace the whole definition; what is left out has its default. Counts are kept."""
    body = require_object(await read_json(request))
    definitions = parts_of(request).definitions

    def edit(current: StoredSchedule) -> Definition:
        return definitions.read(body, current)

    await definitions.check_addresses(body)
    return await _change(request, caller, schedule_id, edit, dry_run=dry_run)


@router.patch(
    "/{schedule_id:uuid}",
    operation_id="update_schedule",
    summary="Change parts of a schedule's definition",
    responses=answers(200, "The schedule afterwards.", Schedule, SCHEDULE, headers=ETAG, errors=(*WRITING, 404, 412)),
    openapi_extra=takes(SchedulePatch, PATCH, media_type=MERGE_PATCH, parameters=[IF_MATCH]),
)
async def update_schedule(
    request: Request, caller: Editor, schedule_id: ScheduleId, dry_run: DryRun = False
) -> Response:
    """A JSON merge patch (RFC 7396): null gives a field its default. A new type nulls the other types' fields.

    `application/json` is taken as well."""
    patch = await read_json(request, media_types=(JSON, MERGE_PATCH))
    definitions = parts_of(request).definitions

    def edit(current: StoredSchedule) -> Definition:
        return definitions.read(patched(current, patch), current)

    await definitions.check_addresses(patch)
    return await _change(request, caller, schedule_id, edit, dry_run=dry_run)


@router.delete(
    "/{schedule_id:uuid}",
    operation_id="delete_schedule",
    summary="Remove a schedule",
    status_code=204,
    responses=answers(204, "Removed.", errors=(*READING, 404, 412)),
    openapi_extra=takes(parameters=[IF_MATCH]),
)
async def delete_schedule(request: Request, caller: Editor, schedule_id: ScheduleId) -> Response:
    """Afterwards no occurrence is recorded any more. Its executions stay readable."""
    schedules = parts_of(request).services.schedules
    expected = await revision_asked(request, caller, schedule_id)
    await schedules.remove(caller, schedule_id, expected_revision=expected)
    return Response(status_code=204)


async def _page(
    request: Request, caller: Principal, wanted: ScheduleFilter, limit: int, cursor: str | None
) -> Response:
    page = await parts_of(request).services.schedules.find(caller, wanted, limit=limit, cursor=cursor)
    return json_response(page_json(page, schedule_json))


async def _change(
    request: Request,
    caller: Principal,
    schedule_id: UUID,
    edit: Callable[[StoredSchedule], Definition],
    *,
    dry_run: bool,
) -> Response:
    expected = await revision_asked(request, caller, schedule_id)
    schedules = parts_of(request).services.schedules
    changed = await schedules.change(caller, schedule_id, edit, expected_revision=expected, dry_run=dry_run)
    return changed_response(changed, dry_run=dry_run)


async def revision_asked(request: Request, caller: Principal, schedule_id: UUID) -> int | None:
    """The revision that `If-Match` demands of a schedule; null when any will do. Raises as `expected_revision`."""

    async def current() -> int:
        schedule = await parts_of(request).services.schedules.get(caller, schedule_id)
        return schedule.revision

    return await expected_revision(request, current)
