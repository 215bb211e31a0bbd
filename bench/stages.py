"""The stages of a firing one by one, without the others: claim, advance, ack and settle, a batch at a time."""

import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import uuid4

from app.core.assignment import Assignment
from app.core.execution import ExecutionStatus
from app.store import settling
from app.store.database import Database
from app.store.settling import Outcome
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from app.workers.looker import Looker
from bench.stack import Stack

T = TypeVar("T")

_CLAIM_AHEAD_MS = 50
_ATTEMPT = '[{"number":1,"started_at":"2026-11-24T12:00:00Z","duration_ms":3,"status_code":202,"error":null}]'


class _Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    async def time(self, stage: str, work: Awaitable[T]) -> T:
        began = time.perf_counter()
        done = await work
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began
        return done


async def stages(stack: Stack, *, size: int, batch: int) -> dict[str, float]:
    """Entries a second through each stage alone, in this one process and over one connection."""
    database = await Database.open(stack.database_url, pool_size=1, steady_plans=True)
    wheel = Wheel(connect(stack.redis_url), stack.clock, shards=1, window_seconds=3600, claim_ahead_ms=_CLAIM_AHEAD_MS)
    looker = Looker(stack.clock, claim_ahead_ms=_CLAIM_AHEAD_MS)
    owner, watch, done = uuid4(), _Stopwatch(), 0
    await stack.add_one_time([stack.clock.now() - timedelta(seconds=1)] * size, shards=1)
    while done < size:
        claims = await watch.time("claim", wheel.claim([0], limit=batch, lease_ms=60_000))
        members = list(claims[0].members)
        done += len(members)
        look = await watch.time("advance", database.run(partial(looker.look, members=members, owner=owner)))
        due = [(member, look.next_due_ms.get(member)) for member in members]
        await watch.time("ack", wheel.ack([(0, claims[0].token, due)]))
        await watch.time("settle", _settle(database, look.assignments))
    await wheel.close()
    await database.close()
    await stack.forget()
    return {f"{stage}_per_second": size / seconds for stage, seconds in watch.seconds.items()}


async def _settle(database: Database, assignments: list[Assignment]) -> None:
    now = datetime.now(UTC)
    outcomes = [
        Outcome(
            execution_id=one.execution_id,
            community_id=one.community_id,
            owner=one.owner,
            number=one.attempt,
            status=ExecutionStatus.SUCCEEDED,
            attempt_json=_ATTEMPT,
            failed=False,
            wake_at=None,
            finished_at=now,
            error=None,
            engine_execution_id="bench",
            started_at=now,
            lateness_ms=3,
        )
        for one in assignments
    ]
    async with database.connection() as connection:
        settled = await settling.settle(connection, outcomes)
    if len(settled.executions) != len(assignments):
        raise AssertionError(f"{len(settled.executions)} settled of {len(assignments)}")
