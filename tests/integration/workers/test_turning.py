"""Turning to Postgres when the wheel cannot be relied on, and back when it can."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from app.core.ids import new_id
from app.core.tasks import end
from app.wheel.connection import connect
from app.wheel.entries import schedule_entry
from app.wheel.wheel import Wheel
from app.workers.loop import Worker
from tests.integration.workers.rig import Rig, next_of
from tests.integration.workers.stages import turn


async def test_a_shard_that_is_lost_is_claimed_from_postgres_until_it_is_loaded(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    await rig.wheel.client.flushall()
    async with _claiming(worker), asyncio.timeout(20):
        # No keeper comes by.
        while not await rig.history(schedule):
            await turn()
        assert worker.claiming.by_postgres
        await worker.keepers.window.run_once()
        while worker.claiming.by_postgres:
            rig.clock.move(0.01)
            await turn()


async def test_postgres_is_claimed_from_until_nothing_overdue_is_left_in_the_wheel(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    worker.claiming.by_postgres = True
    room, now = worker.claimer.room(), rig.clock.now()
    assert await worker.claimer.run_once() == [], "it was looked at a moment ago, too"
    await rig.wheel.put([schedule_entry(1, new_id(number), now) for number in range(room)])
    rounds: list[bool] = []
    async with _claiming(worker, lambda: rounds.append(worker.claiming.by_postgres)), asyncio.timeout(20):
        while len(rounds) < 2:
            rig.clock.move(0.01)
            await turn()
        assert rounds == [True, True], "all the room was taken: there may be more"
        worker.claimer.advanced(await worker.line.get())
        worker.line.done()
        while worker.claiming.by_postgres:
            rig.clock.move(0.01)
            await turn()


async def test_the_wheel_is_asked_for_again_soon_after_the_clock_was_set_back(rig: Rig) -> None:
    worker = await rig.worker()
    worker.claiming.by_postgres = True
    rounds: list[bool] = []
    async with _claiming(worker, lambda: rounds.append(worker.claiming.by_postgres)), asyncio.timeout(20):
        # It is asked for, and not loaded yet.
        while len(rounds) < 2:
            rig.clock.move(0.01)
            await turn()
        await worker.keepers.window.run_once()
        rig.clock.step_back(3_600)
        worker.claimer.wake(None)
        began = rig.clock.monotonic()
        while worker.claiming.by_postgres:
            rig.clock.move(0.01)
            await turn()
            assert rig.clock.monotonic() < began + 5


async def test_who_turns_to_postgres_trusts_the_wheel_no_more(rig: Rig) -> None:
    """What stands in it gets old meanwhile: the marks, and all of it, are dropped when Redis is back."""
    # Nothing listens there.
    away = Wheel(connect("redis://127.0.0.1:1/0"), rig.clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
    worker = await replace(rig, wheel=away).worker()
    async with _claiming(worker), asyncio.timeout(20):
        while not worker.claiming.by_postgres:
            await turn()
    assert away.behind
    await away.close()


@asynccontextmanager
async def _claiming(worker: Worker, came_round: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """The worker's first stage at work."""
    claiming = asyncio.create_task(worker.claiming.run_forever(came_round))
    try:
        yield
    finally:
        await end(claiming)
