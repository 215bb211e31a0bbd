"""Instants, durations and people in words."""

from datetime import UTC, datetime, timedelta

import pytest

from app.core.explaining.wording import (
    Clockface,
    because,
    counted,
    lasting,
    offset_text,
    one_line,
    sentence,
    times,
    until,
    who,
)

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "instant", "told"),
    [
        ("UTC", "2026-12-25T12:00:00", "Friday 2026-12-25 at 12:00"),
        ("America/New_York", "2026-12-25T04:30:00", "Thursday 2026-12-24 at 23:30"),
        ("Asia/Kathmandu", "2026-12-25T12:00:05.040", "Friday 2026-12-25 at 17:45:05.040"),
        ("UTC", "2026-12-25T12:00:00.004", "Friday 2026-12-25 at 12:00:00.004"),
        # Both showings of 02:30 on the night that the clocks go back, and the times that are shown once around them.
        ("Europe/Berlin", "2027-10-30T23:59:59", "Sunday 2027-10-31 at 01:59:59"),
        ("Europe/Berlin", "2027-10-31T00:30:00", "Sunday 2027-10-31 at 02:30 UTC+02:00"),
        ("Europe/Berlin", "2027-10-31T01:30:00", "Sunday 2027-10-31 at 02:30 UTC+01:00"),
        ("Europe/Berlin", "2027-10-31T02:00:00", "Sunday 2027-10-31 at 03:00"),
        ("Australia/Lord_Howe", "2027-04-03T14:45:00", "Sunday 2027-04-04 at 01:45 UTC+11:00"),
        ("Europe/Berlin", "2027-03-28T01:00:00", "Sunday 2027-03-28 at 03:00"),
        # A clock that is not there any more, and the ends of the calendar.
        ("Mars/Base", "2026-12-25T12:00:00", "Friday 2026-12-25 at 12:00"),
        ("America/New_York", "0001-01-01T00:00:00", "Monday 0001-01-01 at 00:00"),
        ("Pacific/Auckland", "9999-12-31T23:59:59.999", "Friday 9999-12-31 at 23:59:59.999"),
    ],
)
def test_an_instant_is_told_by_the_clock_of_its_zone(zone: str, instant: str, told: str) -> None:
    assert Clockface(zone).day_and_time(datetime.fromisoformat(instant).replace(tzinfo=UTC)) == told


def test_an_instant_of_a_day_that_was_told_is_told_by_its_time_alone() -> None:
    face = Clockface("Europe/Berlin")
    assert face.when(NOON + timedelta(hours=1), NOON) == "at 14:00"
    assert face.then(NOON + timedelta(hours=1), NOON) == "14:00"
    # Midnight in Berlin comes at 23:00 UTC.
    assert face.when(NOON + timedelta(hours=11), NOON) == "on Thursday 2026-11-26 at 00:00"
    assert face.named(NOON) == "Wednesday 2026-11-25 at 13:00 (Europe/Berlin)"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 milliseconds"),
        (0.001, "1 millisecond"),
        (0.999, "999 milliseconds"),
        (1, "1 second"),
        (1.25, "1.2 seconds"),
        (9.9, "9.9 seconds"),
        (10.4, "10 seconds"),
        (59.999, "1 minute"),
        (61, "1 minute and 1 second"),
        (3600, "1 hour"),
        (3601, "1 hour"),
        (8400, "2 hours and 20 minutes"),
        (86_400 + 59, "1 day"),
        (3 * 86_400 + 7200, "3 days and 2 hours"),
        (86_400 * 2_911_970, "2,911,970 days"),
    ],
)
def test_a_duration_is_told_by_its_two_largest_units(seconds: float, told: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == told


def test_how_far_something_lies_from_now() -> None:
    assert until(NOON + timedelta(hours=2), NOON) == "in 2 hours"
    assert until(NOON - timedelta(days=3), NOON) == "3 days ago"
    assert until(NOON + timedelta(milliseconds=999), NOON) == "now"


def test_numbers_take_the_right_form() -> None:
    assert [counted(number, "run") for number in (0, 1, 2, 8640)] == ["0 runs", "1 run", "2 runs", "8,640 runs"]
    assert [times(number) for number in (1, 2, 3, 1000)] == ["once", "twice", "3 times", "1,000 times"]


def test_people_and_their_reasons_stay_on_one_line() -> None:
    assert who("anna") == "by anna"
    assert who(None) == "by a caller without a name"
    assert who("schedule-service", automatic=True) == "by the service itself"
    assert because("stock-taking") == ' ("stock-taking")'
    assert because(" \n ") == because(None) == ""
    assert because("one\n\ttwo.") == ' ("one two")'
    assert len(one_line("x" * 1000)) == 200
    assert one_line("x" * 1000).endswith("…")


def test_a_sentence_begins_and_ends_as_one() -> None:
    assert sentence("the hour is 13") == "The hour is 13."
    assert sentence("02:30 does not exist.") == "02:30 does not exist."
    assert sentence("No.") == "No."


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("UTC", "UTC"),
        ("Europe/Berlin", "UTC+01:00"),
        ("America/St_Johns", "UTC-03:30"),
        ("Asia/Kathmandu", "UTC+05:45"),
    ],
)
def test_an_offset_is_told_as_one_writes_it(zone: str, told: str) -> None:
    assert offset_text(Clockface(zone).local(NOON)) == told


def test_an_offset_of_history_may_have_seconds() -> None:
    assert offset_text(Clockface("Africa/Monrovia").local(datetime(1950, 1, 1, tzinfo=UTC))) == "UTC-00:44:30"
