"""An oracle that shares no code and no idea with the evaluator: it looks at every instant and asks zoneinfo.

Expressions are not parsed here. They are put together from items that carry both their text and what they mean, so
that a misreading cannot be in both.
"""

import calendar
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from app.core.occurrences import DEFAULT_POLICY, BusinessDays, DstPolicy, Fold, Gap, ScheduleType, Timing

from .calendars import Calendar

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
DEEP_FACTOR = 55  # which makes more than 100 000 examples of the evaluator against its oracles
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1)
_FURTHEST_BACK = 8 * 3600  # Vostok's clocks went back by seven hours in 1994
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def examples(default: int) -> int:
    """How many examples a test runs: its own number, or in the deep profile that many times more."""
    return default * DEEP_FACTOR if DEEP else default


def cron(expression: str, timezone: str = "UTC", **rest: datetime | int | DstPolicy | BusinessDays | None) -> Timing:
    return Timing(ScheduleType.CRON, timezone, cron_expression=expression, **rest)  # type: ignore[arg-type]


@cache
def zone(name: str) -> ZoneInfo:
    """The zone as zoneinfo reads it from the same package, whatever the machine has."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as content:
        return ZoneInfo.from_file(content, key=name)


@cache
def zone_names() -> list[str]:
    return files("tzdata").joinpath("zones").read_text().split()


def clock_of(name: str) -> Callable[[int], int]:
    """The offset of a zone's clocks, as a function of the UTC second."""
    return lambda second: offset(name, second)


def offset(name: str, second: int) -> int:
    shift = datetime.fromtimestamp(second, zone(name)).utcoffset()
    assert shift is not None
    return int(shift.total_seconds())


@dataclass(frozen=True)
class Plain:
    """A field of values: its text and what matches it."""

    text: str
    matches: frozenset[int]


@dataclass(frozen=True)
class OfDates:
    """A day field: its text and the dates that match it."""

    text: str
    matches: Callable[[date], bool]


