"""The connection to Redis: short time-outs, no repeats of its own, and whether it may evict."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from app.core.errors import ConfigurationException

AWAY = (RedisError, OSError, TimeoutError)
"""What Redis being away, or black-holed, looks like."""

_CONNECT_SECONDS = 1.0
_FREE_CONNECTION_SECONDS = 1.5


def connect(url: str, *, max_connections: int = 16) -> Redis:
    """A client for `redis://…`, `rediss://…` or `unix://…`; it connects when it is first used.

    A command that fails is not repeated here: redis-py's own defaults would wait for most of a minute, and each caller
    of the wheel knows better whether a repeat is safe. Nor does the client limit how long an answer may take: each
    exchange has a limit of its own (`RedisCircuit.command`), and redis-py's would make a task of each command it sends.

    Raises ConfigurationException where the URL's query holds what a connection does not take.
    """
    # A socket of this machine has no such option.
    keepalive = {} if url.startswith("unix:") else {"socket_keepalive": True}
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=_FREE_CONNECTION_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=None,
            health_check_interval=0,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **keepalive,
        )
        # The query's names and values are looked at when a connection is made: one that is not used, here.
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, RedisError) as refused:
        # Without the name of the function that was called.
        why = str(refused).splitlines()[0].rpartition("() ")[2]
        raise ConfigurationException(f"REDIS_URL: its query is none of a connection to Redis: {why}") from refused
    return Redis.from_pool(pool)


async def log_in(client: Redis) -> None:
    """Connect once, by the user, the password and the database of the URL.

    Raises ConfigurationException where Redis refuses them: no waiting mends that. Else one of `AWAY`.
    """
    try:
        connection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
    except (AuthenticationError, ResponseError) as refused:
        raise ConfigurationException(f"REDIS_URL: {refused}") from refused
    await client.connection_pool.release(connection)


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
