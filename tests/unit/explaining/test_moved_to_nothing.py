"""What is read aloud of a day off whose occurrence comes to lie where nothing fires: of an instant, of a time span."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.core.explaining import Case, Records, Verdict, explain
from app.core.occurrences import BusinessDays, OnDayOff
from app.core.schedule import CalendarUse
from tests.unit.explaining.cases import NOW, WEEKDAYS, case, overview, schedule

NEXT, PREVIOUS = OnDayOff.NEXT_BUSINESS_DAY, OnDayOff.PREVIOUS_BUSINESS_DAY
AFTER = "would move to the next business day, Monday 2026-12-07, where it is after end_at, so that nothing fires."
BEFORE = (
    "would move to the previous business day, Friday 2026-12-04, where it is before start_at, so that nothing fires."
)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}Z").astimezone(UTC)


def _case(rule: OnDayOff, start_at: datetime | None = None, end_at: datetime | None = None) -> Case:
    daily = replace(WEEKDAYS, cron_expression="0 9 * * *", timezone="UTC", start_at=start_at, end_at=end_at)
    definition = replace(daily, calendars=CalendarUse(("firm",), rule))
    return case(schedule(definition, business_days=BusinessDays(rule), next_execution_at=_utc("11-26T09:00")))


UP_TO_SATURDAY, FROM_SATURDAY = _case(NEXT, end_at=_utc("12-05T12:00")), _case(PREVIOUS, start_at=_utc("12-05T00:00"))


@pytest.mark.parametrize(("known", "moved"), [(UP_TO_SATURDAY, AFTER), (FROM_SATURDAY, BEFORE)])
def test_an_instant_on_a_day_off_is_not_said_to_fire_beyond_the_bounds(known: Case, moved: str) -> None:
    found = explain(known, Records(), _utc("12-05T09:00"), NOW)
    assert found.verdict is Verdict.NOT_AN_OCCURRENCE
    assert found.summary == (
        f"It will not fire on Saturday 2026-12-05 at 09:00 (UTC): Saturday 2026-12-05 is on the weekend; it {moved}"
    )
    assert all("it fires on" not in fact.text for fact in found.facts)


def test_a_time_span_tells_what_is_moved_out_of_the_bounds() -> None:
    found = overview(UP_TO_SATURDAY, (), _utc("12-05T00:00"), _utc("12-08T00:00"), NOW)
    assert found.summary == (
        "No occurrence from Saturday 2026-12-05 at 00:00 to Tuesday 2026-12-08 at 00:00 (UTC). "
        f"Saturday 2026-12-05 is on the weekend; it {AFTER}"
    )
    assert "weekend" not in overview(UP_TO_SATURDAY, (), _utc("12-01T00:00"), _utc("12-05T00:00"), NOW).summary
    found = overview(FROM_SATURDAY, (), _utc("12-05T00:00"), _utc("12-06T00:00"), NOW)
    assert found.summary.endswith(f"(UTC). Saturday 2026-12-05 is on the weekend; it {BEFORE}")


def test_a_time_span_tells_nothing_of_days_off_that_fire_elsewhere() -> None:
    known = _case(NEXT)
    assert "weekend" not in overview(known, (), _utc("12-05T00:00"), _utc("12-06T00:00"), NOW).summary
