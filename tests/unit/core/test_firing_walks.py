"""The decision against a reference that walks every occurrence, over many looks at random times."""

import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.execution import ExecutionStatus, Reason
from app.core.firing import (
    CATCH_UP_LIMIT,
    RECORDED_IN_ONE_LOOK,
    DueSchedule,
    Recording,
    Standing,
    Waiting,
    decide,
    first_waiting,
    lateness,
    superseded,
)
from app.core.occurrences import Timing, count_occurrences
from app.core.schedule import OverlapPolicy
from tests.unit.core.late import MS, NOON, SCHEDULE, after, at, cron, due, every, once, walked

_searching = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
CLAIM_AHEAD = 50 * MS
_SMALL_LIMIT = 7

TIMINGS: list[Timing] = [
    every(1),
    every(7),
    every(60, jitter_seconds=59),
    every(90, jitter_seconds=3600),
    every(60, end_at=at(900)),
    every(61, start_at=at(-10_000)),
    cron("* * * * * *"),
    cron("*/20 * * * * *", jitter_seconds=30),
    cron("* * * * *", "Africa/Casablanca"),
    cron("3-5,40 * * * *", "Asia/Kolkata", jitter_seconds=600),
    cron("0 */6 * * *", "America/New_York"),
    cron("*/5 * * * *", end_at=at(4000)),
    once(at(77)),
]

schedules = st.builds(
    due,
    st.sampled_from(TIMINGS),
    grace_period_seconds=st.sampled_from([5, 30, 60, 900, 86_400]),
    coalesce=st.booleans(),
    max_executions=st.one_of(st.none(), st.integers(1, 30)),
    max_instances=st.integers(1, 12),
    overlap_policy=st.sampled_from([OverlapPolicy.SKIP, OverlapPolicy.ALLOW]),
)
delays = st.one_of(st.integers(-50, 500), st.integers(0, 30_000), st.integers(0, 600_000))


Run = tuple[list[Waiting], ExecutionStatus, Reason | None]
"""The occurrences that one record stands for, and what becomes of them."""


def _reference(schedule: DueSchedule, unfinished: int, now: datetime, limit: int) -> tuple[list[Run], bool]:
    """The runs to record, and whether the schedule ends with them by `max_executions`."""
    grace = timedelta(seconds=schedule.grace_period_seconds)
    late = walked(schedule.timing, schedule.waiting, now) or [schedule.waiting]
    too_late = sum(now - waiting.due_at > grace for waiting in late)
    reason = Reason.GRACE
    if not schedule.coalesce and len(late) - limit > too_late:
        too_late, reason = len(late) - limit, Reason.CATCH_UP_LIMIT
    runs: list[Run] = [(late[:too_late], ExecutionStatus.MISSED, reason)] if too_late else []
    rest = late[too_late:]
    singles = [[waiting] for waiting in rest[:RECORDED_IN_ONE_LOOK]]
    if schedule.coalesce:
        singles = [rest] if rest else []
    fired = schedule.execution_count
    for run in singles:
        if fired == schedule.max_executions:
            return runs, True
        if schedule.overlap_policy is OverlapPolicy.SKIP and unfinished >= schedule.max_instances:
            runs.append((run, ExecutionStatus.SKIPPED, Reason.OVERLAP))
        else:
            runs.append((run, ExecutionStatus.PENDING, None))
            unfinished, fired = unfinished + 1, fired + 1
    return runs, fired == schedule.max_executions


def _recorded(run: Run) -> Recording:
    waitings, status, reason = run
    first, last = waitings[0], waitings[-1]
    covers_from = first.occurrence if len(waitings) > 1 else None
    return Recording(last.occurrence, last.due_at, covers_from, len(waitings), status, reason)


