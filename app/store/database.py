"""Connections to Postgres: the pool, transactions that are repeated where that is safe, and what counts as away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from app.core.clock import Clock, DatabaseClock
from app.core.errors import ConfigurationException, StoreUnavailableException
from app.store.outage import Outage

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

_ATTEMPTS = 5
_CONNECT_SECONDS = 5.0
_AGAIN_SECONDS = 0.2
_ACQUIRE_SECONDS = 5.0
_COMMAND_SECONDS = 9.0
_STATEMENT_SECONDS = 30
"""A statement is prepared anew after this long: a plan that was kept while a table was empty is none for a full one."""
_STEADY_PLANS = {"plan_cache_mode": "force_generic_plan", "enable_hashjoin": "off", "enable_mergejoin": "off"}

# Deadlock and serialization failure: the transaction left nothing behind and may be repeated as it was.
_REPEATABLE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# Postgres is away, restarting, failing over, read-only after a failover, out of connections, of disk, or of time; or it
# lets its user in no more.
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InternalClientError,
)
# What no waiting mends at a start: asyncpg cannot read the URL or trust the server, or Postgres knows no such user,
# password, database or parameter, or gives no right to it.
_REFUSED = (
    ValueError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.CantChangeRuntimeParamError,
)
_LOCK_TIMEOUT = "4s"
_NOT_POOLED = "a pooler stands in front of Postgres ({}): say so, by DATABASE_POOLER=transaction"
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
"""What a URL names that is read from this machine."""


class Database:
    """A pool of connections to Postgres."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        pool_size: int = 12,
        pooler: str = "none",
        name: str = "schedule-service",
        steady_plans: bool = False,
    ) -> "Database":
        """Connect.

        `steady_plans` is for a worker: its statements name few rows by id, so that the one plan which goes by the
        primary key is right for any batch and need not be made anew for each. With it an advance of ten costs Postgres
        half.

        Behind a pooler in transaction mode no session state may be relied on: statements are not kept prepared, and
        the operator sets the timeouts, and any isolation but Postgres's own, on the role.

        Raises StoreUnavailableException when Postgres does not answer.
        """
        settings = {"application_name": name, "timezone": "UTC"}
        if pooler == "none":
            settings |= {
                "statement_timeout": "8s",
                "lock_timeout": _LOCK_TIMEOUT,
                "idle_in_transaction_session_timeout": "10s",
                "jit": "off",
                # Whatever the database or its user has: who waits for a row goes on from what it is then.
                "default_transaction_isolation": "read committed",
            }
            if steady_plans:
                settings |= _STEADY_PLANS
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=0,
                max_size=pool_size,
                timeout=_CONNECT_SECONDS,
                command_timeout=_COMMAND_SECONDS,
                max_inactive_connection_lifetime=300,
                max_cached_statement_lifetime=_STATEMENT_SECONDS,
                reset=_keep,
                statement_cache_size=0 if pooler == "transaction" else 200,
                server_settings=settings if pooler == "none" else {"application_name": name},
            )
        except (*_AWAY, asyncpg.PostgresError) as away:
            raise StoreUnavailableException(f"Postgres does not answer: {_first_line(away)}") from away
        return cls(pool)

    async def close(self) -> None:
        """Close every connection; those in use are given a moment to end."""
        try:
            await asyncio.wait_for(self._pool.close(), 2)
        except TimeoutError:
            self._pool.terminate()

    def abandon(self) -> None:
        """Cut every connection without a word: whoever waits for an answer, or asks later, finds Postgres away.

        A cancellation alone is not enough where Postgres is silent: asyncpg then waits to hear that it was taken in.
        """
        self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection outside a transaction: for reads of a single statement.

        Raises StoreUnavailableException when Postgres is away.
        """
        try:
            async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
                yield connection
        except _AWAY as away:
            raise StoreUnavailableException(f"Postgres is away: {_first_line(away)}") from away

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction, committed when the block ends without an exception.

        Raises StoreUnavailableException when Postgres is away; where that happened at the commit, the change may have
        been made.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, one_statement: bool = False) -> T:
        """Do `work` in a transaction, repeated when Postgres chose it as the victim of a deadlock.

        `one_statement` is a transaction by itself: it spares the two round trips of one that is asked for.

        Raises StoreUnavailableException as `transaction` does, also when every attempt was a victim.
        """
        for attempt in range(_ATTEMPTS):
            try:
                async with self.connection() if one_statement else self.transaction() as connection:
                    return await work(connection)
            except _REPEATABLE as victim:
                if attempt == _ATTEMPTS - 1:
                    raise StoreUnavailableException(f"Postgres is busy: {_first_line(victim)}") from victim
        raise AssertionError("unreachable")

    async def measure(self, clock: DatabaseClock) -> float:
        """Set the clock by Postgres's. Returns the seconds by which it was stepped, as `observe` does."""
        async with self.connection() as connection:
            asked_at = clock.monotonic()
            database_now: datetime = await connection.fetchval("SELECT clock_timestamp()")
            return clock.observe(database_now, asked_at, clock.monotonic())

    async def follow(self, clock: DatabaseClock, *, every_seconds: float, stepped: Callable[[float], None]) -> None:
        """Keep the clock set, until cancelled; an outage of Postgres only delays the next measurement."""
        while True:
            await clock.sleep(every_seconds)
            try:
                step = await self.measure(clock)
            except (StoreUnavailableException, asyncpg.PostgresError):
                continue
            if step:
                stepped(step)


async def wait_briefly(connection: Connection) -> None:
    """Have the rest of a transaction wait for each lock no longer than a tenth of a second.

    For who is about to wait for a run that another may have locked, on behalf of one of many.
    """
    await connection.execute("SET LOCAL lock_timeout = 100")


