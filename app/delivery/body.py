"""The body of a delivery: what the workflow core of WaddleBot expects, and enough for any other receiver.

It is put together as text: what may hold any character (the variables, the zone) is encoded by orjson and remembered,
and the rest are ids, numbers and instants. Encoding each body whole cost a tenth of a delivery.
"""

from datetime import datetime
from functools import lru_cache
from uuid import UUID

import orjson

from app.core.assignment import Assignment
from app.core.clock import utc, utc_of_ms

_REMEMBERED_CHARACTERS = 1024


def build_body(assignment: Assignment, triggered_ms: int, callback: str | None = None) -> bytes:
    """The JSON body of one attempt, sent at `triggered_ms` (milliseconds since the epoch).

    `callback` is the encoded object that says how the target reports, where it is to.

    `variables` is the schedule's `context_data` with the three ids laid over it, so that no caller can forge them.
    All but `triggered_at` and `attempt` is the same at every attempt.
    """
    one, context = assignment, assignment.context_json
    schedule_id, execution_id = str(one.schedule_id), str(one.execution_id)
    triggered_at = utc_of_ms(triggered_ms)
    reporting = "" if callback is None else f',"callback":{callback}'
    own = _own_variables(context) if len(context) <= _REMEMBERED_CHARACTERS else _own_variables.__wrapped__(context)
    return (
        f'{{"schedule_id":"{schedule_id}","execution_id":"{execution_id}","workflow_id":{_id_or_null(one.workflow_id)},'
        f'"community_id":{one.community_id},"scheduled_for":"{utc(one.scheduled_for)}",'
        f'"triggered_at":"{triggered_at}","attempt":{one.attempt},"trigger":"{one.trigger}",'
        f'"coalesced_count":{one.coalesced_count},"timezone":{_quoted(one.timezone)},'
        f'"last_scheduled_for":{_or_null(one.last_scheduled_for)},'
        f'"next_execution_at":{_or_null(one.next_execution_at)},'
        f'"variables":{{{own}"schedule_id":"{schedule_id}","execution_id":"{execution_id}",'
        f'"triggered_at":"{triggered_at}"}},'
        f'"metadata":{{"trigger_source":"schedule","session_id":"{execution_id}"}}'
        f"{reporting}}}"
    ).encode()


def _id_or_null(row_id: UUID | None) -> str:
    return "null" if row_id is None else f'"{row_id}"'


def _or_null(instant: datetime | None) -> str:
    return "null" if instant is None else f'"{utc(instant)}"'


@lru_cache(maxsize=1024)
def _own_variables(context_json: str) -> str:
    """The members of an encoded object, each followed by a comma, without those that are laid over it."""
    variables = orjson.loads(context_json)
    for name in ("schedule_id", "execution_id", "triggered_at"):
        variables.pop(name, None)
    return orjson.dumps(variables)[1:-1].decode() + "," if variables else ""


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
