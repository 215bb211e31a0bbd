"""How far occurrences are counted: once, where something depends on it, however far ahead one asks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.core.explaining import Explanation, FactKind, Records, Verdict, counting, explain
from app.core.occurrences import Timing, count_occurrences
from app.core.schedule import Schedule, SkipNext
from tests.unit.explaining.cases import NOON, NOW, WEEKDAYS, berlin, case, overview, schedule

DAY = timedelta(days=1)
LAST_YEAR = (datetime(9999, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
FAR = datetime(9999, 1, 1, 11, tzinfo=UTC)
"""A Friday's noon in Berlin."""
IN_A_WEEK = berlin("12-03 12:00")
"""The sixth occurrence from the one that is waited for."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """How long each time is that occurrences are counted in."""
    spans: list[timedelta] = []

    def count(timing: Timing, after: datetime, until: datetime) -> int:
        spans.append(until - after)
        return count_occurrences(timing, after, until)

    monkeypatch.setattr(counting, "count_occurrences", count)
    return spans


def limited(most: int, **fields: object) -> Schedule:
    """One that may run so often, three of which are used."""
    return schedule(replace(WEEKDAYS, max_executions=most), **fields)


def told_of(found: Explanation) -> dict[FactKind, object]:
    return {fact.kind: fact.data.get("before", fact.data.get("left")) for fact in found.facts}


def test_without_a_limit_nothing_far_ahead_is_counted(counted: list[timedelta]) -> None:
    span = overview(case(), (), *LAST_YEAR, NOW)
    found = explain(case(), Records(), FAR, NOW)
    assert (span.counts, found.verdict) == ({Verdict.WILL_FIRE: 100}, Verdict.WILL_FIRE)
    assert FactKind.WAITING not in told_of(found)
    assert counted == []


def test_a_time_span_far_ahead_is_counted_up_to_once_and_within_it_from_its_start(counted: list[timedelta]) -> None:
    span = overview(case(limited(10_000_000)), (), *LAST_YEAR, NOW)
    assert span.counts == {Verdict.WILL_FIRE: 100}
    far, *near = counted
    assert far == LAST_YEAR[0] - timedelta(milliseconds=1) - berlin("11-26 12:00")
    assert len(near) == 100
    assert max(near) < 366 * DAY


def test_beyond_its_limit_a_time_span_is_not_counted_any_more(counted: list[timedelta]) -> None:
    span = overview(case(limited(9)), (), *LAST_YEAR, NOW)
    assert span.counts == {Verdict.LIMIT_REACHED: 100}
    assert len(counted) == 1


def test_one_that_is_overdue_is_not_counted_to_now(counted: list[timedelta]) -> None:
    late = NOON - 2 * DAY
    row = schedule(
        replace(WEEKDAYS, grace_period_seconds=7 * 86_400), next_execution_at=late, next_due_at=late, searched_to=late
    )
    found = explain(case(row), Records(), late, NOW)
    assert "Later occurrences are due as well: one run will stand for all of them." in found.summary
    assert counted == []


@pytest.mark.parametrize("skip_next", [None, SkipNext("anna", "fair", NOW)])
@pytest.mark.parametrize("most", [3, 4, 8, 9, 10, 40])
def test_within_a_time_span_the_limit_is_reached_where_it_is_for_each_instant(
    most: int, skip_next: SkipNext | None
) -> None:
    known = case(limited(most, skip_next=skip_next))
    for start in (NOON, berlin("11-26 12:00"), berlin("11-26 12:00:00.001"), IN_A_WEEK, IN_A_WEEK + DAY):
        span = overview(known, (), start, start + 60 * DAY, NOW)
        alone = {one.at: explain(known, Records(), one.at, NOW).verdict for one in span.occurrences}
        assert {one.at: one.verdict for one in span.occurrences} == alone
        fires = [at for at, verdict in alone.items() if verdict is Verdict.WILL_FIRE]
        skipped = [at for at, verdict in alone.items() if verdict is Verdict.WILL_BE_SKIPPED]
        before = count_occurrences(known.rules[0].timing, NOON, start - timedelta(milliseconds=1))
        to_be_skipped = int(skip_next is not None)
        assert len(fires) == max(most - 3 - max(before - to_be_skipped, 0), 0)
        assert len(skipped) == (to_be_skipped if before == 0 else 0)


def test_how_many_come_before_is_told_within_ten_years_and_where_a_limit_depends_on_it() -> None:
    assert told_of(explain(case(), Records(), IN_A_WEEK, NOW))[FactKind.WAITING] == 5
    soon = datetime(2036, 11, 25, 11, tzinfo=UTC)
    later = datetime(2037, 11, 25, 11, tzinfo=UTC)
    assert FactKind.WAITING in told_of(explain(case(), Records(), soon, NOW))
    assert FactKind.WAITING not in told_of(explain(case(), Records(), later, NOW))
    told = told_of(explain(case(limited(10_000)), Records(), later, NOW))
    between = count_occurrences(WEEKDAYS.timing(NOW, None), berlin("11-26 12:00"), later)
    assert (told[FactKind.WAITING], told[FactKind.LIMIT]) == (between, 9997)
