"""A row is locked for long, as by a process that was frozen in the middle of a request: nobody else waits for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.core.execution import ExecutionStatus
from app.core.queries import Answer
from app.core.schedule import OverlapPolicy, Schedule
from app.store import queueing
from app.wheel.entries import execution_entry
from app.workers.look import Look
from app.workers.loop import Worker
from tests.integration.store.rows import add_execution
from tests.integration.workers.rig import CALLER, MINUTELY, Rig, next_of, seconds
from tests.integration.workers.stages import delivering, look_again, turn

_WAITING_FOR_A_LOCK = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def of_communities(rig: Rig, number: int, **fields: Any) -> list[Schedule]:
    """A schedule of each of so many others' communities, all due together."""
    created: list[Schedule] = []

    def keep(schedule: Schedule) -> Answer:
        created.append(schedule)
        return Answer(201, {}, b"")

    for community in range(10, 10 + number):
        caller, definition = replace(CALLER, community_id=community), replace(MINUTELY, **fields)
        await rig.schedules.create(caller, definition, answer=keep, idempotency=None)
    return created


async def standing(rig: Rig, schedule: Schedule, **fields: Any) -> UUID:
    """A run of a schedule that goes on for long."""
    row: dict[str, Any] = {"status": "running", "attempt": 1, "wake_at": rig.clock.now() + seconds(3_600)}
    async with rig.database.transaction() as connection:
        return await add_execution(connection, schedule_id=schedule.schedule_id, trigger="manual", **row | fields)


@asynccontextmanager
async def locked(rig: Rig, execution: UUID) -> AsyncIterator[None]:
    """While a cancellation of it has come no further."""
    async with rig.database.transaction() as connection:
        await connection.execute("SELECT FROM executions WHERE execution_id = $1 FOR NO KEY UPDATE", execution)
        yield


