"""A year of late firings: an interval never leaves its anchor, and no occurrence is lost or recorded twice."""

from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from app.core.execution import ExecutionStatus, Reason
from app.core.firing import Recording, decide
from app.core.occurrences import BusinessDays, OnDayOff, Timing
from tests.unit.core.late import after, due, every

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
SEVEN = timedelta(seconds=7)
_NO_DAYS = BusinessDays(OnDayOff.SKIP)
_HOLIDAYS = BusinessDays.merged(
    OnDayOff.SKIP,
    days_off=[
        (date(2026, 11, 25), date(2026, 11, 26)),
        (date(2026, 12, 24), date(2027, 1, 1)),
        (date(2027, 5, 1), date(2027, 5, 1)),
    ],
)


def _fired_for_a_year(timing: Timing, *, coalesce: bool) -> list[Recording]:
    """Every record of a year in which each firing is late by anything from a millisecond to half a day."""
    schedule, random = due(timing, coalesce=coalesce, grace_period_seconds=900), Random(7)
    recorded: list[Recording] = []
    while schedule.waiting.occurrence < START + YEAR:
        late_by = timedelta(milliseconds=int(random.choice((9, 5000, 60_000, 2_000_000, 50_000_000)) * random.random()))
        decision = decide(schedule, now=schedule.waiting.due_at + late_by)
        recorded += decision.recordings
        schedule = after(schedule, decision)
    return recorded


@pytest.mark.parametrize("days", [None, _NO_DAYS, _HOLIDAYS])
@pytest.mark.parametrize("coalesce", [True, False])
def test_an_interval_of_seven_seconds_never_leaves_its_anchor_in_a_year_of_random_lateness(
    coalesce: bool, days: BusinessDays | None
) -> None:
    recorded = _fired_for_a_year(every(7, days=days), coalesce=coalesce)
    assert len(recorded) > 5000
    for recording in recorded:
        assert (recording.scheduled_for - START) % SEVEN == timedelta(0)
        first = recording.covers_from or recording.scheduled_for
        assert (first - START) % SEVEN == timedelta(0)
    covered = sum(recording.coalesced_count for recording in recorded)
    assert covered == (max(recording.scheduled_for for recording in recorded) - START) // SEVEN


def test_what_falls_on_a_day_off_in_a_year_is_skipped_and_nothing_else() -> None:
    recorded = _fired_for_a_year(every(7, days=_HOLIDAYS), coalesce=True)
    skipped = [recording for recording in recorded if recording.status is ExecutionStatus.SKIPPED]
    assert {recording.reason for recording in skipped} == {Reason.CALENDAR}
    # Twelve days, counted in steps of seven seconds from noon: each range of days in one record.
    assert 3 <= len(skipped) <= 6
    assert sum(recording.coalesced_count for recording in skipped) == pytest.approx(12 * 86_400 / 7, abs=3)


@pytest.mark.parametrize("coalesce", [True, False])
def test_an_outage_of_a_week_over_every_second_is_one_missed_record(coalesce: bool) -> None:
    schedule = due(every(1), coalesce=coalesce, grace_period_seconds=60)
    decision = decide(schedule, now=START + timedelta(days=7))
    missed = [recording for recording in decision.recordings if recording.status is ExecutionStatus.MISSED]
    assert len(missed) == 1
    assert missed[0].covers_from == START + timedelta(seconds=1)
    assert missed[0].coalesced_count == 7 * 86_400 - 61
