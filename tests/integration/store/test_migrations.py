"""Migrating a database that is in use."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
from asyncpg.transaction import Transaction
from sqlalchemy import Connection
from structlog.testing import capture_logs

from app.core.clock import SystemClock
from app.store import migrations
from app.store.schema import newest
from tests.clocks import ManualClock

_BACK_TO_0005 = """
    ALTER TABLE workflow_schedules
        DROP CONSTRAINT workflow_schedules_start_check, DROP CONSTRAINT workflow_schedules_end_check;
    UPDATE alembic_version SET version_num = '0005';
"""
_BACK_TO_0001 = f"""
    {_BACK_TO_0005}
    ALTER TABLE executions DROP COLUMN awaited, DROP COLUMN reason_detail;
    ALTER TABLE calendars DROP COLUMN weekend, DROP COLUMN days_revision, DROP COLUMN recomputed_revision;
    DROP INDEX idx_calendars_community;
    DROP TABLE calendar_uses;
    ALTER TABLE workflow_schedules DROP COLUMN target_host;
    ALTER TABLE workers DROP COLUMN targets;
    UPDATE alembic_version SET version_num = '0001'
"""
_BACK_TO_0007 = """
    DROP INDEX idx_audit_log_at, idx_audit_log_schedule_at, idx_audit_log_execution_at;
    CREATE INDEX idx_audit_log_community ON audit_log (community_id, audit_id);
    CREATE INDEX idx_audit_log_schedule ON audit_log (schedule_id, audit_id);
    UPDATE alembic_version SET version_num = '0007'
"""
_CHANGE = "INSERT INTO audit_log (at, community_id, action) VALUES (now(), 1, 'schedule_create')"
_MANY_CHANGES = """
    INSERT INTO audit_log (at, community_id, action) SELECT now(), 1, 'schedule_create' FROM generate_series(1, 50000)
"""
_LITTLE_TIME = """
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = 200', current_database()); END $$
"""
_INDEXES = """
    SELECT indexdef FROM pg_indexes JOIN pg_index ON indexrelid = indexname::regclass
     WHERE tablename = 'audit_log' AND indisvalid ORDER BY indexname
"""
_SCHEDULES = """
    INSERT INTO workflow_schedules (
        schedule_id, community_id, schedule_type, interval_seconds, timezone, start_at, end_at, status, searched_to,
        tzdata_version, grace_period_seconds, coalesce, max_instances, overlap_policy, completion, timeout_seconds,
        retry, after_completion, created_at, updated_at)
    SELECT gen_random_uuid(), 1, 'interval', 60, 'UTC', start_at, end_at, 'paused', now(), '2026a', 60, true, 1, 'skip',
           'response', 60, '{}', 'keep', now(), now()
      FROM (VALUES ('-infinity'::timestamptz, '2027-01-01Z'::timestamptz), ('2026-01-01Z', 'infinity'),
                   ('-infinity', '-infinity'), ('2026-01-01Z', '2027-01-01Z'), (NULL, NULL)) AS given(start_at, end_at)
"""
_REVISIONS = """
    INSERT INTO schedule_revisions (schedule_id, revision, community_id, definition, superseded_at)
    SELECT schedule_id, 1, 1, to_jsonb(s), now() FROM workflow_schedules s
"""
_SOMEBODY_WAITS = """
    SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def test_a_change_that_waits_for_a_reader_lets_the_others_by_and_comes_again(database_url: str) -> None:
    reader, other = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    clock = ManualClock()
    try:
        await other.execute(_BACK_TO_0001)
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetch("SELECT execution_id FROM executions")
        migrating = asyncio.create_task(migrations.upgrade(database_url, clock))
        for waiting in (True, False):
            while await other.fetchval(_SOMEBODY_WAITS) is not waiting:
                await asyncio.sleep(0.01)
        # It has given up and sleeps, though the reader is still there: nobody waits behind it.
        await other.fetch("SELECT execution_id FROM executions", timeout=1)
        await transaction.rollback()
        while not migrating.done():
            clock.move(1)
            await asyncio.sleep(0.01)
        await migrating
        assert await other.fetchval("SELECT version_num FROM alembic_version") == newest()
    finally:
        await reader.close()
        await other.close()


async def test_bounds_that_are_no_instants_become_none_and_are_not_written_again(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_BACK_TO_0005)
        await connection.execute(_SCHEDULES)
        await connection.execute(_REVISIONS)
        await migrations.upgrade(database_url, ManualClock())
        start, end = "2026-01-01 00:00:00+00", "2027-01-01 00:00:00+00"
        bounds = [(None, end), (start, None), (None, None), (start, end), (None, None)]
        await connection.execute("SET timezone = 'UTC'")
        rows = await connection.fetch("SELECT start_at::text, end_at::text FROM workflow_schedules ORDER BY id")
        assert [tuple(row) for row in rows] == bounds
        rows = await connection.fetch(
            """SELECT (definition->>'start_at')::timestamptz::text, (definition->>'end_at')::timestamptz::text,
                      definition ? 'start_at' AND definition ? 'timezone'
                 FROM schedule_revisions ORDER BY (definition->>'id')::int"""
        )
        assert [tuple(row) for row in rows] == [(*each, True) for each in bounds]
        for column in ("start_at", "end_at"):
            for infinity in ("infinity", "-infinity"):
                with pytest.raises(asyncpg.CheckViolationError):
                    await connection.execute(f"UPDATE workflow_schedules SET {column} = '{infinity}'")
    finally:
        await connection.close()


