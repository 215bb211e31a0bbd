"""Comparing and checking definitions against time and against each other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.core.clock import truncate_to_ms, utc
from app.core.errors import InvalidScheduleException
from app.core.occurrences import (
    OnDayOff,
    ScheduleType,
    Timing,
    check_timing,
    lost_times,
    moved_to_nothing,
    never_occurs,
    next_occurrence,
)
from app.core.schedule import Definition
from app.core.target import Target

LATE_ACCEPTANCE = timedelta(minutes=1)
"""How far in the past a one-time's instant may be when it is accepted: slow clients, differing clocks."""


def to_milliseconds(definition: Definition) -> Definition:
    """The definition with its instants as they are stored: the wheel and the fences compare milliseconds."""
    instants = (definition.scheduled_time, definition.start_at, definition.end_at)
    if all(instant is None or truncate_to_ms(instant) == instant for instant in instants):
        return definition
    scheduled_time, start_at, end_at = (None if instant is None else truncate_to_ms(instant) for instant in instants)
    return replace(definition, scheduled_time=scheduled_time, start_at=start_at, end_at=end_at)


def same(one: Definition, other: Definition) -> bool:
    """Whether nothing differs. Unlike `==` it tells `true` from `1` inside `context_data` and a target's body."""
    return (
        one == other
        and _same_json(dict(one.context_data), dict(other.context_data))
        and _same_body(one.target, other.target)
        and _same_body(one.failure_target, other.failure_target)
    )


def instant_of(timing: Timing) -> datetime | None:
    """When a one-time fires, which need not be its `scheduled_time` where that day is off; null where it never does."""
    return next_occurrence(timing, _BEFORE_ALL)


def check_days(timing: Timing) -> None:
    """Refuse days that do not go with the timing, and a one-time whose day is off and stays so.

    Raises InvalidScheduleException.
    """
    if timing.days is not None:
        # What several calendars come to together is only known here.
        check_timing(timing)
    asked = timing.scheduled_time
    if asked is not None and instant_of(timing) is None:
        skipped = timing.days is not None and timing.days.on_day_off is OnDayOff.SKIP
        why = "and on_day_off is 'skip'" if skipped else "and there is no business day that it could move to"
        said = f"scheduled_time '{utc(asked)}': its day is off in the calendars, {why}"
        raise InvalidScheduleException.of("scheduled_time", said)


def check_instant(timing: Timing, now: datetime, *, new: bool, late: bool = True) -> None:
    """Refuse what `check_days` refuses and, where it is `new`, a one-time that lies more than a minute past, or at all
    unless it may be `late`.

    Raises InvalidScheduleException.
    """
    check_days(timing)
    asked = timing.scheduled_time
    instant = None if asked is None else instant_of(timing)
    earliest = now - LATE_ACCEPTANCE if late else now
    if asked is not None and instant is not None and new and instant < earliest:
        moved = "" if instant == asked else f" moves to '{utc(instant)}', which"
        raise InvalidScheduleException.of("scheduled_time", f"scheduled_time '{utc(asked)}'{moved} is in the past")


def nothing_left(definition: Definition, timing: Timing, now: datetime) -> InvalidScheduleException:
    """The refusal of a new schedule that would never fire."""
    on_all_days, last = replace(timing, days=None), definition.end_at or _AFTER_ALL
    if timing.days is not None and next_occurrence(on_all_days, now) is not None:
        moved = next(moved_to_nothing(timing, now, last), None)
        why = " on a day that is not off" if moved is None else f": {moved.text}"
        return InvalidScheduleException.of("calendars", f"calendars: no occurrence is left{why}")
    if (never := never_occurs(timing, now)) is not None:
        return never
    if definition.end_at is not None:
        lost = next(lost_times(on_all_days, max(now, definition.start_at or now), last), None)
        why = "" if lost is None else f": {lost.text}"
        return InvalidScheduleException.of(
            "end_at", f"end_at '{utc(definition.end_at)}': no occurrence is left up to it{why}"
        )
    field = "cron_expression" if definition.schedule_type is ScheduleType.CRON else "start_at"
    return InvalidScheduleException.of(field, f"{field}: no occurrence is left before the year 10000")


_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)
_AFTER_ALL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def _same_body(one: Target | None, other: Target | None) -> bool:
    return one is None or other is None or _same_json(one.body, other.body)


def _same_json(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(_same_json(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(_same_json(*pair) for pair in zip(one, other, strict=True))
        )
    return bool(one == other)
