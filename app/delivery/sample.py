"""An execution that never was: what a delivery looks like, for checking templates and trying targets."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from app.core.assignment import Assignment
from app.core.clock import EPOCH, to_ms
from app.core.schedule import Completion, RetryPolicy
from app.delivery.body import build_body

_NOBODY = UUID(int=0)


def sample_assignment(**fields: Any) -> Assignment:
    """An assignment of a run by hand, in which `fields` differ."""
    return Assignment(
        **{
            "execution_id": _NOBODY,
            "recorded_for": EPOCH,
            "schedule_id": _NOBODY,
            "community_id": 1,
            "workflow_id": None,
            "trigger": "manual",
            "scheduled_for": EPOCH,
            "due_ms": to_ms(EPOCH),
            "coalesced_count": 1,
            "last_scheduled_for": None,
            "next_execution_at": EPOCH + timedelta(hours=1),
            "timezone": "UTC",
            "context_json": "{}",
            "retry": RetryPolicy(),
            "completion": Completion.RESPONSE,
            "timeout_seconds": 3600,
            "retry_since": EPOCH,
            "revision": 1,
            "owner": _NOBODY,
            "attempt": 1,
            "failures": 0,
            **fields,
        }
    )


def sample_body(context: Mapping[str, Any], *, reports: bool) -> dict[str, Any]:
    """The members of a standard body of these variables; `callback` is one of them where the target `reports`."""
    callback = '{"url":"","token":""}' if reports else None
    body: dict[str, Any] = orjson.loads(build_body(sample_assignment(), 0, callback))
    body["variables"] = {**context, **body["variables"]}
    return body
