"""What the tests of the services stand on: real Postgres and Redis, a clock moved by hand, a worker's look."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson

from app.core.clock import to_ms
from app.core.errors import ScheduleServiceException
from app.core.execution import Execution
from app.core.principal import Principal, Role
from app.core.queries import Answer, ExecutionFilter, Idempotency
from app.core.schedule import Definition, OverlapPolicy, Schedule
from app.metrics import Metrics
from app.service.calendars import CalendarService
from app.service.executions import ExecutionService
from app.service.health import HealthService
from app.service.keys import KeyService
from app.service.schedules import ScheduleService
from app.store.database import Connection, Database
from app.wheel.connection import connect
from app.wheel.entries import shard_of
from app.wheel.wheel import Wheel
from app.workers.look import Look
from app.workers.looker import Looker
from tests.clocks import ManualClock

CALLER = Principal(community_id=1, user="ada", role=Role.ADMIN, request_id="request-1")
STRANGER = Principal(community_id=2, user="eve", role=Role.ADMIN)
WORKER = uuid4()


def created(schedule: Schedule) -> Answer:
    """An answer that names the schedule, as the API's would."""
    return Answer(201, {"Location": f"/schedules/{schedule.schedule_id}"}, str(schedule.schedule_id).encode())


def accepted(execution: Execution) -> Answer:
    """An answer that names the execution."""
    return Answer(202, {}, str(execution.execution_id).encode())


async def listed(results: Sequence[Schedule | ScheduleServiceException]) -> Answer:
    """An answer with an id or an error's code for each result."""
    codes = [str(one.schedule_id) if isinstance(one, Schedule) else one.code for one in results]
    return Answer(207, {}, orjson.dumps(codes))


class World:
    """The services of one API process, and the means to look behind them."""

    def __init__(self, database: Database, wheel: Wheel, clock: ManualClock) -> None:
        self.database = database
        self.wheel = wheel
        self.clock = clock
        self.schedules = ScheduleService(database, wheel, clock)
        self.metrics = Metrics()
        self.executions = ExecutionService(database, wheel, clock, self.metrics)
        self.calendars = CalendarService(database, wheel, clock, self.metrics)
        self.keys = KeyService(database, clock)
        self.health = HealthService(database, wheel, clock)

    @classmethod
    async def open(cls, stack: AsyncExitStack, database_url: str, redis_url: str) -> "World":
        """Connect; the stack closes what was opened."""
        clock = ManualClock()
        database = await Database.open(database_url, pool_size=24)
        stack.push_async_callback(database.close)
        wheel = Wheel(connect(redis_url), clock, shards=16, window_seconds=3600, claim_ahead_ms=50)
        stack.push_async_callback(wheel.client.connection_pool.aclose)
        stack.push_async_callback(wheel.close)
        return cls(database, wheel, clock)

    async def create(self, definition: Definition, principal: Principal = CALLER) -> Schedule:
        """A new schedule."""
        answer = await self.schedules.create(principal, definition, answer=created, idempotency=None)
        return await self.schedules.get(principal, UUID(answer.body.decode()))

    async def change(self, schedule: Schedule, definition: Definition) -> Schedule:
        """Replace a schedule's definition."""
        changed = await self.schedules.change(
            CALLER, schedule.schedule_id, lambda _: definition, expected_revision=None
        )
        return changed.schedule

    async def trigger(
        self,
        schedule: Schedule,
        overlap_policy: OverlapPolicy | None = None,
        context: Mapping[str, Any] | None = None,
        idempotency: Idempotency | None = None,
    ) -> Execution:
        """A manual run."""
        answer = await self.schedules.trigger(
            CALLER,
            schedule.schedule_id,
            context_override=context,
            overlap_policy=overlap_policy,
            answer=accepted,
            idempotency=idempotency,
        )
        return await self.executions.get(CALLER, UUID(answer.body.decode()))

    async def history(self, schedule_id: UUID) -> list[Execution]:
        """A schedule's executions, newest first."""
        page = await self.executions.find(CALLER, ExecutionFilter(schedule_id=schedule_id), limit=100, cursor=None)
        return list(page.items)

    async def look(self, *waiting: Schedule | Execution) -> Look:
        """Have a worker look at schedules or executions, as it does when their time has come."""
        return await self.database.run(lambda connection: self.look_within(connection, *waiting))

    async def look_within(self, connection: Connection, *waiting: Schedule | Execution) -> Look:
        """The same within a transaction that the test holds."""
        members = [f"s:{one.schedule_id}" if isinstance(one, Schedule) else f"x:{one.execution_id}" for one in waiting]
        return await Looker(self.clock, claim_ahead_ms=self.wheel.claim_ahead_ms).look(connection, members, WORKER)

    async def due_in_wheel(self, waiting: Schedule | Execution) -> int | None:
        """The time at which the wheel has it, in ms; null when it does not."""
        member = f"s:{waiting.schedule_id}" if isinstance(waiting, Schedule) else f"x:{waiting.execution_id}"
        shard = shard_of(waiting.community_id, self.wheel.shards)
        score = await self.wheel.client.zscore(f"{{ss:{shard}}}:due", member)
        return None if score is None else int(score)

    async def rows(self, statement: str, *values: object) -> list["asyncpg.Record"]:
        """What Postgres has."""
        async with self.database.connection() as connection:
            return await connection.fetch(statement, *values)

    async def one(self, statement: str, *values: object) -> Any:
        """One value that Postgres has."""
        async with self.database.connection() as connection:
            return await connection.fetchval(statement, *values)

    async def somebody_waits_for_a_lock(self, count: int = 1) -> None:
        """Return once that many sessions of this database wait for another's lock."""
        waiting = """
            SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        """
        async with self.database.connection() as connection:
            # Each question is a round trip, in which the others go on.
            while await connection.fetchval(waiting) < count:
                pass


def ms(instant: datetime | None) -> int | None:
    """Milliseconds, as the wheel has them."""
    return None if instant is None else to_ms(instant)
