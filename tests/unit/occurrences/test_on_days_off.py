"""What becomes of an occurrence that a day off moves, and what is said of it."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.occurrences import (
    BusinessDays,
    DstPolicy,
    Fold,
    Gap,
    OnDayOff,
    ScheduleType,
    Timing,
    moved_to_nothing,
    why,
)
from app.core.occurrences.zones import load_zone

from .brute_force import EPOCH, Expression, OfDates, Plain, clock_of, cron, examples, offset, policies, scan
from .calendars import Calendar

BERLIN, NUUK = "Europe/Berlin", "America/Nuuk"
SKIP_GAPS = DstPolicy(gap=Gap.SKIP)
NEXT, PREVIOUS = OnDayOff.NEXT_BUSINESS_DAY, OnDayOff.PREVIOUS_BUSINESS_DAY
ONTO_THE_JUMP = BusinessDays.merged(NEXT, days_worked=[(date(2027, 3, 28), date(2027, 3, 28))])
SATURDAY, NOTHING = "Saturday 2026-12-05 is on the weekend; it", "so that nothing fires."
MONDAY, FRIDAY = "the next business day, Monday 2026-12-07", "the previous business day, Friday 2026-12-04"
BEFORE_THE_JUMP = "Saturday 2027-03-27 is on the weekend; it would move to the next business day, Sunday 2027-03-28, "
IN_GAP = "in Europe/Berlin, where the clock jumps from 02:00 to 03:00"


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _bounded(expression: str, rule: OnDayOff, start_at: str | None = None, end_at: str | None = None) -> Timing:
    bounds = [None if bound is None else _utc(bound) for bound in (start_at, end_at)]
    return cron(expression, start_at=bounds[0], end_at=bounds[1], days=BusinessDays(rule))


@pytest.mark.parametrize(
    ("timing", "at", "told"),
    [
        (_bounded("0 9 * * *", NEXT, end_at="2026-12-05T12:00Z"), "2026-12-05T09:00Z",
         [f"{SATURDAY} would move to {MONDAY}, where it is after end_at, {NOTHING}"]),
        (_bounded("0 9 * * *", NEXT, end_at="2026-12-07T08:59:59.999Z"), "2026-12-05T09:00Z",
         [f"{SATURDAY} would move to {MONDAY}, where it is after end_at, {NOTHING}"]),
        (_bounded("0 9 * * *", NEXT, end_at="2026-12-07T09:00Z"), "2026-12-05T09:00Z",
         [f"{SATURDAY} fires on {MONDAY}."]),
        (_bounded("0 9 * * *", NEXT, start_at="2026-12-06T00:00Z"), "2026-12-05T09:00Z",
         [f"{SATURDAY} fires on {MONDAY}."]),
        (_bounded("0 9 * * *", PREVIOUS, start_at="2026-12-05T00:00Z"), "2026-12-05T09:00Z",
         [f"{SATURDAY} would move to {FRIDAY}, where it is before start_at, {NOTHING}"]),
        (_bounded("0 9 * * *", PREVIOUS, start_at="2026-12-04T09:00Z"), "2026-12-05T09:00Z",
         [f"{SATURDAY} fires on {FRIDAY}."]),
        # The time that was asked for, else all those of the day.
        (_bounded("0 9,15 * * *", NEXT, end_at="2026-12-07T12:00Z"), "2026-12-05T09:00Z",
         [f"{SATURDAY} fires on {MONDAY}."]),
        (_bounded("0 9,15 * * *", NEXT, end_at="2026-12-07T12:00Z"), "2026-12-05T15:00Z",
         [f"{SATURDAY} would move to {MONDAY}, where it is after end_at, {NOTHING}"]),
        (_bounded("0 9,15 * * *", NEXT, end_at="2026-12-07T12:00Z"), "2026-12-05T12:00Z",
         [f"{SATURDAY} fires on {MONDAY}, except where it is after end_at."]),
        (_bounded("* * * * *", NEXT, "2026-12-07T12:00:00.001Z", "2026-12-07T12:01Z"), "2026-12-05T12:00Z",
         [f"{SATURDAY} would move to {MONDAY}, where it is before start_at, {NOTHING}"]),
        (_bounded("* * * * *", NEXT, "2026-12-07T12:00:00.001Z", "2026-12-07T12:01Z"), "2026-12-05T12:01:30Z",
         [f"{SATURDAY} fires on {MONDAY}, except where it is before start_at or is after end_at."]),
        # No time in common with the day that it moves to.
        (cron("30 2 * * *", BERLIN, days=ONTO_THE_JUMP, dst_policy=SKIP_GAPS), "2027-03-27T02:30+01:00",
         [f"{BEFORE_THE_JUMP}where it does not exist, {NOTHING}",
          f"02:30 does not exist on 2027-03-28 {IN_GAP}, and the schedule skips such times."]),
        (cron("*/30 2 * * *", BERLIN, days=ONTO_THE_JUMP), "2027-03-27T02:30+01:00",
         [f"{BEFORE_THE_JUMP}where it does not exist, {NOTHING}",
          (f"02:00 and 02:30 do not exist on 2027-03-28 {IN_GAP}; nothing fires in their place, as an expression whose "
           "minute or hour begins with * follows the real clock.")]),
        (cron("30 2 * * *", BERLIN, days=ONTO_THE_JUMP), "2027-03-27T02:30+01:00",
         ["Saturday 2027-03-27 is on the weekend; it fires on the next business day, Sunday 2027-03-28."]),
        (cron("30 2 * * *", BERLIN, days=ONTO_THE_JUMP, end_at=_utc("2027-03-28T00:59Z")), "2027-03-27T02:30+01:00",
         [f"{BEFORE_THE_JUMP}where it is after end_at, {NOTHING}"]),
    ],
)  # fmt: skip
def test_a_day_off_says_whether_anything_fires_on_the_day_that_it_moves_to(
    timing: Timing, at: str, told: list[str]
) -> None:
    found = why(timing, _utc(at))
    assert not found.fires
    assert [reason.text for reason in found.not_there] == told


def test_where_the_times_of_a_day_differ_the_one_that_was_asked_for_is_named_alone() -> None:
    timing = _bounded("0 9,15 * * *", NEXT, end_at="2026-12-07T12:00Z")
    (alone,) = why(timing, _utc("2026-12-05T15:00Z")).not_there
    assert alone.wall_times == ("2026-12-05T15:00:00",)
    (both,) = why(timing, _utc("2026-12-05T12:00Z")).not_there
    assert both.wall_times == ("2026-12-05T09:00:00", "2026-12-05T15:00:00")


@pytest.mark.parametrize(
    ("timing", "first", "last", "told"),
    [
        (_bounded("0 9 * * *", NEXT, end_at="2026-12-06T12:00Z"), "2026-12-04T12:00Z", "2026-12-09T00:00Z",
         [("Saturday 2026-12-05 and Sunday 2026-12-06 are on the weekend; they would move to "
           f"{MONDAY}, where they are after end_at, {NOTHING}")]),
        (_bounded("0 9 * * *", NEXT, end_at="2026-12-05T12:00Z"), "2026-12-01T00:00Z", "2026-12-09T00:00Z",
         [f"{SATURDAY} would move to {MONDAY}, where it is after end_at, {NOTHING}"]),
        (_bounded("0 9 * * *", PREVIOUS, start_at="2026-12-05T00:00Z"), "2026-12-01T00:00Z", "2026-12-09T00:00Z",
         [("Saturday 2026-12-05 and Sunday 2026-12-06 are on the weekend; they would move to "
           f"{FRIDAY}, where they are before start_at, {NOTHING}")]),
        (cron("30 2 * * *", BERLIN, days=ONTO_THE_JUMP, dst_policy=SKIP_GAPS), "2027-03-27T00:00Z", "2027-03-27T12:00Z",
         [f"{BEFORE_THE_JUMP}where it does not exist, {NOTHING}",
          f"02:30 does not exist on 2027-03-28 {IN_GAP}, and the schedule skips such times."]),
        (_bounded("0 9 * * *", NEXT, end_at="2026-12-07T09:00Z"), "2026-12-01T00:00Z", "2026-12-09T00:00Z", []),
        (_bounded("0 9 * * SUN", NEXT, end_at="2026-12-05T12:00Z"), "2026-12-01T00:00Z", "2026-12-09T00:00Z", []),
        (_bounded("0 9 * * *", OnDayOff.SKIP, end_at="2026-12-05T12:00Z"), "2026-12-01T00:00Z", "2026-12-09T00:00Z",
         []),
        (cron("0 9 * * *", end_at=_utc("2026-12-05T12:00Z")), "2026-12-01T00:00Z", "2026-12-09T00:00Z", []),
    ],
)  # fmt: skip
def test_a_time_says_which_days_are_moved_out_of_it_to_nothing(
    timing: Timing, first: str, last: str, told: list[str]
) -> None:
    assert [each.text for each in moved_to_nothing(timing, _utc(first), _utc(last))] == told


def test_neither_a_single_instant_nor_the_ends_of_the_calendar_are_without_an_answer() -> None:
    once = Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=_utc("2027-03-27T02:30+01:00"), days=ONTO_THE_JUMP)
    assert [reason.text for reason in why(once, _utc("2027-03-27T02:30+01:00")).not_there] == [
        "Saturday 2027-03-27 is on the weekend; it fires on the next business day, Sunday 2027-03-28."
    ]
    first, last = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    for rule in (NEXT, PREVIOUS):
        off = BusinessDays.merged(rule, weekend=range(1, 7))
        for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12"):
            for timing in (cron("*/30 * * * *", zone, days=off), cron("0 9 * * SAT", zone, days=off)):
                assert list(moved_to_nothing(timing, first, last)) == []
                assert not why(timing, last).fires


ZONES = (BERLIN, "America/New_York", NUUK, "Australia/Lord_Howe", "Antarctica/Troll", "America/Sao_Paulo")
QUARTER = 900


def _midnight(day: date, zone: str) -> int:
    """The UTC second of a day's midnight, or one within some hours of it."""
    second = int((datetime(day.year, day.month, day.day, tzinfo=UTC) - EPOCH).total_seconds())
    return second - offset(zone, second)


