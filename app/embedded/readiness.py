"""When `dev` may say that it is ready: the API answers, and its own workers are known to live."""

import asyncio
import socket
from collections.abc import Sequence

import asyncpg
import httpx

_POLL_SECONDS = 0.05
# Not `live_workers` of the API's health: it counts the workers of a killed `dev` for 15 s, and those of others. No
# statement cache, so that it works through a pooler too.
_REGISTERED = "SELECT count(DISTINCT pid) FROM workers WHERE host = $1 AND pid = ANY($2::int[])"


async def api_is_ready(url: str) -> None:
    """Wait until `/readyz` says so."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=5) as client:
        while True:
            try:
                if (await client.get("/readyz")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_POLL_SECONDS)


async def workers_are_up(database_url: str, pids: Sequence[int]) -> None:
    """Wait until each of the worker processes has written its row, which it does before it claims."""
    connection = await asyncpg.connect(database_url, statement_cache_size=0)
    try:
        # Rows tell nobody that they were written.
        while await connection.fetchval(_REGISTERED, socket.gethostname(), pids) < len(pids):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await connection.close()
