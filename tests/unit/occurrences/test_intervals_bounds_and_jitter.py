"""Intervals, one-time schedules, bounds and jitter."""

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.occurrences import (
    BusinessDays,
    OnDayOff,
    ScheduleType,
    Timing,
    count_occurrences,
    due_at,
    latest_occurrence,
    next_occurrence,
    occurrences_after,
)

from .brute_force import cron, examples

ANCHOR = datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def _every(seconds: int, **rest: datetime | int) -> Timing:
    return Timing(ScheduleType.INTERVAL, "America/New_York", interval_seconds=seconds, **rest)  # type: ignore[arg-type]


def test_an_interval_counts_from_start_at_itself_but_after_its_creation() -> None:
    assert next_occurrence(_every(60, start_at=ANCHOR), ANCHOR - MS) == ANCHOR
    assert next_occurrence(_every(60, start_at=ANCHOR), ANCHOR - timedelta(days=99)) == ANCHOR
    assert next_occurrence(_every(60, anchor=ANCHOR), ANCHOR - timedelta(days=99)) == ANCHOR + timedelta(seconds=60)
    both = _every(60, start_at=ANCHOR, anchor=ANCHOR - timedelta(seconds=17))
    assert next_occurrence(both, ANCHOR) == ANCHOR + timedelta(seconds=60)


