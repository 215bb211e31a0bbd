"""Whether Redis lets its user do all that the wheel needs: found out by doing each of it, beside the wheel.

A right that is lacking would else show where it is needed: Redis would count as away, and as back again at once, since
what asks whether it is back needs less.
"""

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import NoPermissionError, RedisError

from app.core.errors import ConfigurationException
from app.wheel.script import text_of

_KEYS = tuple(f"{{ss:probe}}:{name}" for name in ("due", "leased", "token", "mark", "rate"))
_DUE, _LEASED, _TOKEN, _MARK, _RATE = _KEYS
_MEMBER, _EPOCH = "probe", "probe"
_LATER_MS = 1_000
_LACKING = (
    "o permissions to ",
    "ACL failure in script",
    "The user executing the script can't",
    " NOPERM ",
    "EXEC without MULTI",
)
"""What Redis says of a right that is lacking; all but the first under the code of another error: in a script (since
7.0, and before), at EXEC, or of MULTI.
"""


class Trial:
    """Does once whatever the wheel does, to a shard that nobody claims from; in a few round trips."""

    def __init__(self, client: Redis, channel: str) -> None:
        self._client = client
        self._channel = channel
        self._texts = [text_of(name) for name in ("put", "claim", "offer", "raise", "rate")]

    async def run(self, now_ms: int) -> None:
        """Raises one of `AWAY`, of which `is_lacking` tells where a command, the keys or the channel are refused."""
        later_ms = now_ms + _LATER_MS
        async with self._client.pipeline(transaction=False) as pipeline:
            for text in self._texts:
                pipeline.script_load(text)
            # What another left who was killed in the middle.
            pipeline.unlink(*_KEYS)
            pipeline.hset(_MARK, mapping={"epoch": _EPOCH, "loaded_until": 0, "shards": 1})
            pipeline.getex(_TOKEN, px=_LATER_MS)
            pipeline.hmget(_MARK, ["epoch"])
            pipeline.zcard(_DUE)
            put, claim, offer, raise_, rate, *_ = await _answers(pipeline)
        async with self._client.pipeline(transaction=False) as pipeline:
            # Due long ago, so that it is a backlog and worth waking somebody: no step of a script is left out.
            pipeline.evalsha(put, 2, _DUE, _LEASED, -1, now_ms, now_ms, self._channel, 0, _MEMBER, 0)
            limits = (now_ms, now_ms, 8, _LATER_MS, 1, later_ms, later_ms)
            pipeline.evalsha(claim, 4, _DUE, _LEASED, _TOKEN, _MARK, *limits)
            _, (token, *_) = await _answers(pipeline)
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.evalsha(put, 2, _DUE, _LEASED, int(token), now_ms, 0, self._channel, 0, _MEMBER, "")
            pipeline.evalsha(offer, 3, _DUE, _LEASED, _MARK, _EPOCH, _MEMBER, now_ms)
            pipeline.evalsha(raise_, 1, _MARK, _EPOCH, now_ms)
            pipeline.evalsha(rate, 1, _RATE, 1, 1, 1)
            await _answers(pipeline)
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.zmscore(_DUE, [_MEMBER])
            pipeline.unlink(*_KEYS)
            await _answers(pipeline)
        async with self._client.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            # Its answer comes as a message.
            await subscription.get_message(timeout=None)
            await subscription.ping()
            await subscription.get_message(timeout=None)


async def _answers(pipeline: Pipeline) -> list[Any]:
    answers = await pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, RedisError):
            # As Redis says it: the client's own words would hold the whole command.
            raise answer
    return answers


def is_lacking(refused: RedisError) -> bool:
    """Whether Redis says that its user lacks a right."""
    return isinstance(refused, NoPermissionError) or tells_of_rights(str(refused))


def tells_of_rights(said: str) -> bool:
    """Whether this is what Redis says of a right that is lacking."""
    return any(words in said for words in _LACKING)


def refusal(refused: RedisError) -> ConfigurationException:
    """What is said of a right that is lacking: no waiting mends that."""
    return ConfigurationException(f"REDIS_URL: {refused}; docs/scaling.md says which rights its user needs")
