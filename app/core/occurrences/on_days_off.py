"""What becomes of the times that a rule names on a day off: skipped, or moved to where they fire or nothing does."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from app.core.clock import MILLISECOND, to_ms
from app.core.occurrences import interval, reasons
from app.core.occurrences.business_days import BusinessDays, OnDayOff
from app.core.occurrences.clock_changes import Jump, jumps_near, showings
from app.core.occurrences.cron_fields import parse_cron
from app.core.occurrences.day_sets import RuleDays
from app.core.occurrences.instants import DAY_SECONDS, EPOCH_ORDINAL, floor_second, from_second
from app.core.occurrences.listed_days import business_day_set
from app.core.occurrences.lost_times import loses_times, lost_times
from app.core.occurrences.nominal import nominal_ordinals, nominal_times
from app.core.occurrences.policy import Fold
from app.core.occurrences.reasons import Adjustment, Fate
from app.core.occurrences.search import interval_grid, latest_occurrence, next_occurrence
from app.core.occurrences.timing import ScheduleType, Timing
from app.core.occurrences.wall_clock import WallClock
from app.core.occurrences.words import HANDFUL
from app.core.occurrences.zones import Zone, load_zone


def days_off_at(timing: Timing, days: BusinessDays, zone: Zone, second: int) -> Iterator[Adjustment]:
    """The days off on which a rule names the times that come to a UTC second, or others of the day shown then."""
    for ordinal in nominal_ordinals(timing, zone, second):
        times = list(islice(_times_on(timing, zone, ordinal), HANDFUL)) if _is_dropped(days, ordinal) else []
        if not times:
            continue
        if not days.moves:
            yield reasons.day_off(days, [ordinal], 1, times, reasons.SKIPPED_ON_DAY_OFF)
            continue
        landing = business_day_set(days).landing(ordinal)
        if landing is None:
            yield reasons.day_off(days, [ordinal], 1, times, reasons.moved_to(days, None))
            continue
        fates = _fates(timing, zone, landing, _telling_times(timing, zone, ordinal, landing))
        if len(fates) > 1 and (asked := list(islice(nominal_times(timing, second, ordinal), HANDFUL))):
            times, fates = asked, _fates(timing, zone, landing, asked)
        yield from _moved(timing, zone, [ordinal], 1, times, landing, fates)


def moved_to_nothing(timing: Timing, first: datetime, last: datetime) -> Iterator[Adjustment]:
    """The last days off of a time whose occurrences come to lie where not all of them fire; the first, moved backwards.

    The time reaches from one aware instant up to and at another. Only these may be moved out of it, or out of the
    bounds, so that nothing within it shows what became of them. Raises as `next_occurrence` does.
    """
    days = timing.days
    if timing.schedule_type is not ScheduleType.CRON or days is None or not days.moves:
        return
    always, zone = replace(timing, days=None), load_zone(timing.timezone)
    begin, end = next_occurrence(always, first - MILLISECOND), latest_occurrence(always, last)
    if begin is None or end is None or end < begin:
        return
    low = min(nominal_ordinals(timing, zone, floor_second(begin)))
    high = max(nominal_ordinals(timing, zone, floor_second(end)))
    edge = low if days.on_day_off is OnDayOff.PREVIOUS_BUSINESS_DAY else high
    landing = business_day_set(days).landing(edge)
    if landing is None:
        return
    rule, origin = RuleDays(parse_cron(timing.cron_expression or "").days), business_day_set(days).landed_from(landing)
    start, stop = max(origin.start, low), min(origin.stop, high + 1)
    named = list(islice(rule.between(start, stop), HANDFUL))
    if not named:
        return
    fates = _fates(timing, zone, landing, _telling_times(timing, zone, named[0], landing))
    if fates != {Fate.FIRES}:
        times = list(islice(_times_on(timing, zone, named[0]), HANDFUL))
        yield from _moved(timing, zone, named, rule.count(start, stop), times, landing, fates)


def _is_dropped(days: BusinessDays, ordinal: int) -> bool:
    """Whether what falls on a day does not fire on it."""
    return not days.is_business_day(ordinal) if days.moves else days.is_off(ordinal)


def _moved(
    timing: Timing,
    zone: Zone,
    ordinals: Sequence[int],
    count: int,
    times: Sequence[int],
    landing: int,
    fates: set[Fate],
) -> Iterator[Adjustment]:
    """What is said of days that are moved, and of the gap that they are moved into."""
    assert timing.days is not None
    ending = reasons.moved_away(timing.days, landing, fates, count=count)
    yield reasons.day_off(timing.days, ordinals, count, times, ending)
    if Fate.IN_GAP in fates:
        for jump in _jumps_on(zone, landing):
            yield from lost_times(timing, from_second(jump.at), from_second(jump.at))


def _fates(timing: Timing, zone: Zone, landing: int, times: Iterable[int]) -> set[Fate]:
    """What becomes of times of day that are moved to a day."""
    start = (landing - EPOCH_ORDINAL) * DAY_SECONDS
    return {_fate(timing, zone, start + time) for time in times}


def _fate(timing: Timing, zone: Zone, wall: int) -> Fate:
    """What becomes of a wall-clock second of a rule on a business day."""
    shown = showings(zone, wall)
    is_cron = timing.schedule_type is ScheduleType.CRON
    if is_cron and timing.dst_policy.fold is Fold.ONCE and not parse_cron(timing.cron_expression or "").wild:
        shown = shown[:1]
    instants = [second * 1000 for second in shown or [zone.first_showing(wall)]]
    begun = [instant for instant in instants if timing.start_at is None or instant >= to_ms(timing.start_at)]
    if not begun:
        return Fate.BEFORE_START
    if timing.end_at is not None and begun[0] > to_ms(timing.end_at):
        return Fate.AFTER_END
    return Fate.IN_GAP if not shown and loses_times(timing) else Fate.FIRES


def _telling_times(timing: Timing, zone: Zone, ordinal: int, landing: int) -> Iterator[int]:
    """Of the times of a day, which may be many, some that share every fate that any has, moved to another day.

    On the way through a day the fate changes at the bounds and at both ends of a gap, and nowhere else.
    """
    if timing.schedule_type is not ScheduleType.CRON:
        yield from _times_on(timing, zone, ordinal)
        return
    landed, start = (landing - EPOCH_ORDINAL) * DAY_SECONDS, (ordinal - EPOCH_ORDINAL) * DAY_SECONDS
    seconds = [floor_second(bound) for bound in (timing.start_at, timing.end_at) if bound is not None]
    changes = [second + zone.offset_at(second) - landed for second in seconds]
    changes += [end - landed for jump in _jumps_on(zone, landing) for end in (jump.wall_from, jump.wall_to)]
    walls = _every_day(timing)
    for time in (0, *(change + after for change in changes for after in (0, 1))):
        found = walls.next_at(start + time)
        if time >= 0 and found is not None and found < start + DAY_SECONDS:
            yield found - start
    last = walls.previous_at(start + DAY_SECONDS - 1)
    if last is not None and last >= start:
        yield last - start


def _jumps_on(zone: Zone, ordinal: int) -> Iterator[Jump]:
    """The jumps over times of a day."""
    start = (ordinal - EPOCH_ORDINAL) * DAY_SECONDS
    return (jump for jump in jumps_near(zone, start) if jump.wall_from < start + DAY_SECONDS and start < jump.wall_to)


def _every_day(timing: Timing) -> WallClock:
    """The times of an expression as if no day were off."""
    fields = parse_cron(timing.cron_expression or "")
    return WallClock(fields, RuleDays(fields.days))


def _times_on(timing: Timing, zone: Zone, ordinal: int) -> Iterator[int]:
    """The times of a day at which a rule would fire if the day were as any other."""
    start = (ordinal - EPOCH_ORDINAL) * DAY_SECONDS
    if timing.schedule_type is ScheduleType.CRON:
        yield from (wall - start for wall in _every_day(timing).between(start, start + DAY_SECONDS))
    elif timing.schedule_type is ScheduleType.INTERVAL:
        grid = interval_grid(timing)
        found = interval.next_after(grid, zone.first_showing(start) * 1000 - 1)
        while found is not None and 0 <= found // 1000 + zone.offset_at(found // 1000) - start < DAY_SECONDS:
            yield found // 1000 + zone.offset_at(found // 1000) - start
            found = interval.next_after(grid, found)
    elif timing.scheduled_time is not None:
        scheduled = to_ms(timing.scheduled_time) // 1000
        time = scheduled + zone.offset_at(scheduled) - start
        if 0 <= time < DAY_SECONDS:
            yield time
