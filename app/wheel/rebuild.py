"""Throwing the wheel away on an operator's word."""

import asyncio

from redis.exceptions import NoPermissionError

from app.core.clock import SystemClock
from app.core.errors import ConfigurationException
from app.wheel.connection import AWAY, connect, log_in
from app.wheel.rights import refusal
from app.wheel.shards import KEEPER_SECONDS
from app.wheel.wheel import Wheel


async def throw_away(redis_url: str, *, shards: int) -> None:
    """Empty every shard: the missing marks make the workers load the wheel from Postgres.

    Raises ConfigurationException when Redis does not answer, or refuses what the URL says.
    """
    wheel = Wheel(connect(redis_url), SystemClock(), shards=shards, window_seconds=0, claim_ahead_ms=0)
    try:
        async with asyncio.timeout(KEEPER_SECONDS):
            await log_in(wheel.client)
        await wheel.clear()
    except NoPermissionError as refused:
        raise refusal(refused) from refused
    except AWAY as away:
        raise ConfigurationException(f"Redis does not answer: {away}") from away
    finally:
        await wheel.close()
