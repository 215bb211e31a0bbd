"""The questions that everything else asks: when next, when last, how often. One answer for preview and for workers."""

from datetime import datetime

from app.core.clock import to_ms
from app.core.occurrences import interval
from app.core.occurrences.daylight import zoned_cron
from app.core.occurrences.instants import MAX_MS, MIN_SECOND, floor_second, from_millisecond, from_second
from app.core.occurrences.timing import ScheduleType, Timing


def next_occurrence(timing: Timing, after: datetime) -> datetime | None:
    """The first occurrence strictly after an aware instant, within the timing's bounds; in UTC.

    Raises:
        InvalidScheduleException: the timing is refused by `check_timing` (its zone may have vanished since).
        ValueError: an interval with neither `start_at` nor `anchor`.
    """
    if timing.schedule_type is ScheduleType.CRON:
        second = floor_second(after)
        if timing.start_at is not None:
            second = max(second, (to_ms(timing.start_at) - 1) // 1000)
        found = zoned_cron(timing.cron_expression or "", timing.timezone).next_after(second)
        if found is None or (timing.end_at is not None and found * 1000 > to_ms(timing.end_at)):
            return None
        return from_second(found)
    if timing.schedule_type is ScheduleType.INTERVAL:
        anchor, first, step = _interval(timing)
        found = interval.next_after(anchor, first, step, to_ms(after))
        if found is None or (timing.end_at is not None and found > to_ms(timing.end_at)):
            return None
        return from_millisecond(found)
    single = _single(timing)
    return from_millisecond(single) if single > to_ms(after) else None


def latest_occurrence(timing: Timing, at_or_before: datetime) -> datetime | None:
    """The last occurrence at or before an aware instant, within the timing's bounds; in UTC. Raises as the above."""
    until = to_ms(at_or_before)
    if timing.schedule_type is ScheduleType.ONE_TIME:
        single = _single(timing)
        return from_millisecond(single) if single <= until else None
    if timing.end_at is not None:
        until = min(until, to_ms(timing.end_at))
    if timing.schedule_type is ScheduleType.INTERVAL:
        found = interval.last_until(*_interval(timing), until)
        return None if found is None else from_millisecond(found)
    second = zoned_cron(timing.cron_expression or "", timing.timezone).last_until(until // 1000)
    if second is None or (timing.start_at is not None and second * 1000 < to_ms(timing.start_at)):
        return None
    return from_second(second)


def count_occurrences(timing: Timing, after: datetime, until: datetime) -> int:
    """How many occurrences lie after one aware instant and at or before another, within the timing's bounds.

    Exact, and counted by days and spans of constant offset rather than stepped through. Raises as the above.
    """
    after_ms, until_ms = to_ms(after), to_ms(until)
    if timing.schedule_type is ScheduleType.ONE_TIME:
        return int(after_ms < _single(timing) <= until_ms)
    if timing.end_at is not None:
        until_ms = min(until_ms, to_ms(timing.end_at))
    if timing.schedule_type is ScheduleType.INTERVAL:
        return interval.count(*_interval(timing), after_ms, min(until_ms, MAX_MS))
    if timing.start_at is not None:
        after_ms = max(after_ms, to_ms(timing.start_at) - 1)
    cron = zoned_cron(timing.cron_expression or "", timing.timezone)
    return cron.count(max(after_ms // 1000, MIN_SECOND - 1), until_ms // 1000)


def occurrences_after(timing: Timing, after: datetime, count: int) -> list[datetime]:
    """The next `count` occurrences strictly after an aware instant, or as many as are left. Raises as the above."""
    found: list[datetime] = []
    while len(found) < count and (following := next_occurrence(timing, after)) is not None:
        found.append(following)
        after = following
    return found


def _interval(timing: Timing) -> tuple[int, int, int]:
    """(anchor in ms, number of the first occurrence, interval in ms)."""
    step = (timing.interval_seconds or 0) * 1000
    if timing.start_at is not None:
        return to_ms(timing.start_at), 0, step
    if timing.anchor is None:
        msg = "an interval without start_at needs an anchor"
        raise ValueError(msg)
    return to_ms(timing.anchor), 1, step


def _single(timing: Timing) -> int:
    if timing.scheduled_time is None:
        msg = "a one-time timing needs its scheduled_time"
        raise ValueError(msg)
    return to_ms(timing.scheduled_time)
