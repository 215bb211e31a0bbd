"""Why a schedule did, did not, will or will not fire."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Viewer
from app.api.document import READING, answers
from app.api.examples.explaining import EXPLANATION
from app.api.explained import explanation_json, overview_json
from app.api.parameters import check_parameters, instant_query
from app.api.parts import parts_of
from app.api.rendering import PREFIX, json_response
from app.api.routes.schedules import ScheduleId
from app.api.wire.base import Refused
from app.api.wire.explaining import Explained
from app.core.errors import InvalidScheduleException
from app.core.occurrences import parse_instant

router = APIRouter(prefix=f"{PREFIX}/schedules", tags=["occurrences"])

_AT = "The instant in question, past or to come. In a URL a `+` is written `%2B`."
_EXAMPLE = EXPLANATION["at"]
_GIVE = "give at, an instant, or from and to, a time span"


@router.get(
    "/{schedule_id:uuid}/explain",
    operation_id="explain_schedule",
    summary="Say why a schedule fired, or did not",
    responses=answers(200, "Why, in words and as data.", Explained, EXPLANATION, errors=(*READING, 404)),
)
async def explain_schedule(
    request: Request,
    caller: Viewer,
    schedule_id: ScheduleId,
    at: Annotated[
        str | None,
        instant_query(_AT, examples=[_EXAMPLE]),
    ] = None,
    from_: Annotated[str | None, instant_query("The beginning of a time span, inclusive.", "from")] = None,
    to: Annotated[str | None, instant_query("Its end, exclusive; at most 366 days later.")] = None,
) -> Response:
    """Of an instant (`at`), past or to come: the rule in force, its zone, the changes of the clocks, calendars, pauses
    with who and why, limits, the execution and what became of it. Or of each occurrence of a time span (`from`, `to`),
    a hundred in one answer. Also of a removed schedule, while something is kept of it.
    """
    check_parameters(request)
    start, end = _asked(at, from_, to)
    explaining = parts_of(request).services.explaining
    if end is None:
        found, now = await explaining.at(caller, schedule_id, start)
        return json_response(explanation_json(schedule_id, found, now))
    told, now = await explaining.between(caller, schedule_id, start, end)
    return json_response(overview_json(schedule_id, told, now))


def _asked(at: str | None, from_: str | None, to: str | None) -> tuple[datetime, datetime | None]:
    """The instant, or the beginning and the end of the time span.

    Raises InvalidScheduleException, with every parameter that is wrong, missing or one too many.
    """
    refused = Refused()
    given = {name: text for name, text in (("at", at), ("from", from_), ("to", to)) if text is not None}
    wanted = ("from", "to") if "from" in given or "to" in given else ("at",)
    for name in wanted:
        if name not in given:
            refused.value(name, f"{name} is missing: {_GIVE}")
    if "at" in given and "at" not in wanted:
        refused.value("at", f"at does not go with from and to: {_GIVE}")
    read: dict[str, datetime] = {}
    for name, text in given.items():
        try:
            read[name] = parse_instant(text, field=name, timezone=None)
        except InvalidScheduleException as wrong:
            refused.values.extend(wrong.errors)
    refused.raise_any()
    return read[wanted[0]], read.get("to")
