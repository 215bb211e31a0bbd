"""Claiming straight from Postgres: as early as is right, shared, by turns, and nothing twice."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from app.core.clock import to_ms
from app.core.execution import Execution, ExecutionStatus, Reason
from app.core.principal import Principal, Role
from app.core.queries import Answer
from app.core.schedule import Completion, OverlapPolicy, RetryPolicy, Schedule, ScheduleStatus
from app.store import due
from app.workers.loop import Worker
from app.workers.signals import Point, Signals
from tests.integration.store.rows import add_execution
from tests.integration.workers.rig import CALLER, MINUTELY, Rig, next_of
from tests.integration.workers.stages import delivering, settled, turn
from tests.receiver import Received

OTHER = Principal(community_id=2, user="other", role=Role.ADMIN)
# Nothing depends on whether a run of it is under way, so it may be recorded half a second ahead.
FREE: dict[str, Any] = {"overlap_policy": OverlapPolicy.ALLOW}


@pytest.fixture
async def worker(rig: Rig) -> Worker:
    """A worker whose wheel is never asked."""
    return await rig.worker(concurrency=40)


async def due_of(rig: Rig, schedule: Schedule) -> datetime:
    current = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert current.next_due_at is not None
    return current.next_due_at


async def look(worker: Worker, limit: int = 100) -> tuple[int, int]:
    """What the worker's beat and the next round do."""
    await worker.presence.run_once()
    return await worker.fallback.run_once(limit)


async def claimed(worker: Worker, limit: int = 100) -> int:
    return (await look(worker, limit))[0]


async def before(rig: Rig, schedule: Schedule, seconds: float) -> None:
    """Let time pass until so long before the schedule is due."""
    rig.clock.move_to(await due_of(rig, schedule))
    rig.clock.step_back(seconds)


async def instants(rig: Rig, schedule: Schedule) -> list[datetime]:
    return [execution.scheduled_for for execution in await rig.history(schedule)]


async def only(rig: Rig, schedule: Schedule) -> Execution:
    (execution,) = await rig.history(schedule)
    return execution


@pytest.mark.fault("8")
async def test_what_is_held_for_later_leaves_room_for_what_is_due_now(rig: Rig) -> None:
    worker = await rig.worker(concurrency=10)
    soon = await rig.create(interval_seconds=59)
    later = [await rig.create(**FREE) for _ in range(40)]
    await before(rig, later[0], 0.4)
    while await claimed(worker, 10):
        pass
    held = len([one for one in later if await rig.history(one)])
    # The mark is four times the concurrency.
    assert (held, len(await rig.history(soon)), worker.deliverer.room()) == (29, 1, 10)
    rig.clock.move(0.35)
    assert await claimed(worker, worker.deliverer.room()) == 10


async def test_what_is_due_within_half_a_second_is_recorded_and_held_until_its_instant(
    rig: Rig, worker: Worker
) -> None:
    schedule = await rig.create(**FREE)
    await before(rig, schedule, 0.501)
    due_ms = to_ms(next_of(schedule)[0])
    assert await look(worker) == (0, rig.clock.now_ms() + 20)
    rig.clock.move(0.001)
    async with delivering(worker):
        assert await claimed(worker) == 1
        execution = await only(rig, schedule)
        assert (execution.status, execution.scheduled_for) == (ExecutionStatus.PENDING, next_of(schedule)[0])
        assert await claimed(worker) == 0
        rig.clock.move(0.499)
        await only(rig, schedule)
        assert rig.receiver.received == []
        rig.clock.move(0.001)
        await rig.receiver.wait_for(1)
        assert rig.clock.now_ms() == due_ms
        await settled(rig, worker)
    assert (await only(rig, schedule)).lateness_ms == 0
    assert await due_of(rig, schedule) == next_of(schedule, 2)[1]


@pytest.mark.parametrize("policy", [OverlapPolicy.SKIP, OverlapPolicy.QUEUE, OverlapPolicy.CANCEL_RUNNING])
async def test_where_runs_must_not_overlap_it_is_recorded_no_earlier_than_from_the_wheel(
    rig: Rig, worker: Worker, policy: OverlapPolicy
) -> None:
    schedule = await rig.create(overlap_policy=policy, max_instances=1)
    free = await rig.create(**FREE)
    await before(rig, schedule, 0.051)
    assert await claimed(worker) == 1
    assert (await only(rig, free)).status is ExecutionStatus.PENDING
    rig.clock.move(0.001)
    assert await claimed(worker) == 1
    assert (await only(rig, schedule)).status is ExecutionStatus.PENDING