@_searching
@given(
    schedule=schedules,
    delays_ms=st.lists(delays, min_size=1, max_size=12),
    unfinished=st.integers(0, 12),
    limit=st.sampled_from([_SMALL_LIMIT, 23, 1000]),
)
def test_every_instant_is_covered_by_exactly_one_record_whatever_the_lateness(
    schedule: DueSchedule, delays_ms: list[int], unfinished: int, limit: int
) -> None:
    covered: list[datetime] = []
    now = NOON
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lateness, "CATCH_UP_LIMIT", limit)
        for delay_ms in delays_ms:
            now = max(now, schedule.waiting.due_at + max(timedelta(milliseconds=delay_ms), -CLAIM_AHEAD))
            decision = decide(schedule, standing=Standing(unfinished), now=now)
            runs, ended = _reference(schedule, unfinished, now, limit)

            assert list(decision.recordings) == [_recorded(run) for run in runs]
            covered += [waiting.occurrence for run, _, _ in runs for waiting in run]
            assert decision.searched_to >= schedule.searched_to
            assert decision.searched_to == max(covered)
            expected = None if ended else first_waiting(schedule.timing, SCHEDULE, decision.searched_to)
            assert decision.waiting == expected
            if decision.waiting is None:
                break
            schedule = after(schedule, decision)
            if schedule.max_executions is not None:
                assert schedule.execution_count < schedule.max_executions

    # None lost, none twice: the walk from the beginning finds what the looks covered, one by one.
    everything = walked(
        schedule.timing, first_waiting(schedule.timing, SCHEDULE, NOON) or schedule.waiting, covered[-1]
    )
    instants = [waiting.occurrence for waiting in everything if waiting.occurrence <= covered[-1]]
    assert covered[: len(instants)] == instants
    assert len(covered) == len(set(covered))
    assert covered == sorted(covered)
    assert len(covered) - len(instants) <= 1  # the last one's jitter may not have been over


@_searching
@given(schedule=schedules, moments=st.lists(delays, min_size=1, max_size=6), changed_after=st.integers(0, 100_000))
def test_what_a_change_supersedes_follows_on_what_was_recorded(
    schedule: DueSchedule, moments: list[int], changed_after: int
) -> None:
    start = schedule.waiting.occurrence
    count, now = 0, NOON
    for delay_ms in moments:
        now = max(now, schedule.waiting.due_at + max(timedelta(milliseconds=delay_ms), -CLAIM_AHEAD))
        decision = decide(schedule, now=now)
        count += sum(one.coalesced_count for one in decision.recordings)
        if decision.waiting is None:
            return
        schedule = after(schedule, decision)
    changed_at = now + timedelta(milliseconds=changed_after)
    recording = _superseded(schedule, changed_at)
    if recording is not None:
        assert recording.scheduled_for <= changed_at
        assert (recording.covers_from or recording.scheduled_for) == schedule.waiting.occurrence
        count += recording.coalesced_count
    upto = max(changed_at, schedule.searched_to)
    assert count == 1 + count_occurrences(schedule.timing, start, upto)


@pytest.mark.parametrize("timing", [every(1), cron("* * * * * *"), cron("* * * * * *", "America/New_York")])
@pytest.mark.parametrize("grace", [5, 900, 604_800])
@pytest.mark.parametrize("jitter", [0, 1])
def test_an_outage_of_a_week_is_decided_without_walking_it(timing: Timing, grace: int, jitter: int) -> None:
    week = 7 * 86_400
    # The millisecond before the next one: whatever the jitter, all of the week is due.
    now = at(week + 1) - MS
    schedule = due(replace(timing, jitter_seconds=jitter), grace_period_seconds=grace)
    began = time.process_time()
    coalesced = decide(schedule, now=now)
    singly = decide(replace(schedule, coalesce=False), now=now)
    skipped = _superseded(schedule, now)
    # A walk over six hundred thousand occurrences takes seconds.
    assert time.process_time() - began < 0.5

    whole_week_in_grace = grace == week
    expected = [ExecutionStatus.PENDING] if whole_week_in_grace else [ExecutionStatus.MISSED, ExecutionStatus.PENDING]
    assert [one.status for one in coalesced.recordings] == expected
    assert sum(one.coalesced_count for one in coalesced.recordings) == week
    assert coalesced.recordings[0].covers_from == at(1)

    assert singly.recordings[0].status is ExecutionStatus.MISSED
    assert singly.recordings[0].reason is (Reason.CATCH_UP_LIMIT if whole_week_in_grace else Reason.GRACE)
    if grace != 5:
        assert len(singly.recordings) == 1 + RECORDED_IN_ONE_LOOK
        assert singly.recordings[0].coalesced_count == pytest.approx(week - min(grace, CATCH_UP_LIMIT), abs=1)
    assert skipped is not None
    assert (skipped.coalesced_count, skipped.scheduled_for, skipped.covers_from) == (week, at(week), at(1))


def _superseded(schedule: DueSchedule, now: datetime) -> Recording | None:
    recordings = superseded(schedule.timing, SCHEDULE, schedule.waiting, schedule.searched_to, now, Reason.PAUSED)
    assert len(recordings) <= 1, "no day is off"
    return recordings[0] if recordings else None
