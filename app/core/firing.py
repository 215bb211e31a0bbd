"""What to record for a schedule that is due, and when it is due next: pure, from a locked row and the true now.

The worker calls `decide` under the row's lock, a caller's change calls `superseded`. Neither knows a database. The
rules are those of the firing protocol: every search starts strictly after `searched_to`, so that an instant recorded
ahead is never found again, and one record may stand for a run of occurrences, so that an outage of a week over a
one-second interval is one row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core.execution import ExecutionStatus, Reason
from app.core.occurrences import (
    ScheduleType,
    Timing,
    count_occurrences,
    due_at,
    latest_occurrence,
    next_occurrence,
)
from app.core.schedule import OverlapPolicy, ScheduleStatus

RECORDED_IN_ONE_LOOK = 10
"""Occurrences of one schedule that one look records singly, so that others get their turn."""
CATCH_UP_LIMIT = 1000
"""Late occurrences that are still triggered singly; older ones are missed."""

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a schedule waits for: its next occurrence, and when that is due (after jitter)."""

    occurrence: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A locked, active schedule, as far as the decision needs it. Instants are UTC, to the millisecond."""

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


@dataclass(frozen=True, slots=True)
class Recording:
    """One execution to record: the occurrence (the latest one of a run), its due time and how it begins."""

    scheduled_for: datetime
    due_at: datetime
    covers_from: datetime | None
    coalesced_count: int
    status: ExecutionStatus
    reason: Reason | None

    @property
    def fires(self) -> bool:
        """Whether it counts towards `max_executions`."""
        return self.status in (ExecutionStatus.PENDING, ExecutionStatus.QUEUED)

    @property
    def delivers(self) -> bool:
        """Whether the worker that records it is to send it."""
        return self.status is ExecutionStatus.PENDING


@dataclass(frozen=True, slots=True)
class Decision:
    """What to record, in order, and the schedule's timing afterwards; `waiting` is null when it is completed."""

    recordings: tuple[Recording, ...]
    searched_to: datetime
    waiting: Waiting | None

    @property
    def status(self) -> ScheduleStatus:
        """The schedule's status afterwards."""
        return ScheduleStatus.COMPLETED if self.waiting is None else ScheduleStatus.ACTIVE


def counts_unfinished(schedule: DueSchedule) -> bool:
    """Whether the decision depends on how many executions are unfinished."""
    return schedule.overlap_policy is not OverlapPolicy.ALLOW


def first_waiting(timing: Timing, schedule_id: UUID, after: datetime) -> Waiting | None:
    """What a schedule waits for whose timing was consumed up to `after`; null when no occurrence is left."""
    occurrence = next_occurrence(timing, after)
    if occurrence is None:
        return None
    return Waiting(occurrence, due_at(timing, schedule_id, occurrence))


def decide(schedule: DueSchedule, *, unfinished: int, now: datetime) -> Decision:
    """What to record for a schedule whose entry was claimed, by the true `now` and not by the claim-ahead horizon.

    The caller made sure that the schedule's due time is at most the claim-ahead away. `unfinished` counts its
    executions that run or wait for delivery.
    """
    missed, singles, rest_from = _late(schedule, now)
    left = _runs_left(schedule)
    recordings: list[Recording] = []
    if missed is not None:
        recordings.append(missed)
    for run in singles:
        if left == 0:
            break
        blocked = schedule.overlap_policy is OverlapPolicy.SKIP and unfinished >= schedule.max_instances
        if blocked:
            recordings.append(_skip(run))
        else:
            recordings.append(run)
            unfinished += 1
            left = None if left is None else left - 1
    searched_to = max(schedule.searched_to, recordings[-1].scheduled_for) if recordings else schedule.searched_to
    if left == 0:
        return Decision(tuple(recordings), searched_to, None)
    if rest_from is not None:
        return Decision(tuple(recordings), searched_to, rest_from)
    if schedule.timing.schedule_type is ScheduleType.ONE_TIME:
        return Decision(tuple(recordings), searched_to, None)
    return Decision(tuple(recordings), searched_to, first_waiting(schedule.timing, schedule.schedule_id, searched_to))


def superseded(
    timing: Timing, schedule_id: UUID, waiting: Waiting | None, now: datetime, reason: Reason
) -> Recording | None:
    """The one `skipped` record of a pause, a removal or a change of timing: no instant vanishes.

    It stands for what has its nominal instant at or before `now` and no record, also where jitter makes it due later.
    """
    if waiting is None or waiting.occurrence > now:
        return None
    last, count = waiting.occurrence, 1
    if timing.schedule_type is not ScheduleType.ONE_TIME:
        last = max(last, latest_occurrence(timing, now) or last)
        count += count_occurrences(timing, waiting.occurrence, last)
    due = waiting.due_at if last == waiting.occurrence else due_at(timing, schedule_id, last)
    first = waiting.occurrence if count > 1 else None
    return Recording(last, due, first, count, ExecutionStatus.SKIPPED, reason)


