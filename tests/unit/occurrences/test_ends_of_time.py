"""At both ends of the calendar there is an answer or None, never an overflow."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from app.core.occurrences import (
    ScheduleType,
    Timing,
    count_occurrences,
    describe,
    due_at,
    latest_occurrence,
    next_occurrence,
    occurrences_after,
)

from .brute_force import cron, zone_names

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
EAST = timezone(timedelta(hours=14))
WEST = timezone(timedelta(hours=-12))
ZONES = ["UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York", "Europe/Dublin", "Australia/Lord_Howe"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", ["* * * * *", "* * * * * *", "0 0 * * *", "59 59 23 31 12 *", "0 0 29 2 *"])
def test_the_calendar_ends_and_begins_without_an_error(expression: str, zone: str) -> None:
    timing = cron(expression, zone)
    assert next_occurrence(timing, LAST) is None
    assert latest_occurrence(timing, FIRST - timedelta(0)) in (None, FIRST)
    last = latest_occurrence(timing, LAST)
    assert last is not None
    assert next_occurrence(timing, last) is None
    first = next_occurrence(timing, FIRST)
    assert first is not None
    assert latest_occurrence(timing, first) == first
    assert count_occurrences(timing, last - timedelta(milliseconds=1), LAST) == 1
    assert occurrences_after(timing, last - timedelta(milliseconds=1), 5) == [last]
    assert count_occurrences(timing, FIRST, first) == 1


def test_the_last_second_of_all_fires() -> None:
    last = LAST.replace(microsecond=0)
    assert next_occurrence(cron("* * * * * *"), last - timedelta(seconds=1)) == last
    assert latest_occurrence(cron("* * * * * *"), LAST) == last


def test_instants_of_zones_that_lie_beyond_utc_are_searched_from_as_well() -> None:
    early, late = datetime(1, 1, 1, tzinfo=EAST), datetime(9999, 12, 31, 23, 59, tzinfo=WEST)
    assert next_occurrence(cron("0 0 * * *"), early) == FIRST
    assert latest_occurrence(cron("0 0 * * *"), early) is None
    assert next_occurrence(cron("0 0 * * *"), late) is None
    assert latest_occurrence(cron("0 0 * * *"), late) == datetime(9999, 12, 31, tzinfo=UTC)
    assert count_occurrences(cron("0 0 * * *"), early, late) == 3_652_059


def test_everything_that_ever_happens_can_be_counted() -> None:
    assert count_occurrences(cron("* * * * *"), FIRST - timedelta(0), LAST) == 3_652_059 * 1440 - 1
    assert count_occurrences(cron("0 0 29 2 *"), FIRST, LAST) == 2424
    assert count_occurrences(cron("0 0 * * 5", "Asia/Kolkata"), FIRST, LAST) in range(521_721, 521_724)


@pytest.mark.parametrize("seconds", [1, 7, 31_536_000])
def test_an_interval_ends_with_the_calendar(seconds: int) -> None:
    timing = Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=seconds, start_at=LAST - timedelta(seconds=10))
    assert next_occurrence(timing, LAST) is None
    assert count_occurrences(timing, FIRST, LAST) == 10 // seconds + 1
    assert next_occurrence(Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=seconds, anchor=FIRST), FIRST)


def test_an_expression_that_only_matches_inside_gaps_has_no_next_occurrence() -> None:
    """02:00 to 03:00 on the day of the change: since 2007 New York's clocks have not shown it."""
    timing = cron("* 2 * 3 SUN#2", "America/New_York")
    for year in (2007, 2026, 2099, 2101, 2600, 9000, 9998):
        assert next_occurrence(timing, datetime(year, 1, 1, tzinfo=UTC)) is None
    for year in (2026, 2101, 2600, 9000):
        # Before 2007 the change was in April.
        assert latest_occurrence(timing, datetime(year, 1, 1, tzinfo=UTC)) == datetime(2006, 3, 12, 7, 59, tzinfo=UTC)
        assert count_occurrences(timing, datetime(2010, 1, 1, tzinfo=UTC), datetime(year, 1, 1, tzinfo=UTC)) == 0


def test_every_zone_answers_at_both_ends() -> None:
    for zone in zone_names():
        timing = cron("30 12 * * *", zone)
        assert next_occurrence(timing, FIRST) is not None
        assert next_occurrence(timing, LAST) is None
        last = latest_occurrence(timing, LAST)
        assert last is not None
        assert last.year == 9999
        assert due_at(timing, UUID(int=1), last) == last


def test_a_one_time_schedule_at_the_ends_is_described() -> None:
    for instant, zone in ((FIRST, "America/New_York"), (LAST, "Asia/Tokyo"), (FIRST, "UTC"), (LAST, "UTC")):
        assert describe(Timing(ScheduleType.ONE_TIME, zone, scheduled_time=instant)).startswith("Once, on ")
