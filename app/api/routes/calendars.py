"""Calendars: create, read, replace, refresh, remove."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Editor, Viewer
from app.api.bodies import read_json, read_optional_json
from app.api.calendars import (
    calendar_answer,
    calendar_json,
    created,
    read_new,
    read_replacement,
    refreshed_json,
    replaced_answer,
)
from app.api.document import ETAG, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, LOCATION, READING, WRITING, answers, takes
from app.api.examples.calendars import CALENDAR, CALENDAR_CREATE, CALENDAR_PAGE, CALENDAR_REPLACE, REFRESH, REFRESHED
from app.api.idempotency import idempotency
from app.api.parameters import Cursor, DryRun, Whole, check_parameters
from app.api.parts import parts_of
from app.api.preconditions import expected_revision, is_unchanged
from app.api.rendering import PREFIX, answer_response, etag, json_response, page_json
from app.api.wire.base import read_model
from app.api.wire.calendars import (
    NAME_PATTERN,
    Calendar,
    CalendarInput,
    CalendarPage,
    CalendarReplacement,
    RefreshInput,
    RefreshResult,
)
from app.api.wire.schedules import LONGEST_CALENDAR_NAME
from app.core.principal import Principal

router = APIRouter(prefix=f"{PREFIX}/calendars", tags=["calendars"])

Name = Annotated[str, Path(description="The calendar's name.", max_length=LONGEST_CALENDAR_NAME, pattern=NAME_PATTERN)]
# A calendar may be a large thing.
FewAtOnce = Annotated[Whole, Query(ge=1, le=50, description="Items in one part.")]


@router.post(
    "",
    operation_id="create_calendar",
    summary="Create a calendar",
    status_code=201,
    responses=answers(201, "Created.", Calendar, CALENDAR, headers={**LOCATION, **ETAG}, errors=WRITING),
    openapi_extra=takes(CalendarInput, CALENDAR_CREATE, parameters=[IDEMPOTENCY_KEY]),
)
async def create_calendar(request: Request, caller: Editor, dry_run: DryRun = False) -> Response:
    """Days off, for schedules to keep. With `fill` a country's public holidays are copied into it, once."""
    body = await read_json(request)
    repeatable = idempotency(request, body)
    calendars = parts_of(request).services.calendars
    answer = await calendars.create(
        caller, read_new(body), answer=partial(created, dry_run=dry_run), idempotency=repeatable, dry_run=dry_run
    )
    return answer_response(answer)


@router.get(
    "",
    operation_id="list_calendars",
    summary="List calendars",
    responses=answers(200, "A part of the list.", CalendarPage, CALENDAR_PAGE, errors=READING),
)
async def list_calendars(request: Request, caller: Viewer, limit: FewAtOnce = 20, cursor: Cursor = None) -> Response:
    """The calendars of the caller's community, in the order of their creation."""
    check_parameters(request)
    page = await parts_of(request).services.calendars.find(caller, limit=limit, cursor=cursor)
    return json_response(page_json(page, calendar_json))


@router.get(
    "/{name}",
    operation_id="get_calendar",
    summary="Read a calendar",
    responses={
        **answers(200, "The calendar.", Calendar, CALENDAR, headers=ETAG, errors=(*READING, 404)),
        **answers(304, "Unchanged since the revision that `If-None-Match` names.", headers=ETAG),
    },
    openapi_extra=takes(parameters=[IF_NONE_MATCH]),
)
async def get_calendar(request: Request, caller: Viewer, name: Name) -> Response:
    """One calendar, with the days that were copied into it."""
    calendar = await parts_of(request).services.calendars.get(caller, name)
    if is_unchanged(request, calendar.revision):
        return Response(status_code=304, headers={"ETag": etag(calendar.revision)})
    return answer_response(calendar_answer(calendar))


@router.put(
    "/{name}",
    operation_id="replace_calendar",
    summary="Replace a calendar's content",
    responses=answers(200, "The calendar afterwards.", Calendar, CALENDAR, headers=ETAG, errors=(*WRITING, 404, 412)),
    openapi_extra=takes(CalendarReplacement, CALENDAR_REPLACE, parameters=[IF_MATCH]),
)
async def replace_calendar(request: Request, caller: Editor, name: Name, dry_run: DryRun = False) -> Response:
    """The schedules that keep it are computed anew; after a dry run `recomputed` is false where some would be. While
    `fill` asks for the same, copied days stay as they are.
    """
    definition = read_replacement(name, await read_json(request))
    expected = await _expected(request, caller, name)
    calendars = parts_of(request).services.calendars
    replaced = await calendars.replace(caller, name, definition, expected_revision=expected, dry_run=dry_run)
    return answer_response(replaced_answer(replaced, dry_run=dry_run))


@router.post(
    "/{name}/refresh",
    operation_id="refresh_calendar",
    summary="Copy a calendar's public holidays again",
    responses=answers(200, "What it brings, or brought.", RefreshResult, REFRESHED, errors=(*WRITING, 404, 412)),
    openapi_extra=takes(RefreshInput, REFRESH, required=False, parameters=[IF_MATCH]),
)
async def refresh_calendar(request: Request, caller: Editor, name: Name) -> Response:
    """Say what a newer release of the holidays, or other years, would change; with `apply` change it.

    The caller's own days stay. The schedules that keep the calendar are computed anew."""
    body = read_model(RefreshInput, await read_optional_json(request))
    refreshed = await parts_of(request).services.calendars.refresh(
        caller,
        name,
        years=None if body.years is None else (body.years.from_, body.years.to),
        apply=body.apply,
        expected_revision=await _expected(request, caller, name),
    )
    return json_response(refreshed_json(refreshed))


@router.delete(
    "/{name}",
    operation_id="delete_calendar",
    summary="Remove a calendar",
    status_code=204,
    responses=answers(204, "Removed.", errors=(*READING, 404, 409, 412)),
    openapi_extra=takes(parameters=[IF_MATCH]),
)
async def delete_calendar(request: Request, caller: Editor, name: Name) -> Response:
    """Refused while schedules use it."""
    expected = await _expected(request, caller, name)
    await parts_of(request).services.calendars.remove(caller, name, expected_revision=expected)
    return Response(status_code=204)


async def _expected(request: Request, caller: Principal, name: str) -> int | None:
    async def current() -> int:
        calendar = await parts_of(request).services.calendars.get(caller, name)
        return calendar.revision

    return await expected_revision(request, current)
