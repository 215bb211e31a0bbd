"""Runs that make way for others, or are woken, whatever ends or starts meanwhile."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

from app.core.ids import new_id
from app.store import queueing
from app.store.database import Connection, Database
from app.store.queueing import Group
from tests.clocks import START
from tests.integration.store.rows import add_execution, execution

SECOND = timedelta(seconds=1)


async def _standing(database: Database, schedule_id: UUID, number: int) -> list[UUID]:
    """So many runs of a schedule that have not ended, the oldest first."""
    async with database.transaction() as connection:
        return [
            await add_execution(connection, schedule_id=schedule_id, at=START + number * SECOND, attempt=1)
            for number in range(number)
        ]


async def test_the_oldest_make_way_and_the_newest_go_on(database: Database) -> None:
    one, other = new_id(1), new_id(2)
    runs, others = await _standing(database, one, 4), await _standing(database, other, 2)
    async with database.transaction() as connection:
        queued = await add_execution(connection, schedule_id=one, status="queued")
        of_backfill = await add_execution(connection, schedule_id=one, group_id=uuid4())
        assert set(await queueing.make_way(connection, {one: 1, other: 0}, now=START)) == {*runs[:3], *others}
        for left in (runs[3], queued, of_backfill):
            assert (await execution(connection, left))["finished_at"] is None


async def test_of_what_is_queued_the_one_whose_instant_comes_first_is_woken_and_starts(database: Database) -> None:
    """Those of a backfill are recorded at once: their ids say nothing of their order."""
    schedule_id, group_id = new_id(1), uuid4()
    group = Group(schedule_id, group_id)
    async with database.transaction() as connection:
        for instants in (range(6), range(5, -1, -1)):
            ids = {
                instant: await add_execution(
                    connection,
                    schedule_id=schedule_id,
                    group_id=group_id,
                    status="queued",
                    scheduled_for=START - (9 - instant) * SECOND,
                    wake_at=START + SECOND,
                )
                for instant in instants
            }
            in_order = [ids[instant] for instant in range(6)]
            assert await queueing.oldest_queued(connection, group, 3) == in_order[:3]
            (woken,) = await queueing.wake_oldest(connection, [group], now=START)
            assert (woken.execution_id, woken.wake_at) == (in_order[0], START)
            await connection.execute("DELETE FROM executions")


async def test_who_ended_before_it_is_looked_has_made_room(database: Database) -> None:
    schedule_id = new_id(1)
    runs = await _standing(database, schedule_id, 3)
    # Three stood when it was decided that one has to make way.
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE executions SET finished_at = $2, status = 'succeeded' WHERE execution_id = $1", runs[1], START
        )
        assert await queueing.make_way(connection, {schedule_id: 2}, now=START) == []


async def test_who_ends_while_it_is_looked_makes_room(database: Database) -> None:
    schedule_id = new_id(1)
    runs = await _standing(database, schedule_id, 3)
    async with database.transaction() as making, database.connection() as watching:
        async with database.transaction() as ending:
            await ending.execute(
                "UPDATE executions SET finished_at = $2, status = 'succeeded' WHERE execution_id = $1", runs[2], START
            )
            making_way = asyncio.create_task(queueing.make_way(making, {schedule_id: 2}, now=START))
            await _somebody_waits(watching)
        assert await making_way == []


async def test_what_is_started_while_it_is_woken_has_an_owner_and_waits_for_no_time(database: Database) -> None:
    schedule_id, owner = new_id(1), uuid4()
    async with database.transaction() as connection:
        queued = await add_execution(connection, schedule_id=schedule_id, status="queued", wake_at=START + 5 * SECOND)
    async with database.transaction() as waking, database.connection() as watching:
        async with database.transaction() as starting:
            await starting.execute(
                "UPDATE executions SET status = 'pending', owner = $2, attempt = 1, wake_at = NULL"
                " WHERE execution_id = $1",
                queued,
                owner,
            )
            woken = asyncio.create_task(queueing.wake_oldest(waking, [Group(schedule_id, None)], now=START))
            await _somebody_waits(watching)
        assert await woken == []
    async with database.connection() as connection:
        row = await execution(connection, queued)
    assert (row["status"], row["owner"], row["wake_at"]) == ("pending", owner, None)


async def _somebody_waits(watching: Connection) -> None:
    async with asyncio.timeout(10):
        while not await watching.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.005)
