"""Instants as the integers that all arithmetic here is done on.

Searching works on whole seconds and milliseconds since the epoch, never on zoned datetimes: those cost more than the
search itself, and overflow at the ends of the calendar.
"""

from datetime import date, datetime, timedelta

from app.core.clock import EPOCH, MILLISECOND

DAY_SECONDS = 86_400
EPOCH_ORDINAL = 719_163  # of 1970-01-01
LAST_ORDINAL = date.max.toordinal()
MIN_SECOND = -62_135_596_800  # 0001-01-01T00:00:00Z
MAX_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
MAX_MS = MAX_SECOND * 1000 + 999

# Multiplying one of these costs a third of making a timedelta out of a large number.
_SECOND = timedelta(seconds=1)


def quoted(value: object) -> str:
    """A caller's value for a message: in quotes, escaped, and never longer than a line."""
    text = ascii(str(value)[:161])
    return text if len(text) <= 162 else f"{text[:160]}…'"


def floor_second(instant: datetime) -> int:
    """Whole seconds since the epoch, rounded down."""
    since = instant - EPOCH
    return since.days * DAY_SECONDS + since.seconds


def from_second(second: int) -> datetime:
    """The UTC instant that many seconds after the epoch; the caller keeps to `MIN_SECOND`..`MAX_SECOND`."""
    return EPOCH + _SECOND * second


def from_millisecond(millisecond: int) -> datetime:
    """The UTC instant that many milliseconds after the epoch; the same range."""
    return EPOCH + MILLISECOND * millisecond


def wall_second(naive: datetime) -> int:
    """A wall-clock reading as seconds since 1970-01-01 on the same clock, rounded down."""
    return (
        naive.toordinal() * DAY_SECONDS
        + naive.hour * 3600
        + naive.minute * 60
        + naive.second
        + MIN_SECOND
        - DAY_SECONDS
    )


def month_length(year: int, month: int) -> int:
    """Days in that month of the Gregorian calendar."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def year_length(year: int) -> int:
    """Days in that year of the Gregorian calendar."""
    return 365 if year % 4 or (year % 100 == 0 and year % 400) else 366