def _runs_left(schedule: DueSchedule) -> int | None:
    if schedule.max_executions is None:
        return None
    return max(schedule.max_executions - schedule.execution_count, 0)


def _late(schedule: DueSchedule, now: datetime) -> tuple[Recording | None, list[Recording], Waiting | None]:
    """The run that is missed, what is to be triggered, and what is left for the next look."""
    first = schedule.waiting
    if first.due_at > now or schedule.timing.schedule_type is ScheduleType.ONE_TIME:
        # Claimed ahead, or the only one there is: by its stored due time, which for a one-time that was accepted late
        # is the moment of acceptance.
        if now - first.due_at > timedelta(seconds=schedule.grace_period_seconds):
            return _record(first, first, 1, ExecutionStatus.MISSED, Reason.GRACE), [], None
        return None, [_record(first, first, 1)], None
    timing, last = schedule.timing, _last_due(schedule, now)
    after_missed, missed = first, None
    last_missed, reason = _last_missed(schedule, now, last)
    if last_missed is not None:
        count = 1 + count_occurrences(timing, first.occurrence, last_missed.occurrence)
        missed = _record(first, last_missed, count, ExecutionStatus.MISSED, reason)
        if last_missed.occurrence >= last.occurrence:
            return missed, [], None
        after_missed = _following(schedule, last_missed)
    if schedule.coalesce:
        count = 1 + count_occurrences(timing, after_missed.occurrence, last.occurrence)
        return missed, [_record(after_missed, last, count)], None
    singles: list[Recording] = []
    for waiting in _walk(schedule, after_missed, last):
        if len(singles) == RECORDED_IN_ONE_LOOK:
            return missed, singles, waiting
        singles.append(_record(waiting, waiting, 1))
    return missed, singles, None


def _last_missed(schedule: DueSchedule, now: datetime, last: Waiting) -> tuple[Waiting | None, Reason]:
    """The latest occurrence that is not triggered any more, and why."""
    first = schedule.waiting
    beyond_grace = now - timedelta(seconds=schedule.grace_period_seconds) - _MILLISECOND
    by_grace = _last_due(schedule, beyond_grace) if first.due_at <= beyond_grace else None
    if schedule.coalesce:
        return by_grace, Reason.GRACE
    late = 1 + count_occurrences(schedule.timing, first.occurrence, last.occurrence)
    if late <= CATCH_UP_LIMIT:
        return by_grace, Reason.GRACE
    lowest, highest = first.occurrence, last.occurrence
    # The occurrence that has exactly CATCH_UP_LIMIT after it, by halving the run: a count is cheap, a walk is not.
    while highest - lowest > _MILLISECOND:
        middle = lowest + (highest - lowest) / 2
        if count_occurrences(schedule.timing, middle, last.occurrence) >= CATCH_UP_LIMIT:
            lowest = middle
        else:
            highest = middle
    occurrence = latest_occurrence(schedule.timing, lowest) or first.occurrence
    newest = _waiting(schedule, max(occurrence, first.occurrence))
    if by_grace is not None and by_grace.occurrence >= newest.occurrence:
        return by_grace, Reason.GRACE
    return newest, Reason.CATCH_UP_LIMIT


def _last_due(schedule: DueSchedule, at: datetime) -> Waiting:
    """The latest occurrence that was due at an instant; the first one is known to have been."""
    first = schedule.waiting
    occurrence = latest_occurrence(schedule.timing, at)
    if occurrence is None or occurrence <= first.occurrence:
        return first
    waiting = _waiting(schedule, occurrence)
    if waiting.due_at <= at:
        return waiting
    # Jitter never delays one past the next, so the one before it was due.
    before = latest_occurrence(schedule.timing, occurrence - _MILLISECOND)
    return first if before is None or before <= first.occurrence else _waiting(schedule, before)


def _waiting(schedule: DueSchedule, occurrence: datetime) -> Waiting:
    return Waiting(occurrence, due_at(schedule.timing, schedule.schedule_id, occurrence))


def _following(schedule: DueSchedule, waiting: Waiting) -> Waiting:
    occurrence = next_occurrence(schedule.timing, waiting.occurrence)
    assert occurrence is not None, "a later occurrence is known to exist"
    return _waiting(schedule, occurrence)


def _walk(schedule: DueSchedule, first: Waiting, last: Waiting) -> Iterator[Waiting]:
    waiting = first
    while waiting.occurrence < last.occurrence:
        yield waiting
        waiting = _following(schedule, waiting)
    yield waiting


def _record(
    first: Waiting,
    last: Waiting,
    count: int,
    status: ExecutionStatus = ExecutionStatus.PENDING,
    reason: Reason | None = None,
) -> Recording:
    covers_from = first.occurrence if count > 1 else None
    return Recording(last.occurrence, last.due_at, covers_from, count, status, reason)


def _skip(run: Recording) -> Recording:
    return Recording(
        run.scheduled_for, run.due_at, run.covers_from, run.coalesced_count, ExecutionStatus.SKIPPED, Reason.OVERLAP
    )
