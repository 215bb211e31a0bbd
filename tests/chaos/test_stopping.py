"""A worker is told to stop while Postgres is silent: it ends all the same, and another delivers what it held."""

import asyncio
import secrets
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from app.core.clock import DatabaseClock
from app.core.liveness import DEAD_AFTER_SECONDS
from app.embedded.postgres import EmbeddedPostgres
from app.metrics import Metrics
from app.workers.keepers.bury import Bury
from tests.chaos.cluster import Cluster, cluster_on
from tests.chaos.postgres_faults import frozen
from tests.chaos.proxy import Mode, Proxy
from tests.chaos.stack import through
from tests.chaos.test_cluster import one_time
from tests.integration.workers.running import running_worker
from tests.receiver import Received

_GRACE_SECONDS = 1.0
_UNDER_WAY = 2
_SCHEDULES = 20
_HELD_AT_LEAST = 5
_FINISHED = "SELECT count(*) = $1 FROM executions WHERE status = 'succeeded'"


class HastyClock(DatabaseClock):
    """Postgres's clock, and a monotonic one that can be moved on: half a minute of watching need not last as long."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_seconds


@dataclass
class Stopping:
    """A worker that has sent two requests, which are never answered, and holds what comes after them."""

    cluster: Cluster
    worker: Process

    async def told(self) -> float:
        """Tell it to stop; returns when, on the loop's clock."""
        self.worker.send_signal(signal.SIGTERM)
        return asyncio.get_running_loop().time()

    async def ended(self, told_at: float) -> float:
        """Wait for its end, in order. Returns the seconds from when its grace was over."""
        assert await self.worker.wait() == 0
        return asyncio.get_running_loop().time() - told_at - _GRACE_SECONDS

    async def bury(self) -> int:
        """Watch as another worker does, and find that it is dead. Returns how much is released then."""
        clock = HastyClock()
        await self.cluster.database.measure(clock)
        bury = Bury(self.cluster.database, self.cluster.wheel, clock, Metrics())
        for _ in range(round(DEAD_AFTER_SECONDS)):
            assert await bury.run_once() == 0
            clock.ahead_seconds += 1
        return await bury.run_once()

    async def check_delivered(self) -> None:
        """Each execution was delivered once; what the first worker had no answer to, once more."""
        await self.cluster.until(_FINISHED, _SCHEDULES, within_seconds=10)
        deliveries = self.cluster.receiver.deliveries()
        sent = {received.headers["Idempotency-Key"] for received in self.cluster.receiver.received[:_UNDER_WAY]}
        assert {key for key, times in deliveries.items() if times == 2} == sent
        assert len(deliveries) == _SCHEDULES
        assert deliveries.total() == _SCHEDULES + _UNDER_WAY


@pytest.fixture
async def silenced(server_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    """One of its own: nobody else has a connection to it while it is silent."""
    async with EmbeddedPostgres(
        server_dir / f"postgres-{secrets.token_hex(6)}", settings={"fsync": "off", "full_page_writes": "off"}
    ) as server:
        yield server


@asynccontextmanager
async def _stopping(postgres: EmbeddedPostgres, redis_url: str) -> AsyncIterator[Stopping]:
    never = asyncio.Event()

    async def hang_at_first(received: Received) -> web.StreamResponse:
        if received in cluster.receiver.received[:_UNDER_WAY]:
            await never.wait()
        return web.Response(status=202)

    async with cluster_on(postgres.url, redis_url) as cluster:
        cluster.receiver.behaviour = hang_at_first
        settings = {"SHUTDOWN_GRACE_SECONDS": str(_GRACE_SECONDS), "MAX_CONCURRENT_WORKFLOWS": str(_UNDER_WAY)}
        async with cluster.workers(1, **settings) as (worker,):
            await cluster.create(one_time(_SCHEDULES, in_seconds=1))
            await cluster.received(_UNDER_WAY)
            await cluster.until("SELECT count(*) >= $1 FROM executions", _UNDER_WAY + _HELD_AT_LEAST)
            try:
                yield Stopping(cluster, worker)
            finally:
                never.set()


@pytest.mark.fault("24")
async def test_a_worker_that_is_stopped_while_postgres_is_silent_ends_soon_after_its_grace(
    silenced: EmbeddedPostgres, redis_url: str
) -> None:
    """Whoever told it to stop kills it a few seconds later, and counts that as a failure."""
    async with _stopping(silenced, redis_url) as stopping:
        with frozen(silenced):
            assert await stopping.ended(await stopping.told()) < 4
        assert await stopping.bury() >= _UNDER_WAY + _HELD_AT_LEAST
        async with stopping.cluster.workers(1):
            await stopping.check_delivered()


async def test_a_worker_that_is_still_trying_to_connect_ends_as_soon(database_url: str, redis_url: str) -> None:
    port = urlsplit(database_url).port
    assert port is not None
    loop = asyncio.get_running_loop()
    async with Proxy(port) as proxy:
        async with running_worker(through(database_url, proxy), redis_url, shutdown_grace_seconds=0) as running:
            async with asyncio.timeout(20):
                while not running.worker.ready:
                    await asyncio.sleep(0.01)
            # Whoever asks for something now has to connect, and hears nothing.
            proxy.cut()
            proxy.turn(Mode.BLACK_HOLE)
            told_at = loop.time()
            running.worker.stop()
        assert loop.time() - told_at < 4


@pytest.mark.slow
@pytest.mark.fault("24")
async def test_what_it_held_is_given_back_where_postgres_answers_again_at_the_end_of_its_grace(
    silenced: EmbeddedPostgres, redis_url: str
) -> None:
    async with _stopping(silenced, redis_url) as stopping:
        with ExitStack() as silence:
            silence.enter_context(frozen(silenced))
            told_at = await stopping.told()
            await asyncio.sleep(_GRACE_SECONDS + 0.5)
            silence.close()
            assert await stopping.ended(told_at) < 2
        assert await stopping.cluster.rows("SELECT FROM workers") == []
        assert len(await stopping.cluster.rows("SELECT FROM executions WHERE owner IS NULL")) >= _HELD_AT_LEAST
        assert len(await stopping.cluster.rows("SELECT FROM executions WHERE owner IS NOT NULL")) == _UNDER_WAY
        async with stopping.cluster.workers(1):
            await stopping.check_delivered()
