"""What is said of the instant at which a run was due, or was sent, though its rule names an earlier one."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core.execution import ExecutionStatus, Reason
from app.core.explaining import Case, Explanation, FactKind, Records, Rule, Verdict, explain, spans
from app.core.occurrences import ScheduleType, due_at
from app.core.schedule import ScheduleStatus, SkipNext
from tests.unit.explaining.cases import (
    CREATED,
    MILLISECOND,
    NOON,
    NOW,
    SCHEDULE,
    WEEKDAYS,
    berlin,
    case,
    change,
    resting,
    run,
    schedule,
)

JITTER = replace(WEEKDAYS, jitter_seconds=3600)
THURSDAY, FRIDAY = berlin("11-26 12:00"), berlin("11-27 12:00")
SECOND = timedelta(seconds=1)


def _due(occurrence: datetime) -> datetime:
    return due_at(schedule(JITTER).timing, SCHEDULE, occurrence)


DUE, NEXT_DUE = _due(NOON), _due(THURSDAY)
SENT = DUE + 3 * MILLISECOND
RAN = run(due_at=DUE, started_at=SENT)
WAITING = case(schedule(JITTER, next_due_at=NEXT_DUE))
HELD = "held back 30 minutes and 46 seconds by its jitter"
DUE_THEN = f"on Wednesday 2026-11-25 at 12:30:45.777 (Europe/Berlin): the run for 12:00, {HELD}, was due then."
LEFT = "The request left 3 milliseconds after it was due, and the target answered 202."


def _asked(at: datetime, known: Case = WAITING, **records: object) -> Explanation:
    return explain(known, Records(**records), at, NOW)  # type: ignore[arg-type]


def test_the_instant_at_which_a_run_was_due_is_that_runs() -> None:
    found = _asked(DUE, before=RAN)
    assert found.summary == f"It fired {DUE_THEN} {LEFT}"
    assert (found.verdict, found.execution) == (Verdict.FIRED, RAN)
    assert (found.previous, found.next) == (NOON, THURSDAY)
    kinds = [fact.kind for fact in found.facts]
    assert FactKind.DUE in kinds
    assert FactKind.MISMATCH not in kinds


def test_the_instant_at_which_it_was_sent_is_too() -> None:
    found = _asked(SENT, before=RAN)
    assert found.summary == (
        f"It fired on Wednesday 2026-11-25 at 12:30:45.780 (Europe/Berlin): the run for 12:00, {HELD}, was sent then. "
        f"{LEFT}"
    )
    assert (found.verdict, found.execution) == (Verdict.FIRED, RAN)
    punctual = run()
    assert punctual.started_at is not None
    found = _asked(punctual.started_at, case(), before=punctual)
    assert found.summary.startswith(
        "It fired on Wednesday 2026-11-25 at 12:00:00.003 (Europe/Berlin): the run for 12:00 was sent then."
    )


@pytest.mark.parametrize(
    ("at", "remark"),
    [
        (NOON + MILLISECOND, f"The run for 12:00, {HELD}, was due at 12:30:45.777."),
        (DUE - MILLISECOND, f"The run for 12:00, {HELD}, was due at 12:30:45.777."),
        (DUE + MILLISECOND, "The run for 12:00, due at 12:30:45.777, was sent at 12:30:45.780."),
    ],
)
def test_another_instant_that_it_spans_did_not_fire_and_names_it(at: datetime, remark: str) -> None:
    found = _asked(at, before=RAN)
    assert (found.verdict, found.execution) == (Verdict.NOT_AN_OCCURRENCE, None)
    assert found.summary.startswith("It did not fire on ")
    assert found.summary.endswith(remark)
    assert [fact.text for fact in found.facts if fact.kind is FactKind.DUE] == [remark]


@pytest.mark.parametrize("at", [SENT + MILLISECOND, NOW])
def test_what_lies_after_it_was_sent_has_nothing_to_do_with_it(at: datetime) -> None:
    found = _asked(at, before=RAN)
    assert found.verdict is Verdict.NOT_AN_OCCURRENCE
    assert "The run for" not in found.summary


def test_a_run_that_was_not_triggered_says_that_it_was_due_then() -> None:
    skipped = replace(
        RAN, status=ExecutionStatus.SKIPPED, reason=Reason.OVERLAP, attempts=(), started_at=None, created_at=DUE
    )
    found = _asked(DUE, before=skipped, unfinished=(run(berlin("11-24 12:00")),))
    assert (found.verdict, found.execution) == (Verdict.SKIPPED, skipped)
    assert found.summary == (
        f"The run for 12:00, {HELD}, was due on Wednesday 2026-11-25 at 12:30:45.777 (Europe/Berlin). It did not fire "
        "on Wednesday 2026-11-25 at 12:00 (Europe/Berlin): its run for Tuesday 2026-11-24 at 12:00 had not ended, and "
        "its overlap policy skips what comes meanwhile."
    )
    cancelled = replace(
        RAN, status=ExecutionStatus.CANCELLED, reason=Reason.REMOVED, attempts=(), started_at=None, finished_at=NOW
    )
    found = _asked(DUE, before=cancelled)
    assert found.verdict is Verdict.CANCELLED
    assert found.summary.startswith(f"It was to fire {DUE_THEN} It was cancelled")


@pytest.mark.parametrize(
    ("stopped", "became", "why"),
    [
        ({"status": ExecutionStatus.SKIPPED, "reason": Reason.PAUSED, "created_at": DUE - SECOND}, "skipped",
         "the schedule was paused at 12:30:44, before it was recorded."),
        ({"status": ExecutionStatus.SKIPPED, "reason": Reason.REPLACED, "created_at": DUE - SECOND}, "skipped",
         "the schedule was changed at 12:30:44, before it was recorded."),
        ({"status": ExecutionStatus.SKIPPED, "reason": Reason.SKIP_NEXT, "created_at": DUE - MILLISECOND}, "skipped",
         "it was to be skipped."),
        ({"status": ExecutionStatus.CANCELLED, "reason": Reason.REMOVED, "finished_at": DUE - SECOND}, "cancelled",
         "It was cancelled at 12:30:44, when the schedule was removed; nothing had been sent."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("now", [DUE - MILLISECOND, NOW])
def test_a_run_that_was_stopped_before_it_was_due_never_was(
    stopped: dict[str, Any], became: str, why: str, now: datetime
) -> None:
    ran = replace(RAN, attempts=(), started_at=None, **stopped)
    between = explain(WAITING, Records(before=ran), DUE - 500 * MILLISECOND, now)
    assert between.summary.endswith(
        f"The run for 12:00, {HELD}, would have been due at 12:30:45.777, but was {became}."
    )
    at_due = explain(WAITING, Records(before=ran), DUE, now)
    assert "12:00, held back 30 minutes and 46 seconds by its jitter, would have been due " in at_due.summary
    assert at_due.summary.endswith(why)
    assert " was due" not in at_due.summary
    own = explain(WAITING, Records(own=(ran,)), NOON, now)
    (due,) = [fact.text for fact in own.facts if fact.kind is FactKind.DUE]
    assert due.startswith("It would have been due at 12:30:45.777 ")


def test_a_run_that_was_due_and_missed_says_both() -> None:
    missed = replace(RAN, status=ExecutionStatus.MISSED, reason=Reason.GRACE, attempts=(), started_at=None)
    found = _asked(DUE - MILLISECOND, before=replace(missed, created_at=NOW))
    assert found.summary.endswith(f"The run for 12:00, {HELD}, was due at 12:30:45.777, and was missed.")


def test_a_run_that_is_recorded_ahead_is_about_to_fire() -> None:
    ahead = run(due_at=NOW + SECOND, status=ExecutionStatus.PENDING, attempts=(), started_at=None, finished_at=None)
    found = _asked(NOW + SECOND, before=ahead)
    assert (found.verdict, found.execution) == (Verdict.PENDING, ahead)
    assert found.summary == (
        "It is about to fire on Wednesday 2026-11-25 at 15:00:01 (Europe/Berlin): the run for 12:00, held back 3 "
        "hours, is due then. It is recorded, and is sent when it is due, at 15:00:01."
    )


@pytest.mark.parametrize("occurrence", [THURSDAY, FRIDAY, berlin("12-31 12:00")])
def test_the_instant_at_which_a_run_to_come_is_due_will_fire(occurrence: datetime) -> None:
    due = _due(occurrence)
    found = _asked(due)
    assert (found.verdict, found.execution, found.previous) == (Verdict.WILL_FIRE, None, occurrence)
    assert found.summary.startswith("It will fire on ")
    assert ": the run for 12:00, held back " in found.summary
    assert found.summary.endswith(" by its jitter, is due then.")
    assert FactKind.MISMATCH not in {fact.kind for fact in found.facts}
    between = _asked(due - MILLISECOND)
    assert between.verdict is Verdict.NOT_AN_OCCURRENCE
    assert between.summary.endswith(f" by its jitter, is due at {due + timedelta(hours=1):%H:%M:%S.%f}"[:-3] + ".")
    assert "The run for" not in _asked(due + MILLISECOND).summary


@pytest.mark.parametrize(
    ("known", "at", "verdict", "is_due", "instead"),
    [
        (case(schedule(JITTER, next_due_at=NEXT_DUE, skip_next=SkipNext("anna", None, NOW))), NEXT_DUE,
         Verdict.WILL_BE_SKIPPED, "would be due", ", but is to be skipped"),
        (case(schedule(replace(JITTER, max_executions=4), next_due_at=NEXT_DUE)), _due(FRIDAY), Verdict.LIMIT_REACHED,
         "would be due", ", but is beyond its limit of runs"),
        (case(schedule(JITTER, next_execution_at=NOON, next_due_at=DUE)), DUE, Verdict.DUE, "was due", ""),
    ],
)  # fmt: skip
def test_a_run_to_come_that_will_not_be_says_why(
    known: Case, at: datetime, verdict: Verdict, is_due: str, instead: str
) -> None:
    found = _asked(at, known)
    assert found.verdict is verdict
    assert found.summary.startswith("The run for 12:00, held back ")
    assert f" by its jitter, {is_due} on " in found.summary
    between = _asked(at - MILLISECOND, known)
    assert between.verdict is Verdict.NOT_AN_OCCURRENCE
    due = f"{at + timedelta(hours=1):%H:%M:%S.%f}"[:-3]
    assert between.summary.endswith(f" by its jitter, {is_due} at {due}{instead}.")


@pytest.mark.parametrize("at", [DUE, SENT])
@pytest.mark.parametrize("expression", ["0 9 * * *", "0 12 * * MON-FRI", "* 13 * * *"])
def test_a_run_that_was_due_after_its_rule_was_changed_is_told_by_its_own_rule(at: datetime, expression: str) -> None:
    changed_at = NOON + SECOND
    later = replace(WEEKDAYS, cron_expression=expression, jitter_seconds=60)
    rules = (
        Rule(JITTER.timing(CREATED, None), None, 1, CREATED, changed_at),
        Rule(later.timing(CREATED, None), None, 2, changed_at, None),
    )
    known = case(schedule(later, revision=2), rules=rules)
    found = _asked(at, known, before=RAN)
    assert (found.verdict, found.execution) == (Verdict.FIRED, RAN)
    assert (found.previous, found.next) == (NOON, THURSDAY)
    assert (found.facts[0].kind, found.facts[0].data["revision"]) == (FactKind.RULE, 1)
    # What the run only spans is told by the rule of that time.
    assert _asked(at - MILLISECOND, known, before=RAN).facts[0].data["revision"] == 2
    # Nor does it take what the new rule names from it.
    every = replace(later, cron_expression="* * * * * *", jitter_seconds=0)
    rules = (rules[0], Rule(every.timing(CREATED, None), None, 2, changed_at, None))
    second = NOON + 2 * SECOND
    found = _asked(second, case(schedule(every, revision=2), rules=rules), before=replace(RAN, due_at=second))
    assert found.verdict is Verdict.UNEXPLAINED


def test_a_schedule_that_waits_for_nothing_has_no_run_to_come() -> None:
    paused = change(NOON, "schedule_pause", ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED)
    found = _asked(NEXT_DUE, case(resting(ScheduleStatus.PAUSED, JITTER), paused))
    assert found.verdict is Verdict.NOT_AN_OCCURRENCE
    assert "The run for" not in found.summary


def test_a_single_instant_that_was_accepted_late_fires_when_it_was_accepted() -> None:
    asked_for = CREATED - 30 * SECOND
    once = replace(
        WEEKDAYS, schedule_type=ScheduleType.ONE_TIME, cron_expression=None, scheduled_time=asked_for, jitter_seconds=60
    )
    ran = run(asked_for, due_at=CREATED, started_at=CREATED + 4 * MILLISECOND)
    found = _asked(CREATED, case(resting(ScheduleStatus.COMPLETED, once), completed_at=CREATED), before=ran)
    assert (found.verdict, found.execution) == (Verdict.FIRED, ran)
    assert found.summary.startswith(
        "It fired on Friday 2026-11-20 at 09:30:00.250 (Europe/Berlin): the run for 09:29:30.250, accepted 30 seconds "
        "late, was due then."
    )
    waiting = schedule(replace(once, jitter_seconds=0), next_execution_at=asked_for, next_due_at=CREATED)
    due = _asked(CREATED, case(waiting))
    assert due.verdict is Verdict.DUE
    assert due.summary.startswith("The run for 09:29:30.250, accepted 30 seconds late, was due on Friday 2026-11-20")
    facts = [fact.text for fact in due.facts if fact.kind is FactKind.DUE]
    assert facts == ["It is due at 09:30:00.250 (Europe/Berlin): it was accepted 30 seconds after its instant."]


def test_an_occurrence_or_a_run_for_the_very_instant_comes_first() -> None:
    every_second = replace(WEEKDAYS, cron_expression="* * * * * *")
    late = run(NOON - SECOND, started_at=NOON, due_at=NOON - SECOND)
    found = _asked(NOON, case(schedule(every_second)), before=late)
    assert found.verdict is Verdict.UNEXPLAINED
    own = run()
    assert _asked(NOON, case(schedule(every_second)), before=late, own=(own,)).execution == own


def test_at_its_own_instant_it_says_when_it_is_due() -> None:
    assert _asked(NOON, own=(RAN,)).summary == (
        "It fired on Wednesday 2026-11-25 at 12:00 (Europe/Berlin), as its rule says: at 12:00, Monday to Friday. It "
        f"was due at 12:30:45.777, 30 minutes and 46 seconds after its instant. {LEFT}"
    )
    assert _asked(THURSDAY).summary.endswith(
        "as its rule says: at 12:00, Monday to Friday. Its jitter holds it back until 12:32:53.667."
    )


def test_a_run_spans_what_lies_after_its_instant_up_to_its_sending() -> None:
    assert [spans(RAN, at) for at in (NOON, NOON + MILLISECOND, DUE, SENT, SENT + MILLISECOND)] == [
        False, True, True, True, False,
    ]  # fmt: skip
    unsent = replace(RAN, started_at=None)
    assert [spans(unsent, at) for at in (DUE, DUE + MILLISECOND)] == [True, False]
