"""What was claimed too early to be decided, beside a crowd: it is looked at in time, or given back in time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web

from app.core.clock import to_ms
from app.core.execution import Reason
from app.core.schedule import Schedule
from app.wheel.answers import Claimed
from app.wheel.connection import connect
from app.wheel.entries import shard_of
from app.wheel.wheel import Done, Wheel
from app.workers.early import Early
from app.workers.loop import Worker
from app.workers.signals import Point, Signals
from tests.integration.store.rows import add_execution
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.stages import turn
from tests.receiver import Received


class Gate(Signals):
    """Holds whoever has recorded, until it is opened."""

    def __init__(self) -> None:
        self.came, self.opened = asyncio.Event(), asyncio.Event()

    async def reached(self, point: Point) -> None:
        if point is Point.RECORDED:
            self.came.set()
            await self.opened.wait()


@pytest.fixture
async def unreachable(rig: Rig) -> AsyncIterator[Wheel]:
    wheel = Wheel(connect("redis://127.0.0.1:1"), rig.clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
    yield wheel
    await wheel.close()


class SlowWheel(Wheel):
    """A wheel that takes an ack when it is let."""

    def __init__(self, rig: Rig, redis_url: str) -> None:
        super().__init__(connect(redis_url), rig.clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def ack(self, done: Sequence[Done]) -> None:
        self.asked.set()
        await self.let.wait()
        await super().ack(done)


async def claimed_early(rig: Rig) -> tuple[list[Schedule], list[Claimed]]:
    """Two schedules whose runs are counted, the second due 55 ms after the first, claimed as far ahead as can be."""
    schedules = [await rig.create(max_instances=1)]
    rig.clock.move(0.055)
    schedules.append(await rig.create(max_instances=1))
    async with rig.database.transaction() as connection:
        for schedule in schedules:
            # Both would be skipped now.
            ends_at = rig.clock.now() + timedelta(hours=1)
            await add_execution(
                connection, schedule_id=schedule.schedule_id, status="running", trigger="manual", wake_at=ends_at
            )
    rig.clock.move_to(next_of(schedules[1])[0] - timedelta(milliseconds=rig.wheel.reach_ms))
    claims = await rig.wheel.claim(range(rig.wheel.shards), limit=10, lease_ms=5_000, far=True)
    return schedules, [claim for claim in claims if claim.members]


def decide_at(rig: Rig, schedule: Schedule) -> int:
    return to_ms(next_of(schedule)[0]) - rig.wheel.claim_ahead_ms


async def check_given_back(rig: Rig, schedules: list[Schedule]) -> None:
    """Nothing was recorded, and anybody may claim each of them, in time."""
    assert await rig.execute("SELECT FROM executions WHERE trigger = 'schedule'") == []
    due, leased = rig.wheel._keys(shard_of(CALLER.community_id, rig.wheel.shards), "due", "leased")
    assert await rig.wheel.client.zcard(leased) == 0
    for schedule in schedules:
        assert await rig.wheel.client.zscore(due, f"s:{schedule.schedule_id}") == to_ms(next_of(schedule)[0])


async def started(worker: Worker) -> "asyncio.Task[None]":
    """The worker at work, on the clock that stands."""
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        while not worker.ready or worker.claimer.woken.is_set():
            await turn()
    return running


@pytest.mark.fault("16")
async def test_what_is_early_is_looked_at_when_the_first_of_it_may_be_decided(rig: Rig) -> None:
    worker = await rig.worker()
    schedules, claims = await claimed_early(rig)
    look = await worker.advancer.run_once(claims)
    assert sorted(look.early.values()) == [decide_at(rig, one) for one in schedules]
    worker.early.add(claims, look.early)
    rig.clock.move((decide_at(rig, schedules[0]) - 1 - rig.clock.now_ms()) / 1000)
    await turn()
    assert worker.few.empty
    rig.clock.move(0.001)
    async with asyncio.timeout(10):
        again = await worker.few.get()
    look = await worker.advancer.run_once(again)
    assert [(one.schedule.due.schedule_id, one.recording.reason) for one in look.unsent] == [
        (schedules[0].schedule_id, Reason.OVERLAP)
    ]
    assert look.early == {f"s:{schedules[1].schedule_id}": decide_at(rig, schedules[1])}
    await worker.early.close()


@pytest.mark.fault("24")
@pytest.mark.parametrize("found", ["before", "after"])
async def test_a_worker_that_stops_gives_back_what_is_early(rig: Rig, found: str) -> None:
    """Also what it finds to be early while it stops."""
    gate = Gate()
    worker = await rig.worker(gate, shutdown_grace_seconds=20)
    await worker.keepers.window.run_once()
    running = await started(worker)
    schedules, claims = await claimed_early(rig)
    worker.claimer.again(claims)
    worker.few.put_at_once(claims)
    async with asyncio.timeout(20):
        await gate.came.wait()
        if found == "before":
            gate.opened.set()
            await worker.few.join()
        worker.stop()
        while not worker.claiming.stopping:
            await turn()
        gate.opened.set()
        await running
    await check_given_back(rig, schedules)


@pytest.mark.fault("24")
async def test_what_is_early_does_not_wait_for_what_a_worker_that_stops_has_sent(rig: Rig) -> None:
    answer = asyncio.Event()

    async def hang(_received: Received) -> web.Response:
        await answer.wait()
        return web.Response(status=202)

    rig.receiver.behaviour = hang
    worker = await rig.worker(shutdown_grace_seconds=20)
    await worker.keepers.window.run_once()
    running = await started(worker)
    await rig.trigger(await rig.create(interval_seconds=86_400))
    await rig.receiver.wait_for(1)
    schedules, claims = await claimed_early(rig)
    worker.claimer.again(claims)
    worker.few.put_at_once(claims)
    async with asyncio.timeout(20):
        await worker.few.join()
        worker.stop()
        while not worker.claiming.stopping:
            await turn()
        # Until the second might be decided, and beyond.
        for _ in range(rig.wheel.reach_ms):
            rig.clock.move(0.001)
            await turn()
        assert not running.done()
        await check_given_back(rig, schedules)
        answer.set()
        while not running.done():
            rig.clock.move(0.001)
            await turn()


@pytest.mark.fault("24")
async def test_a_worker_stays_until_what_is_early_has_been_given_back(rig: Rig, redis_url: str) -> None:
    wheel = SlowWheel(rig, redis_url)
    worker = await replace(rig, wheel=wheel).worker(shutdown_grace_seconds=20)
    await worker.keepers.window.run_once()
    running = await started(worker)
    schedules, claims = await claimed_early(rig)
    worker.early.add(claims, {f"s:{schedule.schedule_id}": decide_at(rig, schedule) for schedule in schedules})
    worker.stop()
    async with asyncio.timeout(20):
        await wheel.asked.wait()
        await asyncio.wait((running,), timeout=0.5)
        assert not running.done()
        wheel.let.set()
        await running
    await check_given_back(rig, schedules)
    await wheel.close()


async def test_what_is_early_stays_leased_where_redis_is_away_and_postgres_has_it(rig: Rig, unreachable: Wheel) -> None:
    worker, other = await rig.worker(), await rig.worker()
    schedules, claims = await claimed_early(rig)
    look = await worker.advancer.run_once(claims)
    early = Early(rig.clock, unreachable, worker.few, again=worker.claimer.again)
    early.add(claims, look.early)
    early.stop()
    async with asyncio.timeout(10):
        await early.join()
    assert worker.few.empty
    for schedule in schedules:
        rig.clock.move((decide_at(rig, schedule) - rig.clock.now_ms()) / 1000)
        assert (await other.fallback.run_once(10))[0] == 1
