"""What a caller's change leaves behind: no instant vanishes without a record."""

from datetime import datetime
from uuid import UUID

from app.core.execution import ExecutionStatus, Reason
from app.core.firing.days_off import on_days_off
from app.core.firing.values import Recording, Waiting, record
from app.core.occurrences import (
    ScheduleType,
    Timing,
    count_occurrences,
    due_at,
    latest_occurrence,
    passed_over,
)


def superseded(
    timing: Timing, schedule_id: UUID, waiting: Waiting | None, searched_to: datetime, now: datetime, reason: Reason
) -> tuple[Recording, ...]:
    """The `skipped` records of a pause, a removal or a change of timing, for an active schedule.

    One stands for what has its nominal instant at or before `now` and no record, also where jitter makes it due
    later; another for what was passed over because its day is off.
    """
    if waiting is None:
        return ()
    recordings = []
    passed = None if timing.days is None else passed_over(timing, searched_to, now)
    if passed is not None:
        recordings.append(on_days_off(passed))
    if waiting.occurrence <= now:
        last, count = waiting.occurrence, 1
        if timing.schedule_type is not ScheduleType.ONE_TIME:
            last = max(last, latest_occurrence(timing, now) or last)
            count += count_occurrences(timing, waiting.occurrence, last)
        due = waiting.due_at if last == waiting.occurrence else due_at(timing, schedule_id, last)
        recordings.append(record(waiting, Waiting(last, due), count, ExecutionStatus.SKIPPED, reason))
    return tuple(recordings)
