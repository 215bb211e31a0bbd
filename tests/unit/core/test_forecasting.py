"""How much is to come: counted in buckets, and the same as stepping from one occurrence to the next."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidScheduleException
from app.core.forecasting import MOST_BUCKETS, Coming, Span, Tally, counted
from app.core.occurrences import BusinessDays, OnDayOff, ScheduleType, Timing, next_occurrence

START = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)
"""A few hours before the clocks of Europe go back, a week before those of America do."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ID = UUID(int=1)

_zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
_days = st.one_of(
    st.none(),
    st.builds(
        lambda rule, day: BusinessDays.merged(rule, days_off=[(day, day)]),
        st.sampled_from(OnDayOff),
        st.dates(date(2026, 10, 24), date(2026, 10, 28)),
    ),
)
_ends = st.one_of(st.none(), st.integers(0, 200).map(lambda hours: START + hours * HOUR))
_crons = st.builds(
    Timing,
    schedule_type=st.just(ScheduleType.CRON),
    timezone=_zones,
    cron_expression=st.sampled_from(
        ["*/7 * * * *", "0 * * * *", "30 2 * * *", "0 12 * * MON-FRI", "15,45 1-3 * * *", "*/20 30 2 * * SUN"]
    ),
    end_at=_ends,
    days=_days,
)
_intervals = st.builds(
    Timing,
    schedule_type=st.just(ScheduleType.INTERVAL),
    timezone=_zones,
    interval_seconds=st.sampled_from([60, 61, 3600, 86_400]),
    end_at=_ends,
    anchor=st.just(START - HOUR / 7),
    days=_days,
)
_singles = st.builds(
    Timing,
    schedule_type=st.just(ScheduleType.ONE_TIME),
    timezone=_zones,
    scheduled_time=st.integers(-10, 100).map(lambda hours: START + hours * HOUR),
)
_spans = st.builds(
    lambda begins, length, bucket: Span.of(START + begins, START + begins + length, bucket),
    st.integers(-100, 100_000).map(lambda seconds: timedelta(seconds=seconds, milliseconds=seconds % 1000)),
    st.integers(1, 150_000).map(lambda seconds: timedelta(seconds=seconds)),
    st.sampled_from([211, 900, 3600, 86_400]),
)


def stepped(coming: Coming, span: Span) -> dict[int, int]:
    """The same, from one occurrence to the next."""
    found: Counter[int] = Counter()
    at = next_occurrence(coming.timing, coming.waits_for) if coming.skips_next else coming.waits_for
    runs = 0
    while at is not None and at < span.end and (coming.runs_left is None or runs < coming.runs_left):
        runs += 1
        if at >= span.start:
            found[(at - span.start) // span.bucket] += 1
        at = next_occurrence(coming.timing, at)
    return found


@given(
    st.one_of(_crons, _intervals, _singles),
    st.integers(-3600, 3600),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 40), st.integers(0, 2000)),
    _spans,
)
def test_counting_is_stepping(timing: Timing, since: int, skips: bool, left: int | None, span: Span) -> None:
    waits_for = next_occurrence(timing, START + timedelta(seconds=since))
    if waits_for is None:
        return
    coming = Coming(ID, timing, waits_for, skips, left)
    found = list(counted(coming, span))
    assert [index for index, _ in found] == sorted({index for index, _ in found})
    assert all(number > 0 and 0 <= index < span.buckets for index, number in found)
    assert dict(found) == stepped(coming, span)


@given(
    st.lists(st.tuples(st.one_of(_crons, _intervals), st.booleans(), st.sampled_from([None, 3])), max_size=8),
    _spans,
    st.sampled_from([1, 20, 10_000]),
)
def test_many_are_counted_as_each_of_them(
    each: list[tuple[Timing, bool, int | None]], span: Span, most_steps: int
) -> None:
    # Some have all in common but what does not matter here.
    timings = [*each, *((replace(timing, jitter_seconds=5), skips, left) for timing, skips, left in each)]
    waiting = [(next_occurrence(timing, START), timing, skips, left) for timing, skips, left in timings]
    coming = [
        Coming(UUID(int=number), timing, waits_for, skips, left)
        for number, (waits_for, timing, skips, left) in enumerate(waiting)
        if waits_for is not None
    ]
    together: Counter[int] = Counter()
    schedules, parts, rest = 0, 0, coming
    while rest:
        tally = Tally(span)
        list(tally.add(rest, most_steps=most_steps))
        together.update(dict(enumerate(tally.counts)))
        schedules += tally.schedules
        parts += 1
        rest = rest[[one.schedule_id for one in rest].index(tally.last) + 1 :] if tally.last is not None else []
    alone = [dict(counted(one, span)) for one in coming]
    assert {index: number for index, number in together.items() if number} == sum(map(Counter, alone), Counter())
    assert schedules == sum(map(bool, alone))
    assert parts == len(coming) if most_steps == 1 else parts <= len(coming)


