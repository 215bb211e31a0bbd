"""What does not fire because its day is off: found and counted, so that it can be recorded as skipped."""

from dataclasses import dataclass, replace
from datetime import datetime

from app.core.clock import to_ms
from app.core.occurrences import interval
from app.core.occurrences.business_days import BusinessDays
from app.core.occurrences.daylight import skipped_cron, zoned_cron
from app.core.occurrences.instants import floor_second, from_millisecond, from_second
from app.core.occurrences.off_spans import off_spans
from app.core.occurrences.search import count_occurrences, interval_grid, next_occurrence
from app.core.occurrences.timing import ScheduleType, Timing


@dataclass(frozen=True, slots=True)
class PassedOver:
    """The occurrences of a time that do not fire: the first and the last of them, in UTC, and how many they are."""

    first: datetime
    last: datetime
    count: int


def passed_over(timing: Timing, after: datetime, until: datetime) -> PassedOver | None:
    """What a timing would have fired after one aware instant and at or before another, had its days not been off.

    None where that is nothing; so for a timing that keeps no days, or moves what falls on them: that fires elsewhere.
    Counted, not stepped through. Raises as `next_occurrence` does.
    """
    if timing.days is None or timing.days.moves or until <= after:
        return None
    always = replace(timing, days=None)
    count = count_occurrences(always, after, until) - count_occurrences(timing, after, until)
    if not count:
        return None
    if timing.start_at is not None:
        after = max(after, from_millisecond(to_ms(timing.start_at) - 1))
    if timing.end_at is not None:
        until = min(until, timing.end_at)
    if timing.schedule_type is ScheduleType.CRON:
        first, last = _ends_of_cron(timing, timing.days, floor_second(after), floor_second(until))
        return PassedOver(from_second(first), from_second(last), count)
    if timing.schedule_type is ScheduleType.INTERVAL:
        first, last = _ends_of_interval(timing, timing.days, to_ms(after), to_ms(until))
        return PassedOver(from_millisecond(first), from_millisecond(last), count)
    single = next_occurrence(always, after)
    assert single is not None, "it has been counted"
    return PassedOver(single, single, count)


def _ends_of_cron(timing: Timing, days: BusinessDays, after: int, until: int) -> tuple[int, int]:
    """The first and the last that does not fire, in seconds; at least one is known to be there."""
    rule = timing.cron_expression or "", timing.timezone, timing.dst_policy, days
    fires, skipped = zoned_cron(*rule), skipped_cron(*rule)
    first = skipped.next_after(after)
    # Where a gap reaches over midnight, times of two days fall on one instant, which one of them is enough to fire.
    while first is not None and fires.next_after(first - 1) == first:
        first = skipped.next_after(first)
    last = skipped.last_until(until)
    while last is not None and fires.last_until(last) == last:
        last = skipped.last_until(last - 1)
    assert first is not None, "it has been counted"
    assert last is not None, "it has been counted"
    return first, last


def _ends_of_interval(timing: Timing, days: BusinessDays, after: int, until: int) -> tuple[int, int]:
    """The same in milliseconds."""
    grid, off = interval_grid(timing), off_spans(days, timing.timezone)
    first, last = interval.next_off(grid, off, after, until), interval.last_off(grid, off, after, until)
    assert first is not None, "it has been counted"
    assert last is not None, "it has been counted"
    return first, last
