"""Runs that wait for another run to end: one at a time, in order, woken when there is room, and never for ever."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core.execution import Execution, ExecutionStatus, Reason
from app.core.queries import Answer
from app.core.schedule import Completion, OverlapPolicy, Schedule
from app.service.backfilling import BackfillRequest, BackfillResult
from app.store import queueing
from app.store.queueing import Group
from app.wheel.entries import execution_entry
from app.workers.loop import Worker
from app.workers.signals import Signals
from tests.integration.store.rows import add_execution
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.stages import delivering, look_again, look_and_send, settled, turn

QUEUED, RUNNING, SKIPPED = ExecutionStatus.QUEUED, ExecutionStatus.RUNNING, ExecutionStatus.SKIPPED
QUEUEING: dict[str, Any] = {
    "overlap_policy": OverlapPolicy.QUEUE,
    "max_instances": 1,
    "completion": Completion.CALLBACK,
    "timeout_seconds": 86_400,
}


async def statuses(rig: Rig, schedule: Schedule) -> list[ExecutionStatus]:
    return [execution.status for execution in await rig.history(schedule)]


async def fire_next(rig: Rig, worker: Worker, schedule: Schedule) -> None:
    """Let the schedule's next occurrence come, and be delivered where it may."""
    current = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert current.next_due_at is not None
    if current.next_due_at > rig.clock.now():
        rig.clock.move_to(current.next_due_at)
    await look_and_send(rig, worker)


async def complete(rig: Rig, execution: Execution) -> Execution:
    return await rig.executions.complete(CALLER, execution.execution_id, failed=False, result=None, error=None)


