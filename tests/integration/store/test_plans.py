"""What the statements of workers cost: which index they use, and how many partitions they open."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from app.core.assignment import Assignment
from app.core.execution import ExecutionStatus
from app.core.ids import execution_id, new_id, recorded_for
from app.core.schedule import Completion, RetryPolicy
from app.store import due, firing, notices, queueing, scanning, settling, taking, upkeep, workers
from app.store.database import Connection, Database
from app.store.partitions import make
from app.store.queueing import Group
from app.store.settling import Outcome
from app.store.upkeep import FIRST_ID
from tests.clocks import START
from tests.integration.databases import copied

ME = uuid4()
DAYS = 6
TODAY, YESTERDAY = "executions_20261123", "executions_20261122"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Plans:
    """A connection that keeps the plan of each statement, and runs it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._nodes: list[dict[str, Any]] = []

    async def fetch(self, statement: str, *values: object) -> list["asyncpg.Record"]:
        await self._explain(statement, values)
        return await self._connection.fetch(statement, *values)

    async def execute(self, statement: str, *values: object) -> str:
        await self._explain(statement, values)
        return await self._connection.execute(statement, *values)

    async def _explain(self, statement: str, values: tuple[object, ...]) -> None:
        plan = await self._connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *values)
        waiting = [orjson.loads(plan)[0]["Plan"]]
        while waiting:
            node = waiting.pop()
            self._nodes.append(node)
            waiting += node.get("Plans", [])

    @property
    def opened(self) -> set[str]:
        """Tables that are read."""
        return {
            node["Relation Name"]
            for node in self._nodes
            if "Relation Name" in node and node["Node Type"] != "ModifyTable"
        }

    @property
    def scanned_whole(self) -> set[str]:
        """Tables that are read from end to end."""
        return {node["Relation Name"] for node in self._nodes if node["Node Type"] == "Seq Scan"}

    @property
    def indexes(self) -> set[str]:
        """Indexes that are used, by the names they have on the parent or on their partition."""
        return {node["Index Name"] for node in self._nodes if "Index Name" in node}


@pytest.fixture(scope="module")
async def filled(postgres_url: str, database_template: str) -> AsyncIterator[Database]:
    """Ten thousand schedules, one due a second; days of executions, nearly all of them finished, as it is in life."""
    async with copied(postgres_url, database_template) as url:
        database = await Database.open(url, pool_size=4)
        for day in range(-DAYS + 2, 2):
            assert await make(database, (START + timedelta(days=day)).date())
        async with database.transaction() as connection:
            await connection.execute(
                """
                INSERT INTO workflow_schedules (schedule_id, community_id, workflow_id, schedule_type,
                       interval_seconds, timezone, status, next_execution_at, next_due_at, searched_to,
                       tzdata_version, grace_period_seconds, coalesce, max_instances, overlap_policy, completion,
                       timeout_seconds, retry, after_completion, created_at, updated_at)
                SELECT gen_random_uuid(), n % 10, gen_random_uuid(), 'interval', 60, 'UTC', 'active',
                       $1::timestamptz + n * interval '1 s', $1::timestamptz + n * interval '1 s', $1, '2026a', 900,
                       true, 3, 'skip', 'response', 60, '{}', 'keep', $1, $1
                  FROM generate_series(1, 10000) n
                """,
                START,
            )
            schedules = [row[0] for row in await connection.fetch("SELECT schedule_id FROM workflow_schedules")]
            await connection.execute(
                """
                INSERT INTO executions (execution_id, recorded_for, schedule_id, community_id, trigger, scheduled_for,
                       due_at, status, finished_at, revision, created_at)
                SELECT gen_random_uuid(), at, ($2::uuid[])[1 + n % 500], 1, 'schedule', at, at, 'succeeded', at, 1, at
                  FROM generate_series(1, 40000) n, LATERAL (SELECT $1::timestamptz - n * interval '10 s' AS at)
                """,
                START,
                schedules,
            )
            rows = [
                (execution_id(schedules[number % 500], at, at, number), at, schedules[number % 500])
                for number in range(100)
                for at in [START - timedelta(hours=number)]
            ]
            await connection.executemany(
                """
                INSERT INTO executions (execution_id, recorded_for, schedule_id, community_id, trigger, scheduled_for,
                       due_at, status, wake_at, finished_at, revision, created_at)
                VALUES ($1, $2, $3, 1, 'schedule', $2, $2, 'retrying', $2, NULL, 1, $2)
                """,
                rows,
            )
        async with database.connection() as connection:
            await connection.execute("ANALYZE")
        yield database
        await database.close()


@pytest.fixture
async def plans(filled: Database) -> AsyncIterator[Plans]:
    """The plans of what a test does; what it changes is undone."""
    async with filled.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield Plans(connection)
        await transaction.rollback()


