"""The evaluator against a scan that looks at every instant of the wall clock."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidScheduleException
from app.core.occurrences import (
    DEFAULT_POLICY,
    DstPolicy,
    OnDayOff,
    PassedOver,
    Timing,
    check_timing,
    count_occurrences,
    latest_occurrence,
    next_occurrence,
    occurrences_after,
    passed_over,
)
from app.core.occurrences.zones import load_zone

from .brute_force import (
    EPOCH,
    Expression,
    clock_of,
    cron,
    daily_expressions,
    days_of,
    examples,
    expressions,
    offset,
    policies,
    scan,
    zone_names,
)
from .calendars import Calendar, calendars_around

_YEAR_2038 = 2_145_916_800


def _at(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


def _is_refused(timing: Timing) -> bool:
    """True for what never occurs; any other refusal of what the strategies write is a failure."""
    try:
        check_timing(timing)
    except InvalidScheduleException as refusal:
        if "never occurs" not in refusal.detail:
            raise
        return True
    return False


def _never_occurs(expression: Expression) -> bool:
    """Looked at for 400 years, after which the calendar repeats."""
    return next(days_of(expression, date(2000, 1, 1), 146_097), None) is None


def _assert_agrees(
    expression: Expression,
    zone: str,
    window: range,
    policy: DstPolicy = DEFAULT_POLICY,
    calendar: Calendar | None = None,
) -> None:
    days = None if calendar is None else calendar.days
    timing = cron(expression.text, zone, dst_policy=policy, days=days)
    if _is_refused(timing):
        assert _never_occurs(expression)
        return
    expected = [_at(second) for second in scan(expression, clock_of(zone), window, policy, calendar)]
    window_start, window_end = _at(window.start - 1), _at(window.stop - 1)

    found = occurrences_after(timing, window_start, len(expected))
    assert found == expected
    following = next_occurrence(timing, found[-1] if found else window_start)
    assert following is None or following > window_end

    assert count_occurrences(timing, window_start, window_end) == len(expected)
    latest = latest_occurrence(timing, window_end)
    if expected:
        assert latest == expected[-1]
        middle = expected[len(expected) // 2]
        assert latest_occurrence(timing, middle) == middle
        before = [instant for instant in expected if instant < middle]
        assert count_occurrences(timing, window_start, middle - timedelta(milliseconds=1)) == len(before)
        if before:
            assert latest_occurrence(timing, middle - timedelta(milliseconds=1)) == before[-1]
    else:
        assert latest is None or latest <= window_start

    if calendar is not None:
        everything = scan(expression, clock_of(zone), window, policy)
        lost = sorted({_at(second) for second in everything} - set(expected))
        skips = calendar.rule is OnDayOff.SKIP and lost
        passed = PassedOver(lost[0], lost[-1], len(lost)) if skips else None
        assert passed_over(timing, window_start, window_end) == passed


@st.composite
def _around_a_change(draw: st.DrawFn) -> tuple[str, int]:
    name = draw(st.sampled_from(zone_names()))
    changes = [second for second in load_zone(name).starts if 0 <= second < _YEAR_2038]
    assume(changes)
    return name, draw(st.sampled_from(changes))


def _hours_near(zone: str, change: int, *shifts: int) -> tuple[int, ...]:
    return tuple({(change + shift + offset(zone, change - 1)) // 3600 % 24 for shift in shifts})


def _step(zone: str, start: int) -> int:
    """A minute, or less: Monrovia's clocks showed half minutes until 1972."""
    return 60 if offset(zone, start - 100_000) % 60 == 0 and offset(zone, start + 100_000) % 60 == 0 else 30


@settings(max_examples=examples(600))
@given(st.data(), _around_a_change(), policies)
def test_minutes_around_every_change_of_every_zone_agree_with_the_scan(
    data: st.DataObject, change: tuple[str, int], policy: DstPolicy
) -> None:
    zone, second = change
    expression = data.draw(expressions(seconds=False, near_hours=_hours_near(zone, second, -3600, 0, 3600)))
    start = second - second % 60 - data.draw(st.integers(0, 300)) * 60
    _assert_agrees(expression, zone, range(start, start + 8 * 3600, _step(zone, start)), policy)


