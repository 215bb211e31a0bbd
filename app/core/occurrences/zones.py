"""IANA time zones from the `tzdata` package: which names exist, and when each zone's offset changes.

Only the package counts, never the machine's own zone files, so that every process computes the same instants. A zone
is read once and kept as integers; no file is opened on the way of a firing.
"""

import re
from array import array
from bisect import bisect_right
from functools import cached_property, lru_cache
from importlib.resources import files

import tzdata  # type: ignore[import-untyped]

from app.core.errors import InvalidScheduleException
from app.core.occurrences.instants import quoted
from app.core.occurrences.tzif import YearRule, read_tzif

BASE = 4_133_980_800  # 2101-01-01T00:00:00Z: after every change, and every day off, that is listed rather than ruled
CYCLE = 146_097 * 86_400  # 400 years: the Gregorian calendar, weekdays and yearly rules repeat
END = BASE + CYCLE
_BEGINNING = -(10**12)
_LONGEST_NAME = 64
_EXAMPLES = "examples are 'UTC', 'Europe/Berlin', 'America/New_York'"
_OFFSET = re.compile(r"Z|(?:UTC|GMT)? ?([+-])([0-9]{1,2})(?::?([0-9]{2}))?", re.IGNORECASE)
PLACES = {
    "AEDT": "Australia/Sydney",
    "AEST": "Australia/Sydney",
    "BST": "Europe/London",
    "CDT": "America/Chicago",
    "CEST": "Europe/Berlin",
    "CST": "America/Chicago",
    "EDT": "America/New_York",
    "EEST": "Europe/Athens",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    "MDT": "America/Denver",
    "MSK": "Europe/Moscow",
    "NZDT": "Pacific/Auckland",
    "NZST": "Pacific/Auckland",
    "PDT": "America/Los_Angeles",
    "PST": "America/Los_Angeles",
}
"""For abbreviations that are no names of zones, one of the places whose clocks are said to show them."""


class Zone:
    """A zone as spans of constant offset, up to `END`; what lies later repeats the cycle from `BASE` to `END`.

    Span *i* reaches from `starts[i]` up to (not including) `starts[i + 1]`, in UTC seconds, with the wall clock
    `offsets[i]` seconds ahead of UTC.
    """

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        compiled = read_tzif(content)
        starts, offsets = [_BEGINNING], [compiled.first_offset]

        def change(second: int, offset: int) -> None:
            # A change of name or of the daylight flag alone is none here.
            if offset != offsets[-1]:
                starts.append(second)
                offsets.append(offset)

        for second, offset in compiled.changes:
            change(second, offset)
        if compiled.rule is not None:
            listed_to = compiled.changes[-1][0] if compiled.changes else _BEGINNING
            for second, offset in _ruled_changes(compiled.rule):
                if second > listed_to:
                    change(second, offset)
        self.starts = array("q", [*starts, END])
        self.offsets = array("i", offsets)

    @cached_property
    def wild_floors(self) -> "array[int]":
        """For each span, the first wall second that fires in it, when every real second of the wall clock counts."""
        return array("q", [start + offset for start, offset in zip(self.starts, self.offsets, strict=False)])

    @cached_property
    def fixed_floors(self) -> "array[int]":
        """The same where each wall second counts once: the first after all that earlier spans have shown.

        A floor below the span's own first wall second is a gap, whose seconds fall on the span's first instant. One
        above it is a fold, whose second showing counts for nothing.
        """
        floors = [_BEGINNING + self.offsets[0]]
        for index in range(len(self.offsets) - 1):
            floors.append(max(floors[-1], self.starts[index + 1] + self.offsets[index]))
        return array("q", floors)

    @cached_property
    def skipping_floors(self) -> "array[int]":
        """The same where only a wall second's first showing counts, and one that is jumped over counts for nothing."""
        return array("q", map(max, self.fixed_floors, self.wild_floors))

    @cached_property
    def repeating_floors(self) -> "array[int]":
        """The same where every showing counts, and what is jumped over falls on the span's first instant."""
        return array("q", map(min, self.fixed_floors, self.wild_floors))

    def span_at(self, second: int) -> int:
        """The index of the span that holds a UTC second before `END`."""
        return bisect_right(self.starts, second) - 1

    def offset_at(self, second: int) -> int:
        """Seconds that the wall clock is ahead of UTC at a UTC second."""
        return self.offsets[self.span_at(second - cycles_before(second) * CYCLE)]

    def first_showing(self, wall: int) -> int:
        """The UTC second at which the wall clock first shows `wall`, or first shows more where it skips that."""
        shift = cycles_before(wall) * CYCLE
        index = bisect_right(self.fixed_floors, wall - shift) - 1
        return max(wall - shift - self.offsets[index], self.starts[index]) + shift


