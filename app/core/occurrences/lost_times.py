"""Times of a rule that a clock jumps over and nothing fires for: by `dst_policy`, or because the rule is a wild one."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

from app.core.clock import to_ms
from app.core.occurrences import reasons
from app.core.occurrences.clock_changes import Jump, jumps_between, jumps_near
from app.core.occurrences.cron_fields import parse_cron
from app.core.occurrences.daylight import zoned_cron
from app.core.occurrences.instants import DAY_SECONDS
from app.core.occurrences.policy import Gap
from app.core.occurrences.reasons import Adjustment
from app.core.occurrences.timing import ScheduleType, Timing
from app.core.occurrences.words import HANDFUL
from app.core.occurrences.zones import Zone, load_zone

_Lost = tuple[Jump, int, int]
"""A jump, and the wall-clock seconds to look at of those that it jumps over: from the one up to the other."""


def lost_times(timing: Timing, first: datetime, last: datetime) -> Iterator[Adjustment]:
    """What is lost to the jumps of the clocks from one aware instant up to and at another, for each of the jumps.

    Raises as `next_occurrence` does.
    """
    zone = load_zone(timing.timezone)
    jumps = jumps_between(zone, -(-to_ms(first) // 1000), to_ms(last) // 1000)
    yield from _lost(timing, zone, ((jump, jump.wall_from, jump.wall_to) for jump in jumps))


def lost_near(timing: Timing, zone: Zone, second: int, *, at_it: bool) -> Iterator[Adjustment]:
    """The same on the day that the clock shows at a UTC second, and in a jump that ends then; `at_it`: only there."""
    wall = second + zone.offset_at(second)
    midnight = wall - wall % DAY_SECONDS
    near: list[_Lost] = []
    for jump in jumps_near(zone, second):
        if jump.at == second:
            near.append((jump, jump.wall_from, jump.wall_to))
        elif not at_it:
            near.append((jump, max(jump.wall_from, midnight), min(jump.wall_to, midnight + DAY_SECONDS)))
    yield from _lost(timing, zone, near)


def loses_times(timing: Timing) -> bool:
    """Whether nothing fires for a time that a clock jumps over."""
    if timing.schedule_type is not ScheduleType.CRON:
        return False
    return timing.dst_policy.gap is Gap.SKIP or parse_cron(timing.cron_expression or "").wild


def _lost(timing: Timing, zone: Zone, jumps: Iterable[_Lost]) -> Iterator[Adjustment]:
    if not loses_times(timing):
        return
    expression = timing.cron_expression or ""
    wild = parse_cron(expression).wild
    cron = zoned_cron(expression, timing.timezone, timing.dst_policy, timing.days)
    for jump, start, stop in jumps:
        if not _within_bounds(timing, jump.at * 1000):
            continue
        if count := cron.wall_clock.count(start, stop):
            walls = list(islice(cron.wall_clock.between(start, stop), HANDFUL))
            ending = reasons.SKIPPED_IN_GAP
            if wild:
                ending = reasons.nothing_instead(count, with_seconds=len(expression.split()) == 6)
            yield reasons.gap(zone.name, jump, walls, count, ending)


def _within_bounds(timing: Timing, instant: int) -> bool:
    begun = timing.start_at is None or to_ms(timing.start_at) <= instant
    return begun and (timing.end_at is None or instant <= to_ms(timing.end_at))
