"""What a look decides, it decides under its rows' locks, from what it reads after it has got them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from app.core.clock import to_ms
from app.core.execution import ExecutionStatus, Reason
from app.core.ids import execution_id
from app.core.schedule import Completion, OverlapPolicy, ScheduleStatus
from app.store.database import Connection
from tests.integration.store.rows import add_execution
from tests.integration.workers.asking import no_answer
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.stages import delivering, look_again, look_and_send, turn

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
_TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
_IN_TRANSACTION = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND state LIKE 'idle in transaction%'
"""
_HOUR = timedelta(hours=1)


async def _wait_for_locks(rig: Rig, number: int, *tasks: "asyncio.Task[Any]") -> None:
    """Wait until so many wait for another's lock, or one that should wait is done."""
    async with asyncio.timeout(20):
        while (await rig.execute(_WAITING))[0][0] < number and not any(task.done() for task in tasks):
            await turn()


async def _held_up(
    rig: Rig, connection: Connection, doing: Coroutine[Any, Any, Any], statement: str
) -> "asyncio.Task[Any]":
    """Start something that a statement of this transaction has wait."""
    await connection.execute(statement)
    task = asyncio.create_task(doing)
    await _wait_for_locks(rig, 1, task)
    assert not task.done()
    return task


async def test_a_pause_in_the_middle_of_a_look_waits_until_it_is_over(rig: Rig) -> None:
    """Else the look would set the schedule going again that a caller has just stopped."""
    worker = await rig.worker()
    schedule = await rig.create()
    (due,) = next_of(schedule)
    # Claimed ahead: the pause has nothing to record, and waits for the row alone.
    rig.clock.move_to(due - timedelta(milliseconds=40))
    async with rig.database.connection() as connection:
        between = connection.transaction()
        await between.start()
        # The look waits here, between what it read and what it writes, to learn whether this record stays.
        await add_execution(
            connection,
            at=due,
            schedule_id=schedule.schedule_id,
            execution_id=execution_id(schedule.schedule_id, due, due),
        )
        looking = asyncio.create_task(look_again(rig, worker))
        await _wait_for_locks(rig, 1, looking)
        pausing = asyncio.create_task(rig.schedules.pause(CALLER, schedule.schedule_id, reason=None))
        await _wait_for_locks(rig, 2, pausing)
        await between.rollback()
    assert len((await looking).assignments) == 1
    await pausing
    assert (await rig.schedules.get(CALLER, schedule.schedule_id)).status is ScheduleStatus.PAUSED
    assert [one.status for one in await rig.history(schedule)] == [ExecutionStatus.PENDING]


async def test_what_is_unfinished_is_counted_once_the_schedule_is_locked(rig: Rig) -> None:
    """A run that another records after this look began, and before it has the row, is one of those that count."""
    worker = await rig.worker()
    schedule = await rig.create(max_instances=1, overlap_policy=OverlapPolicy.SKIP)
    (due,) = next_of(schedule)
    rig.clock.move_to(due)
    async with rig.database.transaction() as another:
        looking = await _held_up(
            rig, another, look_again(rig, worker), "LOCK TABLE workflow_schedules IN ACCESS EXCLUSIVE MODE"
        )
        await add_execution(
            another, at=due - _HOUR, schedule_id=schedule.schedule_id, owner=worker.presence.worker_id, attempt=1
        )
    assert (await looking).assignments == []
    assert (await rig.history(schedule))[-1].reason == Reason.OVERLAP


