"""Why an occurrence stands where it stands: a change of the clocks or a day off moved it, or shows it twice."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice

from app.core.clock import to_ms
from app.core.occurrences import reasons
from app.core.occurrences.business_days import BusinessDays
from app.core.occurrences.clock_changes import jumps_near, showings
from app.core.occurrences.cron_fields import parse_cron
from app.core.occurrences.day_sets import RuleDays
from app.core.occurrences.daylight import zoned_cron
from app.core.occurrences.instants import (
    DAY_SECONDS,
    EPOCH_ORDINAL,
    LAST_ORDINAL,
    floor_second,
    from_second,
    wall_second,
)
from app.core.occurrences.listed_days import business_day_set
from app.core.occurrences.one_time import moved_wall
from app.core.occurrences.reasons import Adjustment
from app.core.occurrences.search import latest_occurrence
from app.core.occurrences.timing import ScheduleType, Timing
from app.core.occurrences.words import HANDFUL
from app.core.occurrences.zones import Zone, load_zone


def adjustments(
    timing: Timing, occurrence: datetime, *, told_of_another: bool = False, hypothetical: bool = False
) -> tuple[Adjustment, ...]:
    """What moved an occurrence of a timing to where it is, or shows its time twice; empty for an ordinary one.

    Where they are `told_of_another` instant, "this" would not mean the occurrence, and they say when it fires.
    Where they are `hypothetical`, something that the timing does not have stands in the way, and they say where it
    would fire.

    Raises as `next_occurrence` does.
    """
    if timing.schedule_type is ScheduleType.CRON:
        return tuple(_of_cron(timing, floor_second(occurrence), told_of_another, hypothetical))
    if timing.schedule_type is ScheduleType.ONE_TIME and timing.scheduled_time is not None:
        return tuple(_of_one_time(timing, timing.scheduled_time, floor_second(occurrence), told_of_another))
    return ()


def reading_adjusted(naive: datetime, timezone: str, *, hypothetical: bool = False) -> tuple[Adjustment, ...]:
    """Where a wall-clock reading was moved to that the clocks of a zone jump over, as `resolve_wall_clock` moves it.

    The instant that this comes to does not show it. `hypothetical` where a day off moves it further. Raises
    InvalidScheduleException for an unknown zone.
    """
    zone, wall = load_zone(timezone), wall_second(naive)
    second = zone.first_showing(wall)
    if second + zone.offset_at(second) == wall:
        return ()
    return tuple(_after_gap(zone, second, [wall], 1, together=False, hypothetical=hypothetical))


def _of_cron(timing: Timing, second: int, told_of_another: bool, hypothetical: bool) -> Iterator[Adjustment]:
    zone = load_zone(timing.timezone)
    cron = zoned_cron(timing.cron_expression or "", timing.timezone, timing.dst_policy, timing.days)
    first, wall = cron.nominal_at(second)
    walls = [wall] if first == wall else list(islice(cron.wall_clock.between(first, wall + 1), HANDFUL))
    if timing.days is not None and timing.days.moves:
        for day in sorted({wall // DAY_SECONDS for wall in walls}):
            times = [wall % DAY_SECONDS for wall in walls if wall // DAY_SECONDS == day]
            yield from _moved_onto(timing.days, timing.cron_expression or "", day + EPOCH_ORDINAL, times)
    jumped_over = [jumped for jumped in walls if jumped < wall]
    if jumped_over:
        count = cron.wall_clock.count(first, wall)
        together = cron.wall_clock.next_at(wall) == wall
        yield from _after_gap(zone, second, jumped_over, count, together=together, hypothetical=hypothetical)
    else:
        yield from _in_fold(timing, zone, wall, second, told_of_another)


def _moved_onto(days: BusinessDays, expression: str, ordinal: int, times: Sequence[int]) -> Iterator[Adjustment]:
    """The days of the rule whose occurrences fire on this one instead."""
    named, count, together = _days_moved_onto(days, expression, ordinal)
    if count:
        ending = reasons.moved_to(days, ordinal, count=count, together=together)
        yield reasons.day_off(days, named, count, times, ending)


# A preview asks for each of a hundred occurrences of one day, onto which the days of a century may be moved.
@lru_cache(maxsize=256)
def _days_moved_onto(days: BusinessDays, expression: str, ordinal: int) -> tuple[tuple[int, ...], int, bool]:
    """The first few days that are moved to one, how many there are, and whether the rule names that day itself."""
    rule, origin = RuleDays(parse_cron(expression).days), business_day_set(days).landed_from(ordinal)
    named = tuple(islice(rule.between(origin.start, origin.stop), HANDFUL))
    return named, rule.count(origin.start, origin.stop) if named else 0, rule.holds(ordinal)


def _of_one_time(timing: Timing, scheduled: datetime, second: int, told_of_another: bool) -> Iterator[Adjustment]:
    zone = load_zone(timing.timezone)
    nominal = floor_second(scheduled)
    nominal += zone.offset_at(nominal)
    wall: int | None = nominal
    if timing.days is not None and timing.days.moves:
        wall = moved_wall(timing.days, zone, to_ms(scheduled))
    if wall is None or not 1 <= wall // DAY_SECONDS + EPOCH_ORDINAL <= LAST_ORDINAL:
        return
    if timing.days is not None and wall != nominal:
        ending = reasons.moved_to(timing.days, wall // DAY_SECONDS + EPOCH_ORDINAL)
        day, time = divmod(nominal, DAY_SECONDS)
        yield reasons.day_off(timing.days, [day + EPOCH_ORDINAL], 1, [time], ending)
    if second + zone.offset_at(second) != wall:
        yield from _after_gap(zone, second, [wall], 1, together=False)
    else:
        yield from _in_fold(timing, zone, wall, second, told_of_another)


def _after_gap(
    zone: Zone, second: int, walls: Sequence[int], count: int, *, together: bool, hypothetical: bool = False
) -> Iterator[Adjustment]:
    for jump in jumps_near(zone, second):
        if jump.at == second:
            ending = reasons.after_gap(jump, walls, count, together=together, hypothetical=hypothetical)
            yield reasons.gap(zone.name, jump, walls, count, ending)


def _in_fold(timing: Timing, zone: Zone, wall: int, second: int, told_of_another: bool) -> Iterator[Adjustment]:
    shown = showings(zone, wall)
    if len(shown) > 1 and second in shown:
        ending = reasons.this_showing(shown.index(second), len(shown))
        if told_of_another:
            fires = [number for number, at in enumerate(shown) if at == second or _fires(timing, at)]
            ending = reasons.fires_at(fires, len(shown))
        yield reasons.fold(zone.name, wall, len(shown), ending)


def _fires(timing: Timing, second: int) -> bool:
    at = from_second(second)
    return latest_occurrence(timing, at) == at
