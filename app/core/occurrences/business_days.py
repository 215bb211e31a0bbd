"""Days on which a schedule does not fire as its rule says, and what happens to an occurrence on one of them."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from weakref import WeakKeyDictionary, ref

FIRST_LISTED_YEAR, LAST_LISTED_YEAR = 1970, 2099
"""The years whose days may be listed. Before and after them only the weekend counts: from there on all repeats."""
SATURDAY_AND_SUNDAY = frozenset({6, 0})

Ranges = tuple[tuple[int, int], ...]

_WEEK = 7
_NO_ORDINAL_IS_AS_LARGE = 1 << 32
# Every seventh bit of more than a year, by the first of them.
_EACH_SEVENTH = tuple(sum(1 << day for day in range(first, 372, _WEEK)) for first in range(_WEEK))


class OnDayOff(StrEnum):
    """What becomes of an occurrence whose day (in the schedule's zone) is off."""

    SKIP = "skip"
    """It does not fire, and is recorded as skipped. Only listed days off count, not the weekend."""
    NEXT_BUSINESS_DAY = "next_business_day"
    """It fires at the same wall-clock time on the first business day after; so does one on a weekend."""
    PREVIOUS_BUSINESS_DAY = "previous_business_day"
    """It fires at the same wall-clock time on the last business day before; so does one on a weekend."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class BusinessDays:
    """The merged days of the calendars that a schedule keeps.

    Days are ranges (first, last) of proleptic ordinals (`date.toordinal`), sorted and disjoint. A day is *off* when it
    is in `days_off` and not in `days_worked`. It is a *business day* when it is not off, and not one of the `weekend`
    (0 is Sunday, as in cron) unless it is in `days_worked`.
    """

    on_day_off: OnDayOff
    days_off: Ranges = ()
    days_worked: Ranges = ()
    weekend: frozenset[int] = SATURDAY_AND_SUNDAY
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # It is part of a key that every firing looks up, and may hold thousands of days: they are hashed once.
        everything = hash((self.on_day_off, self.days_off, self.days_worked, self.weekend))
        object.__setattr__(self, "_hash", everything)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, BusinessDays):
            return NotImplemented
        return (
            self._hash == other._hash
            and self.on_day_off is other.on_day_off
            and self.days_off == other.days_off
            and self.days_worked == other.days_worked
            and self.weekend == other.weekend
        )

    @classmethod
    def merged(
        cls,
        on_day_off: OnDayOff,
        *,
        days_off: Iterable[tuple[date, date]] = (),
        days_worked: Iterable[tuple[date, date]] = (),
        weekend: Iterable[int] = SATURDAY_AND_SUNDAY,
    ) -> "BusinessDays":
        """Of ranges (first day, last day), both included, in any order and overlapping as they may.

        Raises:
            ValueError: a range ends before it begins, or a weekday of the weekend is not one of 0 to 6.
        """
        days_of_weekend = frozenset(weekend)
        if not days_of_weekend <= frozenset(range(_WEEK)):
            msg = f"weekdays are 0 (Sunday) to 6, not {sorted(days_of_weekend)}"
            raise ValueError(msg)
        return shared(cls(on_day_off, _merged(days_off), _merged(days_worked), days_of_weekend))

    @property
    def moves(self) -> bool:
        """Whether an occurrence on a day off fires on another day, rather than not at all."""
        return self.on_day_off is not OnDayOff.SKIP

    def is_off(self, day: date | int) -> bool:
        """Whether a day (or its ordinal) is listed as off and not as worked."""
        ordinal = _ordinal(day)
        return _holds(self.days_off, ordinal) and not _holds(self.days_worked, ordinal)

    def is_business_day(self, day: date | int) -> bool:
        """Whether a day (or its ordinal) is worked: listed so, or neither listed as off nor on the weekend."""
        ordinal = _ordinal(day)
        if _holds(self.days_worked, ordinal):
            return True
        return ordinal % _WEEK not in self.weekend and not _holds(self.days_off, ordinal)

    def off_between(self, first: int, stop: int) -> int:
        """The days off from one ordinal up to another, at most a year later, as bits: bit 0 is the first of them."""
        return _bits(self.days_off, first, stop) & ~_bits(self.days_worked, first, stop)

    def business_days_between(self, first: int, stop: int) -> int:
        """The same of business days."""
        free = _bits(self.days_off, first, stop)
        for weekday in self.weekend:
            free |= _EACH_SEVENTH[(weekday - first) % _WEEK]
        return ((1 << stop - first) - 1) & ~free | _bits(self.days_worked, first, stop)

    def ranges_off(self) -> list[tuple[int, int]]:
        """The days off as ranges of ordinals: those listed, less those worked."""
        found: list[tuple[int, int]] = []
        worked, index = self.days_worked, 0
        for first, last in self.days_off:
            while index < len(worked) and worked[index][1] < first:
                index += 1
            start, within = first, index
            while within < len(worked) and worked[within][0] <= last:
                worked_first, worked_last = worked[within]
                if start < worked_first:
                    found.append((start, worked_first - 1))
                start = max(start, worked_last + 1)
                within += 1
            if start <= last:
                found.append((start, last))
        return found


# What is worked out of days is kept by them, and looked up several times for each occurrence: to compare thousands of
# ranges at each look takes far longer than the search. Whoever keeps it keeps them, and so they are found here.
_in_use: "WeakKeyDictionary[BusinessDays, ref[BusinessDays]]" = WeakKeyDictionary()


def shared(days: BusinessDays) -> BusinessDays:
    """The one value that stands for all that are equal to it, as long as anybody has it."""
    known = _in_use.get(days)
    found = None if known is None else known()
    if found is not None:
        return found
    _in_use[days] = ref(days)
    return days


def _merged(ranges: Iterable[tuple[date, date]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for first, last in sorted((first.toordinal(), last.toordinal()) for first, last in ranges):
        if last < first:
            msg = f"a range of days ends on {date.fromordinal(last)}, before it begins on {date.fromordinal(first)}"
            raise ValueError(msg)
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def _ordinal(day: date | int) -> int:
    return day if isinstance(day, int) else day.toordinal()


def _from(ranges: Ranges, ordinal: int) -> Iterator[tuple[int, int]]:
    """The ranges from the last one on that does not begin after an ordinal."""
    first = bisect_right(ranges, (ordinal, _NO_ORDINAL_IS_AS_LARGE)) - 1
    return (ranges[index] for index in range(max(0, first), len(ranges)))


def _holds(ranges: Ranges, ordinal: int) -> bool:
    index = bisect_right(ranges, (ordinal, _NO_ORDINAL_IS_AS_LARGE)) - 1
    return index >= 0 and ranges[index][1] >= ordinal


def _bits(ranges: Ranges, first: int, stop: int) -> int:
    bits = 0
    for range_first, range_last in _from(ranges, first):
        if range_first >= stop:
            break
        if range_last >= first:
            bits |= (2 << min(range_last, stop - 1) - first) - (1 << max(range_first, first) - first)
    return bits
