"""Being woken: a subscription to the shards that got something due soon."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from redis.exceptions import NoPermissionError

from app.core.clock import Clock
from app.wheel.connection import AWAY
from app.wheel.wheel import WAKE_CHANNEL, Wheel

_RETRY_SECONDS = 0.5
_SUBSCRIBE_SECONDS = 2.0
_LISTEN_SECONDS = 1.0
_UNANSWERED_AT_MOST = 2


async def listen(wheel: Wheel, clock: Clock, woken: Callable[[int | None], None]) -> None:
    """Call `woken` with each shard that is named, until cancelled.

    A wake is only a hint: whoever sleeps looks by itself within a second. So messages lost while Redis is away cost no
    more than that, and `woken(None)`, "any shard", is called once the subscription stands again.
    """
    while True:
        if wheel.away:
            await clock.sleep(_RETRY_SECONDS)
            continue
        subscription = wheel.client.pubsub(ignore_subscribe_messages=True)
        try:
            async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                await subscription.subscribe(WAKE_CHANNEL)
            woken(None)
            unanswered = 0
            while unanswered < _UNANSWERED_AT_MOST and not wheel.away:
                message = await subscription.get_message(timeout=_LISTEN_SECONDS)
                if message is None:
                    # Silence may be a connection that is cut off without a word: ask.
                    unanswered += 1
                    async with asyncio.timeout(_LISTEN_SECONDS):
                        await subscription.ping()
                    continue
                unanswered = 0
                if message["type"] == "message":
                    woken(_shard(message["data"]))
        except NoPermissionError as refused:
            # Nobody else would notice: it counts as away, and is asked for this too until it is granted.
            with suppress(*AWAY):
                async with wheel.command(_SUBSCRIBE_SECONDS):
                    raise refused
        except AWAY:
            await clock.sleep(_RETRY_SECONDS)
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]


def _shard(payload: bytes) -> int | None:
    # Whatever a stranger publishes here is a reason to look, and none to stop listening.
    return int(payload) if payload.isdigit() and len(payload) <= 4 else None
