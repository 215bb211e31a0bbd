"""Turning proxies to another mode for a while."""

import asyncio
from collections.abc import Sequence

from tests.chaos.proxy import Mode, Proxy


async def turned(proxies: Sequence[Proxy], mode: Mode, seconds: float) -> None:
    for proxy in proxies:
        proxy.turn(mode)
    try:
        await asyncio.sleep(seconds)
    finally:
        for proxy in proxies:
            proxy.turn(Mode.PASS)
