"""What an explanation costs: which indexes its statements use, however long a schedule's history is."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.core.ids import execution_id, new_id
from app.store import explaining
from app.store.database import Database
from app.store.partitions import make
from tests.clocks import START
from tests.integration.databases import copied
from tests.integration.store.test_caller_plans import as_connection
from tests.integration.store.test_caller_plans import explaining as planning

COMMUNITY = 1
SCHEDULE = new_id(0)
RUNS = 4000
CHANGES = 1200
OTHERS = 20
"""Changes and definitions of other schedules, for each of this one."""
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
async def filled(postgres_url: str, database_template: str) -> AsyncIterator[Database]:
    """A schedule with a long history among others: runs, changes, superseded definitions; only read."""
    async with copied(postgres_url, database_template) as url:
        database = await Database.open(url, pool_size=2)
        for day in range(4):
            assert await make(database, (START + timedelta(days=day)).date())
        async with database.transaction() as connection:
            await connection.executemany(
                """
                INSERT INTO executions (execution_id, recorded_for, schedule_id, community_id, trigger, trigger_key,
                       scheduled_for, due_at, status, revision, created_at, finished_at)
                VALUES ($1, $2, $3, $4, $5, $6, $2, $2, 'succeeded', 1, $2, $2)
                """,
                [
                    (execution_id(owner, at, at, key), at, owner, COMMUNITY, "manual" if key else "schedule", key)
                    for number in range(RUNS)
                    for at in [START + timedelta(seconds=60 * number)]
                    for owner, key in ((SCHEDULE, 0), (SCHEDULE, 1), (new_id(number), 0))
                ],
            )
            await connection.execute(
                """
                INSERT INTO audit_log (at, community_id, user_id, role, action, schedule_id, before, after, reason)
                SELECT $1::timestamptz + n * interval '1 s', $2, 'anna', 'admin', 'schedule_update',
                       CASE WHEN n % $5 = 0 THEN $3::uuid ELSE gen_random_uuid() END,
                       '{"status": "active"}', jsonb_build_object('status', 'active', 'revision', n), 'why'
                  FROM generate_series(1, $4::int * $5) n
                """,
                START,
                COMMUNITY,
                SCHEDULE,
                CHANGES,
                OTHERS,
            )
            await connection.execute(
                """
                INSERT INTO schedule_revisions (schedule_id, revision, community_id, definition, superseded_at)
                SELECT CASE WHEN n % $5 = 0 THEN $3::uuid ELSE gen_random_uuid() END, n, $2,
                       '{"schedule_type": "cron", "cron_expression": "* * * * *", "timezone": "UTC",
                         "interval_seconds": null, "scheduled_time": null, "start_at": null, "end_at": null,
                         "jitter_seconds": 0}', $1::timestamptz + n * interval '1 s'
                  FROM generate_series(1, $4::int * $5) n
                """,
                START,
                COMMUNITY,
                SCHEDULE,
                CHANGES,
                OTHERS,
            )
            for table in ("executions", "audit_log", "schedule_revisions", "workflow_schedules"):
                await connection.execute(f"ANALYZE {table}")
        yield database
        await database.close()


async def test_executions_around_an_instant_are_found_by_the_index_of_their_schedule(filled: Database) -> None:
    at = START + 30 * HOUR
    async with planning(filled) as plan:
        connection = as_connection(plan)
        own = await explaining.own_from(connection, COMMUNITY, SCHEDULE, at, 4)
        before = await explaining.own_before(connection, COMMUNITY, SCHEDULE, at)
        beside = await explaining.beside(connection, COMMUNITY, SCHEDULE, at, [at + HOUR])
        unfinished = await explaining.unfinished(connection, COMMUNITY, SCHEDULE, at, at)
    assert [run.scheduled_for - at for run in own] == [number * HOUR / 60 for number in range(4)]
    assert before is not None
    assert at - before.scheduled_for == HOUR / 60
    assert len(beside) == 1
    assert unfinished == []
    assert plan.scanned_whole() <= {"executions_default"}
    assert not any(node["Node Type"] == "Sort" and node["Plan Rows"] > 1000 for node in plan.nodes())


async def test_the_run_of_an_instant_opens_the_partitions_of_that_day_alone(filled: Database) -> None:
    at = START + 30 * HOUR
    async with planning(filled) as plan:
        await explaining.beside(as_connection(plan), COMMUNITY, SCHEDULE, at, [])
    assert plan.relations() == {"executions_20261124"}


async def test_changes_are_read_newest_first_and_no_more_of_them_than_are_told(filled: Database) -> None:
    async with planning(filled) as plan:
        events = await explaining.life(as_connection(plan), COMMUNITY, SCHEDULE)
    assert len(events) == explaining.MOST_CHANGES
    assert [event.revision for event in events[-2:]] == [OTHERS * (CHANGES - 1), OTHERS * CHANGES]
    assert plan.indexes() == {"idx_audit_log_schedule_at"}
    assert plan.scanned_whole() == set()


async def test_superseded_definitions_are_read_by_their_key(filled: Database) -> None:
    async with planning(filled) as plan:
        kept = await explaining.kept_revisions(as_connection(plan), COMMUNITY, SCHEDULE)
        assert await explaining.schedule(as_connection(plan), COMMUNITY, SCHEDULE) is None
    assert len(kept) == explaining.MOST_REVISIONS
    assert kept[-1].revision == OTHERS * CHANGES
    assert kept == sorted(kept, key=lambda revision: revision.revision)
    assert "schedule_revisions_pkey" in plan.indexes()
    assert "schedule_revisions" not in plan.scanned_whole()


async def test_nothing_of_another_community_is_read(filled: Database) -> None:
    at = START + 30 * HOUR
    async with filled.connection() as connection:
        assert await explaining.own_from(connection, 2, SCHEDULE, START, 4) == []
        assert await explaining.own_before(connection, 2, SCHEDULE, at) is None
        assert await explaining.beside(connection, 2, SCHEDULE, at, []) == []
        assert await explaining.unfinished(connection, 2, SCHEDULE, at, at) == []
        assert await explaining.life(connection, 2, SCHEDULE) == []
        assert await explaining.kept_revisions(connection, 2, SCHEDULE) == []
