"""Calendars: named lists of days that are off or worked, and what several of them come to for a schedule.

A calendar's days come from its caller, or were copied from a country's public holidays (its source). Each day knows
which of the two it is, so that a refresh of the source leaves the caller's own alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from app.core.occurrences import BusinessDays, OnDayOff

FIRST_YEAR = 1970
LAST_YEAR = 2099
MAX_ENTRIES = 1000
"""Ranges in one calendar, off and worked together, copied ones included."""
DEFAULT_WEEKEND = frozenset({6, 0})
"""Saturday and Sunday; days of the week are counted as in cron, from 0 for Sunday."""


@dataclass(frozen=True, slots=True)
class Days:
    """A range of days, `first` and `last` included, with the caller's or the holiday's name for it."""

    first: date
    last: date
    label: str | None = None
    from_source: bool = False


@dataclass(frozen=True, slots=True)
class Fill:
    """Whose public holidays to copy, and of which years (both included). `region` is null for those of all regions."""

    country: str
    region: str | None
    first_year: int
    last_year: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where copied days are from, and the weekend of that country; null where it has no days of the week off."""

    fill: Fill
    package_version: str
    filled_at: datetime
    weekend: frozenset[int]


@dataclass(frozen=True, slots=True)
class Holidays:
    """What a country's holidays come to: days off, and days worked that make up for others."""

    days_off: tuple[Days, ...]
    days_worked: tuple[Days, ...]
    weekend: frozenset[int]
    package_version: str


@dataclass(frozen=True, slots=True)
class CalendarDefinition:
    """What a caller says of a calendar: its own days, and what to copy. A null `weekend` is the source's, or usual."""

    name: str
    description: str | None
    days_off: tuple[Days, ...]
    days_worked: tuple[Days, ...]
    weekend: frozenset[int] | None
    fill: Fill | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What decides about days in a calendar: its days, the caller's weekend (null: none was given), and the source."""

    days_off: tuple[Days, ...]
    days_worked: tuple[Days, ...]
    own_weekend: frozenset[int] | None
    source: Source | None

    @property
    def weekend(self) -> frozenset[int]:
        """The days of the week that are off: the caller's, else the source's, else Saturday and Sunday."""
        if self.own_weekend is not None:
            return self.own_weekend
        return DEFAULT_WEEKEND if self.source is None else self.source.weekend

    def same_days(self, other: "Contents") -> bool:
        """Whether each day is off, worked or of the weekend in both alike, whatever it is called."""
        return _business_days([self], OnDayOff.SKIP) == _business_days([other], OnDayOff.SKIP)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A stored calendar.

    `revision` counts changes by callers; `days_revision` is the last one that changed a day, and `recomputed_revision`
    the last one that every schedule which keeps the calendar is known to have been computed by.
    """

    calendar_id: UUID
    community_id: int
    name: str
    description: str | None
    contents: Contents
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    revision: int
    days_revision: int
    recomputed_revision: int

    @property
    def recomputed(self) -> bool:
        """Whether every schedule that keeps it has been computed by its present days."""
        return self.recomputed_revision >= self.days_revision


@dataclass(frozen=True, slots=True)
class Difference:
    """What a refresh of the source brings; `kept_own` counts the caller's own ranges, which it leaves alone."""

    days_off_added: tuple[Days, ...]
    days_off_removed: tuple[Days, ...]
    days_worked_added: tuple[Days, ...]
    days_worked_removed: tuple[Days, ...]
    kept_own: int


def merged(calendars: Sequence[Calendar], on_day_off: OnDayOff) -> BusinessDays:
    """The days of several calendars as one: a day that any of them has off is off, unless any of them has it worked."""
    return _business_days([calendar.contents for calendar in calendars], on_day_off)


def composed(
    own_off: Iterable[Days],
    own_worked: Iterable[Days],
    weekend: frozenset[int] | None,
    copied: Holidays | None,
    source: Source | None,
) -> Contents:
    """A calendar's contents from the caller's own days and those that were copied, each list in order."""
    off, worked = list(own_off), list(own_worked)
    if copied is not None:
        off += copied.days_off
        worked += copied.days_worked
    return Contents(_in_order(off), _in_order(worked), weekend, source)


def own(days: Iterable[Days]) -> Iterator[Days]:
    """Those that the caller gave."""
    return (each for each in days if not each.from_source)


def copied_of(contents: Contents) -> Holidays | None:
    """What was copied from the source, as it stands in the calendar; null without a source."""
    source = contents.source
    if source is None:
        return None
    off = tuple(each for each in contents.days_off if each.from_source)
    worked = tuple(each for each in contents.days_worked if each.from_source)
    return Holidays(off, worked, source.weekend, source.package_version)


def difference(before: Contents, after: Contents) -> Difference:
    """What changes in the copied days from one state of a calendar to another."""
    off_added, off_removed = _changes(before.days_off, after.days_off)
    worked_added, worked_removed = _changes(before.days_worked, after.days_worked)
    kept = sum(1 for _ in own(before.days_off)) + sum(1 for _ in own(before.days_worked))
    return Difference(off_added, off_removed, worked_added, worked_removed, kept)


def _changes(before: Sequence[Days], after: Sequence[Days]) -> tuple[tuple[Days, ...], tuple[Days, ...]]:
    old, new = set(before), set(after)
    return _in_order(new - old), _in_order(old - new)


def _in_order(days: Iterable[Days]) -> tuple[Days, ...]:
    return tuple(sorted(days, key=lambda each: (each.first, each.last, each.from_source, each.label or "")))


def _business_days(contents: Sequence[Contents], on_day_off: OnDayOff) -> BusinessDays:
    return BusinessDays.merged(
        on_day_off,
        days_off=[(each.first, each.last) for one in contents for each in one.days_off],
        days_worked=[(each.first, each.last) for one in contents for each in one.days_worked],
        weekend=frozenset().union(*(one.weekend for one in contents)),
    )
