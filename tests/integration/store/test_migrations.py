"""Migrating a database that is in use."""

import asyncio

import asyncpg

from app.store import migrations
from app.store.schema import newest
from tests.clocks import ManualClock

_BACK_TO_0001 = """
    ALTER TABLE executions DROP COLUMN awaited, DROP COLUMN reason_detail;
    ALTER TABLE calendars DROP COLUMN weekend, DROP COLUMN days_revision, DROP COLUMN recomputed_revision;
    DROP INDEX idx_calendars_community;
    DROP TABLE calendar_uses;
    ALTER TABLE workflow_schedules DROP COLUMN target_host;
    ALTER TABLE workers DROP COLUMN targets;
    UPDATE alembic_version SET version_num = '0001'
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
