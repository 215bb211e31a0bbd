"""Reading instants from text (RFC 3339)."""

import re
from datetime import UTC, datetime, timedelta

from app.core.errors import InvalidScheduleException
from app.core.occurrences.instants import month_length, quoted
from app.core.occurrences.one_time import resolve_wall_clock

_MAX_TEXT = 64
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))?"
)
# In a URL a + stands for a space.
_PLUS_LOST = re.compile(r"([0-9-]{10})[Tt ]([0-9:]{8}(?:\.[0-9]+)?) ([0-9]{2}:[0-9]{2})")
_ZERO = datetime.min.replace(tzinfo=UTC)
_EXAMPLE = "write it as 2026-11-23T17:00:00Z or 2026-11-23T12:00:00-05:00"


def parse_instant(text: str, *, field: str, timezone: str | None) -> datetime:
    """Read an RFC 3339 date-time as a UTC instant, truncated to the millisecond.

    `T` may be small or a space and `Z` may be small, as RFC 3339 section 5.6 allows. A text without an offset is a
    wall-clock reading in `timezone` (see `resolve_wall_clock`); where that is None an offset is required. Leap
    seconds are refused: no schedule can fire in one. So is the very first instant of the year 0001, which programs
    write for "none" (Go's zero time), and which the driver of Postgres takes for `-infinity`: it comes back as another.

    Raises:
        InvalidScheduleException: not such a text, no such day or time, or an instant outside the years 0001 to 9999.
    """
    instant = _instant(text, field, timezone)
    if instant == _ZERO:
        raise _refusal(field, text, "the first instant of the year 0001 stands for none: leave it out, or give null")
    return instant


def _instant(text: str, field: str, timezone: str | None) -> datetime:
    match, naive = _read(text, field)
    if match[8]:
        return naive.replace(tzinfo=UTC)
    if match[9]:
        offset_hours, offset_minutes = int(match[10]), int(match[11])
        if offset_hours > 23 or offset_minutes > 59:
            raise _refusal(field, text, "the offset is out of range -23:59 to +23:59")
        ahead = timedelta(hours=offset_hours, minutes=offset_minutes)
        try:
            return (naive - ahead if match[9] == "+" else naive + ahead).replace(tzinfo=UTC)
        except OverflowError:
            raise _refusal(field, text, "in UTC it lies outside the years 0001 to 9999") from None
    if timezone is None:
        raise _refusal(field, text, f"an offset is needed: {_EXAMPLE}")
    return resolve_wall_clock(naive, timezone, field=field)


def wall_reading(text: str) -> datetime | None:
    """What a text that `parse_instant` accepts says of a wall clock, without an offset; None where it has one."""
    match, naive = _read(text, "instant")
    return None if match[8] or match[9] else naive


def _read(text: str, field: str) -> tuple[re.Match[str], datetime]:
    """The parts of a text, and its date and time without the offset."""
    match = _RFC3339.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None and len(text) <= _MAX_TEXT and (lost := _PLUS_LOST.fullmatch(text)):
        written = f"{lost[1]}T{lost[2]}%2B{lost[3]}"
        raise _refusal(field, text, f"a space stands before its offset; in a URL a + is written %2B, as in {written}")
    if match is None:
        raise _refusal(field, text, f"not an RFC 3339 date and time: {_EXAMPLE}")
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    _check_numbers(field, text, (year, month, day, hour, minute, second))
    fraction = match[7] or ""
    milliseconds = int(fraction[:3].ljust(3, "0"))
    return match, datetime(year, month, day, hour, minute, second, milliseconds * 1000)  # noqa: DTZ001


def _check_numbers(field: str, text: str, numbers: tuple[int, int, int, int, int, int]) -> None:
    year, month, day, hour, minute, second = numbers
    if year == 0:
        raise _refusal(field, text, "year 0 is out of range 0001-9999")
    if not 1 <= month <= 12:
        raise _refusal(field, text, f"month {month} is out of range 1-12")
    last = month_length(year, month)
    if not 1 <= day <= last:
        raise _refusal(field, text, f"day {day} is out of range 1-{last} in {year:04}-{month:02}")
    if hour > 23:
        raise _refusal(field, text, f"hour {hour} is out of range 0-23")
    if minute > 59:
        raise _refusal(field, text, f"minute {minute} is out of range 0-59")
    if second == 60:
        raise _refusal(field, text, "a leap second cannot be scheduled: second 60 is out of range 0-59")
    if second > 59:
        raise _refusal(field, text, f"second {second} is out of range 0-59")


def _refusal(field: str, text: str, problem: str) -> InvalidScheduleException:
    return InvalidScheduleException.of(field, f"{field} {quoted(text)}: {problem}")
