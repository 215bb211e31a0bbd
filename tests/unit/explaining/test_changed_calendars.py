"""Whether an occurrence without a record is a defect, or only one by the days that a calendar has off today."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.calendars import Calendar
from app.core.explaining import FactKind, Records, Verdict, explain, overview
from tests.unit.explaining.cases import NOON, NOW, berlin, calendar, case
from tests.unit.explaining.told_without_records import MOVED, OTHER_DAYS, TUESDAY


@pytest.mark.parametrize(
    ("stored", "verdict"),
    [
        ((OTHER_DAYS,), Verdict.CALENDAR_CHANGED),
        ((calendar(updated_at=TUESDAY, days_revision=2),), Verdict.CALENDAR_CHANGED),
        ((calendar(created_at=NOON, updated_at=NOON),), Verdict.CALENDAR_CHANGED),
        ((), Verdict.CALENDAR_CHANGED),
        ((calendar(),), Verdict.UNEXPLAINED),
        ((calendar(updated_at=TUESDAY - timedelta(milliseconds=1), days_revision=2),), Verdict.UNEXPLAINED),
        ((calendar(updated_at=NOON, revision=2),), Verdict.UNEXPLAINED),
        ((calendar(), replace(OTHER_DAYS, name="others")), Verdict.UNEXPLAINED),
    ],
    ids=("changed", "at that instant", "made anew", "removed", "never", "before", "its description", "another one"),
)
def test_only_a_calendar_of_the_rule_that_may_have_had_other_days_then_is_why(
    stored: tuple[Calendar, ...], verdict: Verdict
) -> None:
    assert explain(case(MOVED, calendars=stored), Records(), TUESDAY, NOW).verdict is verdict


def test_a_changed_calendar_is_told_with_when_it_was_changed() -> None:
    found = explain(case(MOVED, calendars=(OTHER_DAYS,)), Records(), TUESDAY, NOW)
    assert {"calendar": "firm", "changed_at": NOON} in [
        fact.data for fact in found.facts if fact.kind is FactKind.CALENDAR
    ]


def test_a_time_span_says_so_too() -> None:
    known = case(MOVED, calendars=(OTHER_DAYS,))
    found = overview(known, (), berlin("11-24 00:00"), berlin("11-25 00:00"), NOW)
    assert found.counts == {Verdict.CALENDAR_CHANGED: 1}
    assert ": 1 fitting only its calendars of today." in found.summary
