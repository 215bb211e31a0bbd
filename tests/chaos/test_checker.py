"""The checker finds what it is there to find, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.core.clock import to_ms
from app.core.occurrences import ScheduleType, Timing
from tests.chaos.checker import Circumstances, check_acknowledged, check_schedule
from tests.chaos.history import (
    Acknowledged,
    Era,
    Harm,
    Jump,
    Life,
    Note,
    Record,
    Stall,
    Suffering,
    Verdict,
)

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHEDULE = UUID(int=1)
SECONDLY = Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=1, anchor=START)
TWO_SECONDLY = replace(SECONDLY, interval_seconds=2)
NOBODY_HARMED = Circumstances(patience_ms=3_000)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def ms(seconds: float) -> float:
    return float(to_ms(at(seconds)))


def era(revision: int, since: float, *, active: bool = True, timing: Timing = SECONDLY) -> Era:
    return Era(revision, at(since), active, timing, coalesce=True, grace_seconds=60, mark="m")


def record(second: float, revision: int = 1, **fields: object) -> Record:
    plain = Record(
        execution_id=f"x{second}",
        schedule_id=SCHEDULE,
        trigger="schedule",
        revision=revision,
        scheduled_for=at(second),
        due_at=at(second),
        covers_from=None,
        coalesced_count=1,
        status="succeeded",
        reason=None,
        created_at=at(second),
        finished_at=at(second + 0.1),
        lateness_ms=1,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def delivered(second: float, worker: str = "w0.1", status: int | None = 202, mark: str = "m") -> Note:
    return Note(worker, ms(second) + 2, ms(second) + 5, status, mark)


def judge(
    records: list[Record],
    *,
    eras: tuple[Era, ...] = (era(1, 0),),
    until: float = 5.5,
    notes: dict[str, list[Note]] | None = None,
    around: Circumstances = NOBODY_HARMED,
) -> Verdict:
    verdict = Verdict()
    delivered_once = {
        one.execution_id: [delivered((one.scheduled_for - START) / timedelta(seconds=1))]
        for one in records
        if one.status not in ("missed", "skipped")
    }
    check_schedule(Life(SCHEDULE, eras, at(until)), records, delivered_once | (notes or {}), around, verdict)
    return verdict


ALL = [record(second) for second in range(1, 6)]


def test_a_history_in_which_all_is_well_has_nothing_to_be_said_of() -> None:
    verdict = judge(ALL)
    assert verdict.violations == []
    assert (verdict.occurrences, verdict.records, verdict.deliveries) == (5, 5, 5)


@pytest.mark.parametrize("position", range(5))
def test_a_lost_one_is_found_wherever_it_was(position: int) -> None:
    verdict = judge(ALL[:position] + ALL[position + 1 :])
    assert verdict.lost == 1
    assert len(verdict.violations) == 1


def test_a_schedule_that_never_fired_has_lost_all() -> None:
    assert judge([]).lost == 5


def test_one_that_is_in_two_records_is_found() -> None:
    verdict = judge([*ALL, record(5, execution_id="again", covers_from=at(3), coalesced_count=3)])
    assert verdict.recorded_twice == 3
    assert verdict.lost == 0


def test_one_at_an_instant_that_is_none_is_found() -> None:
    verdict = judge([*ALL, record(2.5)])
    assert "stands for nothing that is expected" in verdict.violations[0]


def test_a_run_of_occurrences_is_counted_by_the_records_own_words() -> None:
    run = record(5, covers_from=at(2), coalesced_count=4)
    assert judge([record(1), run]).violations == []
    assert "stands for 4 occurrences" in judge([record(1), replace(run, coalesced_count=3)]).violations[0]
    assert judge([record(1), replace(run, covers_from=at(3), coalesced_count=3)]).lost == 1


def test_a_run_that_was_coalesced_against_its_definition_is_found() -> None:
    run = record(5, covers_from=at(1), coalesced_count=5)
    singly = (replace(era(1, 0), coalesce=False),)
    assert "against its definition" in judge([run], eras=singly).violations[0]
    assert judge([replace(run, status="missed", reason="grace", created_at=at(70))], eras=singly).violations == []


def test_one_that_was_missed_within_its_grace_is_found() -> None:
    early = record(5, covers_from=at(1), coalesced_count=5, status="missed", reason="grace", created_at=at(64))
    assert "within its grace" in judge([early]).violations[0]


# A caller's changes


def test_a_pause_ends_the_expectation_and_a_resumption_begins_it_anew() -> None:
    eras = (era(1, 0), era(2, 2.5, active=False), era(3, 4.5))
    assert judge([record(1), record(2), record(5, 3)], eras=eras).violations == []
    assert judge([record(1), record(5, 3)], eras=eras).lost == 1
    assert "while it was paused" in judge([record(1), record(2), record(3, 2), record(5, 3)], eras=eras).violations[0]


@pytest.mark.parametrize("ahead", [True, False])
def test_a_change_that_races_with_a_firing_may_come_before_or_after_it(ahead: bool) -> None:
    """Three seconds after the start, to the millisecond: recorded 20 ms ahead, or not any more."""
    eras = (era(1, 0), era(2, 2.98, timing=TWO_SECONDLY))
    before = [record(1), record(2), *([record(3)] if ahead else [])]
    assert judge([*before, record(4, 2)], eras=eras).violations == []


def test_a_change_never_costs_an_instant_and_never_doubles_one() -> None:
    eras = (era(1, 0), era(2, 4.0, timing=TWO_SECONDLY))
    assert judge([record(1), record(2), record(3)], eras=eras).lost == 1
    both = [record(1), record(2), record(3), record(4), record(4, 2, execution_id="again")]
    assert judge(both, eras=eras).recorded_twice == 1


def test_one_that_was_recorded_long_after_its_definition_was_over_is_found() -> None:
    eras = (era(1, 0), era(2, 2.5, active=False))
    assert "over at" in judge([record(1), record(2), record(3)], eras=eras).violations[0]


def test_a_change_of_anything_but_the_timing_hands_on_what_waits() -> None:
    eras = (era(1, 0), era(2, 2.5))
    assert judge([record(1), *(record(second, 2) for second in range(2, 6))], eras=eras).violations == []
    assert judge([record(1), *(record(second, 2) for second in range(3, 6))], eras=eras).lost == 1


def test_what_a_removed_schedule_had_left_is_not_expected() -> None:
    assert judge(ALL[:3], until=3.0).violations == []
    assert judge(ALL[:2], until=3.0).lost == 1


def test_one_that_was_to_be_skipped_and_was_not_is_found_and_the_other_way_round() -> None:
    eras = (era(1, 0), replace(era(2, 2.5), skips=at(4)))
    skipped = record(4, 2, status="skipped", reason="skip_next")
    others = [record(1), record(2), record(3, 2), record(5, 2)]
    assert judge([*others, skipped], eras=eras).violations == []
    assert "was to be skipped" in judge([*others, record(4, 2)], eras=eras).violations[0]
    assert "nobody wished it" in judge([*ALL[:3], replace(skipped, revision=1), ALL[4]]).violations[0]


# One-time schedules

ONCE = Timing(ScheduleType.ONE_TIME, "UTC", scheduled_time=at(3))


@pytest.mark.parametrize(
    ("eras", "until", "expected"),
    [
        ((era(1, 0, timing=ONCE),), 9, 1),
        ((era(1, 0, timing=ONCE),), 2, 0),
        ((era(1, 0, timing=ONCE), era(2, 2, active=False, timing=ONCE)), 9, 0),
        ((era(1, 0, timing=ONCE), era(2, 2, active=False, timing=ONCE), era(3, 5, timing=ONCE)), 9, 1),
    ],
    ids=["fired", "removed before", "paused before", "resumed after"],
)
def test_a_one_time_schedule_has_its_one_record(eras: tuple[Era, ...], until: float, expected: int) -> None:
    assert judge([record(3)] * expected, eras=eras, until=until).violations == []
    assert judge([record(3)] * (expected + 1), eras=eras, until=until).violations != []
    assert judge([], eras=eras, until=until).lost == expected


# Deliveries


def test_one_that_was_never_delivered_is_found() -> None:
    assert judge(ALL, notes={"x2": []}).lost == 1


def test_an_unfinished_one_is_found() -> None:
    assert judge([*ALL[:4], replace(ALL[4], status="pending", finished_at=None)]).unfinished == 1


def test_a_skipped_one_that_was_delivered_is_found() -> None:
    skipped = replace(ALL[4], status="skipped", reason="overlap")
    assert "was delivered" in judge([*ALL[:4], skipped], notes={"x5": [delivered(5)]}).violations[0]


def test_one_that_was_delivered_as_another_revision_defined_it_is_found() -> None:
    assert "defined as 'm'" in judge(ALL, notes={"x5": [delivered(5, mark="other")]}).violations[0]


def test_an_early_one_is_found() -> None:
    assert judge(ALL, notes={"x5": [delivered(4.99)]}).early == 1


@pytest.mark.parametrize(("second", "early"), [(4.5, 0), (3.9, 1)])
def test_early_is_by_the_one_clock_and_by_what_a_worker_could_know_of_it(second: float, early: int) -> None:
    """Postgres was a second ahead of this machine, and jumped back to it a moment ago."""
    jumps = (Jump(ms(-500), 1_000), Jump(ms(3), 0))
    assert judge(ALL, notes={"x5": [delivered(second)]}, around=replace(NOBODY_HARMED, jumps=jumps)).early == early


def test_an_old_jump_excuses_nothing() -> None:
    jumps = (Jump(ms(-500), 1_000), Jump(ms(-200), 0))
    assert judge(ALL, notes={"x5": [delivered(4.5)]}, around=replace(NOBODY_HARMED, jumps=jumps)).early == 1


@pytest.mark.parametrize(
    ("stalls", "explained"),
    [
        ((), False),
        ((Stall(ms(3), ms(5)),), True),
        ((Stall(ms(4.5), ms(5)),), False),
        ((Stall(ms(1), ms(3)),), False),
    ],
    ids=["none", "long enough", "too short", "over before it came"],
)
def test_a_target_that_stood_still_had_what_came_meanwhile_for_longer_than_it_noted(
    stalls: tuple[Stall, ...], explained: bool
) -> None:
    taken_late = Note("w0.1", ms(5.1), ms(6.6), 202, "m")
    around = replace(NOBODY_HARMED, stalls=stalls)
    verdict = judge(ALL, notes={"x5": [taken_late, delivered(7, worker="w1.1")]}, around=around)
    assert (verdict.unexplained == 0) is explained


TWICE = [delivered(5), delivered(25, worker="w1.1")]


def harmed(harm: Harm, since: float, until: float | None = None, worker: str = "w0.1") -> Circumstances:
    span = Suffering(worker, harm, ms(since), None if until is None else ms(until))
    return replace(NOBODY_HARMED, sufferings=(span,))


@pytest.mark.parametrize(
    ("around", "explained"),
    [
        (NOBODY_HARMED, False),
        (harmed(Harm.KILLED, 5.1), True),
        (harmed(Harm.KILLED, 26), False),
        (harmed(Harm.KILLED, 3), False),
        (harmed(Harm.KILLED, 5.1, worker="w1.1"), False),
        (harmed(Harm.KILLED, 5.1, worker="w0.2"), False),
        (harmed(Harm.FROZEN, 4.5, 20), True),
        (harmed(Harm.FROZEN, 4.5, 10), True),
        (harmed(Harm.FROZEN, 4.5, 9), False),
        (harmed(Harm.FROZEN, 26, 45), False),
        (harmed(Harm.FROZEN, 10, 25, worker="w1.1"), True),
        (harmed(Harm.CUT_OFF, 5.1, 22), True),
        (harmed(Harm.CUT_OFF, 5.1, 7), False),
    ],
)
def test_a_second_delivery_needs_a_reason(around: Circumstances, explained: bool) -> None:
    verdict = judge(ALL, notes={"x5": TWICE}, around=around)
    assert verdict.delivered_again == 1
    assert (verdict.unexplained == 0) is explained
    assert (verdict.violations == []) is explained


@pytest.mark.parametrize(
    "first",
    [
        delivered(5, status=503),
        delivered(5, status=None),
        replace(delivered(5), answered_ms=ms(9)),
    ],
    ids=["failed", "broke", "too late"],
)
def test_a_second_delivery_after_an_answer_that_was_none_is_a_retry(first: Note) -> None:
    assert judge(ALL, notes={"x5": [first, TWICE[1]]}).violations == []


def test_each_of_three_deliveries_needs_its_own_reason() -> None:
    three = [*TWICE, delivered(45, worker="w2.1")]
    verdict = judge(ALL, notes={"x5": three}, around=harmed(Harm.KILLED, 5.1))
    assert (verdict.delivered_again, verdict.unexplained) == (2, 1)


# What the API acknowledged

LIFE = Life(SCHEDULE, (era(1, 0), era(2, 2)), at(5))


@pytest.mark.parametrize(
    "said",
    [
        lambda said: said.created.append(str(UUID(int=2))),
        lambda said: said.revisions.append((str(SCHEDULE), 3)),
        lambda said: said.removed.append(str(SCHEDULE)),
        lambda said: said.executions.append("x9"),
    ],
)
def test_what_was_acknowledged_and_is_not_there_is_found(said: Callable[[Acknowledged], None]) -> None:
    acknowledged = Acknowledged(created=[str(SCHEDULE)], revisions=[(str(SCHEDULE), 2)], executions=["x1"])
    verdict = Verdict()
    check_acknowledged(acknowledged, [LIFE], {"x1"}, verdict)
    assert verdict.violations == []
    said(acknowledged)
    check_acknowledged(acknowledged, [LIFE], {"x1"}, verdict)
    assert len(verdict.violations) == 1


def test_a_schedule_that_was_created_twice_by_one_repeated_call_is_found() -> None:
    verdict = Verdict()
    check_acknowledged(Acknowledged(), [LIFE, replace(LIFE, schedule_id=UUID(int=2))], set(), verdict)
    assert "created 2 times" in verdict.violations[0]
