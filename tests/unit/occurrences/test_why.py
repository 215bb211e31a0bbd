"""What a rule says about an instant: why it fires then, or everything that keeps it from firing."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.clock import to_ms
from app.core.errors import InvalidScheduleException
from app.core.occurrences import (
    BusinessDays,
    DstPolicy,
    Fold,
    Gap,
    OnDayOff,
    ScheduleType,
    Timing,
    Why,
    check_timing,
    next_occurrence,
    nominal_days,
    why,
)
from app.core.occurrences.words import local_iso
from app.core.occurrences.zones import load_zone

from .brute_force import EPOCH, clock_of, cron, examples, expressions, offset, policies, scan, zone_names
from .calendars import calendars_around

BERLIN = "Europe/Berlin"
SKIP_GAPS = DstPolicy(gap=Gap.SKIP)
CHRISTMAS = [(date(2026, 12, 25), date(2026, 12, 26))]
SKIP = BusinessDays.merged(OnDayOff.SKIP, days_off=CHRISTMAS)
NEXT = BusinessDays.merged(OnDayOff.NEXT_BUSINESS_DAY, days_off=CHRISTMAS)
ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _every(seconds: int, **rest: datetime | BusinessDays) -> Timing:
    return Timing(ScheduleType.INTERVAL, BERLIN, interval_seconds=seconds, **rest)  # type: ignore[arg-type]


def _once(instant: str, days: BusinessDays | None = None) -> Timing:
    return Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=_utc(instant), days=days)


def _said(found: Why) -> list[str]:
    reasons = [mismatch.text for mismatch in found.mismatches] + [reason.text for reason in found.not_there]
    return reasons if found.bound is None else [*reasons, found.bound]


MISMATCHES = [
    (cron("0,30 9 * * *", BERLIN), "2026-08-12T09:15+02:00", ["the minute is 15, and the expression says 0,30"]),
    (cron("0,30 9 * * *", BERLIN), "2026-08-12T08:30+02:00", ["the hour is 8, and the expression says 9"]),
    (cron("0,30 9 * * *", BERLIN), "2026-08-12T10:15:07+02:00",
     ["the second is 7, and an expression without a field for seconds fires at second 0",
      "the minute is 15, and the expression says 0,30", "the hour is 10, and the expression says 9"]),
    (cron("*/20 0 9 * * *", BERLIN), "2026-08-12T09:00:07+02:00", ["the second is 7, and the expression says */20"]),
    (cron("@daily", BERLIN), "2026-08-12T09:00+02:00", ["the hour is 9, and the expression says 0"]),
    (cron("0 9 * * *", BERLIN), "2026-08-12T09:00:00.250+02:00",
     ["it is 250 milliseconds past a whole second, and an expression fires on whole seconds"]),
    (cron("0 9 1,15 * *", BERLIN), "2026-08-12T09:00+02:00", ["the day of month is 12, and the expression says 1,15"]),
    (cron("0 9 L * *", BERLIN), "2026-08-30T09:00+02:00", ["the day of month is 30, and the expression says L"]),
    (cron("0 9 15W * *", BERLIN), "2026-08-15T09:00+02:00", ["the day of month is 15, and the expression says 15W"]),
    (cron("0 9 * jan,7 *", BERLIN), "2026-08-12T09:00+02:00",
     ["the month is 8 (August), and the expression says jan,7"]),
    (cron("0 9 * * MON-FRI", BERLIN), "2026-08-15T09:00+02:00",
     ["the day of week is 6 (Saturday), and the expression says MON-FRI"]),
    (cron("0 9 * * 6-7", BERLIN), "2026-08-12T09:00+02:00",
     ["the day of week is 3 (Wednesday), and the expression says 6-7"]),
    (cron("0 9 * 7 6-7", BERLIN), "2026-08-16T09:00+02:00", ["the month is 8 (August), and the expression says 7"]),
    (cron("0 9 * * WED#1", BERLIN), "2026-08-12T09:00+02:00",
     ["the day of week is 3 (Wednesday), and the expression says WED#1"]),
    # Either of two restricted day fields; both, where one begins with a star.
    (cron("0 9 1,15 * MON", BERLIN), "2026-08-12T09:00+02:00",
     ["the day is Wednesday, day 12 of the month, and the expression says day of month 1,15 or day of week MON"]),
    (cron("0 9 1,15 * MON", BERLIN), "2026-08-15T10:00+02:00", ["the hour is 10, and the expression says 9"]),
    (cron("0 9 */2 * MON", BERLIN), "2026-08-12T09:00+02:00",
     ["the day of month is 12, and the expression says */2",
      "the day of week is 3 (Wednesday), and the expression says MON"]),
    # The day is that of the schedule's zone.
    (cron("0 22 14 * *", "America/New_York"), "2026-08-14T22:00Z",
     ["the hour is 18, and the expression says 22"]),
    # A day onto which others are moved is as good as one that the rule names.
    (cron("0 9 25 12 *", BERLIN, days=NEXT), "2026-12-28T10:00+01:00", ["the hour is 10, and the expression says 9"]),
    (_every(7, anchor=ANCHOR), "2026-01-01T00:04:50Z",
     ["it is 3 seconds after occurrence 41 and 4 seconds before the next"]),
    (_every(7, anchor=ANCHOR), "2026-01-01T00:00:03.250Z",
     ["it is 3 seconds and 750 milliseconds before the first occurrence"]),
    (_every(3600, start_at=ANCHOR), "2026-01-02T00:10Z",
     ["it is 10 minutes after occurrence 24 and 50 minutes before the next"]),
    (_every(3600, start_at=ANCHOR), "2025-12-31T22:00Z",
     ["it is 2 hours before the first occurrence",
      "it is before start_at, 2026-01-01T01:00:00+01:00, the first instant that may fire"]),
    (_once("2026-12-24T12:00+01:00"), "2026-12-24T12:03+01:00",
     ["it is 3 minutes after the schedule's only instant, 2026-12-24T12:00:00+01:00"]),
    (_once("2026-12-24T12:00+01:00"), "2026-12-22T11:59:59.500+01:00",
     ["it is 2 days and 500 milliseconds before the schedule's only instant, 2026-12-24T12:00:00+01:00"]),
    (cron("0 9 * * *", BERLIN, start_at=_utc("2026-08-12T09:00:00.001+02:00")), "2026-08-12T09:00+02:00",
     ["it is before start_at, 2026-08-12T09:00:00.001+02:00, the first instant that may fire"]),
    (cron("0 9 * * *", BERLIN, end_at=_utc("2026-08-12T08:00Z")), "2026-08-13T09:00+02:00",
     ["it is after end_at, 2026-08-12T10:00:00+02:00, the last instant that may fire"]),
]  # fmt: skip


@pytest.mark.parametrize(("timing", "at", "texts"), MISMATCHES)
def test_an_instant_that_does_not_fire_is_told_what_the_rule_asks_for(
    timing: Timing, at: str, texts: list[str]
) -> None:
    found = why(timing, _utc(at))
    assert not found.fires
    assert _said(found) == texts


def test_a_mismatch_names_its_field_its_value_and_what_is_allowed() -> None:
    instant = _utc("2026-08-12T10:15:07.250+02:00")
    found = why(cron("0,30 9 1 SEP MON", BERLIN), instant)
    assert [(one.field, one.value, one.allowed) for one in found.mismatches] == [
        ("second", "7.250", "whole seconds"),
        ("second", "7", "0"),
        ("minute", "15", "0,30"),
        ("hour", "10", "9"),
        ("month", "8", "SEP"),
        ("day", "Wednesday the 12", "day of month 1 or day of week MON"),
    ]
    found = why(cron("* * 1 * *", BERLIN), _utc("2026-08-12T10:15+02:00"))
    assert [(one.field, one.value, one.allowed) for one in found.mismatches] == [("day_of_month", "12", "1")]
    found = why(cron("* * * * 1", BERLIN), _utc("2026-08-12T10:15+02:00"))
    assert [(one.field, one.value, one.allowed) for one in found.mismatches] == [("day_of_week", "3", "1")]
    (only,) = why(_every(7, anchor=ANCHOR), _utc("2026-01-01T00:00:10Z")).mismatches
    assert (only.field, only.value) == ("interval", "3 seconds after occurrence 1")
    assert only.allowed == "every 7 seconds from 2026-01-01T01:00:00+01:00"
    (only,) = why(_once("2026-12-24T12:00+01:00"), _utc("2026-12-24T12:03+01:00")).mismatches
    assert (only.field, only.value) == ("instant", "2026-12-24T12:03:00+01:00")
    assert only.allowed == "2026-12-24T12:00:00+01:00"


NOT_THERE = [
    (cron("0 9 * * *", BERLIN, days=SKIP), "2026-12-25T09:00+01:00", ["2026-12-25T09:00:00"],
     "Friday 2026-12-25 is a day off, and the schedule skips days off."),
    (cron("*/10 9 * * *", BERLIN, days=SKIP), "2026-12-26T09:10+01:00",
     [f"2026-12-26T09:{minute}0:00" for minute in range(5)],
     "Saturday 2026-12-26 is a day off, and the schedule skips days off."),
    (cron("0 9 * * *", BERLIN, days=NEXT), "2026-12-25T09:00+01:00", ["2026-12-25T09:00:00"],
     "Friday 2026-12-25 is a day off; it fires on the next business day, Monday 2026-12-28."),
    (cron("0 9 * * *", BERLIN, days=NEXT), "2026-08-15T09:00+02:00", ["2026-08-15T09:00:00"],
     "Saturday 2026-08-15 is on the weekend; it fires on the next business day, Monday 2026-08-17."),
    (_every(3600, start_at=ANCHOR, days=SKIP), "2026-12-25T10:00+01:00",
     [f"2026-12-25T0{hour}:00:00" for hour in range(5)],
     "Friday 2026-12-25 is a day off, and the schedule skips days off."),
    (_once("2026-12-25T09:00+01:00", SKIP), "2026-12-25T09:00+01:00", ["2026-12-25T09:00:00"],
     "Friday 2026-12-25 is a day off, and the schedule skips days off."),
    (_once("2026-12-25T09:00+01:00", NEXT), "2026-12-25T09:00+01:00", ["2026-12-25T09:00:00"],
     "Friday 2026-12-25 is a day off; it fires on the next business day, Monday 2026-12-28."),
    (cron("30 2 * * *", BERLIN), "2026-10-25T02:30+01:00", ["2026-10-25T02:30:00"],
     "02:30 is shown twice on 2026-10-25 in Europe/Berlin; it fires at the first."),
]  # fmt: skip


@pytest.mark.parametrize(("timing", "at", "wall_times", "text"), NOT_THERE)
def test_a_time_of_the_rule_that_does_not_fire_says_why(
    timing: Timing, at: str, wall_times: list[str], text: str
) -> None:
    found = why(timing, _utc(at))
    assert not found.fires
    assert found.mismatches == ()
    assert [(reason.text, list(reason.wall_times)) for reason in found.not_there] == [(text, wall_times)]


def test_a_time_that_a_gap_swallowed_is_told_all_that_day_and_at_the_instant_after_it() -> None:
    swallowed = (
        "02:30 does not exist on 2026-03-29 in Europe/Berlin, where the clock jumps from 02:00 to 03:00, and the "
        "schedule skips such times."
    )
    timing = cron("30 2 * * *", BERLIN, dst_policy=SKIP_GAPS)
    for at in ("2026-03-29T03:00+02:00", "2026-03-29T00:00+01:00", "2026-03-29T23:59+02:00"):
        found = why(timing, _utc(at))
        assert not found.fires
        assert [(reason.cause, reason.text) for reason in found.not_there] == [("gap", swallowed)]
    for at in ("2026-03-28T23:59+01:00", "2026-03-30T00:00+02:00", "2026-03-30T02:30+02:00"):
        assert why(timing, _utc(at)).not_there == ()
    # After the day that Apia never had.
    apia = cron("0 12 * * *", "Pacific/Apia", dst_policy=SKIP_GAPS)
    (reason,) = why(apia, _utc("2011-12-31T00:00+14:00")).not_there
    assert reason.text.startswith("12:00 does not exist on 2011-12-30 in Pacific/Apia")
    assert why(apia, _utc("2011-12-31T12:00+14:00")).not_there == ()
    # Where such times fire after the gap, nothing is missing.
    assert why(cron("30 2 * * *", BERLIN), _utc("2026-03-29T03:00+02:00")).not_there == ()


def test_a_wild_rule_says_all_that_day_what_the_gap_takes_from_it_and_that_nothing_stands_in_for_it() -> None:
    nothing = "as an expression whose minute or hour begins with * follows the real clock."
    for expression, times in (
        ("0 */2 * * *", ("02:00 does not exist on 2026-03-29 in Europe/Berlin, where the clock jumps from 02:00 to "
         "03:00; nothing fires in its place, ")),
        ("*/20 2 * * *", ("02:00, 02:20 and 02:40 do not exist on 2026-03-29 in Europe/Berlin, where the clock jumps "
         "from 02:00 to 03:00; nothing fires in their place, ")),
    ):  # fmt: skip
        for policy in (DstPolicy(), SKIP_GAPS):
            timing = cron(expression, BERLIN, dst_policy=policy)
            for at in ("2026-03-29T03:00+02:00", "2026-03-29T01:00+01:00", "2026-03-29T23:59+02:00"):
                found = why(timing, _utc(at))
                assert not found.fires
                assert [(reason.cause, reason.text) for reason in found.not_there] == [("gap", times + nothing)]
            for at in ("2026-03-28T23:59+01:00", "2026-03-30T03:00+02:00"):
                assert why(timing, _utc(at)).not_there == ()
    # Nothing of these was to fire in that hour, or on that day.
    for other in ("0 */3 * * *", "*/20 2 * * MON", "*/20 3 * * *"):
        assert why(cron(other, BERLIN), _utc("2026-03-29T03:01+02:00")).not_there == ()


def test_an_occurrence_tells_only_what_is_lost_to_the_jump_that_it_ends() -> None:
    quarters = cron("*/15 * * * *", BERLIN)
    (reason,) = why(quarters, _utc("2026-03-29T03:00+02:00")).not_there
    assert reason.text.startswith("02:00, 02:15, 02:30 and 02:45 do not exist on 2026-03-29")
    for at in ("2026-03-29T00:00+01:00", "2026-03-29T03:15+02:00", "2026-03-29T18:30+02:00"):
        assert why(quarters, _utc(at)).not_there == ()
    (reason,) = why(cron("0 2,3 * * *", BERLIN, dst_policy=SKIP_GAPS), _utc("2026-03-29T03:00+02:00")).not_there
    assert reason.text.startswith("02:00 does not exist on 2026-03-29")


def test_only_what_the_clock_shows_for_the_second_time_is_told_to_have_fired_before() -> None:
    timing = cron("30 2 * * *", BERLIN, start_at=_utc("2026-10-25T02:45+02:00"))
    assert why(timing, _utc("2026-10-25T02:30+02:00")).not_there == ()
    assert [reason.cause for reason in why(timing, _utc("2026-10-25T02:30+01:00")).not_there] == ["fold"]
    for at in ("2026-10-25T02:30:00.250+01:00", "2026-10-25T02:31+01:00", "2026-10-26T02:30+01:00"):
        assert why(timing, _utc(at)).not_there == ()


NEW_YORK, NUUK = "America/New_York", "America/Nuuk"
SPRING, AUTUMN = "Sunday 2027-03-14", "Sunday 2027-11-07"
JUMPS = f"02:30 does not exist on 2027-03-14 in {NEW_YORK}, where the clock jumps from 02:00 to 03:00; it"
SHOWN = f"01:30 is shown twice on 2027-11-07 in {NEW_YORK}; "
WHOLE_DAY, LAST_HOUR = (
    f"where the clock jumps from {start} to 00:00 on {day}; it would fire at 00:00 on {day}, the first instant after."
    for start, day in (("00:00", "2011-12-31"), ("23:00", "2027-03-28"))
)
SKIPS = "is a day off, and the schedule skips days off."


def _off(day: str, rule: OnDayOff = OnDayOff.SKIP) -> BusinessDays:
    return BusinessDays.merged(rule, days_off=[(date.fromisoformat(day), date.fromisoformat(day))])


@pytest.mark.parametrize(
    ("timing", "at", "told"),
    [
        (cron("30 2 * * *", NEW_YORK, days=_off("2027-03-14")), "2027-03-14T07:00Z",
         [f"{SPRING} {SKIPS}", f"{JUMPS} would fire at 03:00, the first instant after."]),
        (cron("30 2 * * *", NEW_YORK, days=_off("2027-03-14", OnDayOff.NEXT_BUSINESS_DAY)), "2027-03-14T07:00Z",
         [f"{SPRING} is a day off; it fires on the next business day, Monday 2027-03-15.",
          f"{JUMPS} would fire at 03:00, the first instant after."]),
        (cron("0 12 * * *", "Pacific/Apia", days=_off("2011-12-30")), "2011-12-30T10:00Z",
         [f"Friday 2011-12-30 {SKIPS}", f"12:00 does not exist on 2011-12-30 in Pacific/Apia, {WHOLE_DAY}"]),
        (cron("0 12 * * *", "Pacific/Fakaofo", days=_off("2011-12-30")), "2011-12-30T11:00Z",
         [f"Friday 2011-12-30 {SKIPS}", f"12:00 does not exist on 2011-12-30 in Pacific/Fakaofo, {WHOLE_DAY}"]),
        (cron("30 23 * * *", NUUK, days=_off("2027-03-27")), "2027-03-28T01:00Z",
         [f"Saturday 2027-03-27 {SKIPS}", f"23:30 does not exist on 2027-03-27 in {NUUK}, {LAST_HOUR}"]),
        (cron("30 1 * * *", NEW_YORK, days=_off("2027-11-07")), "2027-11-07T05:30Z",
         [f"{AUTUMN} {SKIPS}", f"{SHOWN}this is the first of the two."]),
        (cron("30 1 * * *", NEW_YORK, days=_off("2027-11-07")), "2027-11-07T06:30Z",
         [f"{SHOWN}it would fire at the first.", f"{AUTUMN} {SKIPS}"]),
        (cron("30 1 * * *", NEW_YORK, days=_off("2027-11-07"), dst_policy=DstPolicy(fold=Fold.TWICE)),
         "2027-11-07T06:30Z", [f"{AUTUMN} {SKIPS}", f"{SHOWN}this is the second of the two."]),
        (cron("30 2 * * *", NEW_YORK, end_at=_utc("2027-03-14T06:00Z")), "2027-03-14T07:00Z",
         [f"{JUMPS} would fire at 03:00, the first instant after.",
          "it is after end_at, 2027-03-14T01:00:00-05:00, the last instant that may fire"]),
        (cron("30 1 * * *", NEW_YORK, start_at=_utc("2027-11-07T06:00Z")), "2027-11-07T06:30Z",
         [f"{SHOWN}it would fire at the first."]),
        (cron("30 1 * * *", NEW_YORK, end_at=_utc("2027-11-07T06:00Z")), "2027-11-07T06:30Z",
         [f"{SHOWN}it fires at the first.",
          "it is after end_at, 2027-11-07T01:00:00-05:00, the last instant that may fire"]),
    ],
)  # fmt: skip
def test_what_a_day_off_or_a_bound_keeps_from_firing_is_told_with_what_the_clocks_do(
    timing: Timing, at: str, told: list[str]
) -> None:
    found = why(timing, _utc(at))
    assert not found.fires
    assert found.mismatches == ()
    assert _said(found) == told


def test_the_days_that_decide_whether_an_instant_is_off_are_those_of_the_times_that_come_to_it() -> None:
    at = _utc("2027-03-28T01:00Z")
    saturday, sunday = date(2027, 3, 27), date(2027, 3, 28)
    for expression, days in (
        ("30 23 * * *", (saturday,)),
        ("0 0 * * *", (sunday,)),
        ("0 0,23 * * *", (saturday, sunday)),
        ("*/30 23 * * *", (sunday,)),
        ("7 7 * * *", (sunday,)),
    ):
        assert nominal_days(cron(expression, NUUK), at) == days
    assert nominal_days(_every(7, anchor=ANCHOR), at) == (sunday,)
    assert nominal_days(_once("2027-03-28T01:00Z"), at) == (sunday,)


def test_a_day_off_without_a_time_of_the_rule_is_not_mentioned() -> None:
    assert why(cron("0 9 * * MON", BERLIN, days=SKIP), _utc("2026-12-25T09:00+01:00")).not_there == ()
    weekly = _every(7 * 86_400, start_at=ANCHOR, days=SKIP)
    assert why(weekly, _utc("2026-12-25T09:00+01:00")).not_there == ()
    assert why(_once("2026-12-24T09:00+01:00", SKIP), _utc("2026-12-25T09:00+01:00")).not_there == ()


def test_an_instant_that_fires_says_so_and_why_it_stands_there() -> None:
    found = why(cron("30 2 * * *", BERLIN), _utc("2026-03-29T03:00+02:00") + timedelta(microseconds=999))
    assert found.fires
    assert found.at == _utc("2026-03-29T03:00+02:00")
    assert _said(found) == []
    assert [reason.cause for reason in found.adjustments] == ["gap"]
    assert (found.previous, found.next) == (_utc("2026-03-28T02:30+01:00"), _utc("2026-03-30T02:30+02:00"))


def test_the_occurrences_around_an_instant_are_those_that_fire() -> None:
    found = why(cron("0 9 * * *", BERLIN, days=SKIP), _utc("2026-12-25T09:00+01:00"))
    assert (found.previous, found.next) == (_utc("2026-12-24T09:00+01:00"), _utc("2026-12-27T09:00+01:00"))
    single = why(_once("2026-12-25T09:00+01:00", NEXT), _utc("2026-12-28T09:00+01:00"))
    assert (single.fires, single.previous, single.next) == (True, None, None)
    assert [reason.cause for reason in single.adjustments] == ["calendar"]


@pytest.mark.parametrize(
    ("zone", "instant", "shown"),
    [
        ("Asia/Kathmandu", "2026-01-01T00:00:00.250Z", "2026-01-01T05:45:00.250+05:45"),
        ("Africa/Monrovia", "1971-01-01T00:00Z", "1970-12-31T23:15:30-00:44:30"),
    ],
)
def test_a_local_time_carries_its_offset_and_its_milliseconds(zone: str, instant: str, shown: str) -> None:
    assert local_iso(load_zone(zone), to_ms(_utc(instant))) == shown


def test_at_both_ends_of_the_calendar_there_is_something_to_say() -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York"):
        for at in (first, last):
            for days in (None, SKIP, NEXT):
                assert why(cron("1 2 3 4 5", zone, days=days), at).mismatches != ()
                assert why(Timing(ScheduleType.ONE_TIME, zone, scheduled_time=at, days=SKIP), at).fires
            assert why(Timing(ScheduleType.INTERVAL, zone, interval_seconds=7, anchor=ANCHOR), at).fires is False


@st.composite
def _around_a_change(draw: st.DrawFn) -> tuple[str, int]:
    name = draw(st.sampled_from(zone_names()))
    changes = [second for second in load_zone(name).starts if 0 <= second < 2_145_916_800 and second % 60 == 0]
    assume(changes)
    return name, draw(st.sampled_from(changes))


@settings(max_examples=examples(150))
@given(st.data(), _around_a_change(), policies, st.booleans())
def test_every_instant_fires_or_has_a_reason_not_to(
    data: st.DataObject, change: tuple[str, int], policy: DstPolicy, with_days_off: bool
) -> None:
    zone, second = change
    near = tuple({(second + shift + offset(zone, second - 1)) // 3600 % 24 for shift in (-3600, 0, 3600)})
    expression = data.draw(expressions(seconds=False, near_hours=near))
    at = EPOCH + timedelta(seconds=second)
    calendar = data.draw(calendars_around(at.date(), reach=3, longest=5)) if with_days_off else None
    timing = cron(expression.text, zone, dst_policy=policy, days=None if calendar is None else calendar.days)
    try:
        check_timing(timing)
    except InvalidScheduleException:
        assume(False)
    window = range(second - 7200, second + 7200, 60)
    expected = set(scan(expression, clock_of(zone), window, policy, calendar))
    asked = {*data.draw(st.lists(st.sampled_from(window), max_size=20)), *sorted(expected)[:20], second}
    for instant in asked:
        moment = EPOCH + timedelta(seconds=instant)
        found = why(timing, moment)
        assert found.fires == (instant in expected)
        assert found.fires or _said(found) != []
        # Whatever fires although the rule does not name the time that the clock shows then was moved there.
        wall = instant + offset(zone, instant)
        day = EPOCH.date() + timedelta(days=wall // 86_400)
        named = expression.matches_time(wall % 86_400) and expression.matches_day(day)
        without_days = why(replace(timing, days=None), moment)
        if without_days.fires:
            # A day off alone is in the way of what would have fired there, and the clocks are told as without it.
            assert found.mismatches == ()
            assert found.fires or any(reason.cause == "calendar" for reason in found.not_there)
            if not found.fires:
                causes = [reason.cause for reason in found.not_there]
                assert all(reason.cause in causes for reason in without_days.adjustments)
        if found.fires:
            assert found.mismatches == ()
            assert named or found.adjustments != ()
        assert found.next == next_occurrence(timing, moment)
