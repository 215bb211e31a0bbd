"""What does not fire because its day is off is counted, with its first and its last."""

from datetime import UTC, date, datetime, timedelta

import pytest

from app.core.occurrences import (
    BusinessDays,
    DstPolicy,
    Fold,
    OnDayOff,
    PassedOver,
    ScheduleType,
    Timing,
    passed_over,
)

from .brute_force import cron

MS = timedelta(milliseconds=1)


def _off(*days: str, rule: OnDayOff = OnDayOff.SKIP) -> BusinessDays:
    listed = [date.fromisoformat(day) for day in days]
    return BusinessDays.merged(rule, days_off=[(day, day) for day in listed])


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _passed(first: str, last: str, count: int) -> PassedOver:
    return PassedOver(_utc(first), _utc(last), count)


BERLIN = "Europe/Berlin"
CHRISTMAS = _off("2026-12-25", "2026-12-26")
NINE = cron("0 9 * * *", BERLIN, days=CHRISTMAS)


@pytest.mark.parametrize(
    ("after", "until", "expected"),
    [
        ("2026-12-24T09:00+01:00", "2026-12-27T09:00+01:00", (25, 26, 2)),
        # Strictly after, and until inclusive.
        ("2026-12-25T09:00+01:00", "2026-12-26T09:00+01:00", (26, 26, 1)),
        ("2026-12-25T08:59:59.999+01:00", "2026-12-25T09:00+01:00", (25, 25, 1)),
        ("2026-12-25T09:00+01:00", "2026-12-26T08:59:59.999+01:00", None),
        ("2026-12-26T09:00+01:00", "2027-12-24T09:00+01:00", None),
        ("2026-12-27T09:00+01:00", "2026-12-24T09:00+01:00", None),
    ],
)
def test_what_lies_between_two_instants_on_a_day_off_is_passed_over(
    after: str, until: str, expected: tuple[int, int, int] | None
) -> None:
    wanted = None
    if expected is not None:
        first, last, count = expected
        wanted = _passed(f"2026-12-{first}T09:00+01:00", f"2026-12-{last}T09:00+01:00", count)
    assert passed_over(NINE, _utc(after), _utc(until)) == wanted


def test_nothing_is_passed_over_where_no_days_are_kept_or_what_falls_on_them_is_moved() -> None:
    start, end = _utc("2026-01-01T00:00Z"), _utc("2028-01-01T00:00Z")
    for days in (None, BusinessDays(OnDayOff.SKIP), _off("2026-12-25", rule=OnDayOff.NEXT_BUSINESS_DAY)):
        assert passed_over(cron("* * * * *", BERLIN, days=days), start, end) is None


def test_only_what_lies_within_the_bounds_is_passed_over() -> None:
    minutes = cron(
        "* * * * *", BERLIN, days=CHRISTMAS, start_at=_utc("2026-12-25T22:00:30Z"), end_at=_utc("2026-12-26T10:00Z")
    )
    found = passed_over(minutes, _utc("2026-01-01T00:00Z"), _utc("2028-01-01T00:00Z"))
    assert found == _passed("2026-12-25T22:01Z", "2026-12-26T10:00Z", 720)


def test_millions_are_counted_without_a_step_for_each() -> None:
    seconds = cron("* * * * * *", BERLIN, days=CHRISTMAS)
    found = passed_over(seconds, _utc("2020-01-01T00:00Z"), _utc("9000-01-01T00:00Z"))
    assert found == _passed("2026-12-25T00:00+01:00", "2026-12-26T23:59:59+01:00", 2 * 86_400)


def test_a_day_off_with_a_fold_is_passed_over_as_often_as_it_would_fire() -> None:
    start, end = _utc("2026-10-20T00:00Z"), _utc("2026-10-30T00:00Z")
    off = _off("2026-10-25")
    once = passed_over(cron("30 2 * * *", BERLIN, days=off), start, end)
    assert once == _passed("2026-10-25T02:30+02:00", "2026-10-25T02:30+02:00", 1)
    twice = passed_over(cron("30 2 * * *", BERLIN, days=off, dst_policy=DstPolicy(fold=Fold.TWICE)), start, end)
    assert twice == _passed("2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", 2)


