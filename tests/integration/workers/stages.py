"""Running a worker's stages by hand, turn by turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from app.workers.look import Look
from app.workers.loop import Worker
from tests.integration.workers.rig import Rig


@asynccontextmanager
async def delivering(worker: Worker) -> AsyncIterator[None]:
    """The worker's last stages at work."""
    tasks = [
        asyncio.create_task(loop())
        for loop in (worker.deliverer.run_forever, worker.settler.run_forever, worker.pausing.run_forever)
    ]
    yield
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


async def turn() -> None:
    """Let the others work for a moment."""
    await asyncio.sleep(0.001)


async def look_again(rig: Rig, worker: Worker) -> Look:
    """What the worker's beat and its next poll do."""
    await worker.presence.run_once()
    worker.claimer.wake(None)
    return await rig.fire(worker)


async def look_and_send(rig: Rig, worker: Worker) -> Look:
    """A look, and the outcome of everything that it handed on, pauses with it; the stages are at work."""
    look = await look_again(rig, worker)
    async with asyncio.timeout(20):
        while worker.pausing.busy or any(worker.deliverer.knows(one.execution_id) for one in look.assignments):
            rig.clock.move(0.001)
            await turn()
    return look


async def settled(rig: Rig, worker: Worker) -> None:
    """Wait until every answer is written and has paused what it pauses.

    The settler's gathering waits for the hand-moved clock.
    """
    async with asyncio.timeout(20):
        while worker.pausing.busy or any(worker.deliverer.knows(UUID(key)) for key in rig.receiver.deliveries()):
            rig.clock.move(0.001)
            await turn()
