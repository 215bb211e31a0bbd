"""Assignments for the tests of the delivery."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.core.assignment import Assignment
from app.core.clock import to_ms
from app.core.ids import execution_id
from app.core.schedule import Completion, RetryPolicy
from app.core.target import Target
from tests.clocks import START

SCHEDULE = UUID("0192f3a0-0000-7000-8000-00000000c0de")

_ASSIGNMENT = Assignment(
    execution_id=execution_id(SCHEDULE, START, START),
    recorded_for=START,
    schedule_id=SCHEDULE,
    community_id=7,
    workflow_id=UUID("8f14e45f-ceea-467f-a5bb-6a1f3c7e0d11"),
    trigger="schedule",
    scheduled_for=START,
    due_ms=to_ms(START),
    coalesced_count=1,
    last_scheduled_for=START - timedelta(hours=1),
    next_execution_at=START + timedelta(hours=1),
    timezone="America/New_York",
    context_json='{"report": "daily"}',
    retry=RetryPolicy(),
    completion=Completion.RESPONSE,
    timeout_seconds=3600,
    retry_since=START,
    revision=1,
    owner=UUID(int=1),
    attempt=1,
    failures=0,
)


def assignment(*, host: str | None = None, **fields: Any) -> Assignment:
    """An assignment that differs from the usual one in what is named; `host` is that of a target of its own."""
    if host is not None:
        fields["target"] = Target(f"http://{host}/run")
    return replace(_ASSIGNMENT, **fields)