def test_an_instant_that_fires_for_another_day_is_not_passed_over() -> None:
    """In Nuuk the clock jumps from 23:00 to midnight: what is off then falls together with what is not."""
    start, end = _utc("2026-03-28T00:00Z"), _utc("2026-03-30T00:00Z")
    together = cron("0,30 0,23 * * *", "America/Nuuk", days=_off("2026-03-28"))
    assert passed_over(together, start, end) == _passed("2026-03-28T00:00-02:00", "2026-03-28T00:30-02:00", 2)
    before_midnight = cron("30 23 * * *", "America/Nuuk", days=_off("2026-03-28"))
    assert passed_over(before_midnight, start, end) == _passed("2026-03-29T00:00-01:00", "2026-03-29T00:00-01:00", 1)
    # The first that is off falls together with what is not, and a later one does not.
    later_too = cron("0,30 0,23 * * *", "America/Nuuk", days=_off("2026-03-28", "2026-03-30"))
    found = passed_over(later_too, _utc("2026-03-28T12:00Z"), _utc("2026-03-30T02:00Z"))
    assert found == _passed("2026-03-30T00:00-01:00", "2026-03-30T00:30-01:00", 2)
    first_of_two = cron("0 0 * * *", "America/Nuuk", days=_off("2026-03-29"))
    assert passed_over(first_of_two, start, end) == _passed("2026-03-29T00:00-01:00", "2026-03-29T00:00-01:00", 1)


def test_an_interval_passes_over_the_real_time_of_days_off() -> None:
    anchor = _utc("2026-12-24T00:00:00.250Z")
    timing = Timing(ScheduleType.INTERVAL, BERLIN, interval_seconds=1, anchor=anchor, days=CHRISTMAS)
    found = passed_over(timing, anchor, anchor + timedelta(days=99))
    assert found == _passed("2026-12-25T00:00:00.250+01:00", "2026-12-26T23:59:59.250+01:00", 2 * 86_400)
    within = passed_over(timing, _utc("2026-12-25T12:00Z"), _utc("2026-12-25T12:00:02.250Z"))
    assert within == _passed("2026-12-25T12:00:00.250Z", "2026-12-25T12:00:02.250Z", 3)
    bounded = Timing(
        ScheduleType.INTERVAL, BERLIN, interval_seconds=60, start_at=_utc("2026-12-25T10:00Z"), days=CHRISTMAS,
        end_at=_utc("2026-12-25T10:05Z"),
    )  # fmt: skip
    found = passed_over(bounded, anchor, anchor + timedelta(days=99))
    assert found == _passed("2026-12-25T10:00Z", "2026-12-25T10:05Z", 6)


def test_a_long_interval_that_steps_over_the_days_off_passes_over_nothing() -> None:
    anchor = _utc("2026-12-24T12:00Z")
    timing = Timing(ScheduleType.INTERVAL, BERLIN, interval_seconds=3 * 86_400, anchor=anchor, days=CHRISTMAS)
    assert passed_over(timing, anchor, anchor + timedelta(days=99)) is None


def test_a_single_instant_on_a_day_off_is_passed_over_itself() -> None:
    instant = _utc("2026-12-25T09:00:00.250+01:00")
    timing = Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=instant, days=CHRISTMAS)
    expected = PassedOver(instant, instant, 1)
    assert passed_over(timing, instant - MS, instant) == expected
    assert passed_over(timing, instant - timedelta(days=99), instant + timedelta(days=99)) == expected
    assert passed_over(timing, instant, instant + timedelta(days=99)) is None
    ordinary = Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=instant - timedelta(days=1), days=CHRISTMAS)
    assert passed_over(ordinary, instant - timedelta(days=99), instant) is None
