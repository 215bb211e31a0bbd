"""What days off leave behind: a record for what they kept from firing, also where nothing else is left of a timing."""

from dataclasses import replace
from datetime import UTC, datetime

from app.core.execution import ExecutionStatus, Reason
from app.core.firing.values import Recording, Waiting, record
from app.core.occurrences import PassedOver, ScheduleType, Timing, next_occurrence, passed_over
from app.core.values import value

ENDED_BY_DAYS = "no occurrence is left on a day that its calendars do not have off"
"""The `status_reason` of a schedule that its days off alone have completed. It goes on when they are taken back."""
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@value
class EndedByDays:
    """That days off alone have ended a timing, and the one record of what they keep from firing, ahead of its time.

    No record where it would fire on other days, which lie outside its bounds.
    """

    recording: Recording | None


def on_days_off(passed: PassedOver) -> Recording:
    """The one record of a run of occurrences whose days are off."""
    first, last = Waiting(passed.first, passed.first), Waiting(passed.last, passed.last)
    return record(first, last, passed.count, ExecutionStatus.SKIPPED, Reason.CALENDAR)


def ended_by_days(timing: Timing, searched_to: datetime) -> EndedByDays | None:
    """Whether a timing of which nothing is left after an instant would have gone on but for its days off.

    It is not consumed by that: `searched_to` stays, so that it can go on from there when they are taken back.
    """
    recording = left_on_days_off(timing, searched_to)
    if recording is not None:
        return EndedByDays(recording)
    moves = timing.days is not None and timing.schedule_type is not ScheduleType.ONE_TIME
    if moves and next_occurrence(replace(timing, days=None), searched_to) is not None:
        return EndedByDays(None)
    return None


def left_on_days_off(timing: Timing, after: datetime) -> Recording | None:
    """The one record of all that a timing has left after an instant, where only its days off keep it from firing.

    Null where nothing is left of it without them either, and for a recurring one that moves what falls on a day off:
    that would fire elsewhere. To be asked of a timing for which no occurrence is left.
    """
    single = timing.scheduled_time
    if timing.schedule_type is ScheduleType.ONE_TIME and single is not None:
        if single <= after or next_occurrence(timing, _BEFORE_ALL) is not None:
            return None
        return on_days_off(PassedOver(single, single, 1))
    # Without an end something is always left: calendars list no day after their last year.
    passed = None if timing.end_at is None else passed_over(timing, after, timing.end_at)
    return None if passed is None else on_days_off(passed)