@pytest.mark.parametrize(("left", "counted_at_once"), [(None, 50), (10**9, 3)])
def test_what_has_to_be_counted_through_centuries_takes_its_share_of_an_answer(
    left: int | None, counted_at_once: int
) -> None:
    span = Span.of(datetime(8000, 1, 1, tzinfo=UTC), datetime(8000, 1, 2, tzinfo=UTC), 86_400)
    timings = [Timing(ScheduleType.CRON, "Europe/Berlin", cron_expression=f"{minute} * * * *") for minute in range(50)]
    coming = [Coming(UUID(int=place), timing, START, False, left) for place, timing in enumerate(timings)]
    tally = Tally(span)
    list(tally.add(coming, most_steps=1_200))
    assert tally.schedules == counted_at_once


def test_what_differs_in_its_anchor_alone_is_another_interval_and_the_same_cron() -> None:
    first, later = START, START + timedelta(seconds=1)
    interval = Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=60, anchor=first)
    cron = Timing(ScheduleType.CRON, "UTC", cron_expression="* * * * *", anchor=first)

    def rule(timing: Timing) -> object:
        return Coming(ID, timing, later, skips_next=False, runs_left=None).rule

    assert rule(interval) != rule(replace(interval, anchor=later))
    assert rule(cron) == rule(replace(cron, anchor=later))


def test_the_hour_that_comes_twice_has_twice_as_many() -> None:
    timing = Timing(ScheduleType.CRON, "Europe/Berlin", cron_expression="*/10 * * * *")
    span = Span.of(datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC), 86_400)
    coming = Coming(ID, timing, span.start, skips_next=False, runs_left=None)
    assert dict(counted(coming, span)) == {0: 144, 1: 6}


def test_a_bucket_holds_its_beginning_and_not_its_end() -> None:
    timing = Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=3600, start_at=START)
    span = Span.of(START, START + 3 * HOUR, 3600)
    coming = Coming(ID, timing, START, skips_next=False, runs_left=None)
    assert list(counted(coming, span)) == [(0, 1), (1, 1), (2, 1)]


def test_the_last_bucket_is_cut_short_by_the_end() -> None:
    timing = Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=60, start_at=START)
    span = Span.of(START, START + 1.5 * HOUR, 3600)
    coming = Coming(ID, timing, START, skips_next=False, runs_left=None)
    assert span.buckets == 2
    assert list(counted(coming, span)) == [(0, 60), (1, 30)]


def test_one_whose_zone_has_vanished_has_none() -> None:
    timing = Timing(ScheduleType.CRON, "Mars/Olympus", cron_expression="* * * * *")
    coming = Coming(ID, timing, START, skips_next=False, runs_left=None)
    assert list(counted(coming, Span.of(START, START + DAY, 3600))) == []


@pytest.mark.parametrize("length", [timedelta(0), -HOUR])
def test_an_empty_span_is_refused(length: timedelta) -> None:
    with pytest.raises(InvalidScheduleException, match="to must be later than from"):
        Span.of(START, START + length, 60)


def test_a_thousand_buckets_are_the_most() -> None:
    longest = timedelta(seconds=60 * MOST_BUCKETS)
    assert Span.of(START, START + longest, 60).buckets == MOST_BUCKETS
    with pytest.raises(InvalidScheduleException, match="1001 buckets lie between from and to, and 1000 are the most"):
        Span.of(START, START + longest + timedelta(milliseconds=1), 60)


def test_the_end_of_the_calendar_can_be_asked_for() -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    span = Span.of(end - HOUR, end, 3600)
    timing = Timing(ScheduleType.CRON, "UTC", cron_expression="* * * * *")
    coming = Coming(ID, timing, START, skips_next=False, runs_left=None)
    assert list(counted(coming, span)) == [(0, 60)]
