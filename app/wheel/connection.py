"""The connection to Redis: short time-outs, no repeats of its own, and whether it may evict."""

import ssl

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from app.core.errors import ConfigurationException

AWAY = (RedisError, OSError, TimeoutError)
"""What Redis being away, or black-holed, looks like."""

_CONNECT_SECONDS = 1.0
_FREE_CONNECTION_SECONDS = 1.5
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""What a URL names that is read from this machine."""
_OF_ITS_TIME = (9, 10)
"""A certificate that is not valid yet, or no more (OpenSSL's numbers): another may take its place."""


def connect(url: str, *, max_connections: int = 16) -> Redis:
    """A client for `redis://…`, `rediss://…` or `unix://…`; it connects when it is first used.

    A command that fails is not repeated here: redis-py's own defaults would wait for most of a minute, and each caller
    of the wheel knows better whether a repeat is safe. Nor does the client limit how long an answer may take: each
    exchange has a limit of its own (`RedisCircuit.command`), and redis-py's would make a task of each command it sends.

    Raises ConfigurationException where the URL's query holds what a connection does not take, or names files of TLS
    that cannot be used.
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
        connection = pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, RedisError) as refused:
        # Without the name of the function that was called.
        why = str(refused).splitlines()[0].rpartition("() ")[2]
        raise ConfigurationException(f"REDIS_URL: its query is none of a connection to Redis: {why}") from refused
    if isinstance(connection, SSLConnection):
        _read_files(connection)
    return Redis.from_pool(pool)


async def log_in(client: Redis) -> None:
    """Connect once, by the user, the password and the database of the URL.

    Raises ConfigurationException where Redis refuses them, or its certificate is not to be trusted: no waiting mends
    that. Else one of `AWAY`.
    """
    try:
        connection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
    except (AuthenticationError, ResponseError) as refused:
        raise ConfigurationException(f"REDIS_URL: {refused}") from refused
    except RedisConnectionError as away:
        untrusted = away.__context__
        if isinstance(untrusted, ssl.SSLCertVerificationError) and untrusted.verify_code not in _OF_ITS_TIME:
            raise ConfigurationException(f"REDIS_URL: {away}") from away
        raise
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


def _read_files(connection: SSLConnection) -> None:
    context = connection.ssl_context
    for name in _FILES:
        path = getattr(context, name.removeprefix("ssl_"))
        if path:
            try:
                open(path, "rb").close()
            except OSError as refused:
                # Python does not say which it is.
                raise ConfigurationException(f"REDIS_URL: {name}={path}: {refused.strerror}") from refused
    try:
        context.get()
    except (OSError, ValueError) as refused:
        raise ConfigurationException(f"REDIS_URL: the files of TLS that its query names: {refused}") from refused


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
