"""Everything that a measurement needs: embedded servers, worker processes, a cheap receiver, and due schedules."""

import asyncio
import base64
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import psutil

from app.core.clock import SystemClock, to_ms
from app.core.ids import new_id
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from app.store.preparing import prepare
from app.wheel.connection import connect
from app.wheel.entries import schedule_entry
from app.wheel.wheel import Wheel

_COLUMNS = (
    "schedule_id", "community_id", "workflow_id", "schedule_type", "scheduled_time", "timezone", "status",
    "next_execution_at", "next_due_at", "searched_to", "tzdata_version", "grace_period_seconds", "coalesce",
    "max_instances", "overlap_policy", "completion", "timeout_seconds", "retry", "after_completion", "context_data",
    "created_at", "updated_at",
)  # fmt: skip
_PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request at the receiver: its execution, and how late it came by the machine's clock."""

    execution_id: UUID
    late_ms: float


class Stack:
    """Servers that run, and what a measurement does with them."""

    def __init__(self, database_url: str, redis_url: str, receiver_url: str) -> None:
        self.database_url = database_url
        self.redis_url = redis_url
        self.receiver_url = receiver_url
        self.clock = SystemClock()

    @asynccontextmanager
    async def workers(self, number: int) -> AsyncIterator[list[psutil.Process]]:
        """Worker processes that are up."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "WORKFLOW_ENGINE_URL": self.receiver_url,
            "WEBHOOK_SIGNING_SECRETS": "whsec_" + base64.b64encode(b"b" * 32).decode(),
            "LOG_LEVEL": "WARNING",
        }
        children = [
            await asyncio.create_subprocess_exec(sys.executable, "-m", "app.cli", "worker", env=environment)
            for _ in range(number)
        ]
        try:
            await self._until("SELECT count(*) FROM workers", number)
            yield [psutil.Process(child.pid) for child in children]
        finally:
            for child in children:
                child.terminate()
            for child in children:
                await child.wait()

    async def add_one_time(self, due: list[datetime], *, communities: int = 1) -> None:
        """Store one-time schedules, and put them into the wheel."""
        now = self.clock.now()
        ids = [new_id(self.clock.now_ms()) for _ in due]
        rows = [
            (
                schedule_id, 1 + position % communities, schedule_id, "one_time", at, "UTC", "active", at, at, now, "-",
                900, True, 3, "skip", "response", 3600, "{}", "keep", '{"report": "daily"}', now, now,
            )
            for position, (schedule_id, at) in enumerate(zip(ids, due, strict=True))
        ]  # fmt: skip
        connection = await asyncpg.connect(self.database_url)
        await connection.copy_records_to_table("workflow_schedules", records=rows, columns=_COLUMNS)
        await connection.execute("ANALYZE workflow_schedules")
        await connection.close()
        wheel = Wheel(connect(self.redis_url), self.clock, shards=16, window_seconds=3600, claim_ahead_ms=50)
        for start in range(0, len(rows), 10_000):
            part = rows[start : start + 10_000]
            await wheel.put(
                [schedule_entry(int(str(row[1])), ids[start + n], due[start + n]) for n, row in enumerate(part)]
            )
        await wheel.close()

    async def arrivals(self, number: int) -> list[Arrival]:
        """What the receiver got, once every execution is settled. Forgets it, in both."""
        await self._until("SELECT count(*) FROM executions WHERE finished_at IS NOT NULL", number)
        async with httpx.AsyncClient() as client:
            came = (await client.get(f"{self.receiver_url}/times")).json()
        connection = await asyncpg.connect(self.database_url)
        due = {row[0]: to_ms(row[1]) for row in await connection.fetch("SELECT execution_id, due_at FROM executions")}
        await connection.execute("TRUNCATE executions; TRUNCATE workflow_schedules")
        await connection.close()
        return [Arrival(UUID(key), at_ms - due[UUID(key)]) for key, at_ms in came if UUID(key) in due]

    async def _until(self, question: str, number: int) -> None:
        connection = await asyncpg.connect(self.database_url)
        until = time.monotonic() + _PATIENCE_SECONDS
        while (found := await connection.fetchval(question)) < number:
            if time.monotonic() > until:
                raise TimeoutError(f"{question}: {found} of {number} after {_PATIENCE_SECONDS} s")
            await asyncio.sleep(0.05)
        await connection.close()


@asynccontextmanager
async def running_stack() -> AsyncIterator[Stack]:
    """Embedded servers with the durability of production, and a receiver, all in a folder that goes away."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="schedule-service-bench-")))
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        valkey = await stack.enter_async_context(EmbeddedValkey(folder / "valkey", persistent=False))
        await prepare(postgres.url, SystemClock())
        port_file = folder / "port"
        receiver = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.receiver", str(port_file))
        stack.push_async_callback(receiver.wait)
        stack.callback(receiver.terminate)
        while not port_file.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
        yield Stack(postgres.url, valkey.url, f"http://127.0.0.1:{port_file.read_text()}")


def spread(start: datetime, number: int, per_second: int) -> list[datetime]:
    """Instants a steady rate apart, to the millisecond."""
    return [start + timedelta(milliseconds=position * 1000 // per_second) for position in range(number)]
