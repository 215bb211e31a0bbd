"""Redis refuses, says nothing, forgets, comes back: everything fires on time meanwhile, once, in real time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from app.core.clock import DatabaseClock, to_ms
from app.core.execution import ExecutionStatus
from app.core.queries import Answer
from app.core.schedule import Completion, Definition, OverlapPolicy, RetryPolicy, Schedule
from app.delivery.sender import Sender
from app.delivery.signing import Signer
from app.delivery.transport import PooledTransport
from app.embedded.valkey import EmbeddedValkey
from app.metrics import Metrics
from app.service.executions import ExecutionService
from app.service.health import HealthService
from app.service.schedules import ScheduleService
from app.settings import Settings
from app.store.database import Database
from app.wheel.answers import WheelState
from app.wheel.connection import connect
from app.wheel.entries import Entry
from app.wheel.wheel import Wheel
from app.workers.loop import Worker
from tests.integration.definitions import interval
from tests.integration.workers.rig import CALLER
from tests.receiver import Received, Receiver
from tests.stalls import Stalls, stalls_of

# Not coalesced, so that each instant has its own record and says itself how late it was.
EVERY_SECOND = interval(1, overlap_policy=OverlapPolicy.ALLOW, coalesce=False)
# It is a few milliseconds; and as long as the machine stood still.
ON_TIME_MS = 500
# From the silence of Redis to the first that fires without it: half a second, the same allowance, and a worker that
# slept for as long as it may.
TURNED_MS = 2_000
_SHARDS = 4


@dataclass
class Live:
    """Workers that run in real time on a Redis of their own, and a caller with a connection of its own to it."""

    database: Database
    clock: DatabaseClock
    valkey: EmbeddedValkey
    receiver: Receiver
    schedules: ScheduleService
    executions: ExecutionService
    health: HealthService
    wheel: Wheel
    stalls: Stalls
    workers: list[Worker] = field(default_factory=list)
    metrics: list[Metrics] = field(default_factory=list)

    async def create(self, definition: Definition = EVERY_SECOND, **fields: Any) -> Schedule:
        created: list[Schedule] = []

        def keep(schedule: Schedule) -> Answer:
            created.append(schedule)
            return Answer(201, {}, b"")

        await self.schedules.create(CALLER, replace(definition, **fields), answer=keep, idempotency=None)
        return created[-1]

    async def rows(self, question: str, *arguments: object) -> Sequence[Any]:
        async with self.database.connection() as connection:
            return await connection.fetch(question, *arguments)

    async def fired(self, schedule: Schedule, number: int) -> None:
        """Wait until so many more occurrences of the schedule have been delivered."""
        question = "SELECT count(*) FROM executions WHERE schedule_id = $1 AND status = 'succeeded'"
        before = (await self.rows(question, schedule.schedule_id))[0][0]
        await until(lambda: self._has_fired(question, schedule.schedule_id, before + number))

    async def _has_fired(self, question: str, schedule_id: UUID, number: int) -> bool:
        return bool((await self.rows(question, schedule_id))[0][0] >= number)

    async def by_postgres(self, expected: bool) -> None:
        """Wait until every worker claims from Postgres, or from the wheel."""

        async def have_turned() -> bool:
            return all(worker.claiming.by_postgres is expected for worker in self.workers)

        await until(have_turned)

    async def check(self, *, latest_ms: int) -> None:
        """Each instant has one record, each record came once, and none later than that, and what the machine took."""
        rows = await self.rows("""
            SELECT schedule_id, scheduled_for, coalesced_count, status, lateness_ms FROM executions
             WHERE trigger = 'schedule' ORDER BY schedule_id, scheduled_for""")
        seconds: dict[UUID, list[int]] = {}
        for row in rows:
            assert row["coalesced_count"] == 1
            assert row["status"] in ("succeeded", "pending", "retrying", "running"), row["status"]
            assert (row["lateness_ms"] or 0) <= latest_ms + self.stalls.longest_ms
            seconds.setdefault(row["schedule_id"], []).append(int(row["scheduled_for"].timestamp()))
        for found in seconds.values():
            assert found == list(range(found[0], found[0] + len(found))), "an instant is missing, or there twice"
        assert set(self.receiver.deliveries().values()) == {1}


async def until(question: Callable[[], Awaitable[bool]], *, within_seconds: float = 30) -> None:
    async with asyncio.timeout(within_seconds):
        while not await question():
            await asyncio.sleep(0.02)


def gauge(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"schedule_service_{name}")


def wheel_at(url: str, clock: DatabaseClock) -> Wheel:
    return Wheel(connect(url), clock, shards=_SHARDS, window_seconds=3600, claim_ahead_ms=50)


@pytest.fixture
async def valkey(server_dir: Path) -> AsyncIterator[EmbeddedValkey]:
    """A Redis to be ill-treated, which forgets all when it stops."""
    async with EmbeddedValkey(server_dir / "valkey-ill-treated", persistent=False) as server:
        yield server


@pytest.fixture
async def live(database_url: str, valkey: EmbeddedValkey) -> AsyncIterator[Live]:
    async with AsyncExitStack() as stack:
        database = await Database.open(database_url, pool_size=40)
        stack.push_async_callback(database.close)
        clock = DatabaseClock()
        await database.measure(clock)
        wheel = wheel_at(valkey.url, clock)
        stack.push_async_callback(wheel.close)
        receiver = await stack.enter_async_context(Receiver())
        stalls = await stack.enter_async_context(stalls_of(database))
        yield Live(
            database,
            clock,
            valkey,
            receiver,
            ScheduleService(database, wheel, clock),
            ExecutionService(database, wheel, clock, Metrics()),
            HealthService(database, wheel, clock),
            wheel,
            stalls,
        )


@asynccontextmanager
async def working(live: Live, number: int) -> AsyncIterator[None]:
    """That many workers, each with connections of its own, once they claim from the wheel."""
    tasks = []
    async with AsyncExitStack() as stack:
        for _ in range(number):
            wheel = wheel_at(live.valkey.url, live.clock)
            stack.push_async_callback(wheel.close)
            transport = PooledTransport(timeout_seconds=5, connections=10, user_agent="test")
            stack.push_async_callback(transport.close)
            sender = Sender(transport, Signer([]), live.clock, engine_url=live.receiver.url)
            metrics = Metrics()
            worker = Worker(Settings(max_concurrent_workflows=10), live.database, wheel, sender, live.clock, metrics)
            live.workers.append(worker)
            live.metrics.append(metrics)
            tasks.append(asyncio.create_task(worker.run()))
        try:

            async def claim_from_a_loaded_wheel() -> bool:
                marks = await live.wheel.marks()
                return None not in marks and not any(worker.claiming.by_postgres for worker in live.workers)

            await until(claim_from_a_loaded_wheel)
            yield
        finally:
            for worker in live.workers:
                worker.stop()
            await asyncio.gather(*tasks)


async def refuse(live: Live) -> None:
    await live.valkey.kill()


async def fall_silent(live: Live) -> None:
    os.kill(live.valkey.pid, signal.SIGSTOP)


async def come_back(live: Live) -> None:
    if live.valkey.is_running:
        os.kill(live.valkey.pid, signal.SIGCONT)
    else:
        await live.valkey.start()


@pytest.mark.fault("8")
async def test_a_redis_that_refuses_is_not_missed(live: Live) -> None:
    async with working(live, 2):
        old = [await live.create() for _ in range(10)]
        await live.fired(old[0], 2)
        await refuse(live)
        await live.by_postgres(True)
        assert [gauge(metrics, "claiming_from_postgres") for metrics in live.metrics] == [1, 1]
        # Made while nobody can be woken.
        new = await live.create()
        await live.fired(new, 3)
        await come_back(live)
        await live.by_postgres(False)
        assert [gauge(metrics, "claiming_from_postgres") for metrics in live.metrics] == [0, 0]
        await live.fired(old[-1], 3)
        assert (await live.wheel.state()).connected
    # A connection that is refused is known at once.
    await live.check(latest_ms=ON_TIME_MS)


@pytest.mark.fault("8")
async def test_a_redis_that_says_nothing_delays_only_what_finds_out(live: Live) -> None:
    async with working(live, 2):
        old = [await live.create() for _ in range(10)]
        await live.fired(old[0], 2)
        await fall_silent(live)
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await live.create()
            assert loop.time() - began < 1.2 + live.stalls.longest_ms / 1000, "the first to find out"
            began = loop.time()
            for _ in range(5):
                await live.create()
            assert loop.time() - began < 1.2 + live.stalls.longest_ms / 1000, "the others"
            await live.by_postgres(True)
            turned_at = live.clock.now()
            await live.fired(old[0], 4)
            health = await live.health.check(None)
            assert (health.able, health.redis_connected) == (True, False)
        finally:
            await come_back(live)
        await live.by_postgres(False)
        await live.fired(old[-1], 3)
        assert all(worker.ready for worker in live.workers)
    await live.check(latest_ms=TURNED_MS)
    late = await live.rows("SELECT max(lateness_ms) FROM executions WHERE scheduled_for > $1", turned_at)
    assert late[0][0] <= ON_TIME_MS + live.stalls.longest_ms


@pytest.mark.fault("8")
async def test_what_was_in_the_wheel_before_a_fall_back_is_not_relied_on_after_it(live: Live) -> None:
    async with working(live, 1):
        an_hour_ahead = to_ms(live.clock.now()) + 3_000_000
        await live.wheel.put([Entry(1, f"s:{UUID(int=1)}", an_hour_ahead)])
        assert (await live.wheel.state()).entries == 1
        await fall_silent(live)
        try:
            await live.by_postgres(True)
        finally:
            await come_back(live)
        await live.by_postgres(False)

        async def is_empty() -> bool:
            return (await live.wheel.state()) == WheelState(True, 0, None)

        await until(is_empty)


@pytest.mark.fault("6")
async def test_what_redis_forgets_is_claimed_from_postgres_until_the_wheel_is_loaded_again(live: Live) -> None:
    async with working(live, 2):
        schedules = [await live.create() for _ in range(10)]
        await live.fired(schedules[0], 2)
        for _ in range(3):
            await live.wheel.client.flushall()
            await live.fired(schedules[-1], 2)
        await live.by_postgres(False)
        # An empty one in its place, as after the promotion of a replica that had nothing yet.
        await live.valkey.restart()
        await live.fired(schedules[-1], 2)
        await live.by_postgres(False)
        await live.fired(schedules[-1], 2)
    # Whoever has nothing to claim looks each second whether the shard is still there.
    await live.check(latest_ms=TURNED_MS)


@pytest.mark.fault("8")
async def test_a_redis_that_comes_and_goes_loses_and_doubles_nothing(live: Live) -> None:
    async with working(live, 3):
        schedules = [await live.create() for _ in range(10)]
        await live.fired(schedules[0], 1)
        for pause in (0.1, 0.7, 0.3, 1.1):
            await fall_silent(live)
            try:
                await asyncio.sleep(pause)
            finally:
                await come_back(live)
            await live.fired(schedules[0], 1)
        await live.valkey.kill()
        await live.valkey.start()
        await live.fired(schedules[0], 3)
        await live.by_postgres(False)
        await live.fired(schedules[0], 2)
    await live.check(latest_ms=TURNED_MS)


@pytest.mark.fault("8")
async def test_retries_triggers_deadlines_and_queued_runs_go_on_without_redis(live: Live) -> None:
    refused: set[str] = set()

    async def refuse_once(received: Received) -> web.StreamResponse:
        key = received.headers["Idempotency-Key"]
        if received.json["workflow_id"] == str(retried) and key not in refused:
            refused.add(key)
            return web.Response(status=503)
        return web.json_response({"success": True, "data": {"execution_id": "engine-1"}}, status=202)

    retried = UUID("00000000-0000-4000-8000-000000000001")
    live.receiver.behaviour = refuse_once
    async with working(live, 2):
        await refuse(live)
        await live.by_postgres(True)
        soon = RetryPolicy(initial_backoff_seconds=0.2)
        retrying = await live.create(max_executions=1, workflow_id=retried, retry=soon)
        queueing = await live.create(
            overlap_policy=OverlapPolicy.QUEUE,
            max_instances=1,
            max_executions=2,
            completion=Completion.CALLBACK,
            timeout_seconds=2,
        )
        manual = await live.create(interval_seconds=3600)
        await live.schedules.trigger(
            CALLER,
            manual.schedule_id,
            context_override=None,
            overlap_policy=None,
            answer=lambda _: Answer(202, {}, b""),
            idempotency=None,
        )

        async def ended() -> bool:
            rows = await live.rows("SELECT schedule_id, status, attempt FROM executions ORDER BY recorded_for")
            found = [(row["schedule_id"], ExecutionStatus(row["status"])) for row in rows]
            return (
                (retrying.schedule_id, ExecutionStatus.SUCCEEDED) in found
                and (manual.schedule_id, ExecutionStatus.SUCCEEDED) in found
                and found.count((queueing.schedule_id, ExecutionStatus.TIMED_OUT)) == 2
            )

        await until(ended)
        assert len(refused) == 1
        await come_back(live)
        await live.by_postgres(False)
    # Of those that were queued the second began when the first had ended.
    rows = await live.rows(
        "SELECT execution_id, attempt, started_at, finished_at FROM executions WHERE schedule_id = $1"
        " ORDER BY recorded_for",
        queueing.schedule_id,
    )
    assert rows[1]["started_at"] >= rows[0]["finished_at"]
