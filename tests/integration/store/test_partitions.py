"""The partitions: made ahead, filled from the default one, dropped only when nothing in them is unfinished."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from app.store import partitions, settling
from app.store.database import Connection, Database
from app.store.partitions import DAYS_AHEAD, DAYS_BEHIND, drop, drop_expired_of_default, expired, make, missing_days
from tests.clocks import START
from tests.integration.store.rows import add_execution

TODAY = START.date()
DAY = timedelta(days=1)
# Between the move of a day's rows and the moment in which they are a part of the table again.
_SLOW_ATTACH = """
    CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); END $$;
    CREATE EVENT TRIGGER slow_attach ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION slow();
"""
# Between the question whether a day holds something unfinished and its end.
_SLOW_DROP = """
    CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); END $$;
    CREATE EVENT TRIGGER slow_drop ON ddl_command_start WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION slow();
"""
_ATTACHES = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"


async def _partition_of(database: Database, execution_id: object) -> str:
    async with database.connection() as connection:
        found: str = await connection.fetchval(
            "SELECT tableoid::regclass::text FROM executions WHERE execution_id = $1", execution_id
        )
    return found


async def _missing(database: Database) -> list[date]:
    async with database.connection() as connection:
        return await missing_days(connection, TODAY)


async def _expired(database: Database, days: int) -> list[str]:
    async with database.connection() as connection:
        return await expired(connection, TODAY, days)


@asynccontextmanager
async def _busy(database: Database, table: str) -> AsyncIterator[Connection]:
    """A transaction that has read the table and goes on."""
    async with database.transaction() as connection:
        await connection.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        yield connection


@pytest.mark.fault("26")
async def test_days_are_wanted_from_the_longest_grace_behind_to_days_ahead(database: Database) -> None:
    wanted = await _missing(database)
    assert wanted == [TODAY + n * DAY for n in range(-DAYS_BEHIND, DAYS_AHEAD + 1)]
    assert await make(database, wanted[0])
    assert await _missing(database) == wanted[1:]


async def test_rows_go_to_the_partition_of_their_utc_day(database: Database) -> None:
    midnight = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
    assert await make(database, TODAY)
    async with database.connection() as connection:
        before, first, last, after = [
            await add_execution(connection, at=at)
            for at in (
                midnight - timedelta(milliseconds=1),
                midnight,
                midnight + DAY - timedelta(milliseconds=1),
                midnight + DAY,
            )
        ]
    for inside in (first, last):
        assert await _partition_of(database, inside) == "executions_20261123"
    for outside in (before, after):
        assert await _partition_of(database, outside) == "executions_default"


@pytest.mark.fault("26")
async def test_what_fell_into_the_default_partition_is_moved_when_its_day_is_made(database: Database) -> None:
    async with database.connection() as connection:
        ids = [await add_execution(connection, at=START + n * timedelta(hours=6), wake_at=START) for n in range(-4, 8)]
        before = {row["execution_id"]: row for row in await connection.fetch("SELECT * FROM executions")}
    assert await make(database, TODAY)
    async with database.connection() as connection:
        after = {row["execution_id"]: row for row in await connection.fetch("SELECT * FROM executions")}
        moved = await connection.fetchval("SELECT count(*) FROM executions_20261123")
    assert after == before
    assert moved == 4
    assert len(ids) == 12


@pytest.mark.fault("26")
async def test_a_day_of_which_too_much_fell_into_the_default_partition_stays_there(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody fires while rows are moved: it would stand still for longer than a statement may take, again and again."""
    monkeypatch.setattr(partitions, "MOVED_AT_MOST", 3)
    async with database.connection() as connection:
        ids = [await add_execution(connection) for _ in range(4)]
    assert not await make(database, TODAY)
    assert {await _partition_of(database, execution_id) for execution_id in ids} == {"executions_default"}
    async with database.connection() as connection:
        await connection.execute("DELETE FROM executions WHERE execution_id = $1", ids.pop())
    assert await make(database, TODAY)
    assert {await _partition_of(database, execution_id) for execution_id in ids} == {"executions_20261123"}


@pytest.mark.fault("26")
async def test_what_is_written_while_its_row_is_moved_is_written(database: Database) -> None:
    """It waits: a statement that was planned before the move would find no row, and an outcome count as refused."""
    owner = uuid4()
    async with database.transaction() as connection:
        moved = await add_execution(connection, owner=owner, attempt=1)
        await connection.execute(_SLOW_ATTACH)
    making = asyncio.create_task(make(database, TODAY))
    async with asyncio.timeout(10), database.connection() as connection:
        while not await connection.fetchval(_ATTACHES):
            await asyncio.sleep(0.005)
    async with database.connection() as connection:
        written = await settling.release(connection, [moved], owner=owner, now=START)
    assert await making
    assert [wake.execution_id for wake in written] == [moved]


