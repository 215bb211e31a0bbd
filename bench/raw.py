"""The yardstick: a bare POST loop that records nothing. `python -m bench.raw CLIENT URL REQUESTS` prints requests/s.

CLIENT is `aiohttp`, which every figure is compared with, `transport`, the client that the worker uses, or `pyreqwest`,
the fastest library.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop
from pyreqwest.client import ClientBuilder

from app.delivery.reply import BODY_LIMIT_BYTES
from app.delivery.request import Request
from app.delivery.transport import PooledTransport

CONNECTIONS = 64
BODY = b'{"variables":{"report":"daily"},"padding":"' + b"x" * 450 + b'"}'
HEADERS = {"content-type": "application/json", "idempotency-key": "00000000-0000-8000-8000-000000000000"}


async def loop(post: Callable[[], Awaitable[object]], requests: int) -> float:
    left = requests

    async def one() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await post()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return requests / (time.perf_counter() - began)


async def aiohttp_loop(url: str, requests: int) -> float:
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post() -> None:
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                await response.read()

        await loop(post, min(1_000, requests))
        return await loop(post, requests)


async def transport_loop(url: str, requests: int) -> float:
    transport = PooledTransport(timeout_seconds=30, connections=CONNECTIONS, user_agent="bench")

    async def post() -> object:
        return await transport.send(Request("POST", url, HEADERS, BODY, trusted=True))

    await loop(post, min(1_000, requests))
    rate = await loop(post, requests)
    await transport.close()
    return rate


async def pyreqwest_loop(url: str, requests: int) -> float:
    async with ClientBuilder().pool_max_idle_per_host(CONNECTIONS).no_proxy().build() as client:

        async def post() -> None:
            async with client.post(url).headers(HEADERS).body_bytes(BODY).build_streamed() as response:
                await response.body_reader.read(BODY_LIMIT_BYTES)

        await loop(post, min(1_000, requests))
        return await loop(post, requests)


if __name__ == "__main__":
    client, url, requests = sys.argv[1:4]
    run = {"aiohttp": aiohttp_loop, "transport": transport_loop, "pyreqwest": pyreqwest_loop}[client]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(f"{runner.run(run(url, int(requests))):.0f}")