async def lock_most(connection: Connection, statement: str, *values: object) -> tuple[list[asyncpg.Record], bool]:
    """The rows that a statement locks, until the transaction ends, and whether these are all that it finds.

    What another has locked is waited for half a second: longer than a worker has a schedule or a run locked, shorter
    than Postgres takes to look for a deadlock. Where that is in vain, whatever is locked then is left out.
    """
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = 500")
            rows = await connection.fetch(statement, *values)
            # The end of a savepoint does not end what was set in it: whatever comes after waits as it does elsewhere.
            await connection.execute("SET LOCAL lock_timeout TO DEFAULT")
            return rows, True
    except asyncpg.LockNotAvailableError:
        return await connection.fetch(f"{statement} SKIP LOCKED", *values), False


@contextmanager
def on_behalf_of(rows: Iterable[UUID]) -> Iterator[None]:
    """Say of a wait for locks that took too long for which schedules or executions it was.

    Raises StoreUnavailableException, with who they are.
    """
    try:
        yield
    except asyncpg.LockNotAvailableError as locked:
        raise StoreUnavailableException.locked(f"rows are locked: {_first_line(locked)}", rows) from locked
    except StoreUnavailableException as locked:
        raise StoreUnavailableException.locked(locked.detail, rows) if locked.waited_for else locked from locked


@contextmanager
def granted() -> Iterator[None]:
    """Say of a right that its user lacks that it is DATABASE_URL which is to blame: no waiting mends it.

    Raises ConfigurationException.
    """
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as refused:
        raise ConfigurationException(f"DATABASE_URL: {_first_line(refused)}") from refused


def blames_the_row(error: Exception) -> bool:
    """Whether an error comes of what a row holds, and not of Postgres's own state, rights or schema.

    Only the former may take a row out of service: the latter would take out every row that comes due.
    """
    if isinstance(error, StoreUnavailableException):
        return False
    return not isinstance(error, asyncpg.PostgresError) or isinstance(
        error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError | asyncpg.ProgramLimitExceededError
    )


def says_it_is_away(error: BaseException) -> bool:
    """Whether an error of asyncpg's means that Postgres is away, as for `Database.connection`."""
    return isinstance(error, _AWAY)


async def connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection outside a pool, for whoever starts.

    Raises ConfigurationException where Postgres, or asyncpg, refuses what the URL says, and StoreUnavailableException
    where Postgres does not answer.
    """
    with _told_at_a_start(url):
        return await asyncpg.connect(url, timeout=_CONNECT_SECONDS)


async def knock(url: str, *, pooler: str = "none") -> None:
    """Connect once, as the pool will.

    Raises as `connect` does, and ConfigurationException where a pooler is in between of which nobody has told: it does
    not take what a session sets, or drops it, and what is prepared on one connection is then looked for on another.
    """
    with _told_at_a_start(url):
        try:
            connection = await asyncpg.connect(
                url,
                timeout=_CONNECT_SECONDS,
                command_timeout=_COMMAND_SECONDS,
                statement_cache_size=0,
                server_settings={"lock_timeout": _LOCK_TIMEOUT} if pooler == "none" else None,
            )
        except asyncpg.ProtocolViolationError as refused:
            if "startup parameter" not in str(refused):
                raise
            raise ConfigurationException(f"DATABASE_URL: {_NOT_POOLED.format(_first_line(refused))}") from refused
        try:
            if pooler == "none" and await connection.fetchval("SHOW lock_timeout") != _LOCK_TIMEOUT:
                raise ConfigurationException(f"DATABASE_URL: {_NOT_POOLED.format('it drops lock_timeout')}")
        finally:
            await connection.close(timeout=_CONNECT_SECONDS)


@contextmanager
def _told_at_a_start(url: str) -> Iterator[None]:
    try:
        yield
    except _REFUSED as refused:
        raise ConfigurationException(f"DATABASE_URL: {_first_line(refused)}") from refused
    except (*_AWAY, asyncpg.PostgresError) as away:
        if isinstance(away, OSError) and (lacking := _unreadable(url)):
            raise ConfigurationException(f"DATABASE_URL: {lacking}") from away
        raise StoreUnavailableException(f"Postgres does not answer: {_first_line(away)}") from away


async def wait_until_up(
    url: str, clock: Clock, outage: Outage, *, patience_seconds: float, pooler: str = "none"
) -> None:
    """Return once Postgres accepts connections; `outage` says that it is waited for.

    Raises StoreUnavailableException after `patience_seconds` without, and ConfigurationException at once where waiting
    mends nothing.
    """

    async def work() -> None:
        await knock(url, pooler=pooler)

    await patiently(work, clock, outage, until=clock.monotonic() + patience_seconds)


async def patiently(work: Callable[[], Awaitable[T]], clock: Clock, outage: Outage, *, until: float) -> T:
    """Do it again and again as long as Postgres is away; `outage` says that it is waited for.

    Raises StoreUnavailableException where it is away still, and `until` has come by the monotonic clock.
    """
    while True:
        try:
            return await work()
        except StoreUnavailableException as away:
            if clock.monotonic() >= until:
                raise
            outage.waits(away)
            await clock.sleep(_AGAIN_SECONDS)


def _unreadable(url: str) -> str | None:
    """Which of the files that the URL names cannot be read, and why: Python does not say it of one that TLS needs."""
    for name, values in parse_qs(urlsplit(url).query).items():
        if name in _FILES:
            try:
                open(values[-1], "rb").close()
            except OSError as refused:
                return f"{name}={values[-1]}: {refused.strerror}"
    return None


async def _keep(_connection: Connection) -> None:
    """Nothing to reset: no statement leaves session state behind, and asyncpg's own reset costs a round trip."""


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
