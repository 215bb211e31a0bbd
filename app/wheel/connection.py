"""The connection to Redis: short time-outs, explicit retries, and a policy that does not evict."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from app.core.errors import ConfigurationException

AWAY = (RedisError, OSError, TimeoutError)
"""What Redis being away, or black-holed, looks like."""

_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 1.5


def connect(url: str, *, max_connections: int = 16) -> Redis:
    """A client for `redis://…` or `rediss://…`; it connects when it is first used.

    A command that fails is not repeated here: redis-py's own defaults would wait for most of a minute, and each caller
    of the wheel knows better whether a repeat is safe.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        socket_keepalive=True,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return Redis.from_pool(pool)


async def refuse_eviction(client: Redis, *, allowed: bool) -> None:
    """Refuse a Redis that may evict entries of the wheel.

    Raises ConfigurationException with what to set instead. A Redis that is away, or that does not tell its policy (a
    managed one may not), is not refused.
    """
    try:
        answer = await client.config_get("maxmemory-policy")
    except (ResponseError, *AWAY):
        return
    policy = {_text(name): _text(value) for name, value in answer.items()}.get("maxmemory-policy", "noeviction")
    if policy != "noeviction" and not allowed:
        raise ConfigurationException(
            f"Redis has maxmemory-policy {policy} and may evict what is due: set it to noeviction, "
            "or ALLOW_EVICTION=1 to go on nevertheless"
        )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
