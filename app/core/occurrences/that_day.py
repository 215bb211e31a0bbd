"""What the clocks do to the occurrences of a day, to be told of another instant of that day."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from app.core.occurrences.adjustments import adjustments
from app.core.occurrences.clock_changes import folds_near, jumps_near, showings
from app.core.occurrences.daylight import zoned_cron
from app.core.occurrences.instants import DAY_SECONDS, floor_second, from_second
from app.core.occurrences.reasons import Adjustment, AdjustmentCause
from app.core.occurrences.search import latest_occurrence
from app.core.occurrences.timing import ScheduleType, Timing
from app.core.occurrences.wall_clock import WallClock
from app.core.occurrences.zones import Zone, load_zone


def adjusted_that_day(timing: Timing, at: datetime, around: Iterable[datetime | None]) -> tuple[Adjustment, ...]:
    """What moved those of the occurrences `around` an aware instant that are of its day, and what a gap moved that day.

    Of the times of the day that are shown twice, which may be many, at least the nearest is among them.

    Raises as `next_occurrence` does.
    """
    zone, second = load_zone(timing.timezone), floor_second(at)
    day = _day_of(zone, second)
    told: dict[Adjustment, None] = {}  # both may be showings of one time
    for occurrence in around:
        if occurrence is not None and _day_of(zone, floor_second(occurrence)) == day:
            told.update((each, None) for each in adjustments(timing, occurrence, told_of_another=True))
    if timing.schedule_type is ScheduleType.CRON:
        told.update((each, None) for each in _after_gaps(timing, zone, second, day))
        if not any(each.cause is AdjustmentCause.FOLD for each in told):
            told.update((each, None) for each in _in_folds(timing, zone, second, day))
    return tuple(told)


def _day_of(zone: Zone, second: int) -> int:
    return (second + zone.offset_at(second)) // DAY_SECONDS


def _after_gaps(timing: Timing, zone: Zone, second: int, day: int) -> Iterator[Adjustment]:
    for jump in jumps_near(zone, second):
        # One that ends at midnight takes the last times of the day before.
        if day in (jump.wall_from // DAY_SECONDS, jump.wall_to // DAY_SECONDS):
            yield from _of(timing, jump.at, AdjustmentCause.GAP)


def _in_folds(timing: Timing, zone: Zone, second: int, day: int) -> Iterator[Adjustment]:
    wall = second + zone.offset_at(second)
    cron = zoned_cron(timing.cron_expression or "", timing.timezone, timing.dst_policy, timing.days)
    for first, stop in folds_near(zone, second):
        start, end = max(first, day * DAY_SECONDS), min(stop, (day + 1) * DAY_SECONDS)
        nearest = _nearest(cron.wall_clock, wall, start, end) if start < end else None
        for shown in () if nearest is None else showings(zone, nearest):
            yield from _of(timing, shown, AdjustmentCause.FOLD)


def _nearest(times: WallClock, wall: int, start: int, end: int) -> int | None:
    """The last of the times from `start` up to `end` that is not after `wall`, else the first of them."""
    before = times.previous_at(min(wall, end - 1))
    if before is not None and before >= start:
        return before
    after = times.next_at(max(wall, start))
    return after if after is not None and after < end else None


def _of(timing: Timing, second: int, cause: AdjustmentCause) -> Iterator[Adjustment]:
    occurrence = from_second(second)
    if latest_occurrence(timing, occurrence) == occurrence:
        found = adjustments(timing, occurrence, told_of_another=True)
        yield from (each for each in found if each.cause is cause)
