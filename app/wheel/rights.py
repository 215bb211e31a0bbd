"""Whether Redis lets its user do all that the wheel needs: found out by doing each of it, beside the wheel.

A right that is lacking would else show where it is needed: Redis would count as away, and as back again at once, since
what asks whether it is back needs less.
"""

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from app.core.errors import ConfigurationException
from app.wheel.script import Script

_DUE, _LEASED, _TOKEN, _MARK, _RATE = (f"{{ss:probe}}:{name}" for name in ("due", "leased", "token", "mark", "rate"))
_MEMBER, _EPOCH = "probe", "probe"
_LATER_MS = 1_000
_LACKING = ("ACL failure in script", "The user executing the script can't", " NOPERM ", "EXEC without MULTI")
"""What Redis says, under the code of another error, of a right that a script lacks (since 7.0, and before), or EXEC, or
MULTI.
"""


class Trial:
    """Does once whatever the wheel does, to a shard that nobody claims from."""

    def __init__(self, client: Redis, channel: str) -> None:
        self._client = client
        self._channel = channel
        names = ("put", "claim", "offer", "raise", "rate")
        self._put, self._claim, self._offer, self._raise, self._rate = (Script(client, name) for name in names)

    async def run(self, now_ms: int) -> None:
        """Raises one of `AWAY`, of which `is_lacking` tells where a command, the keys or the channel are refused."""
        client = self._client
        # What another left who was killed in the middle.
        await client.unlink(_DUE, _LEASED, _TOKEN, _MARK, _RATE)
        await client.hset(_MARK, mapping={"epoch": _EPOCH, "loaded_until": 0, "shards": 1})
        # Due long ago, so that it is a backlog and worth waking somebody: no step of a script is left out.
        await self._put.run([((_DUE, _LEASED), (-1, now_ms, now_ms, self._channel, 0, _MEMBER, 0))])
        later_ms = now_ms + _LATER_MS
        limits = (now_ms, now_ms, 8, _LATER_MS, 1, later_ms, later_ms)
        ((token, *_),) = await self._claim.run([((_DUE, _LEASED, _TOKEN, _MARK), limits)])
        await self._put.run([((_DUE, _LEASED), (int(token), now_ms, 0, self._channel, 0, _MEMBER, ""))])
        await self._offer.run([((_DUE, _LEASED, _MARK), (_EPOCH, _MEMBER, now_ms))])
        await self._raise.run([((_MARK,), (_EPOCH, now_ms))])
        await self._rate.run([((_RATE,), ("1", "1", 1))])
        await client.getex(_TOKEN, px=_LATER_MS)
        await client.hmget(_MARK, ["epoch"])
        await client.zcard(_DUE)
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.zmscore(_DUE, [_MEMBER])
            await pipeline.execute()
        await client.unlink(_DUE, _LEASED, _TOKEN, _MARK, _RATE)
        async with client.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            # Its answer comes as a message.
            await subscription.get_message(timeout=None)
            await subscription.ping()
            await subscription.get_message(timeout=None)


def is_lacking(refused: RedisError) -> bool:
    """Whether Redis says that its user lacks a right."""
    return isinstance(refused, NoPermissionError) or (
        isinstance(refused, ResponseError) and any(words in str(refused) for words in _LACKING)
    )


def refusal(refused: RedisError) -> ConfigurationException:
    """What is said of a right that is lacking: no waiting mends that."""
    return ConfigurationException(f"REDIS_URL: {refused}; docs/scaling.md says which rights its user needs")
