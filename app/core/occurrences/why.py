"""Everything that a timing's rule has to say about an instant: why it fires then, or why it does not."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice

from app.core.clock import to_ms
from app.core.occurrences import interval, reasons
from app.core.occurrences.adjustments import adjustments
from app.core.occurrences.business_days import BusinessDays
from app.core.occurrences.clock_changes import showings
from app.core.occurrences.cron_fields import parse_cron
from app.core.occurrences.day_sets import RuleDays
from app.core.occurrences.daylight import ZonedCron, zoned_cron
from app.core.occurrences.describe import describe
from app.core.occurrences.instants import (
    DAY_SECONDS,
    EPOCH_ORDINAL,
    LAST_ORDINAL,
    MIN_SECOND,
    from_millisecond,
    from_second,
)
from app.core.occurrences.listed_days import business_day_set
from app.core.occurrences.lost_times import lost_near
from app.core.occurrences.mismatches import Mismatch, mismatches
from app.core.occurrences.policy import Fold
from app.core.occurrences.reasons import Adjustment, AdjustmentCause
from app.core.occurrences.search import interval_grid, latest_occurrence, next_occurrence
from app.core.occurrences.timing import ScheduleType, Timing
from app.core.occurrences.wall_clock import WallClock
from app.core.occurrences.words import HANDFUL, local_iso
from app.core.occurrences.zones import Zone, load_zone


@dataclass(frozen=True, slots=True)
class Why:
    """What a rule says about an instant.

    `at` is the instant, `local_time` what the clock of the schedule's zone shows then (ISO 8601 with its offset);
    `fires` says whether it is an occurrence. `mismatches` are empty for one, `adjustments` say why it stands there.
    `not_there` are times of the rule that do not fire where one may expect them: on the day of the instant, or at it;
    for an occurrence only those that the clock jumps over to come to it.
    `bound` is a sentence where the instant lies before `start_at` or after `end_at`. `previous` and `next` are the
    occurrences around it, in UTC.
    """

    at: datetime
    local_time: str
    fires: bool
    rule_text: str
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
        local_time=local_iso(zone, instant),
        fires=fires,
        rule_text=describe(timing),
        mismatches=() if named else mismatches(timing, instant),
        not_there=tuple(_not_there(timing, zone, instant, fires=fires, named=named)),
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


def nominal_days(timing: Timing, at: datetime) -> tuple[date, ...]:
    """The days that decide whether what a timing fires at an instant is off: those of the times that its rule names.

    Mostly the one that the clock shows then; another one where a gap that reaches midnight moved the time.

    Raises as `next_occurrence` does.
    """
    second = to_ms(at) // 1000
    return tuple(date.fromordinal(ordinal) for ordinal in _ordinals(timing, load_zone(timing.timezone), second))


def _is_named(timing: Timing, instant: int) -> bool:
    """Whether an expression would fire at an instant if it had no bounds and no day were off."""
    if timing.schedule_type is not ScheduleType.CRON or instant % 1000:
        return False
    return _without_days(timing).last_until(instant // 1000) == instant // 1000


def _without_days(timing: Timing) -> ZonedCron:
    return zoned_cron(timing.cron_expression or "", timing.timezone, timing.dst_policy, None)


def _ordinals(timing: Timing, zone: Zone, second: int) -> list[int]:
    shown = (second + zone.offset_at(second)) // DAY_SECONDS
    days = [shown]
    if timing.schedule_type is ScheduleType.CRON:
        days = list(_days_named(_without_days(timing), second)) or days
    return [day + EPOCH_ORDINAL for day in days if 1 <= day + EPOCH_ORDINAL <= LAST_ORDINAL]


def _days_named(cron: ZonedCron, second: int) -> Iterator[int]:
    """The days, counted from the epoch, of the times that come to a UTC second."""
    first, last = cron.nominal_at(second)
    for day in range(first // DAY_SECONDS, last // DAY_SECONDS + 1):
        found = cron.wall_clock.next_at(max(first, day * DAY_SECONDS))
        if found is not None and found <= min(last, (day + 1) * DAY_SECONDS - 1):
            yield day


def _not_there(timing: Timing, zone: Zone, instant: int, *, fires: bool, named: bool) -> Iterator[Adjustment]:
    second = instant // 1000
    wall = second + zone.offset_at(second)
    if not 1 <= wall // DAY_SECONDS + EPOCH_ORDINAL <= LAST_ORDINAL:
        return
    if not fires and instant % 1000 == 0:
        yield from _second_showing(timing, zone, second, wall)
    if not fires and timing.days is not None:
        yield from _days_off(timing, timing.days, zone, second)
    if named and not fires:
        # Beyond its bounds it is of no interest which of two showings it is.
        beyond = _bound(timing, zone, instant) is not None
        for each in adjustments(_unhindered(timing), from_millisecond(instant), hypothetical=True):
            if each.cause is AdjustmentCause.GAP or not beyond:
                yield each
    yield from lost_near(timing, zone, second, at_it=fires)


def _unhindered(timing: Timing) -> Timing:
    return replace(timing, days=None, start_at=None, end_at=None)


def _days_off(timing: Timing, days: BusinessDays, zone: Zone, second: int) -> Iterator[Adjustment]:
    for ordinal in _ordinals(timing, zone, second):
        if _is_dropped(days, ordinal):
            times = list(islice(_times_on(timing, zone, ordinal), HANDFUL))
            if times:
                yield reasons.day_off(days, [ordinal], 1, times, _what_becomes(days, ordinal))


def _is_dropped(days: BusinessDays, ordinal: int) -> bool:
    """Whether what falls on a day does not fire on it."""
    return not days.is_business_day(ordinal) if days.moves else days.is_off(ordinal)


def _what_becomes(days: BusinessDays, ordinal: int) -> str:
    if not days.moves:
        return reasons.SKIPPED_ON_DAY_OFF
    return reasons.moved_to(days, business_day_set(days).landing(ordinal))


def _times_on(timing: Timing, zone: Zone, ordinal: int) -> Iterator[int]:
    """The times of a day at which a rule would fire if the day were as any other."""
    start = (ordinal - EPOCH_ORDINAL) * DAY_SECONDS
    if timing.schedule_type is ScheduleType.CRON:
        fields = parse_cron(timing.cron_expression or "")
        walls = WallClock(fields, RuleDays(fields.days)).between(start, start + DAY_SECONDS)
        yield from (wall - start for wall in walls)
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
