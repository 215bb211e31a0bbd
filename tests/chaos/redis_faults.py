"""What breaks Redis, and the way to it."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from tests.chaos.proxy import Mode, Proxy
from tests.chaos.stack import Slot, Stack
from tests.chaos.turning import turned


async def flush(stack: Stack, _rng: random.Random, _slot: Slot) -> None:
    async with Redis.from_url(stack.valkey.url) as redis:
        await redis.flushall()


async def lose_entries(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    async with Redis.from_url(stack.valkey.url, decode_responses=True) as redis:
        for key in await redis.keys("{ss:*}:due"):
            await redis.zpopmin(key, rng.randrange(1, 30))


async def empty_redis(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    await stack.valkey.kill()
    await asyncio.sleep(rng.choice((0, 1, 3)))
    await stack.valkey.start()


async def freeze_redis(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    os.kill(stack.valkey.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(rng.uniform(1, 6))
    finally:
        os.kill(stack.valkey.pid, signal.SIGCONT)


def _redis_proxies(stack: Stack) -> list[Proxy]:
    return [slot.redis for slot in (*stack.workers, stack.api)]


def redis_turned(mode: Mode) -> Callable[[Stack, random.Random, Slot], Awaitable[None]]:
    async def turn(stack: Stack, rng: random.Random, _slot: Slot) -> None:
        await turned(_redis_proxies(stack), mode, rng.uniform(2, 6))

    return turn


async def cut_redis(stack: Stack, _rng: random.Random, _slot: Slot) -> None:
    for proxy in _redis_proxies(stack):
        proxy.cut()


async def lose_redis_answers(stack: Stack, rng: random.Random, slot: Slot) -> None:
    """A script ran and its answer was lost: a claim nobody heard of, a put that seems to have failed."""
    slot.redis.lose_answers(b"EVALSHA", rng.randrange(1, 6))
    await asyncio.sleep(2)
    slot.redis.stop_losing()