def watched(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the worker looks at together, transaction by transaction."""
    looked_at: list[list[str]] = []
    look = worker.advancer._look

    async def noted(members: Sequence[str]) -> Look:
        looked_at.append(sorted(members))
        return await look(members)

    monkeypatch.setattr(worker.advancer, "_look", noted)
    return looked_at


async def six_due(rig: Rig) -> tuple[Worker, Sequence[Schedule], Schedule, UUID]:
    """A worker, five schedules of five communities, a sixth of another that cancels its run, and that run; all due."""
    worker = await rig.worker()
    others = await of_communities(rig, 5)
    held = await rig.create(max_instances=1, overlap_policy=OverlapPolicy.CANCEL_RUNNING)
    run = await standing(rig, held)
    rig.clock.move_to(next_of(held)[0])
    return worker, others, held, run


@pytest.mark.fault("12")
async def test_of_six_communities_five_are_sent_while_a_run_of_the_sixth_is_locked(rig: Rig) -> None:
    worker, others, held, run = await six_due(rig)
    async with delivering(worker):
        async with locked(rig, run):
            look = await asyncio.wait_for(look_again(rig, worker), 20)
            assert {one.schedule_id for one in look.assignments} == {one.schedule_id for one in others}
            await rig.receiver.wait_for(5)
        # It is in the wheel, and looked at again a moment later.
        assert look.set_back == {f"s:{held.schedule_id}"}
        rig.clock.move(0.5)
        assert [one.schedule_id for one in (await look_again(rig, worker)).assignments] == [held.schedule_id]
    assert next(iter(await rig.history(held))).status is ExecutionStatus.CANCELLED


@pytest.mark.fault("12")
async def test_who_waited_in_vain_is_looked_at_by_itself_after_the_others_until_nobody_has_it_locked(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await rig.worker()
    others = await of_communities(rig, 2, interval_seconds=1)
    held = await rig.create(max_instances=1, overlap_policy=OverlapPolicy.CANCEL_RUNNING, interval_seconds=1)
    run = await standing(rig, held)
    rest = sorted(f"s:{one.schedule_id}" for one in others)
    alone = [f"s:{held.schedule_id}"]
    looked_at = watched(worker, monkeypatch)
    async with locked(rig, run):
        rig.clock.move(1)
        await look_again(rig, worker)
        assert looked_at == [sorted(rest + alone), rest, alone]
        looked_at.clear()
        rig.clock.move(1)
        await look_again(rig, worker)
        assert looked_at == [rest, alone]
    looked_at.clear()
    for _ in range(2):
        rig.clock.move(1)
        await look_again(rig, worker)
    assert looked_at == [rest, alone, sorted(rest + alone)]


@pytest.mark.fault("12")
async def test_of_many_that_are_locked_those_have_their_turn_for_whom_there_is_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await rig.worker()
    held = [await rig.create(max_instances=1, overlap_policy=OverlapPolicy.CANCEL_RUNNING) for _ in range(3)]
    runs = [await standing(rig, schedule) for schedule in held]
    rig.clock.move_to(next_of(held[-1])[0])
    looked_at = watched(worker, monkeypatch)
    async with locked(rig, runs[0]), locked(rig, runs[1]), locked(rig, runs[2]):
        looking = asyncio.create_task(look_again(rig, worker))
        async with asyncio.timeout(20):
            while len(looked_at) < 2:
                await turn()
            rig.clock.move(1)
            look = await looking
    assert [len(members) for members in looked_at] == [3, 1]
    assert look.set_back == {f"s:{schedule.schedule_id}" for schedule in held}


@pytest.mark.fault("12")
async def test_a_queued_run_whose_group_is_locked_keeps_no_other_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await rig.worker()
    others = await of_communities(rig, 2)
    held = await rig.create(max_instances=1, overlap_policy=OverlapPolicy.QUEUE, interval_seconds=86_400)
    due = next_of(others[1])[0]
    run = await standing(rig, held)
    queued = await standing(rig, held, status="queued", attempt=0, wake_at=due)
    await rig.wheel.put([execution_entry(CALLER.community_id, queued, due)])
    rig.clock.move_to(due)
    looked_at = watched(worker, monkeypatch)
    async with locked(rig, run):
        look = await asyncio.wait_for(look_again(rig, worker), 20)
    assert {one.schedule_id for one in look.assignments} == {one.schedule_id for one in others}
    assert look.set_back == {f"x:{queued}"}
    assert [len(members) for members in looked_at] == [3, 2, 1]


@pytest.mark.fault("12")
async def test_a_run_that_ends_where_the_one_to_be_woken_is_locked_keeps_no_other_waiting(rig: Rig) -> None:
    worker = await rig.worker()
    (other,) = await of_communities(rig, 1)
    held = await rig.create(max_instances=1, overlap_policy=OverlapPolicy.QUEUE, interval_seconds=86_400)
    due = next_of(other)[0]
    overran = await standing(rig, held, wake_at=due, awaited=True)
    queued = await standing(rig, held, status="queued", attempt=0, wake_at=due + queueing.OTHERS_LOOK_AFTER)
    await rig.wheel.put([execution_entry(CALLER.community_id, overran, due)])
    rig.clock.move_to(due)
    async with locked(rig, queued):
        look = await asyncio.wait_for(look_again(rig, worker), 20)
    assert [one.schedule_id for one in look.assignments] == [other.schedule_id]
    assert look.set_back == {f"x:{overran}"}


@pytest.mark.fault("12")
async def test_without_redis_nobody_waits_for_it_either(rig: Rig) -> None:
    worker, others, _, run = await six_due(rig)
    async with delivering(worker):
        async with locked(rig, run):
            await worker.presence.run_once()
            assert (await asyncio.wait_for(worker.fallback.run_once(20), 20))[0] == 6
            await rig.receiver.wait_for(5)
            assert (await worker.fallback.run_once(20))[0] == 0
        assert {one.json["schedule_id"] for one in rig.receiver.received} == {str(one.schedule_id) for one in others}
        rig.clock.move(0.5)
        assert (await worker.fallback.run_once(20))[0] == 1


@pytest.mark.parametrize("policy", [OverlapPolicy.CANCEL_RUNNING, OverlapPolicy.QUEUE])
async def test_a_look_waits_for_locks_for_a_moment_only(rig: Rig, policy: OverlapPolicy) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_instances=1, overlap_policy=policy)
    await standing(rig, schedule)
    rig.clock.move_to(next_of(schedule)[0])
    async with rig.database.transaction() as connection:
        await worker.advancer._looker.look(connection, [f"s:{schedule.schedule_id}"], worker.presence.worker_id)
        assert await connection.fetchval("SHOW lock_timeout") == "100ms"


async def test_a_lock_that_is_held_for_a_moment_is_waited_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await rig.worker()
    held = await rig.create(max_instances=1, overlap_policy=OverlapPolicy.CANCEL_RUNNING)
    run = await standing(rig, held)
    rig.clock.move_to(next_of(held)[0])
    looked_at = watched(worker, monkeypatch)
    async with locked(rig, run):
        looking = asyncio.create_task(look_again(rig, worker))
        async with asyncio.timeout(20):
            while not await rig.execute(_WAITING_FOR_A_LOCK):
                await turn()
    look = await looking
    assert ([one.schedule_id for one in look.assignments], look.cancelled) == ([held.schedule_id], [run])
    assert len(looked_at) == 1
