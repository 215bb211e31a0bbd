"""Creating schedules through one API process: one a request, and a thousand a request."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aiohttp

from bench.stack import Stack

_CONCURRENT = 16
_BATCH = 1_000


async def creating(stack: Stack, *, single: int, batched: int) -> dict[str, float]:
    """Schedules created a second by single POSTs, sixteen at once, and by atomic batches, two at once."""
    async with stack.api() as url, aiohttp.ClientSession() as session:

        async def post(path: str, body: object, expected: int) -> None:
            async with session.post(f"{url}{path}", json=body) as response:
                if response.status != expected:
                    raise AssertionError(f"{response.status}: {(await response.text())[:300]}")
                await response.read()

        ones = await _rate(_CONCURRENT, single, lambda: post("/api/v1/schedules", _definition(), 201))
        many = [_definition() for _ in range(_BATCH)]
        batches = await _rate(
            2, batched // _BATCH, lambda: post("/api/v1/schedules/batch", {"schedules": many, "atomic": True}, 201)
        )
    await stack.forget()
    return {"single_per_second": ones, "batched_per_second": batches * _BATCH}


async def _rate(concurrent: int, number: int, make: Callable[[], Awaitable[None]]) -> float:
    left = number

    async def one() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await make()

    await make()
    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(concurrent)))
    return number / (time.perf_counter() - began)


def _definition() -> dict[str, object]:
    return {"workflow_id": str(uuid4()), "schedule_type": "cron", "cron_expression": "0 12 * * *"}
