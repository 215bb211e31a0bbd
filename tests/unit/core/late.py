"""Late schedules for the tests of the decision, and the reference that walks every occurrence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.execution import ExecutionStatus
from app.core.firing import Decision, DueSchedule, Recording, Waiting, first_waiting
from app.core.occurrences import ScheduleType, Timing, due_at, next_occurrence
from app.core.schedule import OverlapPolicy

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHEDULE = UUID("0192f3a0-0000-7000-8000-00000000c0de")
MS = timedelta(milliseconds=1)


def at(seconds: float) -> datetime:
    """That many seconds after noon."""
    return NOON + timedelta(milliseconds=round(seconds * 1000))


def every(seconds: int, **fields: Any) -> Timing:
    """An interval that is anchored at noon: its first occurrence is one interval later."""
    return Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=seconds, anchor=NOON, **fields)


def cron(expression: str, zone: str = "UTC", **fields: Any) -> Timing:
    """A cron timing."""
    return Timing(ScheduleType.CRON, zone, cron_expression=expression, **fields)


def once(instant: datetime) -> Timing:
    """A one-time timing."""
    return Timing(ScheduleType.ONE_TIME, "UTC", scheduled_time=instant)


def due(timing: Timing, *, searched_to: datetime = NOON, **fields: Any) -> DueSchedule:
    """A schedule that was created, or last looked at, at `searched_to`."""
    waiting = fields.pop("waiting", None) or first_waiting(timing, SCHEDULE, searched_to)
    assert waiting is not None
    schedule = DueSchedule(
        schedule_id=SCHEDULE,
        timing=timing,
        waiting=waiting,
        searched_to=searched_to,
        execution_count=0,
        max_executions=None,
        grace_period_seconds=900,
        coalesce=True,
        max_instances=3,
        overlap_policy=OverlapPolicy.ALLOW,
    )
    return replace(schedule, **fields)


def after(schedule: DueSchedule, decision: Decision) -> DueSchedule:
    """The schedule as its row stands once a decision is written."""
    assert decision.waiting is not None
    return replace(
        schedule,
        waiting=decision.waiting,
        searched_to=max(schedule.searched_to, decision.searched_to),
        execution_count=schedule.execution_count + sum(recording.fires for recording in decision.recordings),
    )


def walked(timing: Timing, first: Waiting, now: datetime) -> list[Waiting]:
    """What is due at `now`, from a first one on, one occurrence after the other."""
    found: list[Waiting] = []
    waiting: Waiting | None = first
    while waiting is not None and waiting.due_at <= now:
        found.append(waiting)
        following = next_occurrence(timing, waiting.occurrence)
        waiting = None if following is None else Waiting(following, due_at(timing, SCHEDULE, following))
    return found


def told(recordings: Sequence[Recording]) -> list[tuple[datetime, int, ExecutionStatus, str | None]]:
    """What matters of recordings, to compare: the instant, how many it stands for, the status and the reason."""
    return [(one.scheduled_for, one.coalesced_count, one.status, one.reason) for one in recordings]
