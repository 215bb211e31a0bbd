"""A whole worker at work in the test's own loop, on a clock that can be set."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from app.core.clock import DatabaseClock
from app.delivery.sender import Sender
from app.delivery.signing import Signer
from app.delivery.transport import PooledTransport
from app.metrics import Metrics
from app.service.schedules import ScheduleService
from app.settings import Settings
from app.store.database import Database
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from app.workers.loop import Worker
from app.workers.signals import Signals
from tests.integration.definitions import interval, one_time
from tests.integration.workers.asking import no_answer
from tests.integration.workers.rig import CALLER
from tests.receiver import Receiver


class SettableClock(DatabaseClock):
    """Postgres's clock as a process sees it, where somebody sets it: each measurement is off by `set_by` seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.set_by = 0.0

    def observe(self, database_now: datetime, asked_at: float, answered_at: float) -> float:
        return super().observe(database_now + timedelta(seconds=self.set_by), asked_at, answered_at)


class Running:
    """A whole worker at work, on a clock that can be set."""

    def __init__(
        self, database: Database, wheel: Wheel, clock: SettableClock, receiver: Receiver, worker: Worker
    ) -> None:
        self.database = database
        self.wheel = wheel
        self.worker = worker
        self.clock = clock
        self.receiver = receiver
        self.schedules = ScheduleService(database, wheel, clock)

    async def set_clock(self, seconds: float) -> None:
        """Set Postgres's clock on, or back, and have it measured."""
        self.clock.set_by += seconds
        stepped = await self.database.measure(self.clock)
        assert (stepped < 0) == (seconds < -1)
        assert (stepped > 0) == (seconds > 1)

    async def fire_one_in(self, seconds: float) -> None:
        """A one-time schedule that soon; returns when it was delivered, and was not early."""
        at = self.clock.now() + timedelta(seconds=seconds)
        before = len(self.receiver.received)
        await self.schedules.create(CALLER, one_time(at), answer=no_answer, idempotency=None)
        await self.receiver.wait_for(before + 1, within_seconds=5)
        assert self.clock.now() >= at

    async def every_second(self) -> None:
        """A schedule that fires each second."""
        definition = replace(interval(1), max_instances=100)
        await self.schedules.create(CALLER, definition, answer=no_answer, idempotency=None)

    async def scheduled_for(self) -> list[datetime]:
        """The instants that were recorded."""
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT scheduled_for FROM executions ORDER BY scheduled_for")
        return [row[0] for row in rows]


@asynccontextmanager
async def running_worker(
    database_url: str, redis_url: str, signals: Signals | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """Start one, and stop it in order in the end."""
    database, clock = await Database.open(database_url), SettableClock()
    await database.measure(clock)
    wheel = Wheel(connect(redis_url), clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
    transport = PooledTransport(timeout_seconds=5, connections=10, user_agent="test")
    async with Receiver() as receiver:
        sender = Sender(transport, Signer([]), clock, engine_url=receiver.url)
        worker = Worker(Settings(**settings), database, wheel, sender, clock, Metrics(), signals)
        working = asyncio.create_task(worker.run())
        try:
            yield Running(database, wheel, clock, receiver, worker)
        finally:
            if not working.done():
                worker.stop()
            await working
            await transport.close()
            await wheel.close()
            await database.close()
