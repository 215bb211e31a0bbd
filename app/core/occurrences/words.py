"""Days, times and durations as they are said in sentences."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta, timezone

from app.core.occurrences.instants import DAY_SECONDS, EPOCH_ORDINAL, from_millisecond
from app.core.occurrences.zones import Zone

HANDFUL = 5
"""How many of a number of things are named one by one."""
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

_UNITS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000), ("millisecond", 1))


def listed(words: Iterable[str], *, of: int = 0, last: str = "and") -> str:
    """Words as a list: "a", "a and b", "a, b and c"; where they are some `of` more, "a, b and 7 more"."""
    named = [word for word in words if word]
    if of > len(named):
        named.append(f"{of - len(named)} more")
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} {last} {named[-1]}"


def day_in_words(ordinal: int) -> str:
    """Such as "Friday 2026-12-25"."""
    day = date.fromordinal(ordinal)
    return f"{WEEKDAYS[ordinal % 7]} {day.isoformat()}"


def time_in_words(time: int) -> str:
    """A second of the day, such as "02:30", or "02:30:15" where it is not a whole minute."""
    minutes, second = divmod(time, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}" + (f":{second:02}" if second else "")


def iso_date(wall: int) -> str:
    """The date of a wall-clock second."""
    return date.fromordinal(wall // DAY_SECONDS + EPOCH_ORDINAL).isoformat()


def wall_iso(wall: int) -> str:
    """A wall-clock second in ISO 8601, without an offset."""
    time = wall % DAY_SECONDS
    return f"{iso_date(wall)}T{time // 3600:02}:{time // 60 % 60:02}:{time % 60:02}"


def local_iso(zone: Zone, instant: int) -> str:
    """A UTC millisecond on the clock of a zone, in ISO 8601 with its offset; in UTC where that clock's year is none."""
    utc = from_millisecond(instant)
    try:
        local = utc.astimezone(timezone(timedelta(seconds=zone.offset_at(instant // 1000))))
    except OverflowError:
        local = utc
    return local.isoformat(timespec="milliseconds" if instant % 1000 else "seconds")


def duration_in_words(milliseconds: int) -> str:
    """Such as "1 hour, 2 minutes and 3 seconds"; the length is not 0."""
    return listed(_parts(milliseconds))


def _parts(milliseconds: int) -> Sequence[str]:
    parts = []
    for unit, size in _UNITS:
        number, milliseconds = divmod(milliseconds, size)
        if number:
            parts.append(f"{number} {unit}" + ("s" if number > 1 else ""))
    return parts