def _as_connection(plans: Plans) -> Connection:
    return cast("Connection", plans)


async def _ids(database: Database, condition: str, limit: int) -> list[UUID]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            f"SELECT execution_id FROM executions WHERE {condition} ORDER BY recorded_for DESC LIMIT {limit}"
        )
    return [row[0] for row in rows]


def _with_instants(ids: list[UUID]) -> list[tuple[UUID, datetime]]:
    return [(one, recorded_for(one) or START) for one in ids]


async def test_due_schedules_are_read_by_the_index_of_due_times(plans: Plans) -> None:
    found = await upkeep.schedules_due(_as_connection(plans), (EPOCH, FIRST_ID), START + timedelta(seconds=60), 1000)
    assert len(found) == 60
    assert plans.indexes == {"idx_workflow_schedules_next_execution"}
    assert plans.scanned_whole == set()


async def test_a_later_page_of_due_schedules_begins_where_the_last_one_ended(plans: Plans) -> None:
    after = (START + timedelta(seconds=9_000), FIRST_ID)
    assert len(await upkeep.schedules_due(_as_connection(plans), after, START + timedelta(days=1), 20)) == 20
    assert plans.indexes == {"idx_workflow_schedules_next_execution"}
    assert plans.scanned_whole == set()


async def test_due_executions_are_read_by_the_index_of_wake_times(plans: Plans) -> None:
    found = await upkeep.executions_due(_as_connection(plans), (EPOCH, FIRST_ID), START, 1000)
    assert len(found) == 100
    assert plans.indexes
    assert all("wake_at" in name or name == "idx_executions_wake" for name in plans.indexes)
    # An empty partition has no page to read.
    assert plans.scanned_whole <= {"executions_default", "executions_20261124"}


async def test_schedules_that_are_claimed_from_postgres_are_found_by_due_time_and_locked_by_key(plans: Plans) -> None:
    until = START + timedelta(seconds=60)
    found = await due.lock_schedules(_as_connection(plans), until=until, ahead_until=until, without=(), limit=50)
    assert len(found) == 50
    assert plans.indexes == {"idx_workflow_schedules_next_execution", "workflow_schedules_schedule_id_key"}
    assert plans.scanned_whole == set()


async def test_executions_that_are_claimed_from_postgres_are_found_by_wake_time_and_locked_by_key(
    plans: Plans,
) -> None:
    found = await due.lock_executions(_as_connection(plans), until=START, without=(), limit=200)
    assert len(found) == 100
    assert any("wake_at" in name for name in plans.indexes)
    assert any("pkey" in name for name in plans.indexes)
    assert plans.scanned_whole <= {"executions_default", "executions_20261124"}


async def test_what_is_claimed_next_from_postgres_is_read_off_the_two_indexes(plans: Plans) -> None:
    earliest = await due.earliest(_as_connection(plans), ahead=timedelta(0), far_ahead=timedelta(0))
    assert earliest.schedule_at is not None
    assert earliest.execution_at is not None
    assert "idx_workflow_schedules_next_execution" in plans.indexes
    assert plans.scanned_whole <= {"executions_default", "executions_20261124"}


async def test_schedules_are_locked_by_their_ids(filled: Database, plans: Plans) -> None:
    async with filled.connection() as connection:
        ids = [row[0] for row in await connection.fetch("SELECT schedule_id FROM workflow_schedules LIMIT 50")]
    assert len(await firing.lock_due(_as_connection(plans), ids)) == 50
    assert len(await firing.still_active(_as_connection(plans), ids)) == 50
    assert plans.indexes == {"workflow_schedules_schedule_id_key"}


async def test_unfinished_executions_are_counted_by_their_own_index(filled: Database, plans: Plans) -> None:
    async with filled.connection() as connection:
        ids = [row[0] for row in await connection.fetch("SELECT schedule_id FROM workflow_schedules LIMIT 50")]
    await firing.count_standing(_as_connection(plans), ids)
    assert all("idx" in name for name in plans.indexes)
    assert plans.scanned_whole <= {"executions_default", "executions_20261124"}


async def test_what_a_queue_asks_for_is_answered_by_the_index_of_the_unfinished(filled: Database, plans: Plans) -> None:
    async with filled.connection() as connection:
        ids = [row[0] for row in await connection.fetch("SELECT schedule_id FROM workflow_schedules LIMIT 20")]
    groups = [Group(schedule_id, None) for schedule_id in ids]
    await queueing.await_room(_as_connection(plans), groups)
    await queueing.wake_oldest(_as_connection(plans), groups, now=START)
    await queueing.oldest_queued(_as_connection(plans), groups[0], 10)
    await queueing.make_way(_as_connection(plans), dict.fromkeys(ids, 1), now=START)
    assert plans.scanned_whole <= {"executions_default", "executions_20261124"}


