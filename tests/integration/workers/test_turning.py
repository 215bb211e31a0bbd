"""Turning to Postgres when the wheel cannot be relied on, and back when it can."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from app.core.tasks import end
from app.wheel.connection import connect
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
async def _claiming(worker: Worker) -> AsyncIterator[None]:
    """The worker's first stage at work."""
    claiming = asyncio.create_task(worker.claiming.run_forever(lambda: None))
    try:
        yield
    finally:
        await end(claiming)
