"""What a new run does beside others, by tables; and the occurrence that a caller wants skipped."""

import pytest

from app.core.execution import ExecutionStatus, Reason
from app.core.firing import Overlap, Recording, Standing, Waiting, decide
from app.core.schedule import OverlapPolicy, ScheduleStatus, SkipNext
from tests.unit.core.late import MS, NOON, after, at, cron, due, every, once, told

PENDING, QUEUED, SKIPPED = ExecutionStatus.PENDING, ExecutionStatus.QUEUED, ExecutionStatus.SKIPPED
CANCELLED, MISSED = ExecutionStatus.CANCELLED, ExecutionStatus.MISSED
SKIP, QUEUE = OverlapPolicy.SKIP, OverlapPolicy.QUEUE
ALLOW, CANCEL_RUNNING = OverlapPolicy.ALLOW, OverlapPolicy.CANCEL_RUNNING
ANNA = SkipNext("anna", "stock-taking", NOON)


def placed(
    policy: OverlapPolicy, limit: int, standing: Standing, runs: int
) -> tuple[list[tuple[ExecutionStatus, Reason | None]], int]:
    overlap = Overlap(policy, limit, standing)
    for number in range(runs):
        overlap.place(Recording(at(number), at(number), None, 1, PENDING, None))
    kept = standing.unfinished if overlap.older_kept is None else overlap.older_kept
    return [(one.status, one.reason) for one in overlap.recordings], standing.unfinished - kept


@pytest.mark.parametrize(
    ("policy", "limit", "standing", "runs", "expected", "cancelled"),
    [
        (SKIP, 1, Standing(0), 1, [(PENDING, None)], 0),
        (SKIP, 1, Standing(1), 1, [(SKIPPED, Reason.OVERLAP)], 0),
        (SKIP, 2, Standing(1), 3, [(PENDING, None)] + 2 * [(SKIPPED, Reason.OVERLAP)], 0),
        (SKIP, 1, Standing(0, queued=1), 1, [(PENDING, None)], 0),
        (ALLOW, 1, Standing(99), 3, 3 * [(PENDING, None)], 0),
        (QUEUE, 1, Standing(0), 3, [(PENDING, None), (QUEUED, None), (SKIPPED, Reason.QUEUE_FULL)], 0),
        (QUEUE, 1, Standing(1), 2, [(QUEUED, None), (SKIPPED, Reason.QUEUE_FULL)], 0),
        (QUEUE, 1, Standing(1, queued=1), 1, [(SKIPPED, Reason.QUEUE_FULL)], 0),
        # One that waits is not overtaken, though there is room.
        (QUEUE, 1, Standing(0, queued=1), 1, [(SKIPPED, Reason.QUEUE_FULL)], 0),
        (QUEUE, 3, Standing(1), 3, [(PENDING, None), (PENDING, None), (QUEUED, None)], 0),
        (CANCEL_RUNNING, 1, Standing(0), 1, [(PENDING, None)], 0),
        (CANCEL_RUNNING, 1, Standing(1), 1, [(PENDING, None)], 1),
        (CANCEL_RUNNING, 3, Standing(2), 2, [(PENDING, None), (PENDING, None)], 1),
        # Those of one look make way too, once the older ones have.
        (CANCEL_RUNNING, 1, Standing(1), 3, 2 * [(CANCELLED, Reason.CANCEL_RUNNING)] + [(PENDING, None)], 1),
        (CANCEL_RUNNING, 2, Standing(2), 3, [(CANCELLED, Reason.CANCEL_RUNNING)] + 2 * [(PENDING, None)], 2),
        # The limit was lowered meanwhile: as many go as are too many.
        (CANCEL_RUNNING, 1, Standing(5), 1, [(PENDING, None)], 5),
    ],
)
def test_a_run_is_placed_by_its_schedules_policy(
    policy: OverlapPolicy,
    limit: int,
    standing: Standing,
    runs: int,
    expected: list[tuple[ExecutionStatus, Reason | None]],
    cancelled: int,
) -> None:
    assert placed(policy, limit, standing, runs) == (expected, cancelled)


