"""Reading instants from text, and wall-clock readings in a zone."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidScheduleException
from app.core.occurrences import parse_instant, resolve_wall_clock

from .brute_force import examples


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T17:00:00Z", "2026-11-23T17:00:00"),
        ("2026-11-23t17:00:00z", "2026-11-23T17:00:00"),
        ("2026-11-23 17:00:00Z", "2026-11-23T17:00:00"),
        ("2026-11-23T12:00:00-05:00", "2026-11-23T17:00:00"),
        ("2026-11-23T22:45:00+05:45", "2026-11-23T17:00:00"),
        ("2026-11-23T17:00:00+00:00", "2026-11-23T17:00:00"),
        ("2026-11-23T17:00:00-00:00", "2026-11-23T17:00:00"),
        ("2026-01-01T00:00:00+23:59", "2025-12-31T00:01:00"),
        ("2026-11-23T17:00:00.5Z", "2026-11-23T17:00:00.500"),
        ("2026-11-23T17:00:00.123Z", "2026-11-23T17:00:00.123"),
        ("2026-11-23T17:00:00.1239999Z", "2026-11-23T17:00:00.123"),
        ("2026-11-23T17:00:00.000000000000000001Z", "2026-11-23T17:00:00"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999"),
        ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00"),
        ("0001-01-01T00:00:00.001Z", "0001-01-01T00:00:00.001"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999"),
    ],
)
def test_a_text_with_an_offset_is_read_to_the_millisecond(text: str, expected: str) -> None:
    found = parse_instant(text, field="start_at", timezone=None)
    assert found == _utc(expected)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not an RFC 3339 date and time"),
        ("tomorrow", "not an RFC 3339"),
        ("2026-11-23", "not an RFC 3339"),
        ("2026-11-23T17:00Z", "not an RFC 3339"),
        ("2026-11-23T17:00:00", "an offset is needed"),
        ("2026-11-23T17:00:00.Z", "not an RFC 3339"),
        ("2026-11-23T17:00:00,5Z", "not an RFC 3339"),
        ("2026-11-23T17:00:00+0100", "not an RFC 3339"),
        ("2026-11-23T17:00:00+01", "not an RFC 3339"),
        (
            "2026-11-23T17:00:00.5 01:00",
            "a space stands before its offset; in a URL a + is written %2B, as in 2026-11-23T17:00:00.5%2B01:00",
        ),
        ("2026-11-23 17:00:00 01:00", "in a URL a + is written %2B, as in 2026-11-23T17:00:00%2B01:00"),
        ("2026-11-23 17:00", "not an RFC 3339"),
        ("2026-11-23T17:00:00 Z", "not an RFC 3339"),
        (" 2026-11-23T17:00:00Z", "not an RFC 3339"),
        ("2026-11-23T17:00:00Z\n", "not an RFC 3339"),
        ("20261123T170000Z", "not an RFC 3339"),
        ("2026-W48-1T17:00:00Z", "not an RFC 3339"),
        ("1795453200", "not an RFC 3339"),
        ("-2026-11-23T17:00:00Z", "not an RFC 3339"),
        ("12026-11-23T17:00:00Z", "not an RFC 3339"),
        ("٢٠٢٦-11-23T17:00:00Z", "not an RFC 3339"),
        ("2026-11-23T17:00:00Z" + "0" * 100, "not an RFC 3339"),
        ("2026-02-30T00:00:00Z", "day 30 is out of range 1-28 in 2026-02"),
        ("2028-02-30T00:00:00Z", "day 30 is out of range 1-29 in 2028-02"),
        ("2100-02-29T00:00:00Z", "day 29 is out of range 1-28 in 2100-02"),
        ("2026-04-31T00:00:00Z", "day 31 is out of range 1-30 in 2026-04"),
        ("2026-00-10T00:00:00Z", "month 0 is out of range 1-12"),
        ("2026-13-10T00:00:00Z", "month 13 is out of range 1-12"),
        ("2026-01-00T00:00:00Z", "day 0 is out of range 1-31"),
        ("0000-01-01T00:00:00Z", "year 0 is out of range 0001-9999"),
        ("2026-01-01T24:00:00Z", "hour 24 is out of range 0-23"),
        ("2026-01-01T00:60:00Z", "minute 60 is out of range 0-59"),
        ("2026-01-01T00:00:61Z", "second 61 is out of range 0-59"),
        ("2016-12-31T23:59:60Z", "a leap second cannot be scheduled"),
        ("2026-01-01T00:00:00+24:00", "the offset is out of range -23:59 to +23:59"),
        ("2026-01-01T00:00:00+25:00", "the offset is out of range"),
        ("2026-01-01T00:00:00-01:60", "the offset is out of range"),
        ("0001-01-01T00:00:00+00:01", "outside the years 0001 to 9999"),
        ("9999-12-31T23:59:59-00:01", "outside the years 0001 to 9999"),
    ],
)
def test_a_text_that_is_no_instant_is_refused_with_what_would_be_right(text: str, problem: str) -> None:
    with pytest.raises(InvalidScheduleException) as caught:
        parse_instant(text, field="end_at", timezone=None)
    (error,) = caught.value.errors
    assert error.field == "end_at"
    assert error.message.startswith("end_at '")
    assert problem in error.message


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-23T12:00:00", "America/New_York", "2026-11-23T17:00:00"),
        ("2026-07-01T12:00:00.250", "America/New_York", "2026-07-01T16:00:00.250"),
        ("2026-03-08T02:30:00.750", "America/New_York", "2026-03-08T07:00:00"),
        ("2026-03-08T02:00:00", "America/New_York", "2026-03-08T07:00:00"),
        ("2026-03-08T01:59:59.999", "America/New_York", "2026-03-08T06:59:59.999"),
        ("2026-03-08T03:00:00.001", "America/New_York", "2026-03-08T07:00:00.001"),
        ("2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00"),
        ("2026-11-01T02:00:00", "America/New_York", "2026-11-01T07:00:00"),
        ("2011-12-30T12:00:00", "Pacific/Apia", "2011-12-30T10:00:00"),
        ("2026-10-04T02:15:00", "Australia/Lord_Howe", "2026-10-03T15:30:00"),
        ("2026-11-23T12:00:00Z", "America/New_York", "2026-11-23T12:00:00"),
        ("1850-01-01T00:00:00", "Europe/Amsterdam", None),
        ("2550-07-01T12:00:00", "America/New_York", "2550-07-01T16:00:00"),
        ("9999-06-30T12:00:00", "America/New_York", "9999-06-30T16:00:00"),
        ("0001-01-01T00:00:00", "America/New_York", "0001-01-01T04:56:02"),
    ],
)
def test_a_text_without_offset_is_a_fixed_wall_clock_time_of_its_zone(
    text: str, zone: str, expected: str | None
) -> None:
    found = parse_instant(text, field="scheduled_time", timezone=zone)
    if expected is not None:
        assert found == _utc(expected)
    assert resolve_wall_clock(datetime.fromisoformat(text).replace(tzinfo=None), zone) == found or "Z" in text


@pytest.mark.parametrize(
    ("text", "zone"),
    [("9999-12-31T23:00:00", "America/New_York"), ("0001-01-01T00:00:00", "Asia/Tokyo")],
)
def test_a_wall_clock_time_beyond_the_calendar_in_utc_is_refused(text: str, zone: str) -> None:
    with pytest.raises(InvalidScheduleException, match="outside the years 0001 to 9999"):
        parse_instant(text, field="scheduled_time", timezone=zone)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01 00:00:00.0009z", None),
        ("0001-01-01T00:00:00-00:00", None),
        ("0001-01-01T05:45:00+05:45", None),
        ("0001-01-01T00:00:00", "UTC"),
        ("0001-01-01T00:00:00.000", "Etc/UTC"),
    ],
)
def test_the_zero_of_other_languages_is_refused_in_every_form(text: str, zone: str | None) -> None:
    with pytest.raises(InvalidScheduleException, match="stands for none: leave it out, or give null") as caught:
        parse_instant(text, field="start_at", timezone=zone)
    assert [error.field for error in caught.value.errors] == ["start_at"]


def test_an_unknown_zone_is_refused_as_the_zone() -> None:
    with pytest.raises(InvalidScheduleException) as caught:
        parse_instant("2026-11-23T12:00:00", field="scheduled_time", timezone="Mars/Olympus")
    assert caught.value.errors[0].field == "timezone"


@settings(max_examples=examples(300))
@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_what_isoformat_writes_is_read_back(naive: datetime, minutes_east: int) -> None:
    instant = naive.replace(tzinfo=timezone(timedelta(minutes=minutes_east)))
    expected = instant.astimezone(UTC)
    expected = expected.replace(microsecond=expected.microsecond // 1000 * 1000)
    assert parse_instant(instant.isoformat(), field="start_at", timezone=None) == expected


def _punctuated(digits: str) -> str:
    """Digits in the places of a date-time: mostly of no day and no time."""
    year, rest = digits[:4], [digits[at : at + 2] for at in range(4, 18, 2)]
    month, day, hour, minute, second, east_hours, east_minutes = rest
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}+{east_hours}:{east_minutes}"


@settings(max_examples=examples(300))
@given(st.text(max_size=40) | st.text(alphabet="0123456789", min_size=18, max_size=18).map(_punctuated))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    try:
        parse_instant(text, field="start_at", timezone="Africa/Casablanca")
    except InvalidScheduleException as refusal:
        refusal.detail.encode()