async def test_a_partition_has_every_index_of_its_parent(database: Database) -> None:
    assert await make(database, TODAY)
    async with database.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT parent.relname FROM pg_index i
              JOIN pg_inherits h ON h.inhrelid = i.indexrelid JOIN pg_class parent ON parent.oid = h.inhparent
             WHERE i.indrelid = 'executions_20261123'::regclass
            """
        )
    assert {row[0] for row in rows} == {
        "executions_pkey",
        "idx_executions_history",
        "idx_executions_unfinished",
        "idx_executions_wake",
        "idx_executions_failed",
    }


async def test_a_day_is_made_once_by_whoever_comes_first(database: Database) -> None:
    made = await asyncio.gather(*(make(database, TODAY) for _ in range(3)))
    assert sorted(made) == [False, False, True]
    assert not await make(database, TODAY)
    assert TODAY not in await _missing(database)


@pytest.mark.parametrize("table", ["executions", "executions_default"])
async def test_a_day_is_not_made_while_the_default_partition_is_busy(database: Database, table: str) -> None:
    async with _busy(database, "executions_default" if table == "executions_default" else "executions") as connection:
        # A read over the whole table holds every partition.
        await connection.fetch("SELECT count(*) FROM executions")
        assert not await make(database, TODAY)
    assert await make(database, TODAY)


async def test_an_insert_waits_no_longer_than_the_attempt_to_make_a_day(database: Database) -> None:
    async with _busy(database, "executions_default"):
        attempt = asyncio.create_task(make(database, TODAY))
        async with database.connection() as connection:
            execution_id = await asyncio.wait_for(add_execution(connection), 3)
        assert not await attempt
    assert await _partition_of(database, execution_id) == "executions_default"


async def test_only_days_that_are_past_their_retention_expire(database: Database) -> None:
    for back in (31, 30, 29, 8, 7, 0, -3):
        assert await make(database, TODAY - back * DAY)
    assert await _expired(database, 30) == ["executions_20261023"]
    # What may still be recorded is kept whatever the retention says.
    assert await _expired(database, 1) == [
        "executions_20261023",
        "executions_20261024",
        "executions_20261025",
        "executions_20261115",
    ]


async def test_an_expired_day_is_dropped_whole(database: Database) -> None:
    old = START - 40 * DAY
    assert await make(database, old.date())
    async with database.connection() as connection:
        await add_execution(connection, at=old, status="succeeded", finished_at=old)
        kept = await add_execution(connection)
    (name,) = await _expired(database, 30)
    assert await drop(database, name)
    assert await _expired(database, 30) == []
    async with database.connection() as connection:
        assert [row[0] for row in await connection.fetch("SELECT execution_id FROM executions")] == [kept]


@pytest.mark.parametrize("status", ["pending", "queued", "running", "retrying"])
async def test_a_day_that_holds_something_unfinished_is_never_dropped(database: Database, status: str) -> None:
    old = START - 400 * DAY
    assert await make(database, old.date())
    async with database.connection() as connection:
        for _ in range(3):
            await add_execution(connection, at=old, status="succeeded", finished_at=old)
        unfinished = await add_execution(connection, at=old, status=status)
    (name,) = await _expired(database, 30)
    assert not await drop(database, name)
    assert await _partition_of(database, unfinished) == name
    async with database.connection() as connection:
        await connection.execute("UPDATE executions SET finished_at = $1", START)
    assert await drop(database, name)


async def test_what_is_recorded_while_its_day_is_dropped_is_not_dropped_with_it(database: Database) -> None:
    old = START - 40 * DAY
    assert await make(database, old.date())
    (name,) = await _expired(database, 30)
    async with database.connection() as connection:
        await connection.execute(_SLOW_DROP)
    dropping = asyncio.create_task(drop(database, name))
    async with database.connection() as connection:
        while not await connection.fetchval(_ATTACHES):
            assert not dropping.done()
        recorded = await add_execution(connection, at=old)
    assert await dropping
    assert await _partition_of(database, recorded) == "executions_default"


async def test_a_day_is_not_dropped_while_the_table_is_busy(database: Database) -> None:
    assert await make(database, TODAY - 40 * DAY)
    (name,) = await _expired(database, 30)
    async with _busy(database, "executions"):
        assert not await drop(database, name)
    assert await drop(database, name)


async def test_a_day_that_another_has_dropped_meanwhile_is_no_trouble(database: Database) -> None:
    assert await make(database, TODAY - 40 * DAY)
    (name,) = await _expired(database, 30)
    assert sorted(await asyncio.gather(drop(database, name), drop(database, name))) == [False, True]
    assert not await drop(database, name)


async def test_a_day_can_be_made_again_after_it_was_dropped(database: Database) -> None:
    assert await make(database, TODAY - 40 * DAY)
    assert await drop(database, "executions_20261014")
    assert await make(database, TODAY - 40 * DAY)


async def test_what_has_expired_in_the_default_partition_goes_when_it_is_finished(database: Database) -> None:
    old = START - 40 * DAY
    async with database.connection() as connection:
        await add_execution(connection, at=old, status="failed", finished_at=START)
        kept = [
            await add_execution(connection, at=old),
            await add_execution(connection, at=START, status="failed", finished_at=START),
        ]
        assert await drop_expired_of_default(connection, START - 30 * DAY) == 1
        assert {row[0] for row in await connection.fetch("SELECT execution_id FROM executions")} == set(kept)