async def test_it_comes_again_when_the_next_is_due_and_at_the_latest_after_a_tenth_of_a_second(
    rig: Rig, worker: Worker
) -> None:
    now = rig.clock.now_ms()
    assert await look(worker) == (0, now + 100)
    schedule = await rig.create()
    await before(rig, schedule, 0.09)
    assert await look(worker) == (0, rig.clock.now_ms() + 40)


async def test_grace_and_coalescing_look_at_the_true_now(rig: Rig, worker: Worker) -> None:
    schedule = await rig.create(interval_seconds=1, coalesce=True, **FREE)
    first, second, third = next_of(schedule, 3)
    rig.clock.move_to(second)
    rig.clock.move(0.6)
    # The third is within the half second, and not due: it is no part of the run that is late.
    assert await claimed(worker) == 1
    (late,) = await rig.history(schedule)
    assert (late.covers_from, late.scheduled_for, late.coalesced_count) == (first, second, 2)
    assert await claimed(worker) == 1
    assert (await rig.history(schedule))[1].scheduled_for == third


async def test_a_change_of_what_is_recorded_ahead_repeats_and_loses_nothing(rig: Rig, worker: Worker) -> None:
    schedule = await rig.create(interval_seconds=60, **FREE)
    first = next_of(schedule)[0]
    await before(rig, schedule, 0.4)
    assert await claimed(worker) == 1
    faster = replace(schedule.definition, interval_seconds=2)
    changed = await rig.schedules.change(CALLER, schedule.schedule_id, lambda _: faster, expected_revision=None)
    # The new timing is in force from the instant on that is recorded already.
    assert changed.schedule.next_execution_at is not None
    assert changed.schedule.next_execution_at > first
    assert await instants(rig, schedule) == [first]
    for _ in range(3):
        await before(rig, schedule, 0.4)
        assert await claimed(worker) == 1
    found = await instants(rig, schedule)
    assert len(found) == len(set(found)) == 4
    assert [(later - earlier).total_seconds() for earlier, later in pairwise(found[1:])] == [2, 2]


@pytest.mark.parametrize("then", ["pause", "remove"])
async def test_a_pause_or_a_removal_leaves_what_is_recorded_ahead_as_it_is(rig: Rig, worker: Worker, then: str) -> None:
    schedule = await rig.create(**FREE)
    await before(rig, schedule, 0.4)
    assert await claimed(worker) == 1
    if then == "pause":
        await rig.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    else:
        await rig.schedules.remove(CALLER, schedule.schedule_id)
    rig.clock.move(0.4)
    assert await claimed(worker) == 0
    assert (await only(rig, schedule)).status is ExecutionStatus.PENDING
    if then == "pause":
        rig.clock.step_back(0.3)
        await rig.schedules.resume(CALLER, schedule.schedule_id, reason=None)
        assert await due_of(rig, schedule) == next_of(schedule, 2)[1]


@pytest.mark.fault("8")
async def test_two_workers_share_what_is_due_and_none_looks_in_vain(rig: Rig) -> None:
    locked, go_on = asyncio.Event(), asyncio.Event()

    class Waits(Signals):
        async def reached(self, point: Point) -> None:
            if point is Point.CLAIMED:
                locked.set()
                await go_on.wait()

    one, two = await rig.worker(Waits(), concurrency=40), await rig.worker(concurrency=40)
    schedules = [await rig.create(**FREE) for _ in range(10)]
    await before(rig, schedules[0], 0.1)
    first = asyncio.create_task(one.fallback.run_once(6))
    await asyncio.wait_for(locked.wait(), 10)
    # While the first has its rows locked, the second takes others, and looks at none of the first's.
    assert await claimed(two, 6) == 4
    assert await claimed(two, 6) == 0
    go_on.set()
    assert (await first)[0] == 6
    assert await claimed(one, 6) == 0
    for schedule in schedules:
        assert len(await rig.history(schedule)) == 1
    owners = await rig.execute("SELECT owner, count(*) FROM executions GROUP BY owner")
    assert dict(map(tuple, owners)) == {one.presence.worker_id: 6, two.presence.worker_id: 4}


