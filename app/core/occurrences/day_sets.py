"""Sets of days to search: those that a cron expression names, and what `listed_days` makes of them.

A day is its proleptic ordinal (`date.toordinal`). A set answers for a whole year at once, as bits of which bit 0 is
1 January; nothing is stepped through day by day.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import date

from app.core.occurrences.instants import LAST_ORDINAL, year_length


class DaySet(ABC):
    """A set of days of the years 0001 to 9999; `every_day` says that it holds all of them."""

    __slots__ = ("_recent", "every_day")

    first_year = 1
    last_year = 9999

    def __init__(self, *, every_day: bool = False) -> None:
        self.every_day = every_day
        # The year last looked at (its first ordinal, that of the next year, its days): searches stay near each other.
        self._recent = (0, 0, 0)

    @abstractmethod
    def in_year(self, year: int, first: int, length: int) -> int:
        """The days of a year of that length, whose 1 January has the ordinal `first`."""

    def holds(self, ordinal: int) -> bool:
        """Whether a day is one of the set."""
        first, stop, days = self._recent
        if not first <= ordinal < stop:
            first, _, days = self._look_at(ordinal)
        return days >> ordinal - first & 1 == 1

    def next_day(self, ordinal: int) -> int | None:
        """The first day of the set at or after one; None where the calendar ends first."""
        if ordinal > LAST_ORDINAL:
            return None
        first, stop, days = self._recent
        if not first <= ordinal < stop:
            first, stop, days = self._look_at(ordinal)
        days = days >> ordinal - first << ordinal - first
        if not days:
            year = date.fromordinal(first).year
            while not days:
                first, year = stop, year + 1
                if year > self.last_year:
                    return None
                length = year_length(year)
                days, stop = self.in_year(year, first, length), first + length
        return first + (days & -days).bit_length() - 1

    def previous_day(self, ordinal: int) -> int | None:
        """The last day of the set at or before one; None where the calendar begins after it."""
        if ordinal < 1:
            return None
        first, stop, days = self._recent
        if not first <= ordinal < stop:
            first, stop, days = self._look_at(ordinal)
        days &= (2 << ordinal - first) - 1
        if not days:
            year = date.fromordinal(first).year
            while not days:
                year -= 1
                if year < self.first_year:
                    return None
                length = year_length(year)
                first -= length
                days = self.in_year(year, first, length)
        return first + days.bit_length() - 1

    def between(self, start: int, stop: int) -> Iterator[int]:
        """The days of the set from `start` up to, not including, `stop`, one after the other."""
        day = self.next_day(start)
        while day is not None and day < stop:
            yield day
            day = self.next_day(day + 1)

    def count(self, start: int, stop: int) -> int:
        """How many days of the set lie from `start` up to, not including, `stop`."""
        if stop <= start:
            return 0
        year = date.fromordinal(start).year
        first = date(year, 1, 1).toordinal()
        total = -(self.in_year(year, first, year_length(year)) & (1 << start - first) - 1).bit_count()
        while first < stop:
            length = year_length(year)
            days = self.in_year(year, first, length)
            if stop - first < length:
                days &= (1 << stop - first) - 1
            total += days.bit_count()
            first, year = first + length, year + 1
        return total

    def _look_at(self, ordinal: int) -> tuple[int, int, int]:
        year = date.fromordinal(ordinal).year
        first, length = date(year, 1, 1).toordinal(), year_length(year)
        self._recent = recent = first, first + length, self.in_year(year, first, length)
        return recent


class RuleDays(DaySet):
    """The days that the expression names, by the shape of the year (see `CronFields.days`)."""

    __slots__ = ("_table",)

    def __init__(self, table: tuple[int, ...]) -> None:
        super().__init__(every_day=all(days.bit_count() == 365 + shape // 7 for shape, days in enumerate(table)))
        self._table = table

    def in_year(self, year: int, first: int, length: int) -> int:
        # An ordinal divided by seven leaves 0 for Sunday.
        return self._table[first % 7 + 7 * (length - 365)]
