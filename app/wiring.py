"""What an API and a worker process have in common: Postgres, Redis, and the one clock."""

import asyncio
import gc
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from app.core.clock import DatabaseClock
from app.core.tasks import end
from app.metrics import Metrics
from app.settings import Settings
from app.store.database import Database, patiently, wait_until_up
from app.store.deployment import deployment_of
from app.store.outage import Outage
from app.store.schema import refuse_older
from app.wheel.connection import connect
from app.wheel.wheel import Wheel

CLOCK_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Connections:
    """A process's connections, and the clock that is kept by them."""

    database: Database
    wheel: Wheel
    clock: DatabaseClock


@asynccontextmanager
async def connected(
    settings: Settings, metrics: Metrics, *, name: str, steady_plans: bool = False
) -> AsyncIterator[Connections]:
    """Open what a process needs, keep its clock set, and close it all again. `steady_plans` as in `Database.open`.

    Raises ConfigurationException where a setting is missing or refused by Postgres or Redis, the schema is old or Redis
    may evict, and StoreUnavailableException where Postgres does not answer for a minute.
    """
    settings.need("database_url", "redis_url")
    redis = connect(settings.redis_url)
    clock = DatabaseClock()
    outage = Outage(clock, "start_waits")
    until = clock.monotonic() + _PATIENCE_SECONDS
    await wait_until_up(
        settings.database_url,
        clock,
        outage,
        patience_seconds=_PATIENCE_SECONDS,
        pooler=settings.database_pooler,
    )
    database = await Database.open(
        settings.database_url,
        pool_size=settings.database_pool_size,
        pooler=settings.database_pooler,
        name=f"schedule-service {name}",
        steady_plans=steady_plans,
    )

    def stepped(seconds: float) -> None:
        metrics.clock_steps.inc()
        log.warning("clock_stepped", category="SYSTEM", seconds=round(seconds, 3))

    metrics.clock_skew_seconds.set_function(lambda: clock.skew_seconds)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        deployment = await _begin(database, clock, outage, until=until)
        wheel = Wheel(
            redis,
            clock,
            shards=settings.wheel_shards,
            window_seconds=settings.wheel_window_seconds,
            claim_ahead_ms=settings.claim_ahead_ms,
            allow_eviction=settings.allow_eviction,
            deployment=deployment,
        )
        stack.push_async_callback(wheel.close)
        await wheel.refuse_login()
        await wheel.refuse_eviction()
        await wheel.take()
        following = asyncio.create_task(
            database.follow(clock, every_seconds=CLOCK_SECONDS, stepped=stepped), name="clock"
        )
        stack.push_async_callback(end, following)
        yield Connections(database, wheel, clock)


def spare_the_collector() -> None:
    """Leave what was imported out of every collection, and collect a tenth as often; to be called once, at the start.

    A firing, and a request, make hundreds of objects and no cycle: with Python's own thresholds a sixth of the time
    went into looking for cycles among them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def open_as_many_files_as_allowed() -> None:
    """Raise this process's bound on open files to the hard one: each target that is being asked holds a connection, and
    the usual bound of a thousand is kept low for the sake of `select`, which nothing here uses.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _begin(database: Database, clock: DatabaseClock, outage: Outage, *, until: float) -> str:
    """Look at the schema, and set the clock once, before which nothing is computed. Answers the deployment's name.

    Raises ConfigurationException where the schema is old, and StoreUnavailableException where Postgres went away again
    since, and until then: a process that comes up in the middle of an outage waits like any other.
    """

    async def begin() -> str:
        async with database.connection() as connection:
            await refuse_older(connection)
            deployment = await deployment_of(connection)
        await database.measure(clock)
        return deployment

    return await patiently(begin, clock, outage, until=until)
