"""Why an occurrence stands where it stands, in sentences."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.occurrences import (
    Adjustment,
    AdjustmentCause,
    BusinessDays,
    DstPolicy,
    Fold,
    OnDayOff,
    ScheduleType,
    Timing,
    adjustments,
    next_occurrence,
    occurrences_after,
    reading_adjusted,
    resolve_wall_clock,
    wall_reading,
)
from app.core.occurrences.listed_days import BusinessDaySet

from .brute_force import cron, examples

GAP, FOLD, CALENDAR = AdjustmentCause.GAP, AdjustmentCause.FOLD, AdjustmentCause.CALENDAR
BERLIN, APIA, SAO_PAULO, NUUK = "Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo", "America/Nuuk"
TWICE = DstPolicy(fold=Fold.TWICE)
CHRISTMAS = [(date(2026, 12, 25), date(2026, 12, 26)), (date(2027, 1, 1), date(2027, 1, 1))]
NEXT = BusinessDays.merged(OnDayOff.NEXT_BUSINESS_DAY, days_off=CHRISTMAS)
PREVIOUS = BusinessDays.merged(OnDayOff.PREVIOUS_BUSINESS_DAY, days_off=CHRISTMAS)


def _of(timing: Timing, instant: str) -> list[Adjustment]:
    at = datetime.fromisoformat(instant).astimezone(UTC)
    assert next_occurrence(timing, at - timedelta(milliseconds=1)) == at
    return list(adjustments(timing, at))


CASES = [
    (cron("30 2 * * *", BERLIN), "2026-03-29T03:00+02:00", GAP, ["2026-03-29T02:30:00"],
     ("02:30 does not exist on 2026-03-29 in Europe/Berlin, where the clock jumps from 02:00 to 03:00; it fires at "
     "03:00, the first instant after.")),
    (cron("15,45 2 * * *", BERLIN), "2026-03-29T03:00+02:00", GAP, ["2026-03-29T02:15:00", "2026-03-29T02:45:00"],
     ("02:15 and 02:45 do not exist on 2026-03-29 in Europe/Berlin, where the clock jumps from 02:00 to 03:00; they "
     "fire at 03:00, the first instant after.")),
    (cron("0 2,3 * * *", BERLIN), "2026-03-29T03:00+02:00", GAP, ["2026-03-29T02:00:00"],
     ("02:00 does not exist on 2026-03-29 in Europe/Berlin, where the clock jumps from 02:00 to 03:00; it fires "
     "together with 03:00, the first instant after.")),
    (cron("0-59 2 * * *", BERLIN), "2026-03-29T03:00+02:00", GAP,
     [f"2026-03-29T02:0{minute}:00" for minute in range(5)],
     ("02:00, 02:01, 02:02, 02:03, 02:04 and 55 more do not exist on 2026-03-29 in Europe/Berlin, where the clock "
     "jumps from 02:00 to 03:00; they fire at 03:00, the first instant after.")),
    (cron("15 30 2 * * *", BERLIN), "2026-03-29T03:00+02:00", GAP, ["2026-03-29T02:30:15"],
     ("02:30:15 does not exist on 2026-03-29 in Europe/Berlin, where the clock jumps from 02:00 to 03:00; it fires at "
     "03:00, the first instant after.")),
    (cron("0 0 * * *", SAO_PAULO), "2017-10-15T01:00-02:00", GAP, ["2017-10-15T00:00:00"],
     ("00:00 does not exist on 2017-10-15 in America/Sao_Paulo, where the clock jumps from 00:00 to 01:00; it fires at "
     "01:00, the first instant after.")),
    (cron("45 23 * * *", NUUK), "2026-03-29T00:00-01:00", GAP, ["2026-03-28T23:45:00"],
     ("23:45 does not exist on 2026-03-28 in America/Nuuk, where the clock jumps from 23:00 to 00:00 on 2026-03-29; it "
     "fires at 00:00 on 2026-03-29, the first instant after.")),
    (cron("0 12 * * *", APIA), "2011-12-31T00:00+14:00", GAP, ["2011-12-30T12:00:00"],
     ("12:00 does not exist on 2011-12-30 in Pacific/Apia, where the clock jumps from 00:00 to 00:00 on 2011-12-31; it "
     "fires at 00:00 on 2011-12-31, the first instant after.")),
    (cron("22 0 * * *", "Africa/Monrovia"), "1972-01-07T00:44:30+00:00", GAP, ["1972-01-07T00:22:00"],
     ("00:22 does not exist on 1972-01-07 in Africa/Monrovia, where the clock jumps from 00:00 to 00:44:30; it fires "
     "at 00:44:30, the first instant after.")),
    (cron("30 2 * * *", BERLIN), "2126-03-31T03:00+02:00", GAP, ["2126-03-31T02:30:00"],
     ("02:30 does not exist on 2126-03-31 in Europe/Berlin, where the clock jumps from 02:00 to 03:00; it fires at "
     "03:00, the first instant after.")),
    (cron("30 2 * * *", BERLIN), "2526-03-31T03:00+02:00", GAP, ["2526-03-31T02:30:00"],
     ("02:30 does not exist on 2526-03-31 in Europe/Berlin, where the clock jumps from 02:00 to 03:00; it fires at "
     "03:00, the first instant after.")),
    (cron("30 2 * * *", BERLIN), "9126-10-31T02:30+02:00", FOLD, ["9126-10-31T02:30:00"],
     "02:30 is shown twice on 9126-10-31 in Europe/Berlin; this is the first of the two."),
    (cron("30 2 * * *", BERLIN), "2026-10-25T02:30+02:00", FOLD, ["2026-10-25T02:30:00"],
     "02:30 is shown twice on 2026-10-25 in Europe/Berlin; this is the first of the two."),
    (cron("30 2 * * *", BERLIN, dst_policy=TWICE), "2026-10-25T02:30+01:00", FOLD, ["2026-10-25T02:30:00"],
     "02:30 is shown twice on 2026-10-25 in Europe/Berlin; this is the second of the two."),
    (cron("*/30 * * * *", BERLIN), "2026-10-25T02:00+02:00", FOLD, ["2026-10-25T02:00:00"],
     "02:00 is shown twice on 2026-10-25 in Europe/Berlin; this is the first of the two."),
    (cron("*/30 * * * *", BERLIN), "2026-10-25T02:30+01:00", FOLD, ["2026-10-25T02:30:00"],
     "02:30 is shown twice on 2026-10-25 in Europe/Berlin; this is the second of the two."),
    (cron("45 23 * * *", SAO_PAULO), "2018-02-17T23:45-02:00", FOLD, ["2018-02-17T23:45:00"],
     "23:45 is shown twice on 2018-02-17 in America/Sao_Paulo; this is the first of the two."),
    (cron("0 9 25 * *", BERLIN, days=NEXT), "2026-12-28T09:00+01:00", CALENDAR, ["2026-12-25T09:00:00"],
     "Friday 2026-12-25 is a day off; it fires on the next business day, Monday 2026-12-28."),
    (cron("0 9 25 * *", BERLIN, days=PREVIOUS), "2026-12-24T09:00+01:00", CALENDAR, ["2026-12-25T09:00:00"],
     "Friday 2026-12-25 is a day off; it fires on the previous business day, Thursday 2026-12-24."),
    (cron("0 9 15 * *", BERLIN, days=PREVIOUS), "2026-08-14T09:00+02:00", CALENDAR, ["2026-08-15T09:00:00"],
     "Saturday 2026-08-15 is on the weekend; it fires on the previous business day, Friday 2026-08-14."),
    (cron("0 9 * * SAT,SUN", BERLIN, days=NEXT), "2026-08-17T09:00+02:00", CALENDAR,
     ["2026-08-15T09:00:00", "2026-08-16T09:00:00"],
     ("Saturday 2026-08-15 and Sunday 2026-08-16 are on the weekend; they fire on the next business day, Monday "
     "2026-08-17.")),
    (cron("0 9 25,26 12 *", BERLIN, days=NEXT), "2026-12-28T09:00+01:00", CALENDAR,
     ["2026-12-25T09:00:00", "2026-12-26T09:00:00"],
     "Friday 2026-12-25 and Saturday 2026-12-26 are days off; they fire on the next business day, Monday 2026-12-28."),
    (cron("0 9 * * *", BERLIN, days=NEXT), "2026-12-28T09:00+01:00", CALENDAR,
     ["2026-12-25T09:00:00", "2026-12-26T09:00:00", "2026-12-27T09:00:00"],
     ("Friday 2026-12-25, Saturday 2026-12-26 and Sunday 2026-12-27 are no business days; they fire on the next "
     "business day, Monday 2026-12-28, together with that day's own.")),
]  # fmt: skip


@pytest.mark.parametrize(("timing", "instant", "cause", "wall_times", "text"), CASES)
def test_an_occurrence_that_was_adjusted_says_why(
    timing: Timing, instant: str, cause: AdjustmentCause, wall_times: list[str], text: str
) -> None:
    assert _of(timing, instant) == [Adjustment(cause, tuple(wall_times), text)]


def test_many_days_moved_onto_one_are_named_by_a_handful() -> None:
    days = BusinessDays.merged(OnDayOff.NEXT_BUSINESS_DAY, days_off=[(date(2026, 12, 1), date(2026, 12, 31))])
    (found,) = _of(cron("0 9 * * *", BERLIN, days=days), "2027-01-01T09:00+01:00")
    assert found.wall_times == tuple(f"2026-12-0{day}T09:00:00" for day in range(1, 6))
    assert found.text == (
        "Tuesday 2026-12-01, Wednesday 2026-12-02, Thursday 2026-12-03, Friday 2026-12-04, Saturday 2026-12-05 and 26 "
        "more are no business days; they fire on the next business day, Friday 2027-01-01, together with that day's "
        "own."
    )


def test_the_days_that_are_moved_onto_one_are_counted_once_for_all_its_occurrences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    landed_from = BusinessDaySet.landed_from

    def counted(days: BusinessDaySet, ordinal: int) -> range:
        asked.append(ordinal)
        return landed_from(days, ordinal)

    monkeypatch.setattr(BusinessDaySet, "landed_from", counted)
    days = BusinessDays.merged(OnDayOff.NEXT_BUSINESS_DAY, days_off=[(date(1970, 1, 1), date(2099, 12, 29))])
    timing = cron("*/15 * * * *", days=days)
    occurrences = occurrences_after(timing, datetime(2026, 11, 29, tzinfo=UTC), 100)
    told = [adjustments(timing, occurrence) for occurrence in occurrences]
    assert asked == [date(2099, 12, 30).toordinal(), date(2099, 12, 31).toordinal()]
    # The second of the two days has nothing but its own.
    assert [len(each) for each in told] == [1] * 96 + [0] * 4
    assert told[0][0].text.startswith("Thursday 1970-01-01, Friday 1970-01-02,")
    assert [each[0].wall_times[0] for each in told[:2]] == ["1970-01-01T00:00:00", "1970-01-01T00:15:00"]


def test_a_day_that_is_moved_to_where_its_time_does_not_exist_has_two_reasons() -> None:
    days = BusinessDays.merged(
        OnDayOff.NEXT_BUSINESS_DAY, days_off=[(date(2026, 3, 28), date(2026, 3, 28))], weekend=()
    )
    causes = [found.cause for found in _of(cron("30 2 28 3 *", BERLIN, days=days), "2026-03-29T03:00+02:00")]
    assert causes == [CALENDAR, GAP]
    once = Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=datetime(2026, 3, 28, 1, 30, tzinfo=UTC), days=days)
    assert [found.text for found in _of(once, "2026-03-29T03:00+02:00")] == [
        "Saturday 2026-03-28 is a day off; it fires on the next business day, Sunday 2026-03-29.",
        (
            "02:30 does not exist on 2026-03-29 in Europe/Berlin, where the clock jumps from 02:00 to 03:00; "
            "it fires at 03:00, the first instant after."
        ),
    ]


def test_a_single_instant_says_where_it_was_moved_from_and_which_showing_it_is() -> None:
    christmas = resolve_wall_clock(datetime(2026, 12, 25, 9, 30), BERLIN)  # noqa: DTZ001
    moved = Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=christmas, days=NEXT)
    assert _of(moved, "2026-12-28T09:30+01:00") == [
        Adjustment(
            CALENDAR,
            ("2026-12-25T09:30:00",),
            "Friday 2026-12-25 is a day off; it fires on the next business day, Monday 2026-12-28.",
        )
    ]
    second = Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    assert [found.text for found in _of(second, "2026-10-25T01:30Z")] == [
        "02:30 is shown twice on 2026-10-25 in Europe/Berlin; this is the second of the two."
    ]


def _once(instant: str) -> Timing:
    return Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=datetime.fromisoformat(instant).astimezone(UTC))


@pytest.mark.parametrize(
    ("timing", "instant", "ending"),
    [
        (cron("30 2 * * *", BERLIN), "2026-10-25T02:30+02:00", "it fires at the first."),
        (cron("30 2 * * *", BERLIN, dst_policy=TWICE), "2026-10-25T02:30+02:00", "it fires at both."),
        (cron("30 2 * * *", BERLIN, dst_policy=TWICE), "2026-10-25T02:30+01:00", "it fires at both."),
        (cron("*/30 2 * * *", BERLIN), "2026-10-25T02:30+01:00", "it fires at both."),
        (cron("*/30 2 * * *", BERLIN, end_at=datetime(2026, 10, 25, 1, tzinfo=UTC)), "2026-10-25T02:30+02:00",
         "it fires at the first."),
        (cron("*/30 2 * * *", BERLIN, start_at=datetime(2026, 10, 25, 1, tzinfo=UTC)), "2026-10-25T02:30+01:00",
         "it fires at the second."),
        (_once("2026-10-25T02:30+02:00"), "2026-10-25T02:30+02:00", "it fires at the first."),
        (_once("2026-10-25T02:30+01:00"), "2026-10-25T02:30+01:00", "it fires at the second."),
    ],
)  # fmt: skip
def test_what_is_told_of_another_instant_names_the_showings_that_fire(
    timing: Timing, instant: str, ending: str
) -> None:
    at = datetime.fromisoformat(instant).astimezone(UTC)
    (found,) = adjustments(timing, at, told_of_another=True)
    assert found.text == f"02:30 is shown twice on 2026-10-25 in Europe/Berlin; {ending}"


@pytest.mark.parametrize(
    ("zone", "reading", "text"),
    [
        (BERLIN, "2026-03-29T02:30:15", ("02:30:15 does not exist on 2026-03-29 in Europe/Berlin, where the clock "
         "jumps from 02:00 to 03:00; it fires at 03:00, the first instant after.")),
        (APIA, "2011-12-30T12:00:00", ("12:00 does not exist on 2011-12-30 in Pacific/Apia, where the clock jumps from "
         "00:00 to 00:00 on 2011-12-31; it fires at 00:00 on 2011-12-31, the first instant after.")),
        (BERLIN, "2026-03-29T03:00:00", None),
        (BERLIN, "2026-03-29T01:59:59.999", None),
        (BERLIN, "2026-10-25T02:30:00", None),
        ("UTC", "9999-12-31T23:59:59", None),
        ("UTC", "0001-01-01T00:00:00", None),
    ],
)  # fmt: skip
def test_a_reading_that_the_clocks_jump_over_says_where_it_was_moved(zone: str, reading: str, text: str | None) -> None:
    assert wall_reading(f"{reading}+01:00") is None
    naive = wall_reading(reading)
    assert naive == datetime.fromisoformat(reading)
    assert [found.text for found in reading_adjusted(naive, zone)] == ([] if text is None else [text])


@pytest.mark.parametrize(
    ("timing", "instant"),
    [
        (cron("30 2 * * *", BERLIN), "2026-03-28T02:30+01:00"),
        (cron("30 3 * * *", BERLIN), "2026-03-29T03:30+02:00"),
        (cron("0 3 * * *", BERLIN), "2026-03-29T03:00+02:00"),
        (cron("*/30 * * * *", BERLIN), "2026-03-29T03:00+02:00"),
        (cron("0 9 15 * *", BERLIN, days=NEXT), "2026-09-15T09:00+02:00"),
        (cron("0 9 28 * *", BERLIN, days=NEXT), "2026-12-28T09:00+01:00"),
        (cron("0 9 * * *", BERLIN, days=BusinessDays(OnDayOff.SKIP)), "2026-12-28T09:00+01:00"),
        (Timing(ScheduleType.INTERVAL, BERLIN, interval_seconds=1800, start_at=datetime(2026, 1, 1, tzinfo=UTC)),
         "2026-10-25T02:30+01:00"),
        (Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=datetime(2026, 1, 1, tzinfo=UTC), days=NEXT),
         "2026-01-01T00:00Z"),
        (cron("0 0 1 1 *"), "9999-01-01T00:00Z"),
    ],
)  # fmt: skip
def test_an_ordinary_occurrence_has_no_adjustment(timing: Timing, instant: str) -> None:
    assert _of(timing, instant) == []


def test_occurrences_at_the_ends_of_the_calendar_are_explained_without_an_error() -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York"):
        for days in (None, NEXT, PREVIOUS):
            for instant in (first, last):
                once = Timing(ScheduleType.ONE_TIME, zone, scheduled_time=instant, days=days)
                assert adjustments(once, instant) == () or days is not None
            timing = cron("30 12 * * *", zone, days=days)
            for occurrence in occurrences_after(timing, last - timedelta(days=9), 9):
                assert all(found.cause is CALENDAR for found in adjustments(timing, occurrence))


@settings(max_examples=examples(60))
@given(st.sampled_from(("next_business_day", "previous_business_day")), st.dates(date(2020, 1, 1), date(2030, 1, 1)),
       st.lists(st.integers(0, 30), max_size=3))  # fmt: skip
def test_each_day_of_a_rule_fires_itself_or_is_named_by_the_one_it_was_moved_to(
    rule: str, start: date, shifts: list[int]
) -> None:
    off = [start + timedelta(days=shift) for shift in shifts]
    days = BusinessDays.merged(OnDayOff(rule), days_off=[(day, day) for day in off])
    timing = cron("0 9 * * *", days=days)
    since = datetime(start.year, start.month, start.day, 12, tzinfo=UTC) - timedelta(days=20)
    covered: list[date] = []
    for occurrence in occurrences_after(timing, since, 50):
        covered.append(occurrence.date())
        for found in adjustments(timing, occurrence):
            covered += [date.fromisoformat(wall[:10]) for wall in found.wall_times]
    covered.sort()
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(covered))
    assert len(covered) >= 50
