"""A worker's statements on a day that has just begun: Postgres knows nothing of its partition yet."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import orjson
import pytest

from app.core.execution import ExecutionStatus
from app.core.ids import execution_id
from app.store import queueing, settling, taking
from app.store.database import Database
from app.store.partitions import make
from app.store.settling import Outcome
from tests.clocks import START
from tests.integration.databases import copied

UNFINISHED = 4_000
ME = uuid4()
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture(scope="module")
async def begun(postgres_url: str, database_template: str) -> AsyncIterator[str]:
    """Days of finished executions, analysed; and today thousands that are unfinished, of which nothing is known."""
    async with copied(postgres_url, database_template) as url:
        database = await Database.open(url, pool_size=1)
        for day in (-1, 0):
            assert await make(database, (START + timedelta(days=day)).date())
        async with database.connection() as connection:
            await connection.execute(
                """
                INSERT INTO executions (execution_id, recorded_for, schedule_id, community_id, trigger, scheduled_for,
                       due_at, status, finished_at, revision, created_at)
                SELECT gen_random_uuid(), at, gen_random_uuid(), 1, 'schedule', at, at, 'succeeded', at, 1, at
                  FROM generate_series(1, 20000) n, LATERAL (SELECT $1::timestamptz - n * interval '2 s' AS at)
                """,
                START - timedelta(hours=13),
            )
            await connection.execute("ANALYZE")
            await connection.execute("ALTER TABLE executions_20261123 SET (autovacuum_enabled = off)")
            schedule = uuid4()
            await connection.copy_records_to_table(
                "executions",
                columns=["execution_id", "recorded_for", "schedule_id", "community_id", "trigger", "scheduled_for",
                         "due_at", "status", "revision", "created_at"],
                records=[
                    (execution_id(schedule, START, START, n), START, schedule, 1, "schedule", START, START, "pending",
                     1, START)
                    for n in range(UNFINISHED)
                ],
            )  # fmt: skip
        await database.close()
        yield url


STATEMENTS = {
    "settle": settling._SETTLE,
    "note": settling._NOTE,
    "release": settling._RELEASE,
    "still owned": settling._STILL_OWNED,
    "lock waiting": taking._LOCK_WAITING,
    "lock queued": taking._LOCK_QUEUED,
    "take": taking._TAKE,
    "end": taking._END,
    "queued": queueing._QUEUED,
    "look later": queueing._LOOK_LATER,
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
async def test_the_plan_that_a_worker_keeps_goes_by_the_primary_key_alone(begun: str, statement: str) -> None:
    database = await Database.open(begun, pool_size=1, steady_plans=True)
    bounds = {number for pair in re.findall(r"BETWEEN \$(\d+) AND \$(\d+)", statement) for number in pair}
    numbers = sorted({int(number) for number in re.findall(r"\$(\d+)", statement)})
    values = ", ".join(f"'{START}'" if str(number) in bounds else "NULL" for number in numbers)
    async with database.connection() as connection:
        await connection.execute(f"PREPARE kept AS {statement}")
        plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE kept({values})")
    await database.close()
    assert _indexes(plan) == {"executions_20261123_pkey"}


async def test_a_batch_is_written_whole_also_where_it_waits_for_a_row_that_another_changes(begun: str) -> None:
    """A plan that pruned partitions twice lost the rest of the batch, in silence."""
    database = await Database.open(begun, pool_size=3, steady_plans=True)
    async with database.transaction() as connection:
        ids = [row[0] for row in await connection.fetch("SELECT execution_id FROM executions_20261123 LIMIT 100")]
        await connection.execute("UPDATE executions SET owner = $2 WHERE execution_id = ANY($1::uuid[])", ids, ME)
    ids.sort()
    async with database.connection() as watching, database.transaction() as other:
        await other.execute("UPDATE executions SET awaited = true WHERE execution_id = $1", ids[20])

        async def settle() -> frozenset[UUID]:
            async with database.connection() as connection:
                return (await settling.settle(connection, [_succeeded(one) for one in ids])).executions

        settling_all = asyncio.create_task(settle())
        while not await watching.fetchval(_WAITS):
            await asyncio.sleep(0.01)
    written = await settling_all
    await database.close()
    assert written == set(ids)


def _succeeded(one: UUID) -> Outcome:
    return Outcome(
        execution_id=one,
        community_id=1,
        owner=ME,
        number=0,
        status=ExecutionStatus.SUCCEEDED,
        attempt_json="[]",
        failed=False,
        wake_at=None,
        finished_at=START,
        error=None,
        engine_execution_id=None,
        started_at=START,
        lateness_ms=0,
    )


def _indexes(plan: str) -> set[str]:
    """The indexes of executions that a plan goes by."""
    found, waiting = set(), [orjson.loads(plan)[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if node.get("Index Name", "").startswith("executions"):
            found.add(node["Index Name"])
    return found
