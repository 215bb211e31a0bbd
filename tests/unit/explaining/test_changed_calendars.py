"""Whether an occurrence without a record is a defect, or only one by the days that a calendar has off today."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.calendars import Calendar, Contents, Days
from app.core.execution import Execution, ExecutionStatus, Reason
from app.core.explaining import Case, FactKind, Records, Verdict, explain
from app.core.occurrences import BusinessDays, OnDayOff
from app.core.schedule import CalendarUse
from tests.unit.explaining.cases import NOON, NOW, WEEKDAYS, berlin, calendar, case, overview, run, schedule
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


CHANGED = (
    "The calendar firm was last changed on Wednesday 2026-11-25 at 13:00 (Europe/Berlin); its days of before are not "
    "kept."
)


def _off(rule: OnDayOff) -> Case:
    """A schedule whose calendar had that Wednesday put down as a day off an hour after noon."""
    days = BusinessDays.merged(rule, days_off=[(NOON.date(), NOON.date())])
    firm = schedule(replace(WEEKDAYS, calendars=CalendarUse(("firm",), rule)), business_days=days)
    contents = Contents((Days(NOON.date(), NOON.date(), "Sabbath"),), (), None, None)
    changed_at = NOON + timedelta(hours=1)
    return case(firm, calendars=(calendar(contents=contents, updated_at=changed_at, days_revision=2),))


@pytest.mark.parametrize("rule", list(OnDayOff))
@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (run(), Verdict.FIRED),
        (run(status=ExecutionStatus.RUNNING, finished_at=None), Verdict.RUNNING),
        (run(status=ExecutionStatus.MISSED, reason=Reason.GRACE, attempts=(), created_at=NOW), Verdict.MISSED),
    ],
)
def test_what_was_recorded_before_its_day_became_off_is_told_as_it_was(
    rule: OnDayOff, record: Execution, verdict: Verdict
) -> None:
    found = explain(_off(rule), Records(own=(record,)), NOON, NOW)
    assert found.verdict is verdict
    assert found.summary.endswith(f" By the days that are off today it would not be an occurrence. {CHANGED}")
    told = [found.summary, *(fact.text for fact in found.facts if fact.kind is FactKind.CALENDAR)]
    assert "Sabbath" not in " ".join(told)
    assert "is a day off" not in " ".join(told)
    assert [fact.text for fact in found.facts if fact.kind is FactKind.CALENDAR][-1] == CHANGED


def test_what_was_skipped_on_a_day_that_is_not_off_any_more_says_so() -> None:
    firm = schedule(replace(WEEKDAYS, calendars=CalendarUse(("firm",), OnDayOff.SKIP)))
    known = case(firm, calendars=(calendar(updated_at=NOON + timedelta(hours=1), days_revision=2),))
    record = run(status=ExecutionStatus.SKIPPED, reason=Reason.CALENDAR, attempts=())
    found = explain(known, Records(own=(record,)), NOON, NOW)
    assert found.verdict is Verdict.SKIPPED
    assert found.summary.endswith(f" By the days that are off today it would be an occurrence. {CHANGED}")


def test_what_was_skipped_on_a_day_that_still_is_off_is_told_by_its_name() -> None:
    record = run(status=ExecutionStatus.SKIPPED, reason=Reason.CALENDAR, attempts=())
    found = explain(_off(OnDayOff.SKIP), Records(own=(record,)), NOON, NOW)
    assert found.summary.endswith("off in its calendar firm. In the calendar firm 2026-11-25 is Sabbath.")


def test_a_time_span_says_so_too() -> None:
    known = case(MOVED, calendars=(OTHER_DAYS,))
    found = overview(known, (), berlin("11-24 00:00"), berlin("11-25 00:00"), NOW)
    assert found.counts == {Verdict.CALENDAR_CHANGED: 1}
    assert ": 1 fitting only its calendars of today." in found.summary
