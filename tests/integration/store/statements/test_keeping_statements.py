"""The statements of presence and of the keepers: the dead, what is due, whose turn it is, what has served its time."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from app.store import retention, upkeep, workers
from app.store.database import Connection, Database
from app.store.upkeep import FIRST_ID, Keeper, WaitingRow
from tests.clocks import START
from tests.integration.store.rows import add_execution, add_schedule, execution

DAY = timedelta(days=1)


async def _worker(connection: Connection) -> UUID:
    worker_id = uuid4()
    await workers.register(connection, worker_id, host="host", pid=1, version="1")
    return worker_id


async def test_a_beat_counts_up_until_the_worker_is_buried_or_leaves(database: Database) -> None:
    async with database.transaction() as connection:
        first, second = await _worker(connection), await _worker(connection)
        assert await workers.beat(connection, first)
        assert await workers.beats(connection) == {first: 1, second: 0}
        assert await workers.declare_dead(connection, {first: 1}) == [first]
        assert not await workers.beat(connection, first)
        await workers.leave(connection, second)
        assert await workers.beats(connection) == {}


async def test_who_beat_since_it_was_watched_is_not_dead(database: Database) -> None:
    async with database.transaction() as connection:
        worker = await _worker(connection)
        await workers.beat(connection, worker)
        assert await workers.declare_dead(connection, {worker: 0, uuid4(): 0}) == []
        assert await workers.beats(connection) == {worker: 1}


async def test_only_what_is_pending_under_a_dead_or_unknown_owner_is_released(database: Database) -> None:
    async with database.transaction() as connection:
        alive, dead = await _worker(connection), uuid4()
        lost = await add_execution(connection, owner=dead, attempt=4, community_id=7)
        await add_execution(connection, owner=alive)
        await add_execution(connection)
        await add_execution(connection, owner=dead, status="cancelled", finished_at=START)
        (released,) = await workers.release_ownerless(connection, now=START, limit=100)
        assert (released.community_id, released.execution_id, released.wake_at) == (7, lost, START)
        row = await execution(connection, lost)
        assert (row["owner"], row["attempt"], row["status"]) == (None, 4, "pending")
        assert await workers.release_ownerless(connection, now=START, limit=100) == []


async def test_what_is_released_at_once_is_bounded_and_passes_over_what_is_locked(database: Database) -> None:
    async with database.transaction() as connection:
        lost = [await add_execution(connection, owner=uuid4(), at=START - n * DAY) for n in range(5)]
    async with database.transaction() as first, database.transaction() as second:
        assert len(await workers.release_ownerless(first, now=START, limit=3)) == 3
        assert len(await workers.release_ownerless(second, now=START, limit=100)) == 2
    async with database.connection() as connection:
        assert not any([(await execution(connection, one))["owner"] for one in lost])


async def test_a_worker_is_told_what_is_pending_under_its_own_id(database: Database) -> None:
    me = uuid4()
    async with database.transaction() as connection:
        mine = await add_execution(connection, owner=me)
        await add_execution(connection, owner=uuid4())
        await add_execution(connection, owner=me, status="succeeded", finished_at=START)
        assert await workers.pending_of(connection, me) == [(mine, START)]


async def _pages(connection: Connection, until: datetime, limit: int, *, schedules: bool) -> list[list[WaitingRow]]:
    read = upkeep.schedules_due if schedules else upkeep.executions_due
    pages, after = [], (datetime.fromtimestamp(0, START.tzinfo), FIRST_ID)
    while page := list(await read(connection, after, until, limit)):
        pages.append(page)
        after = (page[-1].due_at, page[-1].row_id)
    return pages


async def test_pages_of_what_is_due_neither_repeat_nor_leave_out_what_is_due_together(database: Database) -> None:
    async with database.transaction() as connection:
        due = {await add_schedule(connection, next_due_at=START + timedelta(seconds=n // 7)) for n in range(40)}
        waits = {await add_execution(connection, wake_at=START + timedelta(seconds=n // 7)) for n in range(40)}
        await add_schedule(connection, status="paused")
        await add_schedule(connection, next_due_at=START + DAY)
        await add_execution(connection)
        await add_execution(connection, wake_at=START + DAY)
        for wanted, schedules in ((due, True), (waits, False)):
            pages = await _pages(connection, START + timedelta(minutes=1), 3, schedules=schedules)
            found = [one.row_id for page in pages for one in page]
            assert len(found) == 40
            assert set(found) == wanted
            times = [one.due_at for page in pages for one in page]
            assert times == sorted(times)


async def test_a_keepers_pass_is_one_at_a_time_until_its_transaction_ends(database: Database) -> None:
    async with database.transaction() as first, database.transaction() as second:
        assert await upkeep.try_turn(first, Keeper.WINDOW)
        assert not await upkeep.try_turn(second, Keeper.WINDOW)
        assert await upkeep.try_turn(second, Keeper.SWEEP)
    async with database.transaction() as third:
        assert await upkeep.try_turn(third, Keeper.WINDOW)


async def _remove(connection: Connection, *, before: datetime = START - DAY, limit: int = 100) -> int:
    return await retention.remove_completed(connection, completed_before=before, now=START, limit=limit)


async def test_completed_schedules_go_when_they_ask_for_it_or_are_old(database: Database) -> None:
    async with database.transaction() as connection:
        old = START - 2 * DAY
        gone = [
            await add_schedule(connection, status="completed", after_completion="delete", completed_at=START),
            await add_schedule(connection, status="completed", completed_at=old),
        ]
        kept = [
            await add_schedule(connection, status="completed", completed_at=START),
            await add_schedule(connection, after_completion="delete"),
            await add_schedule(connection, status="paused", after_completion="delete"),
            await add_schedule(connection, status="failed"),
        ]
        busy = await add_schedule(connection, status="completed", after_completion="delete", completed_at=old)
        waiting = await add_execution(connection, schedule_id=busy, status="retrying", wake_at=START)
        assert await _remove(connection) == len(gone)
        left = await connection.fetch("SELECT schedule_id FROM workflow_schedules")
        assert {row[0] for row in left} == {*kept, busy}
        # The definition stays for whoever retries one of its executions.
        revisions = await connection.fetch("SELECT schedule_id, definition ->> 'timezone' FROM schedule_revisions")
        assert {(row[0], row[1]) for row in revisions} == {(one, "UTC") for one in gone}

        await connection.execute("UPDATE executions SET finished_at = $2 WHERE execution_id = $1", waiting, START)
        assert await _remove(connection) == 1


class _Interrupted:
    """A connection on which something comes between the first statement and the second."""

    def __init__(self, connection: Connection, then: Callable[[], Awaitable[object]]) -> None:
        self._connection = connection
        self._then = then

    async def fetch(self, *arguments: Any) -> Any:
        rows = await self._connection.fetch(*arguments)
        await self._then()
        return rows

    async def execute(self, *arguments: Any) -> Any:
        return await self._connection.execute(*arguments)


async def test_a_completed_schedule_stays_where_a_run_was_recorded_before_its_row_was_locked(
    database: Database,
) -> None:
    async with database.connection() as connection:
        completed = await add_schedule(
            connection, status="completed", after_completion="delete", completed_at=START - 2 * DAY
        )

    async def trigger() -> None:
        # Committed after the first statement's snapshot, which does not see it.
        async with database.connection() as other:
            await add_execution(other, schedule_id=completed)

    async with database.transaction() as connection:
        await _remove(cast("Connection", _Interrupted(connection, trigger)))
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM workflow_schedules") == 1
        assert await connection.fetchval("SELECT count(*) FROM schedule_revisions") == 0


async def test_removing_is_bounded_and_passes_over_what_is_locked(database: Database) -> None:
    async with database.transaction() as connection:
        for _ in range(5):
            await add_schedule(connection, status="completed", after_completion="delete", completed_at=START)
    async with database.transaction() as first, database.transaction() as second:
        assert await _remove(first, limit=2) == 2
        assert await _remove(second, limit=100) == 3


async def test_a_definition_is_forgotten_when_it_is_old_and_nothing_unfinished_names_it(database: Database) -> None:
    async with database.transaction() as connection:
        old, new, busy, dead, late, done = (uuid4() for _ in range(6))
        await connection.executemany(
            "INSERT INTO schedule_revisions VALUES ($1, 1, 1, '{}', $2)",
            [(new, START), *((one, START - DAY) for one in (old, busy, dead, late, done))],
        )
        await add_execution(connection, schedule_id=busy)
        # An operator may have these delivered once more.
        await add_execution(connection, schedule_id=dead, status="failed", finished_at=START)
        await add_execution(connection, schedule_id=late, status="timed_out", finished_at=START)
        await add_execution(connection, schedule_id=done, status="succeeded", finished_at=START)
        await retention.forget_revisions(connection, superseded_before=START, limit=100)
        left = await connection.fetch("SELECT schedule_id FROM schedule_revisions")
        assert {row[0] for row in left} == {new, busy, dead, late}


async def test_a_repeated_request_is_known_for_a_day(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.executemany(
            "INSERT INTO idempotency_keys VALUES (1, $1, '', 201, '{}', '', $2)",
            [("old", START - DAY - timedelta(milliseconds=1)), ("new", START - DAY)],
        )
        await retention.forget_idempotency_keys(connection, now=START)
        assert [row[0] for row in await connection.fetch("SELECT key FROM idempotency_keys")] == ["new"]