@dataclass
class Building:
    """A migration to 0008 that waits, to build an index, for `written`: a transaction that has written to its table."""

    other: asyncpg.Connection
    written: Transaction
    migrating: "asyncio.Task[migrations.Standing]"


@asynccontextmanager
async def an_index_that_waits(database_url: str, *, made_so: str = "") -> AsyncIterator[Building]:
    """In a database that a statement has made so; in the end all indexes are there as if there had been nobody."""
    writer, other = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        expected = await other.fetch(_INDEXES)
        assert len(expected) == 4
        await other.execute(_BACK_TO_0007 + made_so)
        written = writer.transaction()
        await written.start()
        await writer.execute(_CHANGE)
        migrating = asyncio.create_task(migrations.upgrade(database_url, SystemClock()))
        while not await other.fetchval(_SOMEBODY_WAITS):
            await asyncio.sleep(0.01)
        yield Building(other, written, migrating)
        await migrating
        assert await other.fetch(_INDEXES) == expected
    finally:
        await writer.close()
        await other.close()


async def test_indexes_are_built_while_others_write_and_wait_for_who_has_written(database_url: str) -> None:
    async with an_index_that_waits(database_url) as building:
        # For longer than a change that keeps others out would wait.
        async with asyncio.timeout(3):
            for _ in range(25):
                await building.other.execute(_CHANGE)
                await asyncio.sleep(0.1)
        assert await building.other.fetchval(_SOMEBODY_WAITS)
        await building.written.commit()


async def test_an_index_that_was_cut_off_is_built_anew(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        expected = await connection.fetch(_INDEXES)
        await connection.execute(_BACK_TO_0007)
        await connection.execute("CREATE INDEX idx_audit_log_schedule_at ON audit_log (user_id)")
        await migrations.upgrade(database_url, SystemClock())
        assert await connection.fetch(_INDEXES) == expected
    finally:
        await connection.close()


async def test_processes_that_start_together_build_indexes_one_after_the_other(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_BACK_TO_0007)
        await connection.execute(_MANY_CHANGES)
        stands = await asyncio.gather(*(migrations.upgrade(database_url, SystemClock()) for _ in range(4)))
        assert stands == [migrations.Standing()] * 4
    finally:
        await connection.close()


async def test_indexes_are_built_though_the_user_has_little_time_for_a_statement(database_url: str) -> None:
    async with an_index_that_waits(database_url, made_so=f";{_LITTLE_TIME}") as building:
        await asyncio.wait([building.migrating], timeout=1)
        await building.written.commit()


class _Counting(SystemClock):
    """Counts how often it was slept by."""

    sleeps = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        await super().sleep(seconds)


async def test_who_waits_for_another_process_that_migrates_says_so_once(database_url: str) -> None:
    first = await asyncpg.connect(database_url)
    try:
        await first.execute("SELECT pg_advisory_lock(7305613091)")
        with capture_logs() as logs:
            clock = _Counting()
            waiting = asyncio.create_task(migrations.upgrade(database_url, clock))
            async with asyncio.timeout(20):
                while clock.sleeps < 3:
                    await asyncio.sleep(0.01)
                await first.execute("SELECT pg_advisory_unlock(7305613091)")
                await waiting
        assert [entry["event"] for entry in logs] == ["migrate_waits"]
    finally:
        await first.close()


async def test_a_process_of_an_older_release_that_waits_for_its_turn_is_let_by(database_url: str) -> None:
    """It waits within a statement, for which an index waits: one of the two is told so."""
    older = await asyncpg.connect(database_url)
    try:
        async with an_index_that_waits(database_url) as building:
            turn = asyncio.create_task(older.execute("SELECT pg_advisory_lock(7305613091)"))
            # It has looked for a deadlock by then, and found none: it is the index that will find one.
            await asyncio.wait([turn], timeout=1.5)
            await building.written.commit()
            async with asyncio.timeout(20):
                await turn
                await older.close()
                await building.migrating
    finally:
        await older.close()


async def test_the_patience_of_changes_to_come_is_that_of_those_before(database_url: str) -> None:
    """What builds indexes waits without an end, and puts back how long the migrations after it wait."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_BACK_TO_0007)
        left = await migrations._with_connection(database_url, _patience_after)
        assert left == "2s"
    finally:
        await connection.close()


def _patience_after(connection: Connection) -> str:
    assert migrations._upgrade(connection) is not None
    patience: str = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    return patience
