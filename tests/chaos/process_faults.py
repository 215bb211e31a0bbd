"""What breaks processes: they are killed, frozen, and told to stop."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from app.workers.signals import Point
from tests.chaos.history import Harm
from tests.chaos.stack import SHUTDOWN_SECONDS, Slot, Stack
from tests.chaos.target import now_ms

_TO_THE_POINT_SECONDS = 8.0


async def kill_worker(stack: Stack, rng: random.Random, slot: Slot) -> None:
    await stack.kill(slot)
    await asyncio.sleep(rng.choice((0, 0.5, 3)))
    await stack.start(slot)


def kill_at(point: Point) -> Callable[[Stack, random.Random, Slot], Awaitable[None]]:
    async def kill(stack: Stack, rng: random.Random, slot: Slot) -> None:
        assert slot.process is not None
        armed_ms = now_ms()
        stack.arm(slot, point)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TO_THE_POINT_SECONDS):
                await slot.process.wait()
        if slot.running:
            # It was passed over: others had all the work.
            await stack.kill(slot)
        else:
            stack.suffer(slot, Harm.KILLED, max(armed_ms, now_ms() - 200))
        await asyncio.sleep(rng.choice((0, 1)))
        await stack.start(slot)

    return kill


async def _freeze(stack: Stack, slot: Slot, seconds: float) -> None:
    from_ms = now_ms()
    stack.send(slot, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    stack.send(slot, signal.SIGCONT)
    stack.suffer(slot, Harm.FROZEN, from_ms, now_ms())


async def freeze_past_the_lease(stack: Stack, rng: random.Random, slot: Slot) -> None:
    await _freeze(stack, slot, rng.uniform(5.5, 8))


async def freeze_past_death(stack: Stack, rng: random.Random, slot: Slot) -> None:
    await _freeze(stack, slot, rng.uniform(17, 20))


async def stop_worker(stack: Stack, rng: random.Random, slot: Slot) -> None:
    """A rolling update: nothing in flight may be delivered twice because of it, unless its grace runs out."""
    from_ms = now_ms()
    await stack.stop(slot)
    if now_ms() - from_ms >= SHUTDOWN_SECONDS * 1000:
        stack.suffer(slot, Harm.STOPPED)
    await asyncio.sleep(rng.choice((0, 1)))
    await stack.start(slot)


async def kill_api(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    await stack.kill(stack.api)
    await asyncio.sleep(rng.choice((0, 1)))
    await stack.start(stack.api)


async def freeze_api(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    await _freeze(stack, stack.api, rng.uniform(1, 6))