def test_a_queued_run_counts_towards_the_limit_of_executions() -> None:
    schedule = due(every(60), overlap_policy=QUEUE, max_instances=1, max_executions=1)
    decision = decide(schedule, standing=Standing(1), now=at(60))
    assert [one.status for one in decision.recordings] == [QUEUED]
    assert decision.status is ScheduleStatus.COMPLETED


def test_what_is_skipped_because_the_queue_is_full_does_not_count() -> None:
    schedule = due(every(60), overlap_policy=QUEUE, max_instances=1, max_executions=1)
    decision = decide(schedule, standing=Standing(1, queued=1), now=at(60))
    assert [one.reason for one in decision.recordings] == [Reason.QUEUE_FULL]
    assert decision.status is ScheduleStatus.ACTIVE


# skip_next: exactly the occurrence that the schedule waits for


def test_exactly_the_next_occurrence_is_skipped() -> None:
    schedule = due(every(60), skip_next=ANNA)
    decision = decide(schedule, now=at(60))
    assert told(decision.recordings) == [(at(60), 1, SKIPPED, Reason.SKIP_NEXT)]
    assert decision.recordings[0].detail == "by anna: stock-taking"
    assert (decision.searched_to, decision.waiting) == (at(60), Waiting(at(120), at(120)))
    following = decide(due(every(60), searched_to=at(60)), now=at(120))
    assert told(following.recordings) == [(at(120), 1, PENDING, None)]


def test_it_is_skipped_ahead_of_its_instant_like_any_other_is_recorded() -> None:
    decision = decide(due(every(60), skip_next=ANNA), now=at(60) - 50 * MS)
    assert told(decision.recordings) == [(at(60), 1, SKIPPED, Reason.SKIP_NEXT)]


def test_those_that_are_late_after_it_fire_as_they_would() -> None:
    decision = decide(due(every(60), skip_next=ANNA), now=at(200))
    assert told(decision.recordings) == [(at(60), 1, SKIPPED, Reason.SKIP_NEXT), (at(180), 2, PENDING, None)]
    assert decision.recordings[1].covers_from == at(120)
    assert decision.waiting == Waiting(at(240), at(240))


def test_one_that_is_beyond_its_grace_is_skipped_and_not_missed() -> None:
    decision = decide(due(every(3600), grace_period_seconds=60, skip_next=ANNA), now=at(3600 + 61))
    assert told(decision.recordings) == [(at(3600), 1, SKIPPED, Reason.SKIP_NEXT)]


def test_skipping_does_not_count_towards_the_limit() -> None:
    decision = decide(due(every(60), max_executions=1, skip_next=ANNA), now=at(60))
    assert decision.status is ScheduleStatus.ACTIVE


def test_a_schedule_whose_last_occurrence_is_skipped_is_completed() -> None:
    one_time = due(once(at(60)), waiting=Waiting(at(60), at(60)), skip_next=ANNA)
    assert decide(one_time, now=at(60)).status is ScheduleStatus.COMPLETED
    ending = decide(due(every(60, end_at=at(119)), skip_next=ANNA), now=at(60))
    assert (ending.status, told(ending.recordings)) == (
        ScheduleStatus.COMPLETED,
        [(at(60), 1, SKIPPED, Reason.SKIP_NEXT)],
    )


def test_a_caller_without_a_name_is_named_as_one() -> None:
    decision = decide(due(cron("* * * * *"), skip_next=SkipNext(None, None, NOON)), now=at(60))
    assert decision.recordings[0].detail == "by a caller without a name"


def test_after_the_skipped_one_the_schedule_goes_on_as_before() -> None:
    schedule = due(every(60), skip_next=ANNA)
    rest = after(schedule, decide(schedule, now=at(60)))
    assert (rest.waiting.occurrence, rest.execution_count) == (at(120), 0)