@lru_cache(maxsize=256)
def _ruled_changes(rule: YearRule) -> list[tuple[int, int]]:
    """What a rule says up to `END`. Zones share a few rules, and each lists its changes up to when its rule began."""
    return [change for year in range(1900, 2501) for change in rule.changes(year)]


def cycles_before(second: int) -> int:
    """How many whole cycles to go back to arrive before `END`."""
    return max(0, (second - BASE) // CYCLE)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Every name of the package, by its own small letters."""
    listed = files("tzdata").joinpath("zones").read_text(encoding="ascii").split()
    return {name.lower(): name for name in listed}


@lru_cache(maxsize=1024)
def load_zone(name: str) -> Zone:
    """The zone of that IANA name.

    Raises:
        InvalidScheduleException: no such zone; wrong capitals are refused with the right name.
    """
    # Looked up in the list, and only then opened: a name is never made into a path unseen.
    known = _names().get(name.lower()) if len(name) <= _LONGEST_NAME else None
    if known is None:
        raise _refusal(name, f"no such IANA time zone; {_meant(name) if len(name) <= _LONGEST_NAME else _EXAMPLES}")
    if known != name:
        raise _refusal(name, f"names of zones keep their capitals: write '{known}'")
    return Zone(name, files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes())


@lru_cache(maxsize=1)
def _by_last_part() -> dict[str, list[str]]:
    """The names by what stands after their last slash, in small letters."""
    found: dict[str, list[str]] = {}
    for name in sorted(_names().values()):
        if "/" in name:
            found.setdefault(name.rpartition("/")[2].lower(), []).append(name)
    return found


def _meant(name: str) -> str:
    """What to write for a city, an offset or an abbreviation."""
    if offset := _OFFSET.fullmatch(name):
        return _of_offset(offset[1] or "", int(offset[2] or 0), int(offset[3] or 0))
    if ends_so := _by_last_part().get(name.rpartition("/")[2].lower().replace(" ", "_")):
        return f"write {' or '.join(map(repr, ends_so))}"
    if place := PLACES.get(name.upper()):
        return f"an abbreviation names no place, as '{place}' does"
    return _EXAMPLES


def _of_offset(sign: str, hours: int, minutes: int) -> str:
    if not hours and not minutes:
        return "write 'UTC'"
    if minutes or hours > (12 if sign == "-" else 14):
        return (
            "a fixed offset is whole hours, from 'Etc/GMT-14' (ahead of UTC) to 'Etc/GMT+12' (behind it); name a place "
            "for any other, as 'Asia/Kolkata'"
        )
    inverted, side = ("+", "behind") if sign == "-" else ("-", "ahead of")
    return f"'Etc/GMT{inverted}{hours}' is {hours} hour{'s' if hours > 1 else ''} {side} UTC: its sign is inverted"


def tzdata_version() -> str:
    """The release of the IANA rules in force, such as `2026a`."""
    return str(tzdata.IANA_VERSION)


def _refusal(name: object, problem: str) -> InvalidScheduleException:
    return InvalidScheduleException.of("timezone", f"timezone {quoted(name)}: {problem}")
