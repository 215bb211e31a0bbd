"""What is left alone when a timing changes that nobody changed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.firing import Waiting
from app.core.occurrences import (
    BusinessDays,
    OnDayOff,
    ScheduleType,
    Timing,
    next_occurrence,
    occurrences_after,
    passed_over,
)
from app.core.recomputing import anew, is_older, same_past
from app.core.schedule import Definition, Schedule, ScheduleStatus
from tests.integration.definitions import cron, one_time

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("2026a", "2026b", True),
        ("2026b", "2026a", False),
        ("2026a", "2026a", False),
        ("2025z", "2026a", True),
        ("2026a", "2025z", False),
        ("2026z", "2026za", True),
        ("2026za", "2026b", False),
        ("unknown", "2026a", False),
        ("2026a", "unknown", False),
        ("2026a", "2026b ", False),
        ("", "2026a", False),
    ],
)
def test_releases_of_the_zone_rules_are_ordered_by_year_and_letters(version: str, than: str, older: bool) -> None:
    assert is_older(version, than) is older


def daily(days: BusinessDays | None) -> Timing:
    return Timing(ScheduleType.CRON, "UTC", cron_expression="0 9 * * *", days=days)


def off(*dates: date, rule: OnDayOff = OnDayOff.SKIP) -> BusinessDays:
    return BusinessDays.merged(rule, days_off=[(day, day) for day in dates])


def test_days_to_come_change_nothing_that_has_passed() -> None:
    tomorrow = (MONDAY + DAY).date()
    assert same_past(daily(off()), daily(off(tomorrow)), MONDAY - 3 * DAY, MONDAY)


def test_a_day_that_has_passed_and_is_off_now_does() -> None:
    assert not same_past(daily(off()), daily(off(MONDAY.date())), MONDAY - DAY, MONDAY)
    assert not same_past(daily(off(MONDAY.date())), daily(off()), MONDAY - DAY, MONDAY)


def test_two_days_that_change_places_are_not_the_same() -> None:
    sunday, saturday = (MONDAY - DAY).date(), (MONDAY - 2 * DAY).date()
    assert not same_past(daily(off(sunday)), daily(off(saturday)), MONDAY - 4 * DAY, MONDAY)


def test_what_is_recorded_is_not_compared() -> None:
    assert same_past(daily(off()), daily(off(MONDAY.date())), MONDAY, MONDAY)
    assert same_past(daily(off()), daily(off(MONDAY.date())), MONDAY + DAY, MONDAY)


_DATES = st.lists(st.dates(date(2026, 11, 16), date(2026, 11, 30)), max_size=4)


@given(_DATES, _DATES, st.sampled_from(OnDayOff), st.integers(0, 10 * 24))
def test_the_same_past_goes_on_as_the_new_days_say_and_repeats_nothing(
    before: list[date], after: list[date], rule: OnDayOff, hours: int
) -> None:
    old, new = daily(off(*before, rule=rule)), daily(off(*after, rule=rule))
    searched_to = datetime(2026, 11, 17, 9, tzinfo=UTC)
    now = searched_to + timedelta(hours=hours)
    waiting = next_occurrence(old, searched_to)
    assert waiting is not None
    if not same_past(old, new, searched_to, now):
        return
    if waiting <= now:
        # What waits is the first of the backlog under the new days too.
        assert next_occurrence(new, searched_to) == waiting
        assert len([one for one in occurrences_after(new, searched_to, 30) if one <= now]) == len(
            [one for one in occurrences_after(old, searched_to, 30) if one <= now]
        )
    else:
        following = next_occurrence(new, searched_to)
        assert following is not None
        assert following > now
    assert passed_over(old, searched_to, now) == passed_over(new, searched_to, now)


def schedule(definition: Definition, searched_to: datetime) -> Schedule:
    return Schedule(
        schedule_id=UUID(int=1),
        community_id=1,
        definition=definition,
        status=ScheduleStatus.ACTIVE,
        status_reason=None,
        next_execution_at=None,
        next_due_at=None,
        searched_to=searched_to,
        last_execution_at=None,
        last_execution_id=None,
        execution_count=0,
        created_by=None,
        created_at=MONDAY,
        updated_at=MONDAY,
        revision=1,
    )


def test_what_waits_in_the_past_stays_and_what_is_to_come_is_searched_after_what_was_consumed() -> None:
    stored = schedule(cron("0 9 * * *"), MONDAY)
    late, wrong = Waiting(MONDAY - DAY, MONDAY - DAY), Waiting(MONDAY + 2 * DAY, MONDAY + 2 * DAY)
    assert anew(stored, stored.timing, late, MONDAY) is late
    assert anew(stored, stored.timing, wrong, MONDAY) == Waiting(
        MONDAY + timedelta(hours=21), MONDAY + timedelta(hours=21)
    )
    ended = replace(stored.timing, end_at=MONDAY)
    assert anew(stored, ended, wrong, MONDAY) is None


def test_a_one_time_before_what_was_consumed_is_not_lost() -> None:
    instant = MONDAY + timedelta(milliseconds=30)
    stored = schedule(one_time(instant), instant)
    waiting = Waiting(instant, instant)
    assert anew(stored, stored.timing, waiting, MONDAY) == waiting


def test_an_interval_and_a_one_time_are_compared_too() -> None:
    single = Timing(ScheduleType.ONE_TIME, "UTC", scheduled_time=MONDAY - timedelta(hours=1))
    moved = replace(single, days=off(MONDAY.date(), rule=OnDayOff.NEXT_BUSINESS_DAY))
    assert not same_past(single, moved, MONDAY - DAY, MONDAY)
    grid = Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=60, anchor=MONDAY - DAY)
    assert not same_past(grid, replace(grid, days=off(MONDAY.date())), MONDAY - timedelta(hours=1), MONDAY)
    assert same_past(grid, replace(grid, days=off((MONDAY - DAY).date())), MONDAY - timedelta(hours=1), MONDAY)
