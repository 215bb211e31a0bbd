"""The body of a delivery: what the workflow core of WaddleBot expects, and enough for any other receiver."""

from datetime import datetime
from functools import lru_cache

import orjson

from app.core.assignment import Assignment
from app.core.clock import from_ms


def build_body(assignment: Assignment, triggered_ms: int) -> bytes:
    """The JSON body of one attempt, sent at `triggered_ms` (milliseconds since the epoch).

    `variables` is the schedule's `context_data` with the three ids laid over it, so that no caller can forge them.
    All but `triggered_at` and `attempt` is the same at every attempt.
    """
    schedule_id, execution_id = str(assignment.schedule_id), str(assignment.execution_id)
    triggered_at = utc(from_ms(triggered_ms))
    variables = orjson.loads(assignment.context_json)
    variables["schedule_id"] = schedule_id
    variables["execution_id"] = execution_id
    variables["triggered_at"] = triggered_at
    return orjson.dumps(
        {
            "schedule_id": schedule_id,
            "execution_id": execution_id,
            "workflow_id": str(assignment.workflow_id),
            "community_id": assignment.community_id,
            "scheduled_for": utc(assignment.scheduled_for),
            "triggered_at": triggered_at,
            "attempt": assignment.attempt,
            "trigger": assignment.trigger,
            "coalesced_count": assignment.coalesced_count,
            "timezone": assignment.timezone,
            "last_scheduled_for": None if assignment.last_scheduled_for is None else utc(assignment.last_scheduled_for),
            "next_execution_at": None if assignment.next_execution_at is None else utc(assignment.next_execution_at),
            "variables": variables,
            "metadata": {"trigger_source": "schedule", "session_id": execution_id},
        }
    )


@lru_cache(maxsize=4096)
def utc(instant: datetime) -> str:
    """RFC 3339 with a `Z`; milliseconds only where they are not zero, as in the API."""
    text = instant.isoformat(timespec="milliseconds" if instant.microsecond else "seconds")
    return text.replace("+00:00", "Z")
