"""What a schedule was at an instant, and which of its rules was in force."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from app.core.explaining import Event, FactKind, Records, Rule, Verdict, explain
from app.core.explaining.life import pauses_within, stage_at
from app.core.explaining.rules import rule_at
from app.core.occurrences import BusinessDays, OnDayOff
from app.core.schedule import CalendarUse, ScheduleStatus, SkipNext
from tests.unit.explaining.cases import (
    CREATED,
    NOON,
    NOW,
    WEEKDAYS,
    berlin,
    case,
    change,
    overview,
    resting,
    run,
    schedule,
)

ACTIVE, PAUSED = ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED
COMPLETED, FAILED = ScheduleStatus.COMPLETED, ScheduleStatus.FAILED
MILLISECOND = timedelta(milliseconds=1)
P, Q, R, S = (berlin(text) for text in ("11-23 10:00", "11-23 18:00", "11-24 10:00", "11-25 10:00"))


def moved(at: datetime, before: ScheduleStatus | None, after: ScheduleStatus | None) -> Event:
    return change(at, "schedule_update", before, after)


PAUSE, EDIT = moved(P, ACTIVE, PAUSED), moved(Q, PAUSED, PAUSED)
SKIP = change(Q + MILLISECOND, "schedule_skip_next", None, None)
RESUME = moved(R, PAUSED, ACTIVE)


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (P, ACTIVE),
        (P + MILLISECOND, PAUSED),
        (Q, PAUSED),
        (Q + MILLISECOND, PAUSED),
        (R, PAUSED),
        (R + MILLISECOND, ACTIVE),
        (S, ACTIVE),
    ],
)
def test_a_pause_begins_after_its_instant_and_ends_at_the_resumes(at: datetime, status: ScheduleStatus) -> None:
    known = case(None, PAUSE, EDIT, SKIP, RESUME)
    stage = stage_at(known, at)
    assert stage.status is status
    if status is PAUSED:
        assert (stage.began, stage.ended) == (PAUSE, RESUME)


def test_a_pause_that_began_before_the_changes_that_are_known_is_a_pause() -> None:
    known = replace(case(None), events=(EDIT, RESUME))
    before, after = stage_at(known, P), stage_at(known, Q + MILLISECOND)
    assert (before.status, before.began) == (PAUSED, None)
    assert (after.status, after.began, after.ended) == (PAUSED, None, RESUME)
    found = explain(known, Records(), berlin("11-23 12:00"), NOW)
    assert "was paused, longer ago than its changes are looked through, and resumed on" in found.summary


@pytest.mark.parametrize("status", [COMPLETED, FAILED])
def test_what_a_worker_ended_is_seen_by_the_next_change(status: ScheduleStatus) -> None:
    revived = moved(S, status, ACTIVE)
    stage = stage_at(case(None, revived), R)
    assert (stage.status, stage.ended) == (status, revived)
    assert stage_at(case(None, revived), S + MILLISECOND).status is ACTIVE
    assert stage_at(case(resting(status)), R).status is status


def test_only_pauses_that_overlap_a_time_span_are_told() -> None:
    known = case(resting(PAUSED), PAUSE, EDIT, SKIP, RESUME, moved(S, ACTIVE, PAUSED))
    assert [stage.ended for stage in pauses_within(known, P, NOW)] == [RESUME, None]
    assert [stage.ended for stage in pauses_within(known, R + MILLISECOND, NOW)] == [None]
    assert pauses_within(known, CREATED, P) == []


@pytest.mark.parametrize(
    ("pauses", "more"), [(3, None), (4, "It was paused once more in that time."), (6, "It was paused 3 times more in")]
)
def test_a_time_span_says_that_there_were_more_pauses(pauses: int, more: str | None) -> None:
    hours = [CREATED + timedelta(hours=hour) for hour in range(2 * pauses)]
    events = [moved(at, *((PAUSED, ACTIVE) if number % 2 else (ACTIVE, PAUSED))) for number, at in enumerate(hours)]
    summary = overview(case(None, *events), [], CREATED, NOW, NOW).summary
    assert summary.count("The schedule was paused on ") == 3
    assert (" more in that time." in summary) == (more is not None)
    assert more is None or more in summary


def ruled(*changes: tuple[datetime | None, datetime | None, str]) -> tuple[Rule, ...]:
    """Rules by (since, until, expression), revisions counted up to that of the row."""
    return tuple(
        Rule(replace(WEEKDAYS, cron_expression=expression).timing(CREATED, None), None, number, since, until)
        for number, (since, until, expression) in enumerate(changes, start=1)
    )


RULES = ruled((CREATED, P, "0 12 * * *"), (P, R, "0 13 * * *"), (R, None, "0 12 * * MON-FRI"))
CHANGED = case(schedule(revision=3), moved(P, ACTIVE, ACTIVE), rules=RULES)


@pytest.mark.parametrize(("at", "revision"), [(CREATED, 1), (P, 1), (P + MILLISECOND, 2), (R, 2), (NOW, 3)])
def test_a_rule_is_in_force_after_its_change_up_to_and_at_the_next(at: datetime, revision: int) -> None:
    assert rule_at(CHANGED, at).revision == revision


def test_a_definition_that_is_not_kept_is_stood_in_for_and_that_is_said() -> None:
    forgotten = replace(CHANGED, rules=(replace(RULES[1], since=None), RULES[2]))
    found = explain(forgotten, Records(), berlin("11-21 12:00"), NOW)
    (rule,) = [fact for fact in found.facts if fact.kind is FactKind.RULE]
    assert rule.text.endswith("The definition of that time is not kept any more: this is the oldest one that is.")
    assert rule.data["in_force_then"] is False
    assert rule.data["revision"] == 2
    kept = explain(CHANGED, Records(), berlin("11-21 12:00"), NOW)
    assert kept.facts[0].data["in_force_then"] is True


def test_a_record_names_its_own_rule_whatever_was_in_force_when_it_was_made() -> None:
    recorded = run(berlin("11-23 13:00"), revision=3)
    found = explain(CHANGED, Records(own=(recorded,)), berlin("11-23 13:00"), NOW)
    assert found.verdict is Verdict.FIRED
    assert found.facts[0].data["revision"] == 3
    assert "as its rule says" not in found.summary


def test_changes_that_leave_the_rule_as_it_is_are_not_told() -> None:
    same = case(schedule(revision=2), rules=ruled((CREATED, P, "0 12 * * MON-FRI"), (P, None, "0 12 * * MON-FRI")))
    found = explain(same, Records(), berlin("11-24 13:00"), NOW)
    assert FactKind.CHANGED not in {fact.kind for fact in found.facts}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cron_expression": "0 13 * * MON-FRI"}, "from at 13:00, Monday to Friday, to at 12:00, Monday to Friday"),
        ({"timezone": "UTC"}, "from the time zone UTC to Europe/Berlin"),
        ({"end_at": berlin("11-24 00:00"), "jitter_seconds": 9}, "another end_at and jitter_seconds"),
    ],
)
def test_a_change_is_told_by_what_differs(changed: dict[str, Any], told: str) -> None:
    earlier = Rule(replace(WEEKDAYS, **changed).timing(CREATED, None), None, 1, CREATED, P)
    later = Rule(WEEKDAYS.timing(CREATED, None), None, 2, P, None)
    known = case(schedule(revision=2), change(P, "schedule_update", ACTIVE, ACTIVE, revision=2), rules=(earlier, later))
    found = explain(known, Records(), NOON, NOW)
    (fact,) = [fact for fact in found.facts if fact.kind is FactKind.CHANGED]
    assert fact.text == (
        f"On Monday 2026-11-23 at 10:00 (Europe/Berlin) its rule was changed by anna: {told}. "
        "By the rule before, that would not have been an occurrence."
    )


def test_a_change_is_dated_by_the_revision_that_made_it_and_not_by_what_came_after() -> None:
    rules = ruled((CREATED, P, "0 12 * * *"), (P, Q, "0 13 * * *"), (Q, R, "0 13 * * *"), (R, None, "0 13 * * *"))
    events = (
        change(P, "schedule_update", ACTIVE, ACTIVE, revision=2, reason="later"),
        change(Q, "schedule_pause", ACTIVE, PAUSED, revision=3, reason="lunch"),
        change(R, "schedule_resume", PAUSED, ACTIVE, revision=4, reason="back", by="bob"),
    )
    known = case(schedule(revision=4), *events, rules=rules)
    for at in (NOON, berlin("11-27 12:00"), berlin("11-26 13:00")):
        (fact,) = [fact for fact in explain(known, Records(), at, NOW).facts if fact.kind is FactKind.CHANGED]
        assert fact.text.startswith(
            'On Monday 2026-11-23 at 10:00 (Europe/Berlin) its rule was changed by anna ("later"): from at 12:00, to '
            "at 13:00. By the rule before, that would "
        )
        assert (fact.data["at"], fact.data["by"], fact.data["revision"]) == (P, "anna", 2)
    # Of one that was changed back and forth, it is the last change that counts.
    again = replace(known, rules=(*ruled((CREATED, P, "0 13 * * *"), (P, Q, "0 12 * * *")), *rules[2:]))
    (fact,) = [fact for fact in explain(again, Records(), NOON, NOW).facts if fact.kind is FactKind.CHANGED]
    assert (fact.data["at"], fact.data["revision"]) == (Q, 3)


def test_what_else_a_rule_says_is_told_with_it() -> None:
    use = CalendarUse(("firm", "country"), OnDayOff.NEXT_BUSINESS_DAY)
    bounded = replace(WEEKDAYS, start_at=CREATED, end_at=berlin("12-24 00:00"), jitter_seconds=90, calendars=use)
    found = explain(case(schedule(bounded)), Records(), NOON, NOW)
    assert found.facts[0].text == (
        "By its rule it fires at 12:00, Monday to Friday, in the time zone Europe/Berlin (0 12 * * MON-FRI). It begins "
        "on Friday 2026-11-20 at 09:30:00.250 (Europe/Berlin). It ends on Thursday 2026-12-24 at 00:00 "
        "(Europe/Berlin). Each occurrence is delayed by up to 1 minute and 30 seconds (jitter). What falls on a day "
        "off of its calendars firm and country, or a weekend, moves to the next business day."
    )


def test_a_time_span_follows_the_rules_as_they_changed() -> None:
    span = overview(CHANGED, [], berlin("11-21 00:00"), berlin("11-26 00:00"), NOW)
    assert [one.at for one in span.occurrences] == [
        *map(berlin, ("11-21 12:00", "11-22 12:00", "11-23 13:00", "11-24 12:00", "11-25 12:00")),
    ]


def test_a_time_span_tells_what_is_to_be_skipped_by_why() -> None:
    days = BusinessDays.merged(OnDayOff.SKIP, days_off=[(date(2026, 11, 27), date(2026, 11, 27))])
    firm = replace(WEEKDAYS, calendars=CalendarUse(("firm",), OnDayOff.SKIP))
    row = schedule(firm, business_days=days, skip_next=SkipNext("anna", "fair", NOW))
    span = overview(case(row), [], berlin("11-26 00:00"), berlin("11-28 00:00"), NOW)
    assert span.counts == {Verdict.WILL_BE_SKIPPED: 2}
    assert span.summary.endswith(": 1 to be skipped (calendar) and 1 to be skipped (skip_next).")


def test_a_time_span_keeps_to_the_schedules_life() -> None:
    gone = replace(case(None, moved(NOON, ACTIVE, None)), schedule=None, removed_at=NOON)
    span = overview(gone, [], berlin("11-01 00:00"), berlin("12-01 00:00"), NOW)
    assert [one.at for one in span.occurrences] == [
        *map(berlin, ("11-20 12:00", "11-23 12:00", "11-24 12:00", "11-25 12:00")),
    ]
    assert span.summary.endswith(
        "The schedule was created on Friday 2026-11-20 at 09:30 by anna. "
        "It was removed on Wednesday 2026-11-25 at 12:00 by anna."
    )


def test_a_time_span_of_a_zone_that_is_gone_tells_what_was_recorded() -> None:
    lost = case(resting(FAILED, replace(WEEKDAYS, timezone="Mars/Base")))
    recorded = run(NOON, covers_from=berlin("11-24 12:00"), coalesced_count=2)
    span = overview(lost, [recorded], berlin("11-21 00:00"), berlin("12-01 00:00"), NOW)
    assert [one.verdict for one in span.occurrences] == [Verdict.COALESCED, Verdict.FIRED]