async def test_one_community_with_much_due_does_not_stand_before_another_with_little(rig: Rig, worker: Worker) -> None:
    async def keep(_schedule: object) -> Answer:
        return Answer(201, {}, b"")

    for principal, number in ((CALLER, 300), (OTHER, 3)):
        await rig.schedules.create_batch(
            principal, [replace(MINUTELY, **FREE)] * number, atomic=True, answer=keep, idempotency=None
        )
        # The other community's are due later than all of those.
        rig.clock.move(0.01)
    rig.clock.move(60)
    assert await claimed(worker, 10) == 10
    rows = await rig.execute("SELECT community_id, count(*) FROM executions GROUP BY community_id")
    assert dict(map(tuple, rows)) == {1: 7, 2: 3}


async def test_the_executions_of_one_community_do_not_stand_before_those_of_another(rig: Rig) -> None:
    async with rig.database.transaction() as connection:
        for community_id, number in ((1, 30), (2, 3)):
            for _ in range(number):
                await add_execution(connection, community_id=community_id, wake_at=rig.clock.now())
            rig.clock.move(0.01)
        locked = await due.lock_executions(connection, until=rig.clock.now(), without=[], limit=10)
    assert Counter(one.community_id for one in locked) == {1: 7, 2: 3}


async def test_no_more_is_claimed_than_there_is_room_for_and_the_rest_at_once(rig: Rig, worker: Worker) -> None:
    schedules = [await rig.create(**FREE) for _ in range(5)]
    await before(rig, schedules[0], 0.1)
    found, again_ms = await look(worker, 3)
    assert (found, again_ms) == (3, rig.clock.now_ms())
    assert await claimed(worker, 3) == 2


async def test_a_retry_is_taken_when_its_time_has_come_and_not_before(rig: Rig, worker: Worker) -> None:
    async def broken(_request: Received) -> web.StreamResponse:
        return web.Response(status=503)

    rig.receiver.behaviour = broken
    schedule = await rig.create(max_executions=1, retry=RetryPolicy(max_retries=1, initial_backoff_seconds=60), **FREE)
    await before(rig, schedule, 0)
    async with delivering(worker):
        await claimed(worker)
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
        (wake_at,) = (row[0] for row in await rig.execute("SELECT wake_at FROM executions"))
        rig.clock.move_to(wake_at)
        rig.clock.step_back(0.001)
        assert await look(worker) == (0, rig.clock.now_ms() + 20)
        rig.clock.move(0.001)
        assert await claimed(worker) == 1
        await rig.receiver.wait_for(2)
        await settled(rig, worker)
    execution = await rig.executions.get(CALLER, (await only(rig, schedule)).execution_id)
    assert execution.status is ExecutionStatus.FAILED
    assert [attempt.number for attempt in execution.attempts] == [1, 2]


async def test_a_deadline_ends_a_run_and_the_queued_one_behind_it_starts(rig: Rig, worker: Worker) -> None:
    schedule = await rig.create(
        interval_seconds=5,
        overlap_policy=OverlapPolicy.QUEUE,
        max_instances=1,
        max_executions=2,
        completion=Completion.CALLBACK,
        timeout_seconds=20,
    )
    async with delivering(worker):
        for _ in range(2):
            await before(rig, schedule, 0)
            await claimed(worker)
            await rig.receiver.wait_for(1)
            await settled(rig, worker)
            if len(await rig.history(schedule)) == 2:
                break
        assert [one.status for one in await rig.history(schedule)] == [ExecutionStatus.RUNNING, ExecutionStatus.QUEUED]
        rig.clock.move(20)
        for _ in range(3):
            await claimed(worker)
        await rig.receiver.wait_for(2)
        await settled(rig, worker)
    assert [one.status for one in await rig.history(schedule)] == [ExecutionStatus.TIMED_OUT, ExecutionStatus.RUNNING]


async def test_a_manual_run_and_one_whose_owner_is_dead_are_taken(rig: Rig, worker: Worker) -> None:
    schedule = await rig.create(max_executions=1, **FREE)
    dead = await rig.worker()
    await before(rig, schedule, 0)
    assert await claimed(dead) == 1
    await rig.execute("DELETE FROM workers WHERE worker_id = $1", dead.presence.worker_id)
    assert await worker.keepers.bury.run_once() == 1
    assert await claimed(worker) == 1
    execution = await rig.executions.get(CALLER, (await only(rig, schedule)).execution_id)
    (owner,) = await rig.execute("SELECT owner, attempt FROM executions")
    assert (owner[0], owner[1]) == (worker.presence.worker_id, 2)
    assert worker.deliverer.knows(execution.execution_id)


