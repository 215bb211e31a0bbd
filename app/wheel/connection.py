"""The connection to Redis: short time-outs, no repeats of its own, and whether it may evict."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

AWAY = (RedisError, OSError, TimeoutError)
"""What Redis being away, or black-holed, looks like."""

_CONNECT_SECONDS = 1.0
_FREE_CONNECTION_SECONDS = 1.5


def connect(url: str, *, max_connections: int = 16) -> Redis:
    """A client for `redis://…` or `rediss://…`; it connects when it is first used.

    A command that fails is not repeated here: redis-py's own defaults would wait for most of a minute, and each caller
    of the wheel knows better whether a repeat is safe. Nor does the client limit how long an answer may take: each
    exchange has a limit of its own (`Circuit.command`), and redis-py's would make a task of every command it sends.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=_FREE_CONNECTION_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=None,
        socket_keepalive=True,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return Redis.from_pool(pool)


async def evicting_policy(client: Redis) -> str | None:
    """The `maxmemory-policy` by which Redis may evict entries of the wheel.

    Null when it evicts nothing, or does not tell (a managed one may not). Raises one of `AWAY`.
    """
    try:
        answer = await client.config_get("maxmemory-policy")
    except ResponseError:
        return None
    policy = {_text(name): _text(value) for name, value in answer.items()}.get("maxmemory-policy", "noeviction")
    return None if policy == "noeviction" else policy


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
