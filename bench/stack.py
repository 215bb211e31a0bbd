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
from prometheus_client.parser import text_string_to_metric_families

from app.core.clock import SystemClock, to_ms
from app.core.ids import new_id
from app.core.target import Target
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from app.store.preparing import prepare
from app.store.target_columns import target_text
from app.wheel.connection import connect
from app.wheel.entries import schedule_entry
from app.wheel.wheel import Wheel

_COLUMNS = (
    "schedule_id", "community_id", "workflow_id", "schedule_type", "scheduled_time", "timezone", "status",
    "next_execution_at", "next_due_at", "searched_to", "tzdata_version", "grace_period_seconds", "coalesce",
    "max_instances", "overlap_policy", "completion", "timeout_seconds", "retry", "after_completion", "context_data",
    "created_at", "updated_at", "target",
)  # fmt: skip
_PATIENCE_SECONDS = 120
_PAST = -1
"""The community of the executions that were there before: a service that runs has a history, and Postgres knows it."""
_PAST_EXECUTIONS = 50_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request at the receiver: its execution, when that was due, and how late it came by the machine's clock."""

    execution_id: UUID
    community_id: int
    due_ms: int
    late_ms: float


class Stack:
    """Servers that run, and what a measurement does with them."""

    def __init__(self, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, receiver_url: str) -> None:
        self.database_url = postgres.url
        self.redis_url = valkey.url
        self.receiver_url = receiver_url
        self.clock = SystemClock()
        self._servers: dict[str, EmbeddedPostgres | EmbeddedValkey] = {"postgres": postgres, "redis": valkey}
        self._metrics_ports: list[int] = []

    @asynccontextmanager
    async def workers(self, number: int, **settings: str) -> AsyncIterator[list[psutil.Process]]:
        """Worker processes that are up."""
        self._metrics_ports = [free_port() for _ in range(number)]
        children = [
            await self._start("worker", "--metrics-port", str(port), **settings) for port in self._metrics_ports
        ]
        try:
            await self._until("SELECT count(*) FROM workers", number)
            yield [psutil.Process(child.pid) for child in children]
        finally:
            for child in children:
                child.terminate()
            for child in children:
                await child.wait()

    @asynccontextmanager
    async def api(self) -> AsyncIterator[str]:
        """The URL of one API process that is up, and asks for no key."""
        port = free_port()
        child = await self._start("api", "--port", str(port))
        url = f"http://127.0.0.1:{port}"
        try:
            async with httpx.AsyncClient() as client:
                while True:
                    try:
                        if (await client.get(f"{url}/readyz")).status_code == 200:
                            break
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
            yield url
        finally:
            child.terminate()
            await child.wait()

    async def _start(self, *command: str, **settings: str) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "WORKFLOW_ENGINE_URL": self.receiver_url,
            "WEBHOOK_SIGNING_SECRETS": "whsec_" + base64.b64encode(b"b" * 32).decode(),
            "AUTH_MODE": "none",
            "LOG_LEVEL": "ERROR",
            **settings,
        }
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "app.cli", *command, env=environment)

    async def stop_redis(self) -> None:
        """Redis is gone: connections to it are refused."""
        await self._servers["redis"].stop()

    async def start_redis(self) -> None:
        """Redis is back, on another port and empty."""
        await self._servers["redis"].start()
        self.redis_url = self._servers["redis"].url

    def cpu_seconds(self, workers: list[psutil.Process]) -> dict[str, float]:
        """The CPU that workers, Postgres and Redis have used so far."""
        used = {"worker": sum(map(cpu_seconds, workers))}
        for name, server in self._servers.items():
            root = psutil.Process(server.pid)
            used[name] = sum(map(cpu_seconds, [root, *root.children(recursive=True)]))
        return used

    async def in_vain(self) -> float:
        """The share of what the workers have claimed that turned out taken, gone or not due."""
        claimed = vain = 0.0
        async with httpx.AsyncClient() as client:
            for port in self._metrics_ports:
                for family in text_string_to_metric_families(
                    (await client.get(f"http://127.0.0.1:{port}/metrics")).text
                ):
                    if family.name == "schedule_service_claimed_entries":
                        claimed += family.samples[0].value
                    elif family.name == "schedule_service_claimed_in_vain":
                        vain += family.samples[0].value
        return vain / max(claimed, 1.0)

    async def add_one_time(
        self,
        due: list[datetime],
        *,
        community_id: int = 1,
        communities: int = 1,
        into_wheel: bool = True,
        shards: int = 16,
        target: Target | None = None,
        retry: str = "{}",
    ) -> None:
        """Store one-time schedules, and put them into the wheel; without a target the receiver gets them.

        With several `communities`, from `community_id` on, one after the other has the next.
        """
        now, own_target = self.clock.now(), target_text("target", target)
        ids = [new_id(self.clock.now_ms()) for _ in due]
        owners = [community_id + number % communities for number in range(len(due))]
        rows = [
            (
                schedule_id, owner, schedule_id, "one_time", at, "UTC", "active", at, at, now, "-",
                900, True, 3, "skip", "response", 3600, retry, "keep", '{"report": "daily"}', now, now, own_target,
            )
            for schedule_id, owner, at in zip(ids, owners, due, strict=True)
        ]  # fmt: skip
        connection = await asyncpg.connect(self.database_url)
        await connection.copy_records_to_table("workflow_schedules", records=rows, columns=_COLUMNS)
        await connection.execute("ANALYZE workflow_schedules")
        await connection.close()
        if not into_wheel:
            return
        wheel = Wheel(connect(self.redis_url), self.clock, shards=shards, window_seconds=3600, claim_ahead_ms=50)
        for start in range(0, len(rows), 10_000):
            part = rows[start : start + 10_000]
            await wheel.put([schedule_entry(row[1], row[0], row[4]) for row in part])
        await wheel.close()

    async def arrivals(self, number: int, *, keep: bool = False) -> list[Arrival]:
        """What the receiver got, once every execution is settled. Forgets it, in both, but for what is to be kept."""
        await self._until(
            f"SELECT count(*) FROM executions WHERE finished_at IS NOT NULL AND community_id <> {_PAST}", number
        )
        async with httpx.AsyncClient() as client:
            came = (await client.get(f"{self.receiver_url}/times")).json()
        connection = await asyncpg.connect(self.database_url)
        rows = await connection.fetch(
            f"SELECT execution_id, community_id, due_at FROM executions WHERE community_id <> {_PAST}"
        )
        await connection.close()
        if not keep:
            await self.forget()
        known = {row["execution_id"]: row for row in rows}
        return [
            Arrival(UUID(key), row["community_id"], due_ms := to_ms(row["due_at"]), at_ms - due_ms)
            for key, at_ms in came
            if (row := known.get(UUID(key))) is not None
        ]

    async def forget(self) -> None:
        """Remove every schedule and what came of it; the past stays."""
        connection = await asyncpg.connect(self.database_url)
        await connection.execute(f"DELETE FROM executions WHERE community_id <> {_PAST}; TRUNCATE workflow_schedules")
        await connection.execute("VACUUM ANALYZE executions")
        await connection.close()

    async def add_past(self) -> None:
        """A day that has begun: finished executions, analysed as autovacuum does within a minute."""
        connection = await asyncpg.connect(self.database_url)
        await connection.execute(
            """
            INSERT INTO executions (execution_id, recorded_for, schedule_id, community_id, trigger, scheduled_for,
                   due_at, status, finished_at, revision, created_at, attempt)
            SELECT gen_random_uuid(), at, gen_random_uuid(), $1, 'schedule', at, at, 'succeeded', at, 1, at, 1
              FROM generate_series(1, $2::int) n,
                   LATERAL (SELECT date_trunc('day', now()) + n * interval '1 ms' AS at)
            """,
            _PAST,
            _PAST_EXECUTIONS,
        )
        await connection.execute("VACUUM ANALYZE executions")
        await connection.close()

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
        made = Stack(postgres, valkey, f"http://127.0.0.1:{port_file.read_text()}")
        await made.add_past()
        yield made


def spread(start: datetime, number: int, per_second: float) -> list[datetime]:
    """Instants a steady rate apart, to the millisecond."""
    return [start + timedelta(milliseconds=int(position * 1000 / per_second)) for position in range(number)]


def cpu_seconds(process: psutil.Process) -> float:
    """What a process has used of a core so far; nothing where it has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