async def test_a_second_occurrence_waits_and_a_third_is_skipped(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        for _ in range(3):
            await fire_next(rig, worker, schedule)
    assert await statuses(rig, schedule) == [RUNNING, QUEUED, SKIPPED]
    assert (await rig.history(schedule))[2].reason == Reason.QUEUE_FULL
    assert (await rig.schedules.get(CALLER, schedule.schedule_id)).execution_count == 2


async def test_the_end_of_a_run_starts_the_one_that_waits_in_the_same_instant(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        await fire_next(rig, worker, schedule)
        first, second = await rig.history(schedule)
        await complete(rig, first)
        # No time passes: the run was woken, and did not find the room by looking again after a while.
        await look_and_send(rig, worker)
    assert await statuses(rig, schedule) == [ExecutionStatus.SUCCEEDED, RUNNING]
    assert rig.receiver.received[1].headers["Idempotency-Key"] == str(second.execution_id)


async def test_a_run_that_ends_by_its_answer_starts_the_one_that_waits(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**(QUEUEING | {"completion": Completion.RESPONSE}))
    rig.clock.move_to(next_of(schedule)[0])
    await look_again(rig, worker)  # recorded, and nobody delivers yet
    rig.clock.move_to(next_of(schedule, 2)[1])
    await look_again(rig, worker)
    assert await statuses(rig, schedule) == [ExecutionStatus.PENDING, QUEUED]
    async with delivering(worker):
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
        await look_and_send(rig, worker)
    assert await statuses(rig, schedule) == [ExecutionStatus.SUCCEEDED, ExecutionStatus.SUCCEEDED]


@pytest.mark.parametrize("how", ["cancelled", "timed_out", "failed"])
async def test_whatever_ends_a_run_starts_the_one_that_waits(rig: Rig, how: str) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**(QUEUEING | {"timeout_seconds": 90}))
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        await fire_next(rig, worker, schedule)
        (first, _) = await rig.history(schedule)
        if how == "cancelled":
            await rig.executions.cancel(CALLER, first.execution_id, reason=None)
        elif how == "failed":
            await rig.executions.complete(CALLER, first.execution_id, failed=True, result=None, error="broken")
        else:
            assert first.wake_at is not None
            rig.clock.move_to(first.wake_at)
            await look_again(rig, worker)
        await look_and_send(rig, worker)
    assert (await rig.history(schedule))[0].status == how
    assert (await statuses(rig, schedule))[1] is RUNNING


async def test_a_run_that_is_set_aside_starts_the_one_that_waits(rig: Rig) -> None:
    """Postgres itself refuses to have it taken."""
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    soon = rig.clock.now() + timedelta(seconds=1)
    async with rig.database.transaction() as connection:
        poisoned = await add_execution(
            connection, schedule_id=schedule.schedule_id, status="retrying", wake_at=soon, attempt=1, awaited=True
        )
        waits = await add_execution(
            connection, schedule_id=schedule.schedule_id, status="queued", wake_at=soon + queueing.OTHERS_LOOK_AFTER
        )
    await rig.refuse_updates("executions", "NEW.owner IS NOT NULL AND OLD.status = 'retrying'", errcode="22003")
    rig.clock.move_to(soon)
    await rig.wheel.put([execution_entry(CALLER.community_id, poisoned, soon)])
    assert (await look_again(rig, worker)).failed_executions.keys() == {poisoned}
    # No time passes: it was woken, and did not look by itself.
    assert [one.execution_id for one in (await look_again(rig, worker)).assignments] == [waits]


async def test_a_run_that_waits_is_not_overtaken_where_there_is_room(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        await fire_next(rig, worker, schedule)
        first, second = await rig.history(schedule)
        # The room comes without a wake, as when the process that made it dies at once.
        await rig.execute(
            "UPDATE executions SET status = 'succeeded', finished_at = $2, wake_at = NULL WHERE execution_id = $1",
            first.execution_id,
            rig.clock.now(),
        )
        await rig.execute(
            "UPDATE executions SET wake_at = $2 WHERE execution_id = $1",
            second.execution_id,
            rig.clock.now().replace(year=2027),
        )
        await fire_next(rig, worker, schedule)
    assert await statuses(rig, schedule) == [ExecutionStatus.SUCCEEDED, QUEUED, SKIPPED]


async def test_a_wake_that_is_lost_costs_seconds_and_not_the_run(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        await fire_next(rig, worker, schedule)
        (first, _) = await rig.history(schedule)
        await rig.execute(
            "UPDATE executions SET status = 'succeeded', finished_at = $2, wake_at = NULL WHERE execution_id = $1",
            first.execution_id,
            rig.clock.now(),
        )
        rig.clock.move(queueing.HEAD_LOOKS_AFTER.total_seconds())
        await look_and_send(rig, worker)
    assert await statuses(rig, schedule) == [ExecutionStatus.SUCCEEDED, RUNNING]


async def test_a_look_that_finds_no_room_leaves_the_run_waiting_and_looking(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        await fire_next(rig, worker, schedule)
        for _ in range(3):
            rig.clock.move(queueing.HEAD_LOOKS_AFTER.total_seconds())
            await look_again(rig, worker)
            (_, second) = await rig.history(schedule)
            assert second.status is QUEUED
            assert second.wake_at == rig.clock.now() + queueing.HEAD_LOOKS_AFTER


async def test_a_run_that_ends_while_another_is_being_queued_behind_it_wakes_it(rig: Rig) -> None:
    """The end is written after the count that found no room, and before the queued run is there."""
    signals = Signals()
    worker = await rig.worker(signals)
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        (first,) = await rig.history(schedule)
        rig.clock.move_to(next_of(schedule, 2)[1])
        async with rig.database.transaction() as connection:
            # The run's row is held, as by the statement that is about to end it, until the advance waits for it.
            await connection.execute(
                "UPDATE executions SET status = 'succeeded', finished_at = $2, wake_at = NULL WHERE execution_id = $1",
                first.execution_id,
                rig.clock.now(),
            )
            looking = asyncio.create_task(look_again(rig, worker))
            while not await rig.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                await turn()
        await looking
        await look_and_send(rig, worker)
    assert await statuses(rig, schedule) == [ExecutionStatus.SUCCEEDED, RUNNING]


async def test_two_workers_that_look_at_one_waiting_run_start_it_once(rig: Rig) -> None:
    workers = [await rig.worker() for _ in range(4)]
    schedule = await rig.create(**QUEUEING)
    async with delivering(workers[0]):
        await fire_next(rig, workers[0], schedule)
        await fire_next(rig, workers[0], schedule)
        first, second = await rig.history(schedule)
        await complete(rig, first)
        members = [f"x:{second.execution_id}"]
        looks = await asyncio.gather(*(worker.advancer._look(members) for worker in workers))
    assert sum(len(look.assignments) for look in looks) == 1


async def test_a_manual_run_waits_its_turn_where_it_asks_for_it(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**(QUEUEING | {"overlap_policy": OverlapPolicy.SKIP}))
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        (first,) = await rig.history(schedule)
        await trigger(rig, schedule, OverlapPolicy.QUEUE)
        await trigger(rig, schedule, OverlapPolicy.QUEUE)
        assert await statuses(rig, schedule) == [RUNNING, QUEUED, SKIPPED]
        waits = (await rig.history(schedule))[1]
        assert waits.wake_at == waits.created_at + queueing.HEAD_LOOKS_AFTER
        # The schedule itself does not queue: it is the mark on the run that has its end wake the other.
        await complete(rig, first)
        await look_and_send(rig, worker)
    assert await statuses(rig, schedule) == [ExecutionStatus.SUCCEEDED, RUNNING, SKIPPED]


async def test_cancelling_the_one_that_waits_lets_the_next_wait(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        for _ in range(2):
            await fire_next(rig, worker, schedule)
        (_, second) = await rig.history(schedule)
        await rig.executions.cancel(CALLER, second.execution_id, reason="not needed")
        await fire_next(rig, worker, schedule)
    assert await statuses(rig, schedule) == [RUNNING, ExecutionStatus.CANCELLED, QUEUED]
    assert (await rig.history(schedule))[1].reason_detail == "by test: not needed"


async def test_removing_a_schedule_cancels_what_waits(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        for _ in range(2):
            await fire_next(rig, worker, schedule)
    await rig.schedules.remove(CALLER, schedule.schedule_id)
    (first, second) = await rig.history(schedule)
    assert (first.status, second.status, second.reason) == (RUNNING, ExecutionStatus.CANCELLED, Reason.REMOVED)


async def test_the_oldest_run_makes_way_for_a_new_one(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**(QUEUEING | {"overlap_policy": OverlapPolicy.CANCEL_RUNNING, "max_instances": 2}))
    async with delivering(worker):
        for _ in range(3):
            await fire_next(rig, worker, schedule)
    first, second, third = await rig.history(schedule)
    assert (first.status, first.reason) == (ExecutionStatus.CANCELLED, Reason.CANCEL_RUNNING)
    assert (second.status, third.status) == (RUNNING, RUNNING)
    assert (await rig.schedules.get(CALLER, schedule.schedule_id)).execution_count == 3


async def test_a_run_that_made_way_before_it_was_sent_is_not_settled_as_anything_else(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**(QUEUEING | {"overlap_policy": OverlapPolicy.CANCEL_RUNNING}))
    rig.clock.move_to(next_of(schedule)[0])
    await look_again(rig, worker)
    rig.clock.move_to(next_of(schedule, 2)[1])
    await look_again(rig, worker)
    async with delivering(worker):
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
    assert await statuses(rig, schedule) == [ExecutionStatus.CANCELLED, RUNNING]


async def test_a_manual_run_cancels_the_oldest_where_it_asks_for_it(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**(QUEUEING | {"overlap_policy": OverlapPolicy.SKIP}))
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        await trigger(rig, schedule, OverlapPolicy.CANCEL_RUNNING)
    assert await statuses(rig, schedule) == [ExecutionStatus.CANCELLED, ExecutionStatus.PENDING]


async def trigger(rig: Rig, schedule: Schedule, policy: OverlapPolicy) -> None:
    rig.clock.move(0.001)
    await rig.trigger(schedule, overlap_policy=policy)


async def test_room_is_counted_for_a_group_and_not_for_its_neighbours(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
    ours, other = Group(schedule.schedule_id, None), Group(schedule.schedule_id, UUID(int=1))
    async with rig.database.transaction() as connection:
        assert await queueing.await_room(connection, [ours, other]) == {ours: 1, other: 0}
    assert [row["awaited"] for row in await rig.execute("SELECT awaited FROM executions")] == [True]


async def test_a_queued_run_that_is_just_being_woken_is_started_and_not_passed_over(rig: Rig) -> None:
    """The look comes by the poll, at the moment at which the wake of an ended run holds the row."""
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        await fire_next(rig, worker, schedule)
        first, second = await rig.history(schedule)
        await rig.execute(
            "UPDATE executions SET status = 'succeeded', finished_at = $2, wake_at = NULL WHERE execution_id = $1",
            first.execution_id,
            rig.clock.now(),
        )
        rig.clock.move(queueing.HEAD_LOOKS_AFTER.total_seconds())
        async with rig.database.transaction() as connection:
            await queueing.wake_oldest(connection, [Group(schedule.schedule_id, None)], now=rig.clock.now())
            looking = asyncio.create_task(look_again(rig, worker))
            while not await rig.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                await turn()
        look = await looking
    assert [assignment.execution_id for assignment in look.assignments] == [second.execution_id]


async def test_the_room_of_a_run_that_is_cancelled_while_it_is_chosen_goes_to_the_next(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(**QUEUEING)
    group = await backfilled(rig, schedule, runs=2)
    first, second = sorted(await rig.history(schedule), key=lambda run: run.scheduled_for)
    async with rig.database.transaction() as connection:
        # What a caller's cancellation does, in its order.
        await connection.execute(
            "UPDATE executions SET status = 'cancelled', finished_at = $2, wake_at = NULL WHERE execution_id = $1",
            first.execution_id,
            rig.clock.now(),
        )
        looking = asyncio.create_task(look_again(rig, worker))
        while not await rig.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            await turn()
        await queueing.wake_oldest(connection, [group], now=rig.clock.now())
    assert (await looking).assignments == []
    rig.clock.move(0.1)
    look = await look_again(rig, worker)
    assert [assignment.execution_id for assignment in look.assignments] == [second.execution_id]


async def test_wakes_of_many_groups_at_once_do_not_stand_in_each_others_way(rig: Rig) -> None:
    schedules = [await rig.create(**QUEUEING) for _ in range(8)]
    groups = [await backfilled(rig, schedule, runs=2) for schedule in schedules]
    everyone = [row[0] for row in await rig.execute("SELECT execution_id FROM executions ORDER BY random()")]

    async def wake(order: list[Group]) -> None:
        async with rig.database.transaction() as connection:
            await queueing.wake_oldest(connection, order, now=rig.clock.now())

    async def put_off() -> None:
        async with rig.database.transaction() as connection:
            await queueing.look_later(connection, everyone, at=rig.clock.now())

    # A deadlock would be raised here: nothing repeats these transactions.
    await asyncio.gather(
        *(work for _ in range(10) for work in (wake(groups), put_off(), wake(groups[::-1]), put_off()))
    )


async def backfilled(rig: Rig, schedule: Schedule, *, runs: int) -> Group:
    """A backfill, one run at a time; answers its group. Its history is in the order of its runs."""
    start = rig.clock.now() + timedelta(minutes=1)
    results: list[BackfillResult] = []

    def answer(result: BackfillResult) -> Answer:
        results.append(result)
        return Answer(202, {}, b"")

    asked = BackfillRequest(start, start + timedelta(minutes=runs), 1, dry_run=False, context_override=None)
    await rig.schedules.backfill(CALLER, schedule.schedule_id, asked, answer=answer, idempotency=None)
    return Group(schedule.schedule_id, results[0].backfill_id)
