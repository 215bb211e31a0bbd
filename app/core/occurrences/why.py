"""Everything that a timing's rule has to say about an instant: why it fires then, or why it does not."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from app.core.clock import to_ms
from app.core.occurrences import reasons
from app.core.occurrences.adjustments import adjustments
from app.core.occurrences.clock_changes import showings
from app.core.occurrences.cron_fields import parse_cron
from app.core.occurrences.daylight import zoned_cron
from app.core.occurrences.instants import (
    DAY_SECONDS,
    EPOCH_ORDINAL,
    LAST_ORDINAL,
    MIN_SECOND,
    from_millisecond,
    from_second,
)
from app.core.occurrences.lost_times import lost_near
from app.core.occurrences.mismatches import Mismatch, mismatches
from app.core.occurrences.nominal import without_days
from app.core.occurrences.on_days_off import days_off_at
from app.core.occurrences.policy import Fold
from app.core.occurrences.reasons import Adjustment, AdjustmentCause
from app.core.occurrences.search import latest_occurrence, next_occurrence
from app.core.occurrences.timing import ScheduleType, Timing
from app.core.occurrences.words import local_iso
from app.core.occurrences.zones import Zone, load_zone


@dataclass(frozen=True, slots=True)
class Why:
    """What a rule says about an instant.

    `at` is the instant; `fires` says whether it is an occurrence. `mismatches` are empty for one, `adjustments` say why
    it stands there. `not_there` are times of the rule that do not fire where one may expect them: on the day of the
    instant, or at it; for an occurrence only those that the clock jumps over to come to it. `bound` is a sentence where
    the instant lies before `start_at` or after `end_at`. `previous` and `next` are the occurrences around it, in UTC.
    """

    at: datetime
    fires: bool
    mismatches: tuple[Mismatch, ...]
    not_there: tuple[Adjustment, ...]
    adjustments: tuple[Adjustment, ...]
    bound: str | None
    previous: datetime | None
    next: datetime | None


def why(timing: Timing, at: datetime) -> Why:
    """What a timing has to say about an aware instant, of which parts below the millisecond are dropped.

    Raises as `next_occurrence` does.
    """
    instant = to_ms(at)
    at, zone = from_millisecond(instant), load_zone(timing.timezone)
    fires = latest_occurrence(timing, at) == at
    # Where only a day off or a bound stands in the way, the fields have nothing against the instant, even if the clock
    # shows another time there than they name: one that a gap moved.
    named = fires or _is_named(timing, instant)
    before = instant - 1
    return Why(
        at=at,
        fires=fires,
        mismatches=() if named else mismatches(timing, instant),
        not_there=tuple(dict.fromkeys(_not_there(timing, zone, instant, fires=fires, named=named))),
        adjustments=adjustments(timing, at) if fires else (),
        bound=_bound(timing, zone, instant),
        previous=latest_occurrence(timing, from_millisecond(before)) if before >= MIN_SECOND * 1000 else None,
        next=next_occurrence(timing, at),
    )


def _bound(timing: Timing, zone: Zone, instant: int) -> str | None:
    if timing.start_at is not None and instant < to_ms(timing.start_at):
        return f"it is before start_at, {local_iso(zone, to_ms(timing.start_at))}, the first instant that may fire"
    if timing.end_at is not None and instant > to_ms(timing.end_at):
        return f"it is after end_at, {local_iso(zone, to_ms(timing.end_at))}, the last instant that may fire"
    return None


def _is_named(timing: Timing, instant: int) -> bool:
    """Whether an expression would fire at an instant if it had no bounds and no day were off."""
    if timing.schedule_type is not ScheduleType.CRON or instant % 1000:
        return False
    return without_days(timing).last_until(instant // 1000) == instant // 1000


def _not_there(timing: Timing, zone: Zone, instant: int, *, fires: bool, named: bool) -> Iterator[Adjustment]:
    second = instant // 1000
    wall = second + zone.offset_at(second)
    if not 1 <= wall // DAY_SECONDS + EPOCH_ORDINAL <= LAST_ORDINAL:
        return
    if not fires and instant % 1000 == 0:
        yield from _second_showing(timing, zone, second, wall)
    if not fires and timing.days is not None:
        yield from days_off_at(timing, timing.days, zone, second)
    if named and not fires:
        # Beyond its bounds it is of no interest which of two showings it is.
        beyond = _bound(timing, zone, instant) is not None
        for each in adjustments(_unhindered(timing), from_millisecond(instant), hypothetical=True):
            if each.cause is AdjustmentCause.GAP or not beyond:
                yield each
    yield from lost_near(timing, zone, second, at_it=fires)


def _unhindered(timing: Timing) -> Timing:
    return replace(timing, days=None, start_at=None, end_at=None)


def _second_showing(timing: Timing, zone: Zone, second: int, wall: int) -> Iterator[Adjustment]:
    """A time of a fixed rule that the clock shows now, and showed before.

    On a day that is skipped, or within the bounds of the schedule at this showing alone, it did not fire before either.
    """
    if timing.schedule_type is not ScheduleType.CRON or timing.dst_policy.fold is not Fold.ONCE:
        return
    expression = timing.cron_expression or ""
    if parse_cron(expression).wild:
        return
    shown = showings(zone, wall)
    moves = timing.days is not None and timing.days.moves
    cron = zoned_cron(expression, timing.timezone, timing.dst_policy, timing.days if moves else None)
    if len(shown) > 1 and second > shown[0] and cron.wall_clock.next_at(wall) == wall:
        first = from_second(shown[0])
        fired = latest_occurrence(timing, first) == first
        ending = reasons.FIRST_SHOWING_ONLY if fired else reasons.WOULD_AT_FIRST_SHOWING_ONLY
        yield reasons.fold(zone.name, wall, len(shown), ending)
