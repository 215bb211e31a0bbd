"""What a decision is made from, and what it answers."""

from datetime import datetime
from uuid import UUID

from app.core.execution import ExecutionStatus, Reason
from app.core.occurrences import Timing, due_at, next_occurrence
from app.core.schedule import OverlapPolicy, ScheduleStatus, SkipNext
from app.core.values import value


@value
class Waiting:
    """What a schedule waits for: its next occurrence, and when that is due (after jitter)."""

    occurrence: datetime
    due_at: datetime


@value
class DueSchedule:
    """A locked, active schedule, as far as the decision needs it. Instants are UTC, to the millisecond.

    `skip_next` is set where the occurrence that it waits for is to be skipped.
    """

    schedule_id: UUID
    timing: Timing
    waiting: Waiting
    searched_to: datetime
    execution_count: int
    max_executions: int | None
    grace_period_seconds: int
    coalesce: bool
    max_instances: int
    overlap_policy: OverlapPolicy
    skip_next: SkipNext | None = None


@value
class Recording:
    """One execution to record: the occurrence (the latest one of a run), its due time and how it begins.

    `detail` says in words who wanted it so, and why, where the reason alone does not.
    """

    scheduled_for: datetime
    due_at: datetime
    covers_from: datetime | None
    coalesced_count: int
    status: ExecutionStatus
    reason: Reason | None
    detail: str | None = None

    @property
    def fires(self) -> bool:
        """Whether it counts towards `max_executions`."""
        return self.status in (ExecutionStatus.PENDING, ExecutionStatus.QUEUED)

    @property
    def delivers(self) -> bool:
        """Whether the worker that records it is to send it."""
        return self.status is ExecutionStatus.PENDING


@value
class Decision:
    """What to record, and the schedule's timing afterwards; `waiting` is null when it is completed.

    `older_kept` is how many of its unfinished executions go on, while the oldest beyond them make way for the new ones;
    null where all do. `status_reason` is why it is completed, where a caller should know.
    """

    recordings: tuple[Recording, ...]
    searched_to: datetime
    waiting: Waiting | None
    older_kept: int | None = None
    status_reason: str | None = None

    @property
    def plain(self) -> bool:
        """Whether all that is recorded is delivered, and nothing makes way: so it stays, whatever ends meanwhile."""
        return self.older_kept is None and all(recording.delivers for recording in self.recordings)

    @property
    def status(self) -> ScheduleStatus:
        """The schedule's status afterwards."""
        return ScheduleStatus.COMPLETED if self.waiting is None else ScheduleStatus.ACTIVE


def record(
    first: Waiting,
    last: Waiting,
    count: int,
    status: ExecutionStatus = ExecutionStatus.PENDING,
    reason: Reason | None = None,
    detail: str | None = None,
) -> Recording:
    """One record for the `count` occurrences from `first` to `last`."""
    covers_from = first.occurrence if count > 1 else None
    return Recording(last.occurrence, last.due_at, covers_from, count, status, reason, detail)


def first_waiting(timing: Timing, schedule_id: UUID, after: datetime) -> Waiting | None:
    """What a schedule waits for whose timing was consumed up to `after`; null when no occurrence is left."""
    occurrence = next_occurrence(timing, after)
    if occurrence is None:
        return None
    return Waiting(occurrence, due_at(timing, schedule_id, occurrence))
