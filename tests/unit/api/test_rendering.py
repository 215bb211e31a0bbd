"""How values are shown."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.rendering import retry_json
from app.core.clock import truncate_to_ms, utc
from app.core.occurrences import parse_instant
from app.core.schedule import RetryPolicy


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 11, 23, 17, tzinfo=UTC), "2026-11-23T17:00:00Z"),
        (datetime(2026, 11, 23, 17, 0, 0, 123_000, tzinfo=UTC), "2026-11-23T17:00:00.123Z"),
        (datetime(2026, 11, 23, 17, 0, 0, 100_000, tzinfo=UTC), "2026-11-23T17:00:00.100Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_has_one_form(instant: datetime, text: str) -> None:
    assert utc(instant) == text


@given(st.datetimes(datetime(1, 1, 1, 0, 0, 0, 1000), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_shown_instant_reads_as_the_same(instant: datetime) -> None:
    kept = truncate_to_ms(instant)
    assert parse_instant(utc(kept), field="start", timezone=None) == kept


def test_whole_numbers_are_shown_without_a_fraction() -> None:
    shown = retry_json(RetryPolicy(initial_backoff_seconds=1.0, max_backoff_seconds=0.5, multiplier=2))
    assert str(shown["initial_backoff_seconds"]) == "1"
    assert shown["max_backoff_seconds"] == 0.5