async def test_an_execution_that_another_has_locked_is_handed_back_and_one_that_is_over_is_dropped(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    schedule = await rig.create()
    async with rig.database.transaction() as connection:
        held, over = [
            await add_execution(
                connection, schedule_id=schedule.schedule_id, status="retrying", attempt=1, wake_at=rig.clock.now()
            )
            for _ in range(2)
        ]
    rig.clock.move(3)
    assert await worker.keepers.sweep.run_once() == 2
    await rig.executions.cancel(CALLER, over, reason=None)
    async with rig.database.transaction() as another:
        await another.execute("SELECT FROM executions WHERE execution_id = $1 FOR NO KEY UPDATE", held)
        look = await look_again(rig, worker)
        assert look.assignments == []
        assert look.next_due_ms == {f"x:{held}": rig.clock.now_ms() + 70, f"x:{over}": None}
    rig.clock.move(0.07)
    assert [one.execution_id for one in (await look_again(rig, worker)).assignments] == [held]


async def test_schedules_are_locked_before_executions(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    async with rig.database.transaction() as connection:
        retry = await add_execution(
            connection, schedule_id=schedule.schedule_id, status="retrying", attempt=1, wake_at=rig.clock.now()
        )
    members = [f"x:{retry}", f"s:{schedule.schedule_id}"]
    async with rig.database.transaction() as another:
        look = worker.advancer._look(members)
        looking = await _held_up(rig, another, look, "LOCK TABLE workflow_schedules IN ACCESS EXCLUSIVE MODE")
        # Whoever has a schedule may come for its executions: a look that waits for a schedule has none of them.
        await another.execute("SELECT FROM executions WHERE execution_id = $1 FOR NO KEY UPDATE NOWAIT", retry)
    await looking


async def test_a_claim_is_held_until_what_it_brought_is_committed(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    async with rig.database.transaction() as another:
        looking = await _held_up(
            rig, another, look_again(rig, worker), "LOCK TABLE workflow_schedules IN ACCESS EXCLUSIVE MODE"
        )
        # Were the worker killed now, its lease would run out, and another would find the entry.
        assert (await rig.wheel.state()).entries == 1
    assert len((await looking).assignments) == 1
    assert (await rig.wheel.state()).entries == 0


async def test_a_connection_that_is_lost_is_no_rows_fault_however_often(rig: Rig) -> None:
    worker = await rig.worker()
    schedules = [await rig.create() for _ in range(2)]
    rig.clock.move_to(next_of(schedules[1])[0])
    await worker.presence.run_once()
    looking = asyncio.create_task(rig.fire(worker))
    for _ in range(4):
        async with rig.database.transaction() as another:
            await another.execute("LOCK TABLE workflow_schedules IN ACCESS EXCLUSIVE MODE")
            async with asyncio.timeout(20):
                while not looking.done() and not await rig.execute(_TERMINATE):
                    rig.clock.move(0.01)
                    await turn()
    async with asyncio.timeout(20):
        while not looking.done():
            rig.clock.move(0.01)
            await turn()
    # Not taken apart, nothing set aside: they fire as soon as Postgres answers.
    assert len((await looking).assignments) == 2


async def test_a_transaction_that_cannot_be_serialized_is_repeated(rig: Rig) -> None:
    schedule = await rig.create()
    attempts: list[int] = []
    rename = "UPDATE workflow_schedules SET description = $2 WHERE schedule_id = $1"

    async def work(connection: Connection) -> None:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await connection.fetch("SELECT description FROM workflow_schedules")
        attempts.append(1)
        if len(attempts) == 1:
            await rig.execute(rename, schedule.schedule_id, "another's")
        await connection.execute(rename, schedule.schedule_id, "mine")

    await rig.database.run(work)
    assert len(attempts) == 2
    assert (await rig.schedules.get(CALLER, schedule.schedule_id)).definition.description == "mine"


async def test_an_execution_that_is_looked_at_too_early_is_left_until_its_time(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    wake_at = rig.clock.now() + timedelta(seconds=30)
    async with rig.database.transaction() as connection:
        waits, runs = [
            await add_execution(connection, schedule_id=schedule.schedule_id, status=status, attempt=1, wake_at=wake_at)
            for status in ("retrying", "running")
        ]
    look = await worker.advancer._look([f"x:{waits}", f"x:{runs}"])
    assert (look.assignments, look.timed_out, look.in_vain) == ([], {}, 2)
    assert look.next_due_ms == {f"x:{waits}": to_ms(wake_at), f"x:{runs}": to_ms(wake_at)}


async def test_redis_is_spoken_to_with_no_transaction_open(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of a schedule's life is told to the wheel: an exchange that hangs holds no row."""
    circuit, exchanges = rig.wheel._circuit, list[int]()
    command = circuit.command

    @asynccontextmanager
    async def watched(seconds: float) -> AsyncIterator[None]:
        exchanges.append((await rig.execute(_IN_TRANSACTION))[0][0])
        async with command(seconds):
            yield

    monkeypatch.setattr(circuit, "command", watched)
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    schedule = await rig.create(overlap_policy=OverlapPolicy.QUEUE, max_instances=1, completion=Completion.CALLBACK)
    async with delivering(worker):
        for due in next_of(schedule, 2):
            rig.clock.move_to(due)
            await look_and_send(rig, worker)
        first, queued = await rig.history(schedule)
        await rig.executions.heartbeat(CALLER, first.execution_id)
        await rig.executions.complete(CALLER, first.execution_id, failed=True, result=None, error="broken")
        await look_and_send(rig, worker)
        await rig.executions.retry(CALLER, first.execution_id, answer=no_answer, idempotency=None)
        await rig.executions.cancel(CALLER, queued.execution_id, reason=None)
    await rig.execute("UPDATE executions SET owner = gen_random_uuid(), wake_at = NULL WHERE finished_at IS NULL")
    assert await worker.keepers.bury.run_once() == 1
    await rig.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    await rig.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    await rig.wheel.client.flushall()
    await worker.keepers.window.run_once()
    rig.clock.move(63)
    for shard in range(rig.wheel.shards):
        await rig.wheel.client.delete(f"{{ss:{shard}}}:due")
    assert await worker.keepers.sweep.run_once() == 2
    await worker.keepers.scan.run_once()
    assert len(exchanges) > 30
    assert set(exchanges) == {0}