@settings(max_examples=examples(250))
@given(st.data(), _around_a_change(), policies)
def test_days_off_around_every_change_of_every_zone_agree_with_the_scan(
    data: st.DataObject, change: tuple[str, int], policy: DstPolicy
) -> None:
    zone, second = change
    near = _hours_near(zone, second, -3600, 0, 3600)
    expression = data.draw(expressions(seconds=False, near_hours=(*near, 0, 23)))
    calendar = data.draw(calendars_around(_at(second).date(), reach=4, longest=9))
    start = second - second % 60 - data.draw(st.integers(0, 22)) * 3600
    _assert_agrees(expression, zone, range(start, start + 26 * 3600, _step(zone, start)), policy, calendar)


@settings(max_examples=examples(80))
@given(st.data(), _around_a_change())
def test_seconds_around_every_change_of_every_zone_agree_with_the_scan(
    data: st.DataObject, change: tuple[str, int]
) -> None:
    zone, second = change
    near = _hours_near(zone, second, -3600, 0, 3600)
    expression = data.draw(expressions(seconds=True, near_hours=near).filter(lambda drawn: drawn.wild))
    start = second - data.draw(st.integers(0, 900))
    _assert_agrees(expression, zone, range(start, start + 1800))


@settings(max_examples=examples(15))
@given(st.data(), _around_a_change(), policies)
def test_fixed_expressions_with_seconds_agree_with_the_scan(
    data: st.DataObject, change: tuple[str, int], policy: DstPolicy
) -> None:
    zone, second = change
    near = _hours_near(zone, second, -3600, 0)
    expression = data.draw(expressions(seconds=True, near_hours=near).filter(lambda drawn: not drawn.wild))
    start = second - data.draw(st.integers(0, 7200))
    _assert_agrees(expression, zone, range(start, start + 9000), policy)


@settings(max_examples=examples(200))
@given(st.data(), st.sampled_from(zone_names()), st.integers(0, 2_145_000_000 // 60), policies)
def test_minutes_at_any_time_agree_with_the_scan(
    data: st.DataObject, zone: str, minute: int, policy: DstPolicy
) -> None:
    expression = data.draw(expressions(seconds=False))
    start = minute * 60
    _assert_agrees(expression, zone, range(start, start + 6 * 3600, _step(zone, start)), policy)


@settings(max_examples=examples(200))
@given(daily_expressions(), st.dates(date(1600, 1, 1), date(9900, 1, 1)))
def test_days_over_years_agree_with_a_look_at_each_day(expression: Expression, first: date) -> None:
    timing = cron(expression.text)
    if _is_refused(timing):
        assert _never_occurs(expression)
        return
    noons = [datetime(day.year, day.month, day.day, 12, tzinfo=UTC) for day in days_of(expression, first, 1500)]
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    stop = start + timedelta(days=1500)
    assert occurrences_after(timing, start, len(noons)) == noons
    assert count_occurrences(timing, start, stop) == len(noons)
    following = next_occurrence(timing, noons[-1] if noons else start)
    assert following is None or following >= stop
    latest = latest_occurrence(timing, stop)
    assert latest == noons[-1] if noons else latest is None or latest < start


@settings(max_examples=examples(150))
@given(daily_expressions(), st.dates(date(2100, 1, 1), date(5999, 1, 1)), st.sampled_from(zone_names()))
def test_from_2100_on_everything_repeats_after_400_years(expression: Expression, day: date, zone: str) -> None:
    timing = cron(expression.text, zone)
    if _is_refused(timing):
        return
    now = datetime(day.year, day.month, day.day, tzinfo=UTC)
    cycle = timedelta(days=146_097)
    for question in (next_occurrence, latest_occurrence):
        answer, later = question(timing, now), question(timing, now + cycle)
        if answer is not None and answer >= datetime(2100, 1, 2, tzinfo=UTC):
            assert later == answer + cycle
    assert count_occurrences(timing, now, now + cycle * 3) == 3 * count_occurrences(timing, now, now + cycle)
