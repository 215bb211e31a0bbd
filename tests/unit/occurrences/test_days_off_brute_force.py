"""Days off over years, for intervals and for single instants, against a look at each of them."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidScheduleException
from app.core.occurrences import (
    OnDayOff,
    PassedOver,
    ScheduleType,
    Timing,
    check_timing,
    count_occurrences,
    latest_occurrence,
    next_occurrence,
    occurrences_after,
    passed_over,
)
from app.core.occurrences.off_spans import off_spans
from app.core.occurrences.zones import load_zone

from .brute_force import EPOCH, Expression, cron, daily_expressions, days_of, examples, offset, zone_names
from .calendars import Calendar, calendars_around

DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)
_YEAR_2038 = 2_145_916_800


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def _assert_agrees(timing: Timing, expected: list[datetime], after: datetime, until: datetime) -> None:
    assert occurrences_after(timing, after, len(expected)) == expected
    following = next_occurrence(timing, expected[-1] if expected else after)
    assert following is None or following > until
    assert count_occurrences(timing, after, until) == len(expected)
    latest = latest_occurrence(timing, until)
    if expected:
        assert latest == expected[-1]
        middle = expected[len(expected) // 2]
        assert latest_occurrence(timing, middle) == middle
        assert count_occurrences(timing, after, middle - MS) == len(expected) // 2
        assert latest_occurrence(timing, middle - MS) == next(
            iter(expected[len(expected) // 2 - 1 : len(expected) // 2]), latest_occurrence(timing, after)
        )
    else:
        assert latest is None or latest <= after


def _passed_over(everything: list[datetime], kept: list[datetime]) -> PassedOver | None:
    lost = sorted(set(everything) - set(kept))
    return PassedOver(lost[0], lost[-1], len(lost)) if lost else None


@settings(max_examples=examples(100))
@given(
    st.data(),
    daily_expressions(),
    st.dates(date(1968, 1, 1), date(2101, 12, 31)) | st.dates(date(1600, 1, 1), date(9900, 1, 1)),
)
def test_days_over_years_agree_with_a_look_at_each_day(
    data: st.DataObject, expression: Expression, first: date
) -> None:
    calendar = data.draw(calendars_around(first, reach=400, longest=300))
    timing = cron(expression.text, days=calendar.days)
    try:
        check_timing(timing)
    except InvalidScheduleException:
        assume(False)
    # Six ranges in a row, and the weekends between them, are no longer than this.
    longest_move = 2000
    named = set(days_of(expression, first - longest_move * DAY, longest_move + 800 + longest_move))
    landed = {calendar.lands_on(day) for day in named}
    expected = sorted(day for day in landed if day is not None and first <= day < first + 800 * DAY)
    after, until = _noon(first) - MS, _noon(first + 799 * DAY)
    noons = [_noon(day) for day in expected]
    _assert_agrees(timing, noons, after, until)
    everything = [_noon(day) for day in sorted(named) if first <= day < first + 800 * DAY]
    skipped = _passed_over(everything, noons) if calendar.rule is OnDayOff.SKIP else None
    assert passed_over(timing, after, until) == skipped


@st.composite
def _around_a_change(draw: st.DrawFn) -> tuple[str, int]:
    name = draw(st.sampled_from(zone_names()))
    changes = [second for second in load_zone(name).starts if 0 <= second < _YEAR_2038]
    assume(changes)
    return name, draw(st.sampled_from(changes))


def _local_day(zone: str, instant: datetime) -> date:
    second = (instant - EPOCH) // timedelta(seconds=1)
    return (EPOCH + timedelta(seconds=second + offset(zone, second))).date()


@settings(max_examples=examples(200))
@given(
    st.data(),
    _around_a_change(),
    st.integers(600, 5000) | st.integers(600, 200_000) | st.sampled_from((3600, 86_400, 604_800)),
    st.integers(0, 10**9),
    st.booleans(),
)
def test_an_interval_leaves_out_exactly_what_falls_on_a_day_off(
    data: st.DataObject, change: tuple[str, int], seconds: int, phase: int, started: bool
) -> None:
    zone, second = change
    around = EPOCH + timedelta(seconds=second)
    calendar = data.draw(calendars_around(around.date(), reach=6, longest=9, rules=(OnDayOff.SKIP,)))
    anchor = around - timedelta(milliseconds=phase % (10 * 86_400_000))
    bound = around + timedelta(milliseconds=phase % (9 * 86_400_000)) if phase % 3 == 0 else None
    timing = Timing(
        ScheduleType.INTERVAL, zone, interval_seconds=seconds, days=calendar.days, end_at=bound, anchor=anchor,
        start_at=anchor if started else None,
    )  # fmt: skip
    after, until = around - 9 * DAY, around + 20 * DAY
    numbers = range(0 if started else 1, 29 * 86_400 // seconds + 20 * 86_400)
    everything = []
    for number in numbers:
        instant = anchor + timedelta(seconds=seconds) * number
        if instant > (until if bound is None else min(until, bound)):
            break
        if instant > after:
            everything.append(instant)
    expected = [instant for instant in everything if not calendar.is_off(_local_day(zone, instant))]
    _assert_agrees(timing, expected, after, until)
    assert passed_over(timing, after, until) == _passed_over(everything, expected)
    assert passed_over(timing, around, around + DAY) == _passed_over(
        [instant for instant in everything if around < instant <= around + DAY], expected
    )


def _first_showing(zone: str, wall: datetime) -> datetime:
    """The first instant, of whole minutes, at which the clock shows a wall-clock time or has jumped over it."""
    second = (wall - EPOCH) // timedelta(seconds=1)
    instants = range(second - 16 * 3600, second + 16 * 3600, 30)
    return EPOCH + timedelta(seconds=next(instant for instant in instants if instant + offset(zone, instant) >= second))


@settings(max_examples=examples(150))
@given(st.data(), _around_a_change(), st.integers(-5 * 1440, 5 * 1440))
def test_a_single_instant_keeps_off_days_off(data: st.DataObject, change: tuple[str, int], minutes: int) -> None:
    zone, second = change
    around = EPOCH + timedelta(seconds=second - second % 60)
    calendar = data.draw(calendars_around(around.date(), reach=6, longest=4))
    instant = around + timedelta(minutes=minutes)
    timing = Timing(ScheduleType.ONE_TIME, zone, scheduled_time=instant, days=calendar.days)
    day = _local_day(zone, instant)
    landed = calendar.lands_on(day)
    expected = [] if landed is None else [instant]
    if landed is not None and landed != day:
        utc_second = (instant - EPOCH) // timedelta(seconds=1)
        wall = EPOCH + timedelta(seconds=utc_second + offset(zone, utc_second))
        expected = [_first_showing(zone, wall + (landed - day))]
    after, until = instant - 60 * DAY, instant + 60 * DAY
    _assert_agrees(timing, expected, after, until)
    skipped = PassedOver(instant, instant, 1) if landed is None else None
    assert passed_over(timing, after, until) == skipped
    assert passed_over(timing, instant, until) is None


@settings(max_examples=examples(60))
@given(st.data(), daily_expressions(), st.dates(date(2101, 1, 1), date(5999, 1, 1)), st.sampled_from(zone_names()))
def test_from_2101_on_everything_repeats_after_400_years_whatever_days_were_off(
    data: st.DataObject, expression: Expression, day: date, zone: str
) -> None:
    calendar = data.draw(calendars_around(date(2099, 12, 31), reach=300, longest=400))
    timing = cron(expression.text, zone, days=calendar.days)
    try:
        check_timing(timing)
    except InvalidScheduleException:
        assume(False)
    now, cycle = _noon(day), timedelta(days=146_097)
    for question in (next_occurrence, latest_occurrence):
        answer, later = question(timing, now), question(timing, now + cycle)
        if answer is not None and answer >= datetime(2101, 1, 2, tzinfo=UTC):
            assert later == answer + cycle
    assert count_occurrences(timing, now, now + cycle * 3) == 3 * count_occurrences(timing, now, now + cycle)


@settings(max_examples=examples(60))
@given(st.data(), st.dates(date(1980, 1, 1), date(2090, 1, 1)))
def test_the_predicates_of_a_day_agree_with_the_lists(data: st.DataObject, around: date) -> None:
    calendar: Calendar = data.draw(calendars_around(around, reach=60, longest=30))
    for shift in range(-100, 130):
        day = around + shift * DAY
        for asked in (day, day.toordinal()):
            assert calendar.days.is_off(asked) == calendar.is_off(day)
            assert calendar.days.is_business_day(asked) == calendar.is_business_day(day)


@settings(max_examples=examples(100))
@given(calendars_around(date(2026, 3, 29), reach=30, longest=20, rules=(OnDayOff.SKIP,)), st.sampled_from(zone_names()))
def test_the_spans_and_ranges_of_days_off_hold_those_days_and_no_other(calendar: Calendar, zone: str) -> None:
    ranges, spans = calendar.days.ranges_off(), off_spans(calendar.days, zone)
    days = [date.fromordinal(ordinal) for first, last in ranges for ordinal in range(first, last + 1)]
    around = [date(2026, 1, 15) + timedelta(days=day) for day in range(150)]
    assert days == [day for day in around if calendar.is_off(day)]
    for second in range(1_769_000_000, 1_781_000_000, 14_407):
        shown = EPOCH.date() + timedelta(days=(second + offset(zone, second)) // 86_400)
        assert (spans.first_outside(second * 1000, 1) == second * 1000) is not calendar.is_off(shown)
