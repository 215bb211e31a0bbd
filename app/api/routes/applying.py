"""Schedules by their names: create or replace, for who keeps them as files."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Editor
from app.api.bodies import read_json
from app.api.document import ETAG, IF_MATCH, IF_NONE_MATCH_ANY, LOCATION, READING, answers, takes
from app.api.edge import BY_NAME_PATH
from app.api.examples.schedules import APPLY, SCHEDULE
from app.api.parameters import DryRun, check_path
from app.api.parts import parts_of
from app.api.preconditions import precondition
from app.api.rendering import PREFIX, changed_response
from app.api.wire.base import require_object
from app.api.wire.schedules import LONGEST_NAME, Schedule, ScheduleInput
from app.core.schedule import Definition
from app.core.schedule import Schedule as StoredSchedule

router = APIRouter(prefix=PREFIX, tags=["schedules"])


class _Rest(Convertor[str]):
    """All that is left of a path, which is decoded before it is routed: a `%2F` is a slash by then, a `%0A` a newline.

    The router's own convertor for that ends at a newline.
    """

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("rest", _Rest())
Name = Annotated[
    str,
    Path(description="The schedule's name, percent-encoded.", min_length=1, max_length=LONGEST_NAME),
]


@router.put(
    f"{BY_NAME_PATH}{{name:rest}}",
    operation_id="apply_schedule",
    summary="Create or replace a schedule by its name",
    responses={
        **answers(
            200,
            "There was one: it is replaced, or, where nothing differs, as it was, at the same revision.",
            Schedule,
            SCHEDULE,
            headers=ETAG,
            errors=(*READING, 412, 413, 415),
        ),
        **answers(201, "Created.", Schedule, SCHEDULE, headers={**LOCATION, **ETAG}),
    },
    openapi_extra=takes(ScheduleInput, APPLY, parameters=[IF_MATCH, IF_NONE_MATCH_ANY]),
)
async def apply_schedule(request: Request, caller: Editor, name: Name, dry_run: DryRun = False) -> Response:
    """Have the schedule of this name be as the body says, whether there was one or not. What is left out has its
    default; a `name` in the body is that of the path. Counts are kept, what is paused stays paused, and the same body
    again changes nothing.
    """
    check_path(request, "name")
    check = precondition(request)
    body = require_object(await read_json(request))
    definitions = parts_of(request).definitions

    def define(current: StoredSchedule | None) -> Definition:
        return definitions.read(body, current, name=name)

    # What no schedule could be is that, and not a precondition that does not hold.
    definitions.check(body, name=name)
    await definitions.check_addresses(body)
    applied = await parts_of(request).services.schedules.apply(caller, name, define, check=check, dry_run=dry_run)
    return changed_response(applied, dry_run=dry_run)
