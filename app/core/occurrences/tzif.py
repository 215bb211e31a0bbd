"""Reading a compiled zone (TZif, RFC 9636) and its rule for the future (the POSIX TZ string in its footer).

`zoneinfo` answers what the offset is at an instant, but not when it changes next; a search that only asks for offsets
has to probe. These few lines read the changes themselves; a test holds them against `zoneinfo` in every zone.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from app.core.occurrences.instants import DAY_SECONDS, EPOCH_ORDINAL, month_length

_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)"
_TIME = r"[+-]?\d{1,3}(?::\d{2}(?::\d{2})?)?"
_DAY = r"(?:M\d{1,2}\.\d\.\d|J\d{1,3}|\d{1,3})"
_POSIX = re.compile(
    rf"{_NAME}({_TIME})(?:{_NAME}({_TIME})?,({_DAY})(?:/({_TIME}))?,({_DAY})(?:/({_TIME}))?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class YearRule:
    """A zone's rule for every year to come: two offsets (seconds east of UTC) and when each begins.

    A change is a day specification of POSIX TZ and seconds after that day's midnight on the clock in force before it.
    """

    standard: int
    daylight: int
    daylight_begins: tuple[str, int]
    standard_begins: tuple[str, int]

    def changes(self, year: int) -> Iterator[tuple[int, int]]:
        """The year's changes in order: (UTC second, offset from then on)."""
        day, seconds = self.daylight_begins
        begin = _day_of(day, year) * DAY_SECONDS + seconds - self.standard
        day, seconds = self.standard_begins
        end = _day_of(day, year) * DAY_SECONDS + seconds - self.daylight
        yield from sorted(((begin, self.daylight), (end, self.standard)))


@dataclass(frozen=True, slots=True)
class CompiledZone:
    """What a TZif file says: the offset before all changes, the changes listed, and the rule after them (or None)."""

    first_offset: int
    changes: tuple[tuple[int, int], ...]
    rule: YearRule | None


def read_tzif(content: bytes) -> CompiledZone:
    """Read the 64-bit part of a TZif file.

    Raises:
        ValueError: not a TZif file of version 2 or later.
    """
    if content[:4] != b"TZif" or content[4:5] < b"2":
        msg = "not a TZif file of version 2 or later"
        raise ValueError(msg)
    # The first part repeats the zone in 32 bits, for old readers; only its size matters.
    at = 44 + _body_size(content, 0, 4)
    transitions, types = struct.unpack_from(">2l", content, at + 32)
    size = _body_size(content, at, 8)
    body = at + 44
    seconds = struct.unpack_from(f">{transitions}q", content, body)
    indexes = content[body + transitions * 8 : body + transitions * 9]
    offsets = [struct.unpack_from(">l", content, body + transitions * 9 + index * 6)[0] for index in range(types)]
    changes = tuple((second, offsets[index]) for second, index in zip(seconds, indexes, strict=True))
    return CompiledZone(offsets[0], changes, _read_rule(content[body + size :].decode("ascii").strip("\n")))


def _body_size(content: bytes, at: int, time_size: int) -> int:
    universal, standard, leaps, transitions, types, characters = struct.unpack_from(">6l", content, at + 20)
    return int(transitions * (time_size + 1) + types * 6 + characters + leaps * (time_size + 4) + standard + universal)


def _read_rule(footer: str) -> YearRule | None:
    """The yearly rule of a POSIX TZ string; None where the offset no longer changes."""
    match = _POSIX.fullmatch(footer)
    if match is None:
        if footer:
            msg = f"not a POSIX TZ string: {footer!r}"
            raise ValueError(msg)
        return None
    standard, daylight, begins, begins_at, ends, ends_at = match.groups()
    if begins is None or ends is None:
        return None
    # POSIX counts offsets westward, and daylight saving is an hour ahead unless it says otherwise.
    east = -_seconds(standard)
    return YearRule(
        standard=east,
        daylight=-_seconds(daylight) if daylight else east + 3600,
        daylight_begins=(begins, _seconds(begins_at or "2")),
        standard_begins=(ends, _seconds(ends_at or "2")),
    )


def _seconds(text: str) -> int:
    hours, minutes, seconds = [*(int(part) for part in text.lstrip("+-").split(":")), 0, 0][:3]
    total = hours * 3600 + minutes * 60 + seconds
    return -total if text.startswith("-") else total


def _day_of(specification: str, year: int) -> int:
    """Days from the epoch to the day that a POSIX TZ rule names in that year."""
    new_year = date(year, 1, 1).toordinal() - EPOCH_ORDINAL
    if specification.startswith("J"):  # 1 to 365; 29 February is never counted
        number = int(specification[1:])
        return new_year + number - (0 if number >= 60 and month_length(year, 2) == 29 else 1)
    if not specification.startswith("M"):  # 0 to 365; 29 February is counted
        return new_year + int(specification)
    month, week, weekday = (int(part) for part in specification[1:].split("."))
    first = date(year, month, 1).toordinal()
    day = 1 + (weekday - first) % 7 + (week - 1) * 7
    if day > month_length(year, month):  # week 5 means the last
        day -= 7
    return first - EPOCH_ORDINAL + day - 1
