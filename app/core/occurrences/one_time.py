"""One instant: given as a wall-clock reading in a zone, and kept off the days on which a schedule does not fire."""

from datetime import datetime, timedelta

from app.core.errors import InvalidScheduleException
from app.core.occurrences.business_days import BusinessDays
from app.core.occurrences.instants import (
    DAY_SECONDS,
    EPOCH_ORDINAL,
    LAST_ORDINAL,
    MAX_SECOND,
    MIN_SECOND,
    from_second,
    quoted,
    wall_second,
)
from app.core.occurrences.listed_days import business_day_set
from app.core.occurrences.zones import Zone, load_zone


def resolve_wall_clock(naive: datetime, timezone: str, *, field: str = "scheduled_time") -> datetime:
    """The UTC instant at which the clocks of a zone show `naive`, to the millisecond.

    Read as a fixed cron expression is: a time that the zone skips means the first instant after the gap, one that
    it shows twice means the first. `naive` carries no offset; its `fold` is ignored.

    Raises:
        InvalidScheduleException: an unknown zone, or an instant outside the years 0001 to 9999.
    """
    zone = load_zone(timezone)
    wall = wall_second(naive)
    second = zone.first_showing(wall)
    if not MIN_SECOND <= second <= MAX_SECOND:
        raise InvalidScheduleException.of(
            field, f"{field} {quoted(naive.isoformat())}: in UTC it lies outside the years 0001 to 9999"
        )
    skipped = second + zone.offset_at(second) != wall
    milliseconds = 0 if skipped else naive.microsecond // 1000
    return from_second(second) + timedelta(milliseconds=milliseconds)


def moved_wall(days: BusinessDays, zone: Zone, instant: int) -> int | None:
    """The wall-clock second at which a UTC millisecond fires that keeps these days; None where it does not."""
    second = instant // 1000
    wall = second + zone.offset_at(second)
    ordinal = wall // DAY_SECONDS + EPOCH_ORDINAL
    if not days.moves:
        return None if days.is_off(ordinal) else wall
    # At the ends of the calendar a clock may show a day that is in no year.
    if days.is_business_day(ordinal) or not 1 <= ordinal <= LAST_ORDINAL:
        return wall
    landing = business_day_set(days).landing(ordinal)
    return None if landing is None else wall + (landing - ordinal) * DAY_SECONDS


def kept_off(days: BusinessDays, timezone: str, instant: int) -> int | None:
    """Where a UTC millisecond comes to lie that keeps these days; None where it does not fire.

    On another day it has the same wall-clock time, read as `resolve_wall_clock` does.

    Raises:
        InvalidScheduleException: an unknown zone.
    """
    zone = load_zone(timezone)
    wall = moved_wall(days, zone, instant)
    second, millisecond = divmod(instant, 1000)
    if wall is None or wall == second + zone.offset_at(second):
        return None if wall is None else instant
    second = zone.first_showing(wall)
    if not MIN_SECOND <= second <= MAX_SECOND:
        return None
    skipped = second + zone.offset_at(second) != wall
    return second * 1000 + (0 if skipped else millisecond)
