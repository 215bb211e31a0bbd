"""A worker is told to stop in the middle of its work: whatever it has begun is recorded, settled or given back."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from aiohttp import web

from app.core.clock import SystemClock
from app.store.preparing import prepare
from app.workers import presence
from app.workers.signals import Point, Signals
from tests.integration.definitions import one_time
from tests.integration.workers.asking import no_answer
from tests.integration.workers.rig import CALLER
from tests.integration.workers.running import Running, running_worker
from tests.integration.workers.stages import turn
from tests.receiver import Received

_UNFINISHED = "SELECT execution_id, owner FROM executions WHERE finished_at IS NULL"
_WAITING_FOR_A_LOCK = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%executions%'
"""


@pytest.fixture
async def prepared_url(database_url: str) -> str:
    """A database with the partitions of these days: nothing is moved to one while it is written."""
    await prepare(database_url, SystemClock())
    return database_url


class Gate(Signals):
    """Holds whoever comes to a point, until it is opened."""

    def __init__(self, at: Point) -> None:
        self._at = at
        self.came, self.opened = asyncio.Event(), asyncio.Event()

    async def reached(self, point: Point) -> None:
        if point is self._at:
            self.came.set()
            await self.opened.wait()


async def _due_in(running: Running, seconds: float, number: int) -> None:
    at = running.clock.now() + timedelta(seconds=seconds)
    for _ in range(number):
        await running.schedules.create(CALLER, one_time(at), answer=no_answer, idempotency=None)


async def _check_given_back(running: Running, number: int) -> None:
    """What was not sent waits for any worker with room, and stands in the wheel: nobody has to bury or to sweep."""
    async with running.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM workers") == 0
        rows = await connection.fetch(_UNFINISHED)
        assert await connection.fetchval("SELECT count(*) FROM executions") == number
    assert len(rows) == number - len(running.receiver.received)
    assert [row["owner"] for row in rows if row["owner"] is not None] == []
    assert {f"x:{row['execution_id']}" for row in rows} <= await _in_wheel(running)


async def _in_wheel(running: Running) -> set[str]:
    entries: set[str] = set()
    for shard in range(running.wheel.shards):
        members = await running.wheel.client.zrange(f"{{ss:{shard}}}:due", 0, -1)
        entries.update(member.decode() for member in members if isinstance(member, bytes))
    return entries


async def _gone(running: Running) -> None:
    async with asyncio.timeout(15), running.database.connection() as connection:
        while await connection.fetchval("SELECT count(*) FROM workers"):
            await turn()


@pytest.mark.parametrize("point", [Point.CLAIMED, Point.RECORDED])
async def test_what_is_claimed_is_recorded_and_given_back(prepared_url: str, redis_url: str, point: Point) -> None:
    gate = Gate(point)
    async with running_worker(prepared_url, redis_url, gate, shutdown_grace_seconds=20) as running:
        await _due_in(running, 1, 1)
        await gate.came.wait()
        running.worker.stop()
        for _ in range(20):
            await turn()
        gate.opened.set()
        await _gone(running)
        await _check_given_back(running, 1)


@pytest.mark.slow
async def test_what_was_being_read_again_is_given_back(prepared_url: str, redis_url: str) -> None:
    """It waited for long behind a limit, and is in nobody's queue at the moment of the signal."""
    answer = asyncio.Event()

    async def hang(_received: Received) -> web.Response:
        await answer.wait()
        return web.Response(status=202)

    async with running_worker(
        prepared_url, redis_url, max_concurrent_workflows=1, shutdown_grace_seconds=20
    ) as running:
        running.receiver.behaviour = hang
        await _due_in(running, 0.2, 3)
        await running.receiver.wait_for(1)
        await asyncio.sleep(1.1)
        # A connection of its own: the worker's all wait.
        connection = await asyncpg.connect(prepared_url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE executions IN ACCESS EXCLUSIVE MODE")
                answer.set()
                async with asyncio.timeout(10):
                    # The outcome of the first, and the question about the others.
                    while await connection.fetchval(_WAITING_FOR_A_LOCK) < 2:
                        await turn()
                running.worker.stop()
                async with asyncio.timeout(10):
                    while not running.worker.claiming.stopping:
                        await turn()
                for _ in range(20):
                    await turn()
        finally:
            await connection.close()
        await _gone(running)
        await _check_given_back(running, 3)
        assert len(running.receiver.received) == 1


async def test_it_beats_until_what_it_has_sent_is_answered(
    prepared_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be taken for dead in the middle of its grace."""
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0.05)
    answer = asyncio.Event()

    async def hang(_received: Received) -> web.Response:
        await answer.wait()
        return web.Response(status=202)

    async with running_worker(prepared_url, redis_url, shutdown_grace_seconds=20) as running:
        running.receiver.behaviour = hang
        await _due_in(running, 0.2, 1)
        await running.receiver.wait_for(1)
        running.worker.stop()
        async with asyncio.timeout(10), running.database.connection() as connection:
            while not running.worker.claiming.stopping:
                await turn()
            before = await connection.fetchval("SELECT beat FROM workers")
            while await connection.fetchval("SELECT beat FROM workers") < before + 5:
                await turn()
        answer.set()
