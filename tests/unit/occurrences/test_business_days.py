"""Days off, days worked and business days: what of a schedule falls away, and what is moved where."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from weakref import ref

import pytest

from app.core.occurrences import (
    BusinessDays,
    OnDayOff,
    ScheduleType,
    Timing,
    count_occurrences,
    latest_occurrence,
    next_occurrence,
    occurrences_after,
)
from app.core.schedule import CalendarUse
from app.store.timings import calendars_text, days_of

from .brute_force import cron

MS = timedelta(milliseconds=1)
SKIP, NEXT, PREVIOUS = OnDayOff.SKIP, OnDayOff.NEXT_BUSINESS_DAY, OnDayOff.PREVIOUS_BUSINESS_DAY


def _ranges(days: str) -> list[tuple[date, date]]:
    """Days and ranges as "2026-12-25 2026-12-31..2027-01-02"."""
    ends = [day.split("..") for day in days.split()]
    return [(date.fromisoformat(end[0]), date.fromisoformat(end[-1])) for end in ends]


def _days(rule: OnDayOff, off: str = "", worked: str = "", weekend: Iterable[int] = (6, 0)) -> BusinessDays:
    return BusinessDays.merged(rule, days_off=_ranges(off), days_worked=_ranges(worked), weekend=weekend)


CHRISTMAS = "2026-12-25..2026-12-26 2027-01-01"
BERLIN, NEW_YORK, SAO_PAULO = "Europe/Berlin", "America/New_York", "America/Sao_Paulo"
LORD_HOWE, APIA, ST_JOHNS = "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"

CASES = [
    ("0 9 * * *", BERLIN, _days(SKIP, CHRISTMAS), "2026-12-24T09:00+01:00",
     "2026-12-27T09:00+01:00 2026-12-28T09:00+01:00"),
    # The weekend is not looked at by skip.
    ("0 9 * * SAT", BERLIN, _days(SKIP, CHRISTMAS), "2026-12-18T09:00+01:00",
     "2026-12-19T09:00+01:00 2027-01-02T09:00+01:00"),
    # The day is that of the schedule's zone: in New York it is still the 24th.
    ("0 22 * * *", NEW_YORK, _days(SKIP, CHRISTMAS), "2026-12-24T12:00Z",
     "2026-12-24T22:00-05:00 2026-12-27T22:00-05:00"),
    ("*/30 23 * * *", NEW_YORK, _days(SKIP, CHRISTMAS), "2026-12-24T12:00Z",
     "2026-12-24T23:00-05:00 2026-12-24T23:30-05:00 2026-12-27T23:00-05:00"),
    # Payroll: the 15th, or the business day before it.
    ("0 9 15 * *", BERLIN, _days(PREVIOUS, CHRISTMAS), "2026-07-31T00:00Z",
     "2026-08-14T09:00+02:00 2026-09-15T09:00+02:00 2026-10-15T09:00+02:00 2026-11-13T09:00+01:00"),
    ("0 9 15 * *", BERLIN, _days(NEXT, CHRISTMAS), "2026-07-31T00:00Z",
     "2026-08-17T09:00+02:00 2026-09-15T09:00+02:00 2026-10-15T09:00+02:00 2026-11-16T09:00+01:00"),
    # Four days moved onto one are one occurrence, together with its own.
    ("0 9 * * *", BERLIN, _days(NEXT, CHRISTMAS), "2026-12-23T12:00Z",
     "2026-12-24T09:00+01:00 2026-12-28T09:00+01:00 2026-12-29T09:00+01:00"),
    ("0 9 * * *", BERLIN, _days(PREVIOUS, CHRISTMAS), "2026-12-23T12:00Z",
     "2026-12-24T09:00+01:00 2026-12-28T09:00+01:00 2026-12-29T09:00+01:00"),
    ("0 9 25-27 12 *", BERLIN, _days(NEXT, CHRISTMAS), "2026-12-01T00:00Z",
     "2026-12-28T09:00+01:00 2027-12-27T09:00+01:00"),
    ("0 9,17 25-27 12 *", BERLIN, _days(PREVIOUS, CHRISTMAS), "2026-12-01T00:00Z",
     "2026-12-24T09:00+01:00 2026-12-24T17:00+01:00 2027-12-24T09:00+01:00"),
    # A Saturday that is worked, also where a longer range has it off.
    ("0 9 * * SAT", BERLIN, _days(NEXT, CHRISTMAS, worked="2026-12-19"), "2026-12-15T00:00Z",
     "2026-12-19T09:00+01:00 2026-12-28T09:00+01:00 2027-01-04T09:00+01:00"),
    ("0 9 * * *", BERLIN, _days(SKIP, "2026-12-14..2026-12-31", worked="2026-12-19"), "2026-12-13T12:00Z",
     "2026-12-19T09:00+01:00 2027-01-01T09:00+01:00"),
    ("0 9 15 12 *", BERLIN, _days(PREVIOUS, "2026-12-01..2026-12-31", worked="2026-12-05"), "2026-11-30T12:00Z",
     "2026-12-05T09:00+01:00"),
    ("0 9 15 12 *", BERLIN, _days(NEXT, "2026-12-01..2026-12-31", worked="2026-12-05"), "2026-11-30T12:00Z",
     "2027-01-01T09:00+01:00"),
    # Another weekend, and none.
    ("0 9 * * FRI", "Asia/Riyadh", _days(NEXT, weekend=(5, 6)), "2026-12-24T00:00Z", "2026-12-27T09:00+03:00"),
    ("0 9 * * SAT", BERLIN, _days(NEXT, weekend=()), "2026-12-24T00:00Z", "2026-12-26T09:00+01:00"),
    # Ends of months and years.
    ("0 18 L * *", BERLIN, _days(PREVIOUS), "2026-01-01T00:00Z",
     "2026-01-30T18:00+01:00 2026-02-27T18:00+01:00 2026-03-31T18:00+02:00 2026-04-30T18:00+02:00"),
    ("0 18 L * *", BERLIN, _days(NEXT), "2026-01-01T00:00Z",
     "2026-02-02T18:00+01:00 2026-03-02T18:00+01:00 2026-03-31T18:00+02:00"),
    ("0 9 1 1 *", BERLIN, _days(PREVIOUS, CHRISTMAS), "2026-12-01T00:00Z",
     "2026-12-31T09:00+01:00 2027-12-31T09:00+01:00"),
    ("0 9 31 12 *", BERLIN, _days(NEXT, "2028-12-30..2029-01-02"), "2028-01-01T00:00Z",
     "2029-01-03T09:00+01:00 2029-12-31T09:00+01:00"),
    ("0 9 29 2 *", BERLIN, _days(NEXT, "2028-02-29"), "2026-01-01T00:00Z",
     "2028-03-01T09:00+01:00 2032-03-01T09:00+01:00 2036-02-29T09:00+01:00"),
    # Two years without a business day, and the rule names one in the first or the second of them.
    ("0 9 29 2 *", BERLIN, _days(NEXT, "2028-01-01..2029-12-31"), "2026-12-01T12:00Z",
     "2030-01-01T09:00+01:00 2032-03-01T09:00+01:00"),
    ("0 9 29 2 *", BERLIN, _days(PREVIOUS, "2027-01-01..2028-12-31"), "2026-12-01T12:00Z",
     "2026-12-31T09:00+01:00 2032-02-27T09:00+01:00"),
    ("0 9 1 * *", BERLIN, _days(NEXT, "2027-01-01..2028-12-31"), "2026-12-01T12:00Z",
     "2029-01-01T09:00+01:00 2029-02-01T09:00+01:00"),
    ("0 9 1 * *", BERLIN, _days(PREVIOUS, "2027-01-01..2028-12-31"), "2026-12-01T12:00Z",
     "2026-12-31T09:00+01:00 2029-01-01T09:00+01:00"),
    # A day on which midnight does not exist: it falls away as any other, and one moved there fires after the gap.
    ("0 0 * * *", SAO_PAULO, _days(SKIP, "2017-10-15"), "2017-10-13T12:00Z",
     "2017-10-14T00:00-03:00 2017-10-16T00:00-02:00"),
    ("0 0 14 10 *", SAO_PAULO, _days(NEXT, "2017-10-14", weekend=()), "2017-10-01T12:00Z",
     "2017-10-15T01:00-02:00 2018-10-14T00:00-03:00"),
    # An hour before midnight that is shown twice, on a day off and on the day before one.
    ("30 23 * * *", SAO_PAULO, _days(SKIP, "2018-02-17"), "2018-02-16T12:00Z",
     "2018-02-16T23:30-02:00 2018-02-18T23:30-03:00"),
    ("*/30 23,0 * * *", SAO_PAULO, _days(SKIP, "2018-02-18"), "2018-02-18T01:00Z",
     "2018-02-17T23:30-02:00 2018-02-17T23:00-03:00 2018-02-17T23:30-03:00 2018-02-19T00:00-03:00"),
    # The clock shows a minute of the day off, then an hour of the day before it, then all of it.
    ("* 23,0 * * *", ST_JOHNS, _days(SKIP, "2006-10-29"), "2006-10-29T02:28:30Z",
     "2006-10-28T23:59-02:30 2006-10-28T23:01-03:30 2006-10-28T23:02-03:30"),
    # Half an hour that is skipped, on a day onto which two others are moved.
    ("15 2 * * *", LORD_HOWE, _days(PREVIOUS, "2026-10-05..2026-10-06", weekend=()), "2026-10-03T00:00Z",
     "2026-10-04T02:30+11:00 2026-10-07T02:15+11:00"),
    # A day that was never shown: its times fire at the next midnight, unless it is off; moved, it fires the day after.
    ("0 12 30,31 12 *", APIA, _days(SKIP, "2011-12-30"), "2011-12-01T00:00Z",
     "2011-12-31T12:00+14:00 2012-12-30T12:00+14:00"),
    ("0 12 30 12 *", APIA, _days(SKIP, "2011-12-31"), "2011-12-01T00:00Z", "2011-12-31T00:00+14:00"),
    ("0 12 29 12 *", APIA, _days(NEXT, "2011-12-29"), "2011-12-01T00:00Z",
     "2011-12-31T00:00+14:00 2012-12-31T12:00+14:00"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "days", "after", "expected"), CASES)
def test_a_cron_schedule_keeps_days_off(
    expression: str, zone: str, days: BusinessDays, after: str, expected: str
) -> None:
    timing = cron(expression, zone, days=days)
    start = datetime.fromisoformat(after)
    instants = [datetime.fromisoformat(text) for text in expected.split()]
    assert occurrences_after(timing, start, len(instants)) == instants
    assert count_occurrences(timing, start, instants[-1]) == len(instants)
    for before, instant in pairwise(instants):
        assert latest_occurrence(timing, instant) == instant
        assert latest_occurrence(timing, instant - MS) == before


MONDAY = datetime(2026, 12, 28, 9, tzinfo=UTC)
SATURDAY = datetime(2026, 12, 26, 9, tzinfo=UTC)


def test_bounds_and_searches_are_about_the_moved_instant() -> None:
    days = _days(NEXT)
    saturdays = cron("0 9 * * SAT", days=days)
    assert next_occurrence(saturdays, SATURDAY) == MONDAY
    assert next_occurrence(cron("0 9 * * SAT", days=days, start_at=MONDAY), SATURDAY) == MONDAY
    later = next_occurrence(cron("0 9 * * SAT", days=days, start_at=MONDAY + MS), SATURDAY)
    assert later == MONDAY + timedelta(days=7)
    assert next_occurrence(cron("0 9 * * SAT", days=days, end_at=MONDAY), SATURDAY) == MONDAY
    assert next_occurrence(cron("0 9 * * SAT", days=days, end_at=MONDAY - MS), SATURDAY) is None
    assert latest_occurrence(cron("0 9 * * SAT", days=days, start_at=MONDAY), MONDAY - MS) is None
    backwards = cron("0 9 * * SAT", days=_days(PREVIOUS), end_at=SATURDAY)
    assert latest_occurrence(backwards, MONDAY) == SATURDAY - timedelta(days=1)


@pytest.mark.parametrize("rule", list(OnDayOff))
@pytest.mark.parametrize("expression", ["0 9 * * *", "* * * * * *", "0 9 29 2 SUN#5", "0 9 29 2 *"])
def test_a_schedule_whose_every_day_is_off_fires_when_the_lists_end(rule: OnDayOff, expression: str) -> None:
    timing = cron(expression, BERLIN, days=_days(rule, "1970-01-01..2099-12-31"))
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, 22, 59, 59, tzinfo=UTC)
    assert count_occurrences(timing, start, end) == 0
    following = next_occurrence(timing, start)
    assert following is not None
    assert following > end
    before = latest_occurrence(timing, start)
    assert before is not None
    assert before.year <= 1969


def test_a_schedule_that_ends_within_its_days_off_has_no_occurrence() -> None:
    for rule in OnDayOff:
        timing = cron("0 9 * * *", days=_days(rule, "2026-12-01..2026-12-31"), start_at=SATURDAY, end_at=MONDAY)
        assert next_occurrence(timing, SATURDAY - timedelta(days=99)) is None
        assert latest_occurrence(timing, MONDAY) is None


def test_what_is_moved_out_of_the_listed_years_does_not_come_again_each_400_years() -> None:
    timing = cron("0 9 20 12 *", days=_days(NEXT, "2099-12-01..2099-12-31"))
    first_of_2100 = datetime(2100, 1, 1, 9, tzinfo=UTC)
    assert next_occurrence(timing, datetime(2099, 1, 1, tzinfo=UTC)) == first_of_2100
    assert next_occurrence(timing, first_of_2100) == datetime(2100, 12, 20, 9, tzinfo=UTC)
    assert occurrences_after(timing, datetime(2499, 12, 1, tzinfo=UTC), 2) == [
        datetime(2499, 12, 21, 9, tzinfo=UTC), datetime(2500, 12, 20, 9, tzinfo=UTC),
    ]  # fmt: skip


def _every(seconds: int, zone: str, anchor: str, days: BusinessDays) -> Timing:
    start = datetime.fromisoformat(anchor)
    return Timing(ScheduleType.INTERVAL, zone, interval_seconds=seconds, start_at=start, days=days)


def test_an_interval_leaves_out_the_real_time_of_a_day_off() -> None:
    timing = _every(3600, BERLIN, "2026-12-24T20:30+01:00", _days(SKIP, "2026-12-25"))
    found = occurrences_after(timing, datetime(2026, 12, 24, tzinfo=UTC), 5)
    assert [instant.astimezone(UTC).isoformat()[5:16] for instant in found] == [
        "12-24T19:30", "12-24T20:30", "12-24T21:30", "12-24T22:30", "12-25T23:30",
    ]  # fmt: skip


def test_a_day_off_of_an_interval_is_as_long_as_its_clock_makes_it() -> None:
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)):
        timing = _every(60, BERLIN, "2026-01-01T00:00Z", _days(SKIP, day))
        noon = datetime.fromisoformat(day).replace(tzinfo=UTC, hour=12)
        week = timedelta(days=7)
        assert count_occurrences(timing, noon - week, noon + week) == 14 * 1440 - hours * 60
    # A day that was never shown takes no time.
    apia = _every(60, APIA, "2011-01-01T00:00Z", _days(SKIP, "2011-12-30"))
    assert count_occurrences(apia, datetime(2011, 12, 29, tzinfo=UTC), datetime(2012, 1, 2, tzinfo=UTC)) == 4 * 1440


def test_a_day_off_that_begins_twice_is_left_out_of_an_interval_in_two_pieces() -> None:
    timing = _every(60, ST_JOHNS, "2006-10-28T00:00Z", _days(SKIP, "2006-10-29"))
    first_midnight = datetime(2006, 10, 29, 2, 30, tzinfo=UTC)  # shown for one minute, until the clock goes back
    second_midnight = datetime(2006, 10, 29, 3, 30, tzinfo=UTC)
    assert next_occurrence(timing, first_midnight - MS) == first_midnight + timedelta(minutes=1)
    assert next_occurrence(timing, second_midnight - MS) == datetime(2006, 10, 30, 3, 30, tzinfo=UTC)
    assert latest_occurrence(timing, first_midnight) == first_midnight - timedelta(minutes=1)
    assert latest_occurrence(timing, second_midnight + timedelta(hours=9)) == second_midnight - timedelta(minutes=1)
    assert count_occurrences(timing, first_midnight, second_midnight) == 59


def test_an_interval_that_meets_days_off_only_goes_on_after_them() -> None:
    mondays = " ".join(str(date(2026, 1, 5) + timedelta(weeks=week)) for week in range(200))
    timing = _every(7 * 86_400, "UTC", "2026-01-05T12:00Z", _days(SKIP, mondays))
    expected = datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(weeks=200)
    assert next_occurrence(timing, datetime(2026, 1, 1, tzinfo=UTC)) == expected
    assert latest_occurrence(timing, expected - MS) is None


def _once(instant: str, zone: str, days: BusinessDays) -> Timing:
    return Timing(ScheduleType.ONE_TIME, zone, scheduled_time=datetime.fromisoformat(instant), days=days)


@pytest.mark.parametrize(
    ("scheduled", "zone", "days", "expected"),
    [
        ("2026-12-25T09:00+01:00", BERLIN, _days(SKIP, CHRISTMAS), None),
        ("2026-12-27T09:00+01:00", BERLIN, _days(SKIP, CHRISTMAS), "2026-12-27T09:00+01:00"),
        ("2026-12-25T09:00:00.250+01:00", BERLIN, _days(NEXT, CHRISTMAS), "2026-12-28T09:00:00.250+01:00"),
        ("2026-12-25T09:00+01:00", BERLIN, _days(PREVIOUS, CHRISTMAS), "2026-12-24T09:00+01:00"),
        # Its day is that of the schedule's zone, whatever offset it was written with.
        ("2026-12-25T03:00Z", NEW_YORK, _days(SKIP, CHRISTMAS), "2026-12-25T03:00Z"),
        # Over a change of the clocks it keeps its wall-clock time; in a gap it fires after it, in a fold at the first.
        ("2026-03-28T09:00+01:00", BERLIN, _days(NEXT), "2026-03-30T09:00+02:00"),
        ("2026-03-28T02:30:00.250+01:00", BERLIN, _days(NEXT, weekend=(6,)), "2026-03-29T03:00+02:00"),
        ("2026-10-24T02:30+02:00", BERLIN, _days(NEXT, weekend=(6,)), "2026-10-25T02:30+02:00"),
        # Where it is not moved, the second showing stays the second.
        ("2026-10-25T02:30+01:00", BERLIN, _days(NEXT, weekend=(6,)), "2026-10-25T02:30+01:00"),
    ],
)
def test_a_single_instant_keeps_days_off(scheduled: str, zone: str, days: BusinessDays, expected: str | None) -> None:
    timing = _once(scheduled, zone, days)
    long_before, long_after = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    instant = None if expected is None else datetime.fromisoformat(expected)
    assert next_occurrence(timing, long_before) == instant
    assert latest_occurrence(timing, long_after) == instant
    assert count_occurrences(timing, long_before, long_after) == (instant is not None)


def test_a_single_instant_at_the_end_of_the_calendar_moves_nowhere() -> None:
    end = "9999-12-31T23:00:00+00:00"  # a Friday in UTC; in Tokyo it is a day that no year has
    assert next_occurrence(_once(end, "UTC", _days(NEXT, weekend=(5,))), MONDAY) is None
    assert next_occurrence(_once(end, "Asia/Tokyo", _days(NEXT)), MONDAY) == datetime.fromisoformat(end)


def test_ranges_are_merged_whatever_their_order() -> None:
    days = _days(
        SKIP, "2026-12-31 2026-12-24..2026-12-26 2026-12-25..2026-12-28 2026-12-29 2026-12-24", worked="2026-12-28"
    )
    first, last = date(2026, 12, 24).toordinal(), date(2026, 12, 29).toordinal()
    assert days.days_off == ((first, last), (last + 2, last + 2))
    assert days.days_worked == ((last - 1, last - 1),)
    assert [date.fromordinal(day).day for day in range(first - 1, last + 4) if days.is_off(day)] == [
        24,
        25,
        26,
        27,
        29,
        31,
    ]
    assert days.is_business_day(date(2026, 12, 28))
    assert not days.is_business_day(date(2026, 12, 27))


def test_equal_days_are_one_key_however_they_were_given() -> None:
    one = _days(NEXT, "2026-12-25 2026-12-26", weekend=[6, 0])
    other = _days(NEXT, "2026-12-25..2026-12-26", weekend={0, 6})
    assert one == other
    assert hash(one) == hash(other)
    assert one != _days(PREVIOUS, "2026-12-25..2026-12-26")
    assert one != _days(NEXT, "2026-12-25..2026-12-27")
    assert one != _days(NEXT, "2026-12-25..2026-12-26", weekend=(0,))
    assert one != _days(NEXT, "2026-12-25..2026-12-26", worked="2026-12-24")
    assert one != "2026-12-25"


def test_a_range_that_ends_before_it_begins_is_no_range() -> None:
    with pytest.raises(ValueError, match="ends on 2026-12-24, before it begins on 2026-12-25"):
        BusinessDays.merged(SKIP, days_off=[(date(2026, 12, 25), date(2026, 12, 24))])


def test_a_weekend_is_of_days_of_the_week() -> None:
    with pytest.raises(ValueError, match=r"0 \(Sunday\) to 6"):
        BusinessDays.merged(SKIP, weekend=[7])


def test_equal_days_are_one_value_however_they_came_about() -> None:
    # What is worked out of them is looked up by them, several times for each occurrence: comparing days takes longer.
    days = _days(NEXT, CHRISTMAS, "2026-12-27")
    assert _days(NEXT, "2027-01-01 2026-12-25 2026-12-26", "2026-12-27") is days
    assert days_of(calendars_text(CalendarUse(("firm",), NEXT), days)) is days
    assert _days(PREVIOUS, CHRISTMAS, "2026-12-27") is not days


def test_they_are_however_many_others_there_are_and_as_long_as_anybody_has_them() -> None:
    firsts = [date(2026, 1, 1) + timedelta(days=number) for number in range(2_000)]

    def each() -> list[BusinessDays]:
        return [BusinessDays.merged(NEXT, days_off=[(first, first)]) for first in firsts]

    days = each()
    assert all(one is other for one, other in zip(days, each(), strict=True))
    left = ref(days[-1])
    del days
    assert left() is None
