"""What the answer to an attempt makes of its execution."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import orjson

from app.core.clock import from_ms, truncate_to_ms, utc_of_ms
from app.core.execution import ExecutionStatus
from app.core.schedule import Completion
from app.delivery.answer import Meaning
from app.delivery.sender import Delivered
from app.store.settling import Outcome

_UNWRITABLE = "what the target said could not be written"


def conclude(delivered: Delivered, now: datetime, *, draw: Callable[[], float] = random.random) -> Outcome:
    """What an attempt's answer makes of its execution; `draw` gives the jitter of the backoff, 0 to 1.

    Retries wait with exponential backoff and full jitter, at least what the target asked for. They end after
    `max_retries` settled failures, or when the next would come later than `max_age_seconds` after the budget began.
    """
    assignment, verdict = delivered.assignment, delivered.verdict
    failed = verdict.meaning is not Meaning.TAKEN
    wake_at = None
    status = ExecutionStatus.FAILED if failed else ExecutionStatus.SUCCEEDED
    if not failed and assignment.completion is Completion.CALLBACK:
        # The work goes on at the target. Its time counts from when it was asked for, not from this batch.
        status = ExecutionStatus.RUNNING
        wake_at = from_ms(delivered.started_ms) + timedelta(seconds=assignment.timeout_seconds)
    if verdict.meaning is Meaning.RETRY:
        wake_at = _next_attempt_at(delivered, now, draw)
        status = ExecutionStatus.FAILED if wake_at is None else ExecutionStatus.RETRYING
    attempt = {
        "number": assignment.attempt,
        "started_at": utc_of_ms(delivered.started_ms),
        "duration_ms": delivered.duration_ms,
        "status_code": delivered.status_code,
        "error": verdict.error,
    }
    return Outcome(
        execution_id=assignment.execution_id,
        community_id=assignment.community_id,
        owner=assignment.owner,
        number=assignment.attempt,
        status=status,
        attempt_json=orjson.dumps([attempt]).decode(),
        failed=failed,
        wake_at=wake_at,
        finished_at=now if wake_at is None else None,
        error=verdict.error,
        engine_execution_id=verdict.engine_execution_id,
        started_at=from_ms(delivered.started_ms),
        lateness_ms=delivered.started_ms - assignment.due_ms,
    )


def without_words(outcome: Outcome) -> Outcome:
    """An outcome without what the target said, for where it cannot be written as it came."""
    (attempt,) = orjson.loads(outcome.attempt_json)
    error = None if outcome.error is None else _UNWRITABLE
    attempt_json = orjson.dumps([attempt | {"error": error}]).decode()
    return replace(outcome, error=error, attempt_json=attempt_json, engine_execution_id=None)


def _next_attempt_at(delivered: Delivered, now: datetime, draw: Callable[[], float]) -> datetime | None:
    assignment, asked = delivered.assignment, delivered.verdict.wait_seconds
    failures = assignment.failures + 1
    if failures > assignment.retry.max_retries:
        return None
    wait_seconds = max(draw() * assignment.retry.backoff_ceiling_seconds(failures), asked or 0.0)
    at = truncate_to_ms(now + timedelta(seconds=wait_seconds))
    latest = assignment.retry_since + timedelta(seconds=assignment.retry.max_age_seconds)
    return None if at > latest else at
