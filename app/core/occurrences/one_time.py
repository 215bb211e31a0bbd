"""One instant, given as a wall-clock reading in a zone."""

from datetime import datetime, timedelta

from app.core.errors import InvalidScheduleException
from app.core.occurrences.instants import MAX_SECOND, MIN_SECOND, from_second, quoted, wall_second
from app.core.occurrences.zones import load_zone


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
