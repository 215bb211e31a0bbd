"""Interleavings that break a promise when one rule of the firing protocol is left out, forced by a lock or a hook.

What docs/protocol-tests.md names and no other file has.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from aiohttp import web

from app.core.errors import StateForbidsException
from app.core.execution import Execution, ExecutionStatus
from app.core.schedule import OverlapPolicy, RetryPolicy, Schedule
from app.store import upkeep
from app.store.upkeep import Keeper
from app.wheel.answers import Mark
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from app.workers.keepers import sweep
from app.workers.keepers.sweep import Sweep
from app.workers.keepers.window import WindowKeeper
from app.workers.loop import Worker
from tests.integration.definitions import one_time
from tests.integration.store.rows import add_execution, add_schedule
from tests.integration.wheel.wheels import drop_marks
from tests.integration.workers.asking import no_answer
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.running import Running, running_worker
from tests.integration.workers.stages import delivering, look_again, look_and_send, turn
from tests.receiver import Received

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def _meets_the_lock(rig: Rig, task: "asyncio.Task[None]") -> None:
    """Wait until the task waits for a row that the test has locked, or has passed over it."""
    async with asyncio.timeout(20):
        while not task.done() and (await rig.execute(_WAITING))[0][0] == 0:
            rig.clock.move(0.001)
            await turn()


# Every statement that finishes an execution asks that it is unfinished


async def _cancel(rig: Rig, _worker: Worker, _schedule: Schedule, execution_id: UUID) -> None:
    await rig.executions.cancel(CALLER, execution_id, reason=None)


async def _complete(rig: Rig, _worker: Worker, _schedule: Schedule, execution_id: UUID) -> None:
    await rig.executions.complete(CALLER, execution_id, failed=True, result=None, error="broken")


async def _remove(rig: Rig, _worker: Worker, schedule: Schedule, _execution_id: UUID) -> None:
    await rig.schedules.remove(CALLER, schedule.schedule_id)


async def _look(rig: Rig, worker: Worker, _schedule: Schedule, _execution_id: UUID) -> None:
    """Its deadline, or what makes way for the next occurrence."""
    await look_again(rig, worker)


@pytest.mark.parametrize(
    ("finish", "status", "policy"),
    [
        (_cancel, "retrying", OverlapPolicy.ALLOW),
        (_complete, "running", OverlapPolicy.ALLOW),
        (_remove, "retrying", OverlapPolicy.ALLOW),
        (_look, "running", OverlapPolicy.ALLOW),
        (_look, "retrying", OverlapPolicy.CANCEL_RUNNING),
    ],
    ids=["cancel", "complete", "removal", "deadline", "cancel_running"],
)
async def test_whoever_comes_second_to_an_end_leaves_it_as_it_is(
    rig: Rig,
    finish: Callable[[Rig, Worker, Schedule, UUID], Awaitable[None]],
    status: str,
    policy: OverlapPolicy,
) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    schedule = await rig.create(overlap_policy=policy, max_instances=1)
    due = next_of(schedule)[0]
    # A retry is far off, a deadline is due with the schedule's next occurrence.
    wake_at = due if status == "running" else due + timedelta(hours=1)
    async with rig.database.transaction() as connection:
        execution_id = await add_execution(
            connection, schedule_id=schedule.schedule_id, status=status, wake_at=wake_at, attempt=1
        )
    await worker.keepers.sweep.run_once()
    rig.clock.move_to(due + timedelta(seconds=3))
    await worker.keepers.sweep.run_once()
    async with rig.database.transaction() as first:
        await first.execute(
            "UPDATE executions SET status = 'succeeded', owner = NULL, wake_at = NULL, finished_at = $2"
            " WHERE execution_id = $1",
            execution_id,
            rig.clock.now(),
        )

        async def second() -> None:
            # A caller is told that it came too late.
            with suppress(StateForbidsException):
                await finish(rig, worker, schedule, execution_id)

        task = asyncio.create_task(second())
        await _meets_the_lock(rig, task)
    await task
    rig.clock.move(1)
    await look_again(rig, worker)
    (row,) = await rig.execute("SELECT status, finished_at FROM executions WHERE execution_id = $1", execution_id)
    assert (row["status"], row["finished_at"] is not None) == ("succeeded", True)


async def test_a_success_that_is_settled_after_an_end_is_refused(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        (assignment,) = (await look_again(rig, worker)).assignments
        async with rig.database.transaction() as first:
            await first.execute(
                "UPDATE executions SET status = 'cancelled', owner = NULL, finished_at = $2 WHERE execution_id = $1",
                assignment.execution_id,
                rig.clock.now(),
            )
            settled = asyncio.create_task(_until_forgotten(rig, worker, assignment.execution_id))
            await _meets_the_lock(rig, settled)
        await settled
    assert sum(rig.receiver.deliveries().values()) == 1
    assert [one.status for one in await rig.history(schedule)] == [ExecutionStatus.CANCELLED]


async def _until_forgotten(rig: Rig, worker: Worker, execution_id: UUID) -> None:
    while worker.deliverer.knows(execution_id):
        rig.clock.move(0.001)
        await turn()


# Queued runs


async def test_a_queued_run_is_not_started_while_another_has_its_schedule(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(overlap_policy=OverlapPolicy.QUEUE, max_instances=1)
    async with rig.database.transaction() as connection:
        waits = await add_execution(
            connection, schedule_id=schedule.schedule_id, status="queued", wake_at=rig.clock.now()
        )
    rig.clock.move(3)
    await worker.keepers.window.run_once()
    await worker.keepers.sweep.run_once()
    async with rig.database.transaction() as another:
        await another.execute(
            "SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR NO KEY UPDATE", schedule.schedule_id
        )
        # It may be recording a run of this group at this moment, which a count would not see.
        assert (await look_again(rig, worker)).assignments == []
    rig.clock.move(0.2)
    assert [one.execution_id for one in (await look_again(rig, worker)).assignments] == [waits]


# Owners and the dead


async def test_owners_that_died_before_they_sent_cost_a_run_none_of_its_retries(rig: Rig) -> None:
    async def refuse_once(_received: Received) -> web.Response:
        return web.Response(status=202 if len(rig.receiver.received) > 1 else 500)

    rig.receiver.behaviour = refuse_once
    schedule = await rig.create(max_executions=1, retry=RetryPolicy(max_retries=1))
    rig.clock.move_to(next_of(schedule)[0])
    heir = await rig.worker()
    for _ in range(4):
        dead = await rig.worker()
        assert len((await look_again(rig, dead)).assignments) == 1
        await rig.execute("DELETE FROM workers WHERE worker_id = $1", dead.presence.worker_id)
        await heir.keepers.bury.run_once()
    async with delivering(heir):
        await look_and_send(rig, heir)
        (refused,) = await rig.history(schedule)
        assert refused.wake_at is not None, "its one retry is left to it"
        rig.clock.move_to(refused.wake_at)
        await look_and_send(rig, heir)
    whole = await _whole(rig, schedule)
    assert (whole.status, [one.number for one in whole.attempts]) == (ExecutionStatus.SUCCEEDED, [5, 6])


async def test_a_worker_that_nobody_buried_keeps_its_id_and_sends_what_it_held(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        # Postgres is away for longer than anybody is trusted, and back.
        rig.clock.move(60)
        assert not worker.presence.trusted
        before = worker.presence.worker_id
        assert await worker.presence.run_once()
        assert worker.presence.worker_id == before
        await look_and_send(rig, worker)
    whole = await _whole(rig, schedule)
    assert (whole.status, [one.number for one in whole.attempts]) == (ExecutionStatus.SUCCEEDED, [1])


async def _whole(rig: Rig, schedule: Schedule) -> Execution:
    (execution,) = await rig.history(schedule)
    return await rig.executions.get(CALLER, execution.execution_id)


# Recording


async def test_what_is_there_already_is_neither_counted_nor_delivered_again(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(interval_seconds=60)
    rig.clock.move_to(next_of(schedule)[0])
    assert len((await look_again(rig, worker)).assignments) == 1
    # The row is set back as by a restored backup, its record is not.
    await rig.execute(
        "UPDATE workflow_schedules SET next_execution_at = $1, next_due_at = $1, searched_to = $2, execution_count = 1",
        next_of(schedule)[0],
        schedule.searched_to,
    )
    await worker.keepers.window.run_once()
    rig.clock.move(3)
    await worker.keepers.sweep.run_once()
    assert (await look_again(rig, worker)).assignments == []
    assert len(await rig.history(schedule)) == 1
    assert (await rig.schedules.get(CALLER, schedule.schedule_id)).execution_count == 1


# The wheel and its keepers


class WatchedWheel(Wheel):
    """A wheel at which a test does something in between."""

    def __init__(self, rig: Rig, redis_url: str) -> None:
        super().__init__(connect(redis_url), rig.clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
        self.on_begin: Callable[[], Awaitable[None]] | None = None
        self.on_offer: Callable[[], Awaitable[None]] | None = None

    async def begin_load(self, shard: int, epoch: str) -> Mark:
        mark = await super().begin_load(shard, epoch)
        if self.on_begin is not None:
            await self.on_begin()
        return mark

    async def offer(self, shard: int, epoch: str, due_ms: Sequence[tuple[str, int]]) -> int | None:
        if self.on_offer is not None:
            await self.on_offer()
        return await super().offer(shard, epoch, due_ms)


@pytest.fixture
async def watched(rig: Rig, redis_url: str) -> AsyncIterator[WatchedWheel]:
    wheel = WatchedWheel(rig, redis_url)
    yield wheel
    await wheel.close()


async def _stored(rig: Rig, due_at: datetime) -> UUID:
    """A schedule whose put was lost."""
    async with rig.database.transaction() as connection:
        return await add_schedule(connection, next_execution_at=due_at, next_due_at=due_at)


async def test_a_load_reads_postgres_after_it_has_written_its_epoch(rig: Rig, watched: WatchedWheel) -> None:
    keeper = WindowKeeper(rig.database, watched, rig.clock, rig.metrics)
    stored: list[UUID] = []

    async def store() -> None:
        # A process whose put failed has just dropped the marks: this load is the one that has to find it.
        if not stored:
            stored.append(await _stored(rig, rig.clock.now() + timedelta(seconds=60)))

    watched.on_begin = store
    assert await keeper.run_once() == 1


async def test_a_mark_that_is_dropped_during_a_load_stays_dropped(rig: Rig, watched: WatchedWheel) -> None:
    keeper = WindowKeeper(rig.database, watched, rig.clock, rig.metrics)
    await _stored(rig, rig.clock.now() + timedelta(seconds=60))
    late: list[UUID] = []

    async def drop() -> None:
        # Postgres was read. Another process's put fails after that, and Redis is back at once.
        if not late:
            late.append(await _stored(rig, rig.clock.now() + timedelta(seconds=90)))
            await drop_marks(rig.wheel)

    watched.on_offer = drop
    await keeper.run_once()
    assert keeper.unfinished
    await keeper.run_once()
    assert not keeper.unfinished
    assert (await rig.wheel.state()).entries == 2


async def test_a_keeper_talks_to_redis_after_its_turn_has_ended(rig: Rig, watched: WatchedWheel) -> None:
    turns: list[bool] = []

    async def probe() -> None:
        async with rig.database.transaction() as other:
            turns.extend([await upkeep.try_turn(other, keeper) for keeper in (Keeper.WINDOW, Keeper.SWEEP)])

    await _stored(rig, rig.clock.now())
    watched.on_offer = probe
    await WindowKeeper(rig.database, watched, rig.clock, rig.metrics).run_once()
    rig.clock.move(3)
    for shard in range(rig.wheel.shards):
        await rig.wheel.client.delete(f"{{ss:{shard}}}:due")
    await Sweep(rig.database, watched, rig.clock, rig.metrics).run_once()
    # One that is frozen in the middle keeps nobody else from a pass.
    assert turns == [True] * 4


async def test_a_sweep_goes_on_after_a_page_of_what_is_due_together(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_PAGE", 3)
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    due_at = rig.clock.now() + timedelta(seconds=1)
    for _ in range(8):
        await _stored(rig, due_at)
    rig.clock.move(4)
    assert await worker.keepers.sweep.run_once() == 8


# Shutdown


async def test_a_stopping_worker_gives_back_what_it_has_not_sent(database_url: str, redis_url: str) -> None:
    answer = asyncio.Event()

    async def hang(_received: Received) -> web.Response:
        await answer.wait()
        return web.Response(status=202)

    async with running_worker(
        database_url, redis_url, max_concurrent_workflows=1, shutdown_grace_seconds=20
    ) as running:
        running.receiver.behaviour = hang
        for _ in range(4):
            await _due_soon(running)
        await running.receiver.wait_for(1)
        await _until(running, "status = 'pending' AND owner IS NOT NULL", 4)
        running.worker.stop()
        await _until(running, "status = 'pending' AND owner IS NULL AND wake_at >= due_at", 3)
        assert len(running.receiver.received) == 1
        answer.set()
        await _until(running, "status = 'succeeded'", 1)
    async with running_worker(database_url, redis_url) as heir:
        await heir.receiver.wait_for(3)
        assert set(heir.receiver.deliveries().values()) == {1}


async def _due_soon(running: Running) -> None:
    at = running.clock.now() + timedelta(milliseconds=300)
    await running.schedules.create(CALLER, one_time(at), answer=no_answer, idempotency=None)


async def _until(running: Running, condition: str, number: int) -> None:
    """Wait until so many executions are as described."""
    async with asyncio.timeout(15), running.database.connection() as connection:
        while await connection.fetchval(f"SELECT count(*) FROM executions WHERE {condition}") != number:
            await asyncio.sleep(0.01)