def _calls(asked: Callable[[], datetime | None]) -> tuple[datetime | None, int]:
    """The answer, and how many functions of Python were called for it."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = asked()
    finally:
        sys.setprofile(before)
    return found, calls


@pytest.mark.parametrize("every", [2, 4, 6])
def test_thousands_of_days_off_on_end_are_not_walked_call_by_call(every: int) -> None:
    first, number = date(1970, 1, 2), 20_000
    off = [first + timedelta(days=2 * n) for n in range(number)]
    days = BusinessDays.merged(OnDayOff.SKIP, days_off=[(day, day) for day in off])
    noon = datetime(1970, 1, 2, 12, tzinfo=UTC)
    timing = Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=every * 86_400, start_at=noon, days=days)
    free = noon + timedelta(days=2 * number)
    free += timedelta(days=-(free - noon).days % every)
    assert next_occurrence(timing, free - MS) == free
    found, calls = _calls(lambda: next_occurrence(timing, noon - MS))
    assert (found, calls < 100) == (free, True)
    found, calls = _calls(lambda: latest_occurrence(timing, free - MS))
    assert (found, calls < 100) == (None, True)
    assert latest_occurrence(timing, free) == free


def test_an_interval_is_real_time_whatever_the_zone() -> None:
    timing = _every(86_400, start_at=datetime(2026, 3, 7, 17, tzinfo=UTC))
    found = occurrences_after(timing, datetime(2026, 3, 7, 17, tzinfo=UTC), 2)
    assert found == [datetime(2026, 3, 8, 17, tzinfo=UTC), datetime(2026, 3, 9, 17, tzinfo=UTC)]


def test_an_interval_without_anchor_is_an_error_of_the_caller() -> None:
    for question in (next_occurrence, latest_occurrence):
        with pytest.raises(ValueError, match="anchor"):
            question(_every(60), ANCHOR)


def test_a_one_time_schedule_has_one_occurrence() -> None:
    timing = Timing(ScheduleType.ONE_TIME, "UTC", scheduled_time=ANCHOR)
    assert next_occurrence(timing, ANCHOR - MS) == ANCHOR
    assert next_occurrence(timing, ANCHOR) is None
    assert latest_occurrence(timing, ANCHOR) == ANCHOR
    assert latest_occurrence(timing, ANCHOR - MS) is None
    assert count_occurrences(timing, ANCHOR - MS, ANCHOR) == 1
    assert count_occurrences(timing, ANCHOR, ANCHOR + MS) == 0
    assert occurrences_after(timing, ANCHOR - MS, 5) == [ANCHOR]


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("start_at", "end_at", "expected"),
    [
        (NOON, NOON + 2 * DAY, [NOON, NOON + DAY, NOON + 2 * DAY]),
        (NOON + MS, NOON + 2 * DAY, [NOON + DAY, NOON + 2 * DAY]),
        (NOON, NOON + 2 * DAY - MS, [NOON, NOON + DAY]),
        (NOON, NOON, [NOON]),
        (NOON + MS, NOON + DAY - MS, []),
        (None, NOON - MS, []),
    ],
)
def test_both_bounds_are_inclusive(start_at: datetime | None, end_at: datetime, expected: list[datetime]) -> None:
    timing = cron("0 12 * * *", start_at=start_at, end_at=end_at)
    long_before, long_after = NOON - 1000 * DAY, NOON + 1000 * DAY
    if start_at is None:
        long_before = NOON - MS
    assert occurrences_after(timing, long_before, 9) == expected
    assert count_occurrences(timing, long_before, long_after) == len(expected)
    if start_at is not None:
        assert latest_occurrence(timing, long_after) == (expected[-1] if expected else None)


def test_bounds_of_an_interval_are_inclusive() -> None:
    timing = _every(60, start_at=ANCHOR, end_at=ANCHOR + timedelta(seconds=120))
    expected = [ANCHOR + timedelta(seconds=60 * n) for n in range(3)]
    assert occurrences_after(timing, ANCHOR - DAY, 9) == expected
    assert count_occurrences(timing, ANCHOR - DAY, ANCHOR + DAY) == 3
    assert latest_occurrence(timing, ANCHOR + DAY) == expected[-1]
    assert latest_occurrence(timing, ANCHOR - MS) is None


_intervals = st.one_of(st.integers(1, 100), st.integers(1, 31_536_000))
_moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=examples(500))
@given(_intervals, _moments, _moments, st.booleans())
def test_interval_answers_fit_together(seconds: int, anchor: datetime, now: datetime, started: bool) -> None:
    timing = _every(seconds, start_at=anchor) if started else _every(seconds, anchor=anchor)
    following, latest = next_occurrence(timing, now), latest_occurrence(timing, now)
    assert following is not None
    assert following > now
    assert following.microsecond % 1000 == 0
    assert count_occurrences(timing, now, following) == 1
    assert count_occurrences(timing, now, following - MS) == 0
    if latest is not None:
        assert latest <= now
        assert following - latest == timedelta(seconds=seconds)
    later = now + timedelta(seconds=seconds * 10)
    steps = [instant for instant in occurrences_after(timing, now, 11) if instant <= later]
    assert count_occurrences(timing, now, later) == len(steps)


def test_an_outage_of_a_week_over_every_second_is_counted_without_stepping() -> None:
    week = ANCHOR + timedelta(days=7)
    assert count_occurrences(_every(1, anchor=ANCHOR), ANCHOR, week) == 604_800
    assert count_occurrences(cron("* * * * * *"), ANCHOR, week) == 604_800
    # New York: a week with a gap of an hour is an hour shorter, on the clock as in truth.
    start = datetime(2026, 3, 5, tzinfo=UTC)
    assert count_occurrences(cron("* * * * * *", "America/New_York"), start, start + 7 * DAY) == 604_800
    assert count_occurrences(cron("* * 2 * * *", "America/New_York"), start, start + 7 * DAY) == 6 * 3600


SCHEDULE = UUID("0197a0c0-0000-7000-8000-000000000001")


def test_without_jitter_the_due_time_is_the_occurrence_itself() -> None:
    assert due_at(cron("* * * * *"), SCHEDULE, NOON) is NOON


def test_a_due_time_is_the_same_for_whoever_computes_it() -> None:
    timing = cron("0 12 * * *", jitter_seconds=3600)
    assert due_at(timing, SCHEDULE, NOON) == due_at(timing, UUID(str(SCHEDULE)), NOON + timedelta(0))
    # Stored rows and other versions of this service rely on the value: a change of it moves every due time.
    assert due_at(timing, SCHEDULE, NOON) == NOON + timedelta(milliseconds=2_994_381)


def test_jitter_spreads_schedules_over_its_whole_range() -> None:
    timing = cron("0 12 * * *", jitter_seconds=60)
    delays = [(due_at(timing, uuid4(), NOON) - NOON).total_seconds() for _ in range(2000)]
    assert all(0 <= delay <= 60 for delay in delays)
    assert 27 < sum(delays) / len(delays) < 33
    assert min(delays) < 2
    assert max(delays) > 58


@settings(max_examples=examples(400))
@given(
    st.sampled_from(("* * * * *", "*/5 * * * * *", "0 12 * * *", "30 1 * * *", "0 0 29 2 *")),
    st.sampled_from(("UTC", "America/New_York", "Pacific/Apia")),
    st.integers(1, 3600),
    _moments,
    st.uuids(),
)
def test_a_due_time_lies_before_the_next_occurrence(
    expression: str, zone: str, jitter: int, now: datetime, schedule_id: UUID
) -> None:
    timing = cron(expression, zone, jitter_seconds=jitter)
    occurrence = next_occurrence(timing, now)
    assert occurrence is not None
    following = next_occurrence(timing, occurrence)
    assert following is not None
    due = due_at(timing, schedule_id, occurrence)
    assert occurrence <= due < following
    assert due - occurrence <= timedelta(seconds=jitter)
    assert due.microsecond % 1000 == 0


def test_jitter_is_kept_for_the_last_occurrence_and_at_the_end_of_time() -> None:
    last = cron("0 12 * * *", end_at=NOON, jitter_seconds=3600)
    assert NOON <= due_at(last, SCHEDULE, NOON) <= NOON + timedelta(hours=1)
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert end <= due_at(cron("* * * * * *", jitter_seconds=3600), SCHEDULE, end) <= end + timedelta(milliseconds=999)
