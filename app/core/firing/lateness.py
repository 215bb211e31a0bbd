"""Which of a schedule's occurrences are late, and what lateness makes of them: missed, coalesced, or each by itself.

Grace and coalescing look at the true now, and every count is made rather than walked: an outage of a week over a
one-second interval is one record, found in a few steps.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from app.core.clock import MILLISECOND
from app.core.execution import ExecutionStatus, Reason
from app.core.firing.values import DueSchedule, Recording, Waiting, record
from app.core.occurrences import ScheduleType, count_occurrences, due_at, latest_occurrence, next_occurrence
from app.core.values import value

RECORDED_IN_ONE_LOOK = 10
"""Occurrences of one schedule that one look records singly, so that others get their turn."""
CATCH_UP_LIMIT = 1000
"""Late occurrences that are still triggered singly; older ones are missed."""


@value
class Late:
    """The run that is missed, what is to be triggered, and what is left for the next look."""

    missed: Recording | None
    triggered: tuple[Recording, ...]
    rest_from: Waiting | None = None


def late(schedule: DueSchedule, now: datetime) -> Late:
    """What is to become of a schedule's due occurrences, before the overlap policy has its say."""
    first = schedule.waiting
    if first.due_at > now or schedule.timing.schedule_type is ScheduleType.ONE_TIME:
        # Claimed ahead, or the only one there is: by its stored due time, which for a one-time that was accepted late
        # is the moment of acceptance.
        if now - first.due_at > timedelta(seconds=schedule.grace_period_seconds):
            return Late(record(first, first, 1, ExecutionStatus.MISSED, Reason.GRACE), ())
        return Late(None, (record(first, first, 1),))
    timing, last = schedule.timing, _last_due(schedule, now)
    after_missed, missed = first, None
    last_missed, reason = _last_missed(schedule, now, last)
    if last_missed is not None:
        count = 1 + count_occurrences(timing, first.occurrence, last_missed.occurrence)
        missed = record(first, last_missed, count, ExecutionStatus.MISSED, reason)
        if last_missed.occurrence >= last.occurrence:
            return Late(missed, ())
        after_missed = _following(schedule, last_missed)
    if schedule.coalesce:
        count = 1 + count_occurrences(timing, after_missed.occurrence, last.occurrence)
        return Late(missed, (record(after_missed, last, count),))
    singles: list[Recording] = []
    for waiting in _walk(schedule, after_missed, last):
        if len(singles) == RECORDED_IN_ONE_LOOK:
            return Late(missed, tuple(singles), waiting)
        singles.append(record(waiting, waiting, 1))
    return Late(missed, tuple(singles))


def _last_missed(schedule: DueSchedule, now: datetime, last: Waiting) -> tuple[Waiting | None, Reason]:
    """The latest occurrence that is not triggered any more, and why."""
    first = schedule.waiting
    beyond_grace = now - timedelta(seconds=schedule.grace_period_seconds) - MILLISECOND
    by_grace = _last_due(schedule, beyond_grace) if first.due_at <= beyond_grace else None
    if schedule.coalesce:
        return by_grace, Reason.GRACE
    number = 1 + count_occurrences(schedule.timing, first.occurrence, last.occurrence)
    if number <= CATCH_UP_LIMIT:
        return by_grace, Reason.GRACE
    lowest, highest = first.occurrence, last.occurrence
    # The occurrence that has exactly CATCH_UP_LIMIT after it, by halving the run: a count is cheap, a walk is not.
    while highest - lowest > MILLISECOND:
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
    before = latest_occurrence(schedule.timing, occurrence - MILLISECOND)
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
