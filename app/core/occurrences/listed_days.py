"""The days of a cron expression without those that are off, or each moved to a business day."""

from abc import abstractmethod
from functools import lru_cache

from app.core.occurrences.business_days import FIRST_LISTED_YEAR, LAST_LISTED_YEAR, BusinessDays, OnDayOff
from app.core.occurrences.day_sets import DaySet, RuleDays
from app.core.occurrences.instants import LAST_ORDINAL, year_length


class _ListedDays(DaySet):
    """A set that depends on days which are listed one by one: worked out year by year, and kept.

    Years far from a listed day are kept by their shape. A weekend moves days by less than a week, and a year's shape
    decides what its neighbours' nearest weeks look like too.
    """

    __slots__ = ("_days", "_kept")

    # A day that is moved may come from the year before or after.
    near_listed = range(FIRST_LISTED_YEAR - 1, LAST_LISTED_YEAR + 2)

    def __init__(self, days: BusinessDays) -> None:
        super().__init__()
        self._days = days
        self._kept: dict[int, int] = {}

    def in_year(self, year: int, first: int, length: int) -> int:
        key = year if year in self.near_listed else -1 - first % 7 - 7 * (length - 365)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = self._work_out(year, first, length)
        return kept

    @abstractmethod
    def _work_out(self, year: int, first: int, length: int) -> int: ...


class BusinessDaySet(_ListedDays):
    """All business days, and where the days between them are moved to."""

    __slots__ = ()

    def landing(self, ordinal: int) -> int | None:
        """The business day on which what falls on a day fires; None where the calendar has none."""
        if self._days.on_day_off is OnDayOff.PREVIOUS_BUSINESS_DAY:
            return self.previous_day(ordinal)
        return self.next_day(ordinal)

    def landed_from(self, ordinal: int) -> range:
        """The days that are moved to a business day."""
        if self._days.on_day_off is OnDayOff.PREVIOUS_BUSINESS_DAY:
            return range(ordinal + 1, self.next_day(ordinal + 1) or LAST_ORDINAL + 1)
        return range((self.previous_day(ordinal - 1) or 0) + 1, ordinal)

    def _work_out(self, year: int, first: int, length: int) -> int:
        return self._days.business_days_between(first, first + length)


class KeptDays(_ListedDays):
    """The days of a rule that are not off."""

    __slots__ = ("_rule",)

    def __init__(self, rule: DaySet, days: BusinessDays) -> None:
        super().__init__(days)
        self._rule = rule

    def _work_out(self, year: int, first: int, length: int) -> int:
        return self._rule.in_year(year, first, length) & ~self._days.off_between(first, first + length)


class SkippedDays(_ListedDays):
    """The days of a rule that are off. Without its bounds, a search for one would go on to the ends of the calendar."""

    __slots__ = ("_rule",)

    first_year = FIRST_LISTED_YEAR
    last_year = LAST_LISTED_YEAR

    def __init__(self, rule: DaySet, days: BusinessDays) -> None:
        super().__init__(days)
        self._rule = rule

    def _work_out(self, year: int, first: int, length: int) -> int:
        return self._rule.in_year(year, first, length) & self._days.off_between(first, first + length)


class MovedDays(_ListedDays):
    """The days of a rule, each that is no business day moved to the next or the previous one.

    A run of days off is a run of set bits, and adding to it any of its own bits carries into the bit after the run,
    which is the business day; so one addition moves the days of a whole year. Backwards it is the same, on the year
    turned round.
    """

    __slots__ = ("_backward", "_business_days", "_rule")

    def __init__(self, rule: DaySet, days: BusinessDays) -> None:
        super().__init__(days)
        self._rule = rule
        self._business_days = business_day_set(days)
        self._backward = days.on_day_off is OnDayOff.PREVIOUS_BUSINESS_DAY

    def _work_out(self, year: int, first: int, length: int) -> int:
        rule, business = self._directed(year, first, length)
        if not business:
            return 0
        moved = (rule | _carried(rule, business, length) + self._arrives(year, first, length)) & business
        return _turned(moved, length) if self._backward else moved

    def _arrives(self, year: int, first: int, length: int) -> bool:
        """Whether a day is moved into the year from the one before (backwards: after), or from further away."""
        while True:
            if self._backward:
                first, year = first + length, year + 1
                length = year_length(year)
            else:
                year -= 1
                length = year_length(year)
                first -= length
            rule, business = self._directed(year, first, length)
            if _carried(rule, business, length) >> length:
                return True
            # Only among the listed years are there years without any business day.
            if business or year not in self.near_listed:
                return False

    def _directed(self, year: int, first: int, length: int) -> tuple[int, int]:
        """The days of the rule and the business days of a year, in the order in which days are moved."""
        rule = self._rule.in_year(year, first, length)
        business = self._business_days.in_year(year, first, length)
        return (_turned(rule, length), _turned(business, length)) if self._backward else (rule, business)


@lru_cache(maxsize=256)
def business_day_set(days: BusinessDays) -> BusinessDaySet:
    """The business days of these days, which schedules of one calendar share."""
    return BusinessDaySet(days)


def days_of(rule: tuple[int, ...], days: BusinessDays | None) -> DaySet:
    """The days on which an expression fires whose days by shape are `rule` (see `CronFields`)."""
    if days is None:
        return RuleDays(rule)
    return MovedDays(RuleDays(rule), days) if days.moves else KeptDays(RuleDays(rule), days)


def _carried(rule: int, business: int, length: int) -> int:
    """Days off and those of them in the rule, added up: set bits among the business days are where a run ended."""
    off = (1 << length) - 1 & ~business
    return off + (rule & off)


def _turned(days: int, length: int) -> int:
    return int(f"{days:0{length}b}"[::-1], 2)