@dataclass(frozen=True)
class Expression:
    """Second (or None), minute, hour, day of month, month, day of week."""

    second: Plain | None
    minute: Plain
    hour: Plain
    day: OfDates
    month: Plain
    weekday: OfDates

    @property
    def text(self) -> str:
        fields = (self.second, self.minute, self.hour, self.day, self.month, self.weekday)
        return " ".join(field.text for field in fields if field is not None)

    @property
    def wild(self) -> bool:
        return any(field is not None and field.text[0] == "*" for field in (self.second, self.minute, self.hour))

    def matches_day(self, day: date) -> bool:
        if day.month not in self.month.matches:
            return False
        of_month, of_week = self.day.matches(day), self.weekday.matches(day)
        if self.day.text[0] in "*?" or self.weekday.text[0] in "*?":
            return of_month and of_week
        return of_month or of_week

    def matches_time(self, time: int) -> bool:
        """Whether the expression matches that second of a day."""
        seconds = self.second.matches if self.second is not None else (0,)
        times = (time % 60, seconds), (time // 60 % 60, self.minute.matches), (time // 3600, self.hour.matches)
        return all(value in values for value, values in times)


def scan(
    expression: Expression,
    offset_at: Callable[[int], int],
    window: range,
    policy: DstPolicy = DEFAULT_POLICY,
    calendar: Calendar | None = None,
) -> list[int]:
    """Every occurrence among the UTC seconds of a window, by looking at the wall clock at each of them.

    Wild: every instant whose wall clock matches. Fixed: every instant at which the wall clock shows a matching time
    (by the policy, only one that it has never shown before), and (by the policy) every one at which it has just
    jumped over such a time. For that the scan begins early, by more than any clock was set back since 1970.
    """

    @cache
    def fires_on(day: int) -> bool:
        date_of_day = _EPOCH_DAY + timedelta(days=day)
        if calendar is None:
            return expression.matches_day(date_of_day)
        return calendar.fires_on(date_of_day, expression.matches_day)

    def matches(wall: int) -> bool:
        return expression.matches_time(wall % 86_400) and fires_on(wall // 86_400)

    if expression.wild:
        return [second for second in window if matches(second + offset_at(second))]
    found, step = [], window.step
    early = window.start - _FURTHEST_BACK
    before = early - step + offset_at(early - step)
    known = {before}
    for second in range(early, window.stop, step):
        shown = second + offset_at(second)
        jumped_over = [wall for wall in range(before + step, shown, step) if wall not in known]
        counts = policy.fold is Fold.TWICE or shown not in known
        fires = counts and matches(shown)
        if jumped_over and policy.gap is Gap.AFTER:
            fires = fires or any(matches(wall) for wall in jumped_over)
        if fires and second >= window.start:
            found.append(second)
        known.update(jumped_over, (shown,))
        before = shown
    return found


def days_of(expression: Expression, first: date, count: int) -> Iterator[date]:
    """The days among the next `count` that the expression names."""
    return (day for day in (first + timedelta(days=n) for n in range(count)) if expression.matches_day(day))


policies = st.builds(DstPolicy, st.sampled_from(Gap), st.sampled_from(Fold))


# What may be written, and what it means.


def _values(low: int, high: int, step: int = 1) -> frozenset[int]:
    return frozenset(range(low, high + 1, step))


_plain_shapes = st.sampled_from(("a", "a", "a-b", "a-b/s", "a/s", "*/s", "*"))
_steps = st.sampled_from((1, 2, 3, 4, 5, 6, 7, 8, 15, 30, 59, 70))
_zeros = st.sampled_from(("", "", "0"))


@cache
def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


@st.composite
def _plain_item(draw: st.DrawFn, low: int, high: int, near: tuple[int, ...]) -> tuple[str, frozenset[int]]:
    shape = draw(_plain_shapes)
    if shape == "*":
        return "*", _values(low, high)
    one = draw(_integers(low, high + len(near)))
    one = near[one - high - 1] if one > high else one
    if shape == "a":
        return f"{draw(_zeros)}{one}", frozenset((one,))
    step = draw(_steps)
    other = high if shape == "a/s" else draw(_integers(one, high))
    zero = draw(_zeros)
    match shape:
        case "a-b":
            return f"{zero}{one}-{other}", _values(one, other)
        case "a-b/s":
            return f"{one}-{zero}{other}/{step}", _values(one, other, step)
        case "a/s":
            return f"{one}/{zero}{step}", _values(one, high, step)
        case _:
            return f"*/{step}", _values(low, high, step)


def _union(items: list[tuple[str, frozenset[int]]]) -> Plain:
    return Plain(",".join(text for text, _ in items), frozenset[int]().union(*(values for _, values in items)))


@cache
def plain_field(low: int, high: int, near: tuple[int, ...] = ()) -> st.SearchStrategy[Plain]:
    return st.lists(_plain_item(low, high, near), min_size=1, max_size=3).map(_union)


def _length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _is_nearest_weekday(day: date, wanted: int) -> bool:
    target = min(wanted, _length(day))
    working = [n for n in range(1, _length(day) + 1) if date(day.year, day.month, n).weekday() < 5]
    return day.day == min(working, key=lambda n: abs(n - target))


def _is_last_weekday(day: date) -> bool:
    working = [n for n in range(1, _length(day) + 1) if date(day.year, day.month, n).weekday() < 5]
    return day.day == working[-1]


@st.composite
def _day_item(draw: st.DrawFn) -> tuple[str, Callable[[date], bool]]:
    shape = draw(st.sampled_from(("plain", "plain", "L", "L-", "W", "LW")))
    match shape:
        case "L":
            return "L", lambda day: day.day == _length(day)
        case "L-":
            back = draw(st.integers(1, 30))
            return f"L-{back}", lambda day: day.day == _length(day) - back
        case "W":
            wanted = draw(st.integers(1, 31))
            return f"{wanted}W", lambda day: _is_nearest_weekday(day, wanted)
        case "LW":
            return "lw", _is_last_weekday
        case _:
            text, values = draw(_plain_item(1, 31, ()))
            return text, lambda day: day.day in values


@st.composite
def _weekday_item(draw: st.DrawFn) -> tuple[str, Callable[[date], bool]]:
    number = draw(st.integers(0, 7))
    weekday = number % 7
    name = draw(st.sampled_from((str(number), _WEEKDAYS[weekday], _WEEKDAYS[weekday].lower())))
    shape = draw(st.sampled_from(("a", "a", "a-b", "plain", "#", "L", "names")))
    match shape:
        case "a":
            return name, lambda day: day.isoweekday() % 7 == weekday
        case "a-b":
            low = draw(st.integers(0, number))
            step = draw(st.integers(1, 7))
            wanted = {value % 7 for value in range(low, number + 1, step)}
            return f"{low}-{number}/{step}", lambda day: day.isoweekday() % 7 in wanted
        case "names":
            first = draw(st.integers(0, 6))
            last = draw(st.integers(first, 7))
            wanted = {value % 7 for value in range(first, last + 1)}
            if first == 0 and last == 7:
                wanted = {0}  # SUN-SUN is a range from a day to itself
            return f"{_WEEKDAYS[first]}-{_WEEKDAYS[last % 7]}", lambda day: day.isoweekday() % 7 in wanted
        case "#":
            nth = draw(st.integers(1, 5))
            return f"{name}#{nth}", lambda day: day.isoweekday() % 7 == weekday and (day.day - 1) // 7 == nth - 1
        case "L":
            text = f"L{number}" if name.isdigit() and draw(st.booleans()) else f"{name}L"
            return text, lambda day: day.isoweekday() % 7 == weekday and day.day + 7 > _length(day)
        case _:
            text, values = draw(_plain_item(0, 6, ()))
            return text, lambda day: day.isoweekday() % 7 in values


def _any_of(items: list[tuple[str, Callable[[date], bool]]]) -> OfDates:
    return OfDates(",".join(text for text, _ in items), lambda day: any(matches(day) for _, matches in items))


every_date = st.sampled_from((OfDates("*", lambda _: True), OfDates("?", lambda _: True)))
day_fields = st.lists(_day_item(), min_size=1, max_size=3).map(_any_of)
weekday_fields = st.lists(_weekday_item(), min_size=1, max_size=3).map(_any_of)
month_fields = plain_field(1, 12) | st.integers(1, 12).map(
    lambda number: Plain(_MONTHS[number - 1], frozenset((number,)))
)
every_month = st.just(Plain("*", _values(1, 12)))


_mostly_all = st.sampled_from((True, True, True, False))


@st.composite
def expressions(draw: st.DrawFn, *, seconds: bool, near_hours: tuple[int, ...] = ()) -> Expression:
    """Expressions whose days are mostly all days: for looking closely at a few hours."""
    return Expression(
        second=draw(plain_field(0, 59)) if seconds else None,
        minute=draw(plain_field(0, 59, (0, 30, 59))),
        hour=draw(plain_field(0, 23, near_hours)),
        day=draw(every_date if draw(_mostly_all) else day_fields),
        month=draw(every_month if draw(_mostly_all) else month_fields),
        weekday=draw(every_date if draw(_mostly_all) else weekday_fields),
    )


_some_day = every_date | day_fields | day_fields
_some_month = every_month | month_fields
_some_weekday = every_date | weekday_fields | weekday_fields


@st.composite
def daily_expressions(draw: st.DrawFn) -> Expression:
    """Noon on days that are chosen in every way: for looking over years."""
    return Expression(
        second=None,
        minute=Plain("0", frozenset((0,))),
        hour=Plain("12", frozenset((12,))),
        day=draw(_some_day),
        month=draw(_some_month),
        weekday=draw(_some_weekday),
    )
