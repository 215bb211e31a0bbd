"""Executions for several target hosts, and a worker that notes what it sends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from app.core.assignment import Assignment
from app.core.execution import Execution
from app.core.ids import execution_id, new_id
from app.core.target import Target
from app.core.tasks import end
from app.delivery.guard import Guard
from app.delivery.sender import BegunAttempt, Sender
from app.delivery.signing import Signer
from app.delivery.transport import PooledTransport
from app.store.target_columns import target_text
from app.wheel.entries import execution_entry
from app.workers.loop import Worker
from app.workers.signals import Signals
from tests.integration.store.rows import add_schedule
from tests.integration.workers.rig import CALLER, Rig
from tests.integration.workers.stages import turn


class Noting(Sender):
    """Sends, and notes what."""

    def __init__(self, rig: Rig, transport: PooledTransport) -> None:
        super().__init__(transport, Signer([]), rig.clock, engine_url=rig.receiver.url)
        self.rig = rig
        self.sent: list[Assignment] = []

    def prepare(self, requests: int) -> None:
        """No connections ahead: they would be counted."""

    def begin(self, assignment: Assignment) -> BegunAttempt:
        self.sent.append(assignment)
        return super().begin(assignment)


@dataclass
class Hosts:
    """Makes executions that are due, and wait for an owner."""

    rig: Rig

    async def due(self, url: str | None, number: int, *, community_id: int = 1, **schedule: Any) -> list[UUID]:
        """So many executions for a host (null is the engine), due now, in Postgres and in the wheel."""
        now = self.rig.clock.now()
        async with self.rig.database.transaction() as connection:
            schedule_id = await add_schedule(
                connection, schedule_id=new_id(self.rig.clock.now_ms()), community_id=community_id, next_due_at=None,
                next_execution_at=None, status="completed", **schedule,
                target=None if url is None else target_text("target", Target(f"{url}/run")),
            )  # fmt: skip
            made = [(execution_id(schedule_id, now, now, key), key) for key in range(1, number + 1)]
            await connection.executemany(
                """
                INSERT INTO executions (execution_id, recorded_for, schedule_id, community_id, workflow_id, trigger,
                                        trigger_key, scheduled_for, due_at, status, revision, created_at, wake_at)
                VALUES ($1, $2, $3, $4, $3, 'manual', $5, $2, $2, 'pending', 1, $2, $2)
                """,
                [(one, now, schedule_id, community_id, key) for one, key in made],
            )
        await self.rig.wheel.put([execution_entry(community_id, one, now) for one, _ in made])
        return [one for one, _ in made]

    async def worker(self, signals: Signals | None = None, *, timeout_seconds: float = 5, **settings: Any) -> Worker:
        """A worker that notes what it sends. Its senders are as many as it may have in flight."""
        worker = await self.rig.worker(signals, **settings)
        guard = Guard(allowed_networks="127.0.0.0/8")
        transport = PooledTransport(timeout_seconds=timeout_seconds, connections=10, user_agent="test", guard=guard)
        self.rig.transports.append(transport)
        worker.deliverer.senders.sender = Noting(self.rig, transport)
        return worker

    @asynccontextmanager
    async def working(self, *workers: Worker) -> AsyncIterator[None]:
        """The stages and the lanes of these workers at work; the clock and the claims are the test's."""
        tasks = [
            asyncio.create_task(loop())
            for worker in workers
            for loop in (
                worker.deliverer.run_forever,
                worker.settler.run_forever,
                worker.pausing.run_forever,
                worker.lanes.run_forever,
                worker.giving.run_forever,
            )
        ]
        try:
            yield
        finally:
            await end(*tasks)

    async def go_on(self, workers: Sequence[Worker], until: Callable[[], bool], *, step: float = 0.02) -> None:
        """Time passes and the workers claim, until it holds."""
        async with asyncio.timeout(60):
            while not until():
                workers = [*workers[1:], *workers[:1]]
                for worker in workers:
                    await worker.presence.run_once()
                    worker.claimer.wake(None)
                    claims = await worker.claimer.run_once()
                    if claims:
                        await worker.advancer.run_once(claims)
                        worker.claimer.advanced(claims)
                for _ in range(5):
                    await turn()
                self.rig.clock.move(step)

    async def pass_time(self, workers: Sequence[Worker], seconds: float, *, step: float = 0.02) -> None:
        """The same, for so long."""
        over = self.rig.clock.monotonic() + seconds
        await self.go_on(workers, lambda: self.rig.clock.monotonic() >= over, step=step)

    async def rows(self, executions: Sequence[UUID]) -> list[asyncpg.Record]:
        """Their rows, in this order."""
        found = await self.rig.execute("SELECT * FROM executions WHERE execution_id = ANY($1::uuid[])", executions)
        by_id = {row["execution_id"]: row for row in found}
        return [by_id[one] for one in executions]

    async def get(self, execution: UUID) -> Execution:
        """One, as a caller sees it, with its attempts."""
        return await self.rig.executions.get(CALLER, execution)


def sent_by(worker: Worker) -> list[Assignment]:
    """What the worker has sent, in this order."""
    sender = worker.deliverer.senders.sender
    assert isinstance(sender, Noting)
    return sender.sent


def value(worker: Worker, name: str, **labels: str) -> float:
    """A metric of the worker."""
    found = worker._metrics.registry.get_sample_value(f"schedule_service_{name}", labels)
    assert found is not None
    return found