@settings(max_examples=examples(150))
@given(st.data(), st.sampled_from(ZONES), st.sampled_from((NEXT, PREVIOUS)), policies, st.booleans())
def test_a_time_on_a_day_off_is_said_to_fire_where_something_does(
    data: st.DataObject, zone: str, rule: OnDayOff, policy: DstPolicy, is_wild: bool
) -> None:
    changes = [second for second in load_zone(zone).starts if 1_420_070_400 <= second < 1_483_228_800]
    change = data.draw(st.sampled_from(changes))
    landing = (EPOCH + timedelta(seconds=change + offset(zone, change - 1))).date()
    way = timedelta(days=-1 if rule is NEXT else 1)
    off = landing + way * data.draw(st.integers(1, 3))
    first, last = sorted((off, landing + way))
    calendar = Calendar(rule, off=((first, last),), weekend=frozenset())
    hour, minute = data.draw(st.sampled_from((0, 1, 2, 3, 23))), data.draw(st.sampled_from((0, 15, 45)))
    expression = Expression(
        second=None,
        minute=Plain("*/15", frozenset((0, 15, 30, 45))) if is_wild else Plain(str(minute), frozenset((minute,))),
        hour=Plain(str(hour), frozenset((hour,))),
        day=OfDates(str(off.day), lambda day: day.day == off.day),
        month=Plain(str(off.month), frozenset((off.month,))),
        weekday=OfDates("*", lambda _: True),
    )
    midnight = _midnight(landing, zone)
    bound = EPOCH + timedelta(seconds=midnight + QUARTER * data.draw(st.integers(-8, 20)))
    bounds = data.draw(st.sampled_from(({}, {"end_at": bound}, {"start_at": bound})))
    timing = cron(expression.text, zone, dst_policy=policy, days=calendar.days, **bounds)
    window = range(midnight - 12 * 3600, midnight + 36 * 3600, QUARTER)
    unbounded = [EPOCH + timedelta(seconds=at) for at in scan(expression, clock_of(zone), window, policy, calendar)]
    fires = [at for at in unbounded if bounds.get("start_at", at) <= at <= bounds.get("end_at", at)]
    # At noon, which is no time of the rule.
    asked = EPOCH + timedelta(seconds=_midnight(off, zone) + 12 * 3600)
    told = next(reason.text for reason in why(timing, asked).not_there if reason.cause == "calendar")
    assert ("it fires on the " in told, NOTHING in told) == (fires != [], fires == []), told
    if fires and "except where" not in told:
        assert fires == unbounded or policy.fold is Fold.TWICE or is_wild
