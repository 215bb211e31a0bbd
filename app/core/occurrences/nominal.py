"""Which times of a rule come to an instant, whatever its days off and bounds: mostly the one that the clock shows."""

from collections.abc import Iterator
from datetime import date, datetime

from app.core.clock import to_ms
from app.core.occurrences.daylight import ZonedCron, zoned_cron
from app.core.occurrences.instants import DAY_SECONDS, EPOCH_ORDINAL, LAST_ORDINAL
from app.core.occurrences.timing import ScheduleType, Timing
from app.core.occurrences.zones import Zone, load_zone


def nominal_days(timing: Timing, at: datetime) -> tuple[date, ...]:
    """The days that decide whether what a timing fires at an instant is off: those of the times that its rule names.

    Mostly the one that the clock shows then; another one where a gap that reaches midnight moved the time.

    Raises as `next_occurrence` does.
    """
    second = to_ms(at) // 1000
    return tuple(date.fromordinal(ordinal) for ordinal in nominal_ordinals(timing, load_zone(timing.timezone), second))


def nominal_ordinals(timing: Timing, zone: Zone, second: int) -> list[int]:
    """The same of a UTC second, as ordinals; none beyond the ends of the calendar."""
    shown = (second + zone.offset_at(second)) // DAY_SECONDS
    days = [shown]
    if timing.schedule_type is ScheduleType.CRON:
        days = list(_days_named(without_days(timing), second)) or days
    return [day + EPOCH_ORDINAL for day in days if 1 <= day + EPOCH_ORDINAL <= LAST_ORDINAL]


def nominal_times(timing: Timing, second: int, ordinal: int) -> Iterator[int]:
    """The seconds of a day, of those that an expression names, that come to a UTC second."""
    cron, start = without_days(timing), (ordinal - EPOCH_ORDINAL) * DAY_SECONDS
    first, last = cron.nominal_at(second)
    walls = cron.wall_clock.between(max(first, start), min(last, start + DAY_SECONDS - 1) + 1)
    return (wall - start for wall in walls)


def without_days(timing: Timing) -> ZonedCron:
    """The occurrences of an expression as if no day were off."""
    return zoned_cron(timing.cron_expression or "", timing.timezone, timing.dst_policy, None)


def _days_named(cron: ZonedCron, second: int) -> Iterator[int]:
    """The days, counted from the epoch, of the times that come to a UTC second."""
    first, last = cron.nominal_at(second)
    for day in range(first // DAY_SECONDS, last // DAY_SECONDS + 1):
        found = cron.wall_clock.next_at(max(first, day * DAY_SECONDS))
        if found is not None and found <= min(last, (day + 1) * DAY_SECONDS - 1):
            yield day