@pytest.mark.parametrize(
    "poison",
    [
        "timezone = 'Nowhere/There', schedule_type = 'cron', cron_expression = '* * * * *', interval_seconds = NULL",
        # The statement that moves the batch on fails as a whole.
        "execution_count = 2147483647",
    ],
)
async def test_a_poisoned_row_fails_and_the_others_go_on(rig: Rig, worker: Worker, poison: str) -> None:
    poisoned, healthy = await rig.create(**FREE), await rig.create(**FREE)
    await rig.execute(f"UPDATE workflow_schedules SET {poison} WHERE schedule_id = $1", poisoned.schedule_id)
    await before(rig, healthy, 0)
    assert await claimed(worker) == 2
    assert (await rig.schedules.get(CALLER, poisoned.schedule_id)).status is ScheduleStatus.FAILED
    assert len(await rig.history(healthy)) == 1


async def test_a_row_that_cannot_even_be_set_aside_is_let_alone_for_a_while(rig: Rig, worker: Worker) -> None:
    cursed, healthy = await rig.create(interval_seconds=3600, **FREE), await rig.create(interval_seconds=3600, **FREE)
    await rig.refuse_updates("workflow_schedules", f"OLD.schedule_id = '{cursed.schedule_id}'")
    await before(rig, healthy, 0)
    assert await claimed(worker) == 2
    assert len(await rig.history(healthy)) == 1
    assert not await rig.history(cursed)
    assert await claimed(worker) == 0
    rig.clock.move(5)
    await rig.execute("DROP TRIGGER refuse ON workflow_schedules")
    assert await claimed(worker) == 1
    assert len(await rig.history(cursed)) == 1


async def test_what_it_records_is_put_into_a_wheel_that_is_there(rig: Rig, worker: Worker) -> None:
    schedule = await rig.create(**FREE)
    await rig.wheel.clear()
    await before(rig, schedule, 0.3)
    await claimed(worker)
    assert (await rig.wheel.state()).entries == 1
    rig.clock.move_to(await due_of(rig, schedule))
    worker.claimer.wake(None)
    assert len((await rig.fire(worker)).assignments) == 1


@pytest.mark.fault("8")
async def test_the_claims_of_the_wheel_and_of_postgres_record_each_instant_once(rig: Rig) -> None:
    """Workers turn to Postgres, and back, each at its own time."""
    by_wheel, by_postgres = await rig.worker(concurrency=40), await rig.worker(concurrency=40)
    schedules = [await rig.create(interval_seconds=1, **FREE) for _ in range(5)]
    for _ in range(60):
        rig.clock.move(0.1)
        by_wheel.claimer.wake(None)
        await asyncio.gather(rig.fire(by_wheel), by_postgres.fallback.run_once(100))
        await turn()
    for schedule in schedules:
        found = await instants(rig, schedule)
        assert found[:6] == next_of(schedule, 6)
        assert len(found) == len(set(found))
    reasons = {row[0] for row in await rig.execute("SELECT reason FROM executions")}
    # Nobody sends here, so that some meet the bound on unfinished runs; none is late, or missed.
    assert reasons <= {None, Reason.OVERLAP.value}


@pytest.mark.fault("6")
async def test_until_a_lost_shard_is_loaded_again_a_worker_claims_from_postgres(rig: Rig, worker: Worker) -> None:
    schedule = await rig.create(**FREE)
    await worker.keepers.window.run_once()
    await rig.wheel.client.flushall()
    await before(rig, schedule, 0.02)
    claiming = asyncio.create_task(worker.claiming.run_forever(lambda: None))
    async with asyncio.timeout(20):
        # The window keeper is not at work here.
        while not await rig.history(schedule):
            rig.clock.move(0.001)
        assert worker.claiming.by_postgres
        assert worker.keepers.loading
        await worker.keepers.window.run_once()
        while worker.claiming.by_postgres:
            rig.clock.move(0.02)
            await turn()
        # From here on it is the wheel that gives what is due.
        rig.clock.move_to(await due_of(rig, schedule))
        (claim,) = await worker.line.get()
    assert claim.members == (f"s:{schedule.schedule_id}",)
    worker.claiming.stop()
    await claiming
    assert len(await rig.history(schedule)) == 1