async def test_what_is_queued_is_found_in_the_days_of_the_batch_alone(filled: Database, plans: Plans) -> None:
    ids = await _ids(filled, f"wake_at > '{START - timedelta(hours=11)}'", 11)
    assert await queueing.queued_among(_as_connection(plans), ids) == []
    assert await queueing.look_later(_as_connection(plans), ids, at=START) == []
    assert plans.opened == {TODAY}


async def test_looking_at_what_waits_opens_the_days_of_the_batch_alone(filled: Database, plans: Plans) -> None:
    ids = await _ids(filled, f"wake_at > '{START - timedelta(hours=20)}'", 20)
    assert len(await taking.lock_waiting(_as_connection(plans), ids)) == 20
    assert await taking.still_waiting(_as_connection(plans), ids) == set(ids)
    assert await upkeep.executions_still_due(_as_connection(plans), ids, START) == set(ids)
    assert {name for name in plans.opened if name.startswith("executions_")} == {TODAY, YESTERDAY}


async def test_taking_and_failing_open_the_days_of_the_batch_alone(filled: Database, plans: Plans) -> None:
    ids = await _ids(filled, f"wake_at > '{START - timedelta(hours=11)}'", 11)
    taken = [
        Assignment(
            execution_id=one,
            recorded_for=at,
            schedule_id=new_id(0),
            community_id=1,
            workflow_id=new_id(0),
            trigger="schedule",
            scheduled_for=at,
            due_ms=0,
            coalesced_count=1,
            last_scheduled_for=None,
            next_execution_at=None,
            timezone="UTC",
            context_json="{}",
            retry=RetryPolicy(),
            completion=Completion.RESPONSE,
            timeout_seconds=3600,
            retry_since=at,
            revision=1,
            owner=ME,
            attempt=1,
            failures=0,
        )
        for one, at in _with_instants(ids)
    ]
    await taking.take(_as_connection(plans), taken, owner=ME)
    await taking.end(_as_connection(plans), dict.fromkeys(ids, "why"), ExecutionStatus.FAILED, now=START)
    assert plans.opened == {TODAY}


async def test_settling_and_releasing_open_the_days_of_the_batch_alone(filled: Database, plans: Plans) -> None:
    ids = await _ids(filled, f"wake_at > '{START - timedelta(hours=11)}'", 11)
    outcomes = [
        Outcome(
            execution_id=one,
            community_id=1,
            owner=ME,
            number=1,
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
        for one in ids
    ]
    await settling.settle(_as_connection(plans), outcomes)
    await settling.release(_as_connection(plans), ids, owner=ME, now=START)
    await settling.still_owned(_as_connection(plans), [(*execution, 1) for execution in _with_instants(ids)], owner=ME)
    assert plans.opened == {TODAY}


async def test_who_is_to_be_told_is_looked_up_in_the_days_of_the_batch_alone(filled: Database, plans: Plans) -> None:
    ids = await _ids(filled, f"wake_at > '{START - timedelta(hours=20)}'", 20)
    assert await notices.tell_of(_as_connection(plans), ids, now=START) == []
    assert {name for name in plans.opened if name.startswith("executions_")} == {TODAY, YESTERDAY}
    assert "workflow_schedules" not in plans.scanned_whole


async def test_what_is_pending_is_found_without_reading_what_is_finished(plans: Plans) -> None:
    await workers.pending_of(_as_connection(plans), ME)
    await workers.release_ownerless(_as_connection(plans), now=START, limit=500)
    assert plans.scanned_whole <= {"executions_default", "executions_20261124", "workers"}


async def test_the_scan_reads_its_parts_by_indexes_and_no_table_from_end_to_end(plans: Plans) -> None:
    found = await scanning.unfinished(_as_connection(plans), FIRST_ID, window=20)
    assert found.reached is not None
    await scanning.unfinished(_as_connection(plans), found.reached, window=20)
    assert (await scanning.schedules(_as_connection(plans), 0, window=500)).reached is not None
    await scanning.schedules(_as_connection(plans), 5_000, window=500)
    assert await scanning.wake_overdue(_as_connection(plans), before=START) == 99
    assert plans.scanned_whole <= {"executions_default", "executions_20261124", "workers"}
    assert "workflow_schedules_pkey" in plans.indexes


async def test_whether_a_day_holds_something_unfinished_is_asked_of_an_index(filled: Database) -> None:
    async with filled.transaction() as connection:
        plans = Plans(connection)
        await plans.fetch(f"SELECT EXISTS (SELECT FROM {YESTERDAY} WHERE finished_at IS NULL)")
    assert plans.scanned_whole == set()
