"""One worker's stages on real servers, with time moved by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import asyncpg

from app.core.callbacks import CallbackTokens
from app.core.execution import Execution
from app.core.firing import first_waiting
from app.core.principal import Principal, Role
from app.core.queries import Answer, ExecutionFilter
from app.core.schedule import OverlapPolicy, Schedule
from app.core.sealing import SecretBox
from app.delivery.callback import Callbacks
from app.delivery.guard import Guard
from app.delivery.sender import Sender
from app.delivery.signing import Signer
from app.delivery.transport import PooledTransport
from app.metrics import Metrics
from app.service.executions import ExecutionService
from app.service.schedules import ScheduleService
from app.settings import Settings
from app.store.database import Database
from app.wheel.wheel import Wheel
from app.workers.look import Look
from app.workers.loop import Worker
from app.workers.signals import Signals
from tests.clocks import ManualClock
from tests.integration.definitions import interval
from tests.receiver import Receiver

CALLER = Principal(community_id=1, user="test", role=Role.ADMIN)
MINUTELY = interval(60, context_data={"report": "daily"})


@dataclass
class Rig:
    """The parts of a test, wired as the worker process wires them."""

    database: Database
    wheel: Wheel
    clock: ManualClock
    receiver: Receiver
    schedules: ScheduleService
    executions: ExecutionService
    metrics: Metrics
    transports: list[PooledTransport]

    async def worker(self, signals: Signals | None = None, **settings: Any) -> Worker:
        """Another worker, registered; its stages run when the test runs them."""
        guard = Guard(allowed_networks=settings.pop("allowed_networks", "127.0.0.0/8"))
        transport = PooledTransport(timeout_seconds=5, connections=10, user_agent="test", guard=guard)
        self.transports.append(transport)
        secret_key, public_url = settings.pop("secret_key", ""), settings.pop("public_url", "")
        sender = Sender(
            transport,
            Signer.from_setting(settings.pop("webhook_signing_secrets", "")),
            self.clock,
            engine_url=self.receiver.url,
            callbacks=Callbacks(public_url, CallbackTokens.from_setting(secret_key)) if public_url else None,
            secrets=SecretBox.from_setting(secret_key),
        )
        worker = Worker(
            Settings(max_concurrent_workflows=settings.pop("concurrency", 10), **settings),
            self.database,
            self.wheel,
            sender,
            self.clock,
            Metrics(),
            signals,
        )
        await worker.presence.register()
        return worker

    async def create(self, **fields: Any) -> Schedule:
        """A schedule each minute from a minute on, but for the fields that are given."""
        created: list[Schedule] = []

        def keep(schedule: Schedule) -> Answer:
            created.append(schedule)
            return Answer(201, {}, b"")

        await self.schedules.create(CALLER, replace(MINUTELY, **fields), answer=keep, idempotency=None)
        return created[-1]

    async def fire(self, worker: Worker) -> Look:
        """Claim what is due and record it."""
        claims = await worker.claimer.run_once()
        return await worker.advancer.run_once(claims) if claims else Look()

    async def trigger(
        self,
        schedule: Schedule,
        *,
        caller: Principal = CALLER,
        context_override: Mapping[str, Any] | None = None,
        overlap_policy: OverlapPolicy | None = None,
    ) -> None:
        """Ask for a run by hand."""
        await self.schedules.trigger(
            caller,
            schedule.schedule_id,
            context_override=context_override,
            overlap_policy=overlap_policy,
            answer=lambda _: Answer(202, {}, b""),
            idempotency=None,
        )

    async def history(self, schedule: Schedule) -> Sequence[Execution]:
        """The schedule's executions, oldest first."""
        page = await self.executions.find(
            CALLER, ExecutionFilter(schedule_id=schedule.schedule_id), limit=500, cursor=None
        )
        return page.items[::-1]

    async def execute(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Any statement, as an operator at psql."""
        async with self.database.connection() as connection:
            return await connection.fetch(statement, *arguments)

    async def refuse_updates(self, table: str, when: str, *, errcode: str = "P0001") -> None:
        """Have Postgres refuse to write rows of which a condition on `OLD` and `NEW` holds, by the trigger `refuse`."""
        await self.execute(f"""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'not this one' USING ERRCODE = '{errcode}'; END $$""")
        await self.execute(f"""
            CREATE TRIGGER refuse BEFORE UPDATE ON {table}
            FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse()""")


def next_of(schedule: Schedule, number: int = 1) -> list[Any]:
    """The schedule's next nominal instants."""
    found, after = [], schedule.searched_to
    for _ in range(number):
        waiting = first_waiting(schedule.timing, schedule.schedule_id, after)
        assert waiting is not None
        after = waiting.occurrence
        found.append(after)
    return found


def seconds(number: float) -> timedelta:
    """A duration."""
    return timedelta(seconds=number)
