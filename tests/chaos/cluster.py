"""Worker processes that really run, and are really killed."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.clock import DatabaseClock
from app.core.occurrences import occurrences_after
from app.core.queries import Answer
from app.core.schedule import Definition, Schedule
from app.service.schedules import ScheduleService
from app.store.database import Database
from app.store.preparing import prepare
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from tests.integration.workers.rig import CALLER
from tests.receiver import Receiver

_POLL_SECONDS = 0.05


@dataclass
class Cluster:
    """Servers, a receiver, the callers' services, and workers as processes."""

    database: Database
    database_url: str
    redis_url: str
    wheel: Wheel
    receiver: Receiver
    schedules: ScheduleService

    @asynccontextmanager
    async def workers(self, number: int, **settings: str) -> AsyncIterator[list[Process]]:
        """That many workers, up and claiming; those still there at the end are stopped."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "WORKFLOW_ENGINE_URL": self.receiver.url,
            "LOG_LEVEL": "WARNING",
            **settings,
        }
        children = [
            await asyncio.create_subprocess_exec(sys.executable, "-m", "app.cli", "worker", env=environment)
            for _ in range(number)
        ]
        try:
            await self.until("SELECT count(*) >= $1 FROM workers", number)
            yield children
        finally:
            for child in children:
                if child.returncode is None:
                    child.send_signal(signal.SIGCONT)
                    child.terminate()
            for child in children:
                await child.wait()

    async def create(self, definitions: list[Definition]) -> list[Schedule]:
        """Schedules, a thousand at a time as callers may."""
        created: list[Schedule] = []

        async def keep(results: object) -> Answer:
            assert isinstance(results, list | tuple)
            created.extend(results)
            return Answer(201, {}, b"")

        for start in range(0, len(definitions), 1000):
            await self.schedules.create_batch(
                CALLER, definitions[start : start + 1000], atomic=True, answer=keep, idempotency=None
            )
        return created

    async def until(self, question: str, *arguments: object, within_seconds: float = 60) -> None:
        """Wait until Postgres answers a question with yes."""
        async with asyncio.timeout(within_seconds):
            while not (await self.rows(question, *arguments))[0][0]:
                await asyncio.sleep(_POLL_SECONDS)

    async def rows(self, question: str, *arguments: object) -> list[asyncpg.Record]:
        """What Postgres answers."""
        async with self.database.connection() as connection:
            return await connection.fetch(question, *arguments)

    async def received(self, number: int, *, within_seconds: float = 60) -> None:
        """Wait until that many different executions have come."""
        async with asyncio.timeout(within_seconds):
            while len(self.receiver.deliveries()) < number:
                await asyncio.sleep(_POLL_SECONDS)

    async def check_history(self, schedules: list[Schedule]) -> int:
        """The checker: expected occurrences against recorded ones, one to one.

        Expected ones come from the pure function, from each schedule's creation to its latest record; each must be in
        exactly one record. Returns how many occurrences that were.
        """
        records: dict[UUID, list[asyncpg.Record]] = {}
        for row in await self.rows(
            "SELECT schedule_id, scheduled_for, covers_from, coalesced_count FROM executions"
            " WHERE trigger = 'schedule' ORDER BY schedule_id, scheduled_for"
        ):
            records.setdefault(row["schedule_id"], []).append(row)
        total = 0
        for schedule in schedules:
            mine = records.get(schedule.schedule_id, [])
            assert mine, f"{schedule.schedule_id} has no record"
            count = sum(record["coalesced_count"] for record in mine)
            expected = occurrences_after(schedule.timing, schedule.searched_to, count)
            position = 0
            for record in mine:
                run = expected[position : position + record["coalesced_count"]]
                assert run, f"{schedule.schedule_id}: {record} stands for nothing that is expected"
                assert run[-1] == record["scheduled_for"], f"{schedule.schedule_id}: expected {run[-1]}, found {record}"
                first: datetime | None = run[0] if len(run) > 1 else None
                assert record["covers_from"] == first
                position += len(run)
            total += count
        return total


@asynccontextmanager
async def cluster_on(database_url: str, redis_url: str) -> AsyncIterator[Cluster]:
    """A cluster without workers on these servers; the database is brought to the newest schema."""
    clock = DatabaseClock()
    await prepare(database_url, clock)
    database = await Database.open(database_url, pool_size=8)
    await database.measure(clock)
    wheel = Wheel(connect(redis_url), clock, shards=16, window_seconds=3600, claim_ahead_ms=50)
    try:
        async with Receiver() as receiver:
            yield Cluster(database, database_url, redis_url, wheel, receiver, ScheduleService(database, wheel, clock))
    finally:
        await wheel.close()
        await database.close()
