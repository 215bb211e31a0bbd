"""An oracle of days off: it steps from day to day and asks of each, and shares nothing with the evaluator."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from hypothesis import strategies as st

from app.core.occurrences import BusinessDays, OnDayOff

_DAY = timedelta(days=1)
_FIRST_LISTED, _LAST_LISTED = date(1970, 1, 1), date(2099, 12, 31)


@dataclass(frozen=True)
class Calendar:
    """Days off and days worked as they were written down, in no order, and a weekend (0 is Sunday)."""

    rule: OnDayOff
    off: tuple[tuple[date, date], ...] = ()
    worked: tuple[tuple[date, date], ...] = ()
    weekend: frozenset[int] = frozenset((6, 0))

    @property
    def days(self) -> BusinessDays:
        return BusinessDays.merged(self.rule, days_off=self.off, days_worked=self.worked, weekend=self.weekend)

    def is_worked(self, day: date) -> bool:
        return any(first <= day <= last for first, last in self.worked)

    def is_off(self, day: date) -> bool:
        return any(first <= day <= last for first, last in self.off) and not self.is_worked(day)

    def is_business_day(self, day: date) -> bool:
        if self.is_off(day):
            return False
        return day.isoweekday() % 7 not in self.weekend or self.is_worked(day)

    def lands_on(self, day: date) -> date | None:
        """Where an occurrence of that day fires."""
        if self.rule is OnDayOff.SKIP:
            return None if self.is_off(day) else day
        step = _DAY if self.rule is OnDayOff.NEXT_BUSINESS_DAY else -_DAY
        while not self.is_business_day(day):
            day += step
        return day

    def fires_on(self, day: date, named: Callable[[date], bool]) -> bool:
        """Whether a rule that names certain days fires on this one."""
        if self.rule is OnDayOff.SKIP:
            return named(day) and not self.is_off(day)
        if not self.is_business_day(day):
            return False
        came_from = -_DAY if self.rule is OnDayOff.NEXT_BUSINESS_DAY else _DAY
        while not named(day):
            day += came_from
            if self.is_business_day(day):
                return False
        return True


weekends = st.sampled_from(
    (frozenset((6, 0)), frozenset((6, 0)), frozenset((5, 6)), frozenset((0,)), frozenset[int]())
) | st.frozensets(st.integers(0, 6), max_size=6)


def _listable(day: date) -> date:
    return min(max(day, _FIRST_LISTED), _LAST_LISTED)


@st.composite
def _ranges(draw: st.DrawFn, around: date, reach: int, longest: int, most: int) -> tuple[tuple[date, date], ...]:
    ranges = []
    for _ in range(draw(st.integers(0, most))):
        first = around + timedelta(days=draw(st.integers(-reach, reach)))
        length = draw(st.integers(0, 2) | st.integers(0, longest))
        ranges.append((_listable(first), _listable(first + timedelta(days=length))))
    return tuple(ranges)


@st.composite
def calendars_around(
    draw: st.DrawFn, around: date, *, reach: int, longest: int, rules: tuple[OnDayOff, ...] = tuple(OnDayOff)
) -> Calendar:
    """Calendars that list days within `reach` days of one, in ranges of up to `longest` days more."""
    return Calendar(
        rule=draw(st.sampled_from(rules)),
        off=draw(_ranges(around, reach, longest, 6)),
        worked=draw(_ranges(around, reach, 3, 4)),
        weekend=draw(weekends),
    )
