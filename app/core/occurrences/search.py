"""The questions that everything else asks: when next, when last, how often. One answer for preview and for workers."""

from datetime import datetime

from app.core.clock import to_ms
from app.core.occurrences import interval
from app.core.occurrences.daylight import ZonedCron, zoned_cron
from app.core.occurrences.instants import MAX_MS, MIN_SECOND, floor_second, from_millisecond, from_second
from app.core.occurrences.off_spans import off_spans
from app.core.occurrences.one_time import kept_off
from app.core.occurrences.timing import ScheduleType, Timing

_CRON, _INTERVAL = ScheduleType.CRON, ScheduleType.INTERVAL  # found faster than through their class


def next_occurrence(timing: Timing, after: datetime) -> datetime | None:
    """The first occurrence strictly after an aware instant, within the timing's bounds; in UTC.

    Raises:
        InvalidScheduleException: the timing is refused by `check_timing` (its zone may have vanished since).
        ValueError: an interval with neither `start_at` nor `anchor`.
    """
    if timing.schedule_type is _CRON:
        second = floor_second(after)
        if timing.start_at is not None:
            second = max(second, (to_ms(timing.start_at) - 1) // 1000)
        cron = zoned_cron(timing.cron_expression or "", timing.timezone, timing.dst_policy, timing.days)
        found = cron.next_after(second)
        if found is None or (timing.end_at is not None and found * 1000 > to_ms(timing.end_at)):
            return None
        return from_second(found)
    if timing.schedule_type is _INTERVAL:
        grid = interval_grid(timing)
        if timing.days is None:
            found = interval.next_after(grid, to_ms(after))
        else:
            found = interval.next_kept(grid, off_spans(timing.days, timing.timezone), to_ms(after))
        if found is None or (timing.end_at is not None and found > to_ms(timing.end_at)):
            return None
        return from_millisecond(found)
    single = single_instant(timing)
    return from_millisecond(single) if single is not None and single > to_ms(after) else None


def latest_occurrence(timing: Timing, at_or_before: datetime) -> datetime | None:
    """The last occurrence at or before an aware instant, within the timing's bounds; in UTC. Raises as the above."""
    until = to_ms(at_or_before)
    if timing.schedule_type is ScheduleType.ONE_TIME:
        single = single_instant(timing)
        return from_millisecond(single) if single is not None and single <= until else None
    if timing.end_at is not None:
        until = min(until, to_ms(timing.end_at))
    if timing.schedule_type is _INTERVAL:
        grid = interval_grid(timing)
        if timing.days is None:
            found = interval.last_until(grid, until)
        else:
            found = interval.last_kept(grid, off_spans(timing.days, timing.timezone), until)
        return None if found is None else from_millisecond(found)
    second = _cron(timing).last_until(until // 1000)
    if second is None or (timing.start_at is not None and second * 1000 < to_ms(timing.start_at)):
        return None
    return from_second(second)


def count_occurrences(timing: Timing, after: datetime, until: datetime) -> int:
    """How many occurrences lie after one aware instant and at or before another, within the timing's bounds.

    Exact, and counted by days and spans of constant offset rather than stepped through. Raises as the above.
    """
    after_ms, until_ms = to_ms(after), to_ms(until)
    if timing.schedule_type is ScheduleType.ONE_TIME:
        single = single_instant(timing)
        return int(single is not None and after_ms < single <= until_ms)
    if timing.end_at is not None:
        until_ms = min(until_ms, to_ms(timing.end_at))
    if timing.schedule_type is _INTERVAL:
        grid, until_ms = interval_grid(timing), min(until_ms, MAX_MS)
        off = 0
        if timing.days is not None:
            off = interval.count_off(grid, off_spans(timing.days, timing.timezone), after_ms, until_ms)
        return interval.count(grid, after_ms, until_ms) - off
    if timing.start_at is not None:
        after_ms = max(after_ms, to_ms(timing.start_at) - 1)
    return _cron(timing).count(max(after_ms // 1000, MIN_SECOND - 1), until_ms // 1000)


def occurrences_after(timing: Timing, after: datetime, count: int) -> list[datetime]:
    """The next `count` occurrences strictly after an aware instant, or as many as are left. Raises as the above."""
    found: list[datetime] = []
    while len(found) < count and (following := next_occurrence(timing, after)) is not None:
        found.append(following)
        after = following
    return found


def interval_grid(timing: Timing) -> interval.Grid:
    """Where the occurrences of an interval lie, in milliseconds.

    Raises:
        ValueError: neither `start_at` nor `anchor`.
    """
    step = (timing.interval_seconds or 0) * 1000
    if timing.start_at is not None:
        return to_ms(timing.start_at), 0, step
    if timing.anchor is None:
        msg = "an interval without start_at needs an anchor"
        raise ValueError(msg)
    return to_ms(timing.anchor), 1, step


def _cron(timing: Timing) -> ZonedCron:
    return zoned_cron(timing.cron_expression or "", timing.timezone, timing.dst_policy, timing.days)


def single_instant(timing: Timing) -> int | None:
    """The instant of a one-time timing in milliseconds; None where its day is off.

    Raises:
        InvalidScheduleException: an unknown zone.
        ValueError: no `scheduled_time`.
    """
    if timing.scheduled_time is None:
        msg = "a one-time timing needs its scheduled_time"
        raise ValueError(msg)
    instant = to_ms(timing.scheduled_time)
    return instant if timing.days is None else kept_off(timing.days, timing.timezone, instant)
