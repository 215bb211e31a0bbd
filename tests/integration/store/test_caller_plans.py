"""What the statements of callers cost: which index they use, and how many partitions they open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import orjson
import pytest

from app.core.clock import to_ms
from app.core.execution import ExecutionStatus
from app.core.ids import execution_id, new_id
from app.core.queries import ExecutionFilter, ScheduleFilter
from app.core.schedule import ScheduleStatus
from app.store import catalogue, executions, health, history, resealing, revisions, schedules
from app.store.database import Connection, Database
from app.store.partitions import make
from app.store.schedules import Life
from tests.clocks import START
from tests.integration.databases import copied
from tests.integration.definitions import WORKFLOW

OWNER = new_id(0)
BY_ID = {"workflow_schedules_schedule_id_key", "idx_workflow_schedules_community"}


class Explaining:
    """A connection that explains the statements it is given, and then runs them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.plans: list[str] = []

    async def fetch(self, statement: str, *values: object) -> list["asyncpg.Record"]:
        await self._explain(statement, values)
        return await self._connection.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: object) -> "asyncpg.Record | None":
        await self._explain(statement, values)
        return await self._connection.fetchrow(statement, *values)

    async def fetchval(self, statement: str, *values: object) -> Any:
        await self._explain(statement, values)
        return await self._connection.fetchval(statement, *values)

    async def execute(self, statement: str, *values: object) -> str:
        if not statement.startswith("SET"):
            await self._explain(statement, values)
        return await self._connection.execute(statement, *values)

    def transaction(self) -> "asyncpg.transaction.Transaction":
        return self._connection.transaction()

    async def _explain(self, statement: str, values: tuple[object, ...]) -> None:
        rows = await self._connection.fetch(f"EXPLAIN (FORMAT JSON) {statement}", *values)
        self.plans.append(rows[0][0])

    def nodes(self) -> list[dict[str, Any]]:
        """Every node of every plan."""
        found: list[dict[str, Any]] = []
        waiting = [orjson.loads(plan)[0]["Plan"] for plan in self.plans]
        while waiting:
            node = waiting.pop()
            found.append(node)
            waiting += node.get("Plans", [])
        return found

    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}

    def scanned_whole(self) -> set[str]:
        return {node["Relation Name"] for node in self.nodes() if node["Node Type"] == "Seq Scan"}

    def relations(self) -> set[str]:
        return {node["Relation Name"] for node in self.nodes() if "Relation Name" in node}


@asynccontextmanager
async def explaining(database: Database) -> AsyncIterator[Explaining]:
    async with database.transaction() as connection:
        yield Explaining(connection)


def as_connection(explain: Explaining) -> Connection:
    return cast("Connection", explain)


@pytest.fixture(scope="module")
async def filled(postgres_url: str, database_template: str) -> AsyncIterator[Database]:
    """Twenty thousand schedules of ten communities, two days of executions; only read."""
    async with copied(postgres_url, database_template) as url:
        database = await Database.open(url, pool_size=2)
        await fill(database)
        yield database
        await database.close()


async def fill(database: Database) -> None:
    for day in range(3):
        assert await make(database, (START + timedelta(days=day)).date())
    async with database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO workflow_schedules (schedule_id, community_id, workflow_id, name, schedule_type,
                   interval_seconds, timezone, status, next_execution_at, next_due_at, searched_to, tzdata_version,
                   grace_period_seconds, coalesce, max_instances, overlap_policy, completion, timeout_seconds, retry,
                   after_completion, created_at, updated_at, target_host)
            SELECT gen_random_uuid(), n % 10, CASE WHEN n % 2000 = 0 THEN $2::uuid ELSE gen_random_uuid() END,
                   'name-' || n, 'interval', 60, 'UTC', 'active', $1::timestamptz + n * interval '1 s',
                   $1::timestamptz + n * interval '1 s', $1, '2026a', 900, true, 3, 'skip', 'response', 60, '{}',
                   'keep', $1, $1, CASE WHEN n % 100 = 1 THEN 'rare.example' ELSE 'host-' || n % 1000 END
              FROM generate_series(1, 20000) n
            """,
            START,
            WORKFLOW,
        )
        await connection.executemany(
            """
            INSERT INTO executions (execution_id, recorded_for, schedule_id, community_id, trigger, scheduled_for,
                   due_at, status, revision, created_at, finished_at)
            VALUES ($1, $2, $3, $4, 'schedule', $2, $2, $5, 1, $2, $6)
            """,
            [
                (
                    execution_id(OWNER, at, at, n),
                    at,
                    OWNER if n % 20 == 0 else new_id(n),
                    n % 10,
                    "failed" if n % 500 == 0 else "succeeded",
                    at if n % 400 else None,
                )
                for n in range(6000)
                for at in [START + timedelta(seconds=30 * n)]
            ],
        )
        await connection.execute("ANALYZE workflow_schedules")
        await connection.execute("ANALYZE executions")


async def test_the_list_of_schedules_reads_by_the_communitys_index(filled: Database) -> None:
    async with explaining(filled) as explain:
        look = await catalogue.look(as_connection(explain), 1, ScheduleFilter(), after=None, limit=51, window=51)
    assert len(look.found) == 51
    assert explain.scanned_whole() == set()


async def test_a_name_is_found_by_its_index(filled: Database) -> None:
    async with explaining(filled) as explain:
        # Another community's.
        assert await schedules.lock_named(as_connection(explain), 1, "name-2") is None
    assert explain.indexes() == {"workflow_schedules_name_key"}
    assert explain.scanned_whole() == set()


async def test_the_schedules_of_a_workflow_are_found_by_its_index(filled: Database) -> None:
    async with explaining(filled) as explain:
        await catalogue.look(
            as_connection(explain), 0, ScheduleFilter(workflow_id=WORKFLOW), after=None, limit=51, window=51
        )
    assert explain.indexes() == {"idx_workflow_schedules_workflow_id"}


async def test_the_few_schedules_of_a_host_are_found_by_its_index(filled: Database) -> None:
    wanted = ScheduleFilter(target_hosts=("rare.example",))
    async with explaining(filled) as explain:
        assert await catalogue.are_few(as_connection(explain), 1, ("rare.example",))
        look = await catalogue.look(
            as_connection(explain), 1, wanted, after=None, limit=501, window=catalogue.FEW + 1, by_host=True
        )
    assert len(look.found) == 200
    assert explain.indexes() == {"idx_workflow_schedules_target_host"}


async def test_the_many_of_a_host_are_met_on_the_way_through_the_community(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "FEW", 199)
    async with explaining(filled) as explain:
        assert not await catalogue.are_few(as_connection(explain), 1, ("rare.example",))
        wanted = ScheduleFilter(target_hosts=("rare.example",))
        look = await catalogue.look(as_connection(explain), 1, wanted, after=None, limit=501, window=1000)
    assert look.reached is not None
    assert explain.scanned_whole() == set()


async def test_what_is_to_be_changed_is_locked_by_its_id(filled: Database) -> None:
    wanted = ScheduleFilter(target_hosts=("rare.example",), status=ScheduleStatus.ACTIVE, name_prefix="name")
    async with explaining(filled) as explain:
        look = await catalogue.look(as_connection(explain), 1, wanted, after=None, limit=500, window=64_000)
    async with explaining(filled) as explain:
        locked = await catalogue.lock(as_connection(explain), 1, wanted, look.found)
    assert [one.schedule_id for one in locked.schedules] == list(look.found)
    assert explain.scanned_whole() == set()
    assert explain.indexes() <= {*BY_ID, "idx_workflow_schedules_target_host"}


async def test_a_few_of_many_are_kept_moved_and_removed_by_their_ids(filled: Database) -> None:
    async with filled.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        explain = Explaining(connection)
        look = await catalogue.look(connection, 1, ScheduleFilter(), after=None, limit=10, window=10)
        locked = await catalogue.lock(connection, 1, ScheduleFilter(), look.found)
        lives = [(one, Life(ScheduleStatus.PAUSED, "why", None, START, START)) for one in locked.schedules]
        moved = await schedules.move(as_connection(explain), 1, lives)
        await revisions.keep(as_connection(explain), 1, look.found, now=START)
        await schedules.remove(as_connection(explain), 1, look.found)
        await transaction.rollback()
    assert [(one.schedule_id, one.status) for one in moved] == [(one, ScheduleStatus.PAUSED) for one in look.found]
    assert explain.scanned_whole() == set()
    assert explain.indexes() <= BY_ID


async def test_an_execution_is_looked_up_in_the_one_partition_of_its_day(filled: Database) -> None:
    at = START + timedelta(days=1)
    async with explaining(filled) as explain:
        await executions.get(as_connection(explain), 0, execution_id(OWNER, at, at, 2880))
        await executions.lock(as_connection(explain), 0, execution_id(OWNER, at, at, 2880))
    assert explain.relations() == {"executions_20261124"}
    assert explain.scanned_whole() == set()


async def test_a_history_reads_by_its_index_however_long_it_is(filled: Database) -> None:
    async with explaining(filled) as explain:
        look = await history.look(
            as_connection(explain), 0, ExecutionFilter(schedule_id=OWNER), before=None, limit=51, window=51
        )
    assert len(look.found) == 51
    assert {name for name in explain.relations() if name in explain.scanned_whole()} <= {"executions_default"}


async def test_a_page_of_a_history_passes_over_the_days_after_it(filled: Database) -> None:
    at = START + timedelta(hours=13)
    async with explaining(filled) as explain:
        await history.look(
            as_connection(explain),
            0,
            ExecutionFilter(schedule_id=OWNER),
            before=execution_id(OWNER, at, at),
            limit=10,
            window=10,
        )
    assert explain.relations() <= {"executions_20261123", "executions_20261124", "executions_default"}


async def test_the_runs_of_a_backfill_are_found_by_the_index_of_their_history(filled: Database) -> None:
    backfill_id = new_id(to_ms(START + timedelta(hours=13)))
    asked = ExecutionFilter(schedule_id=OWNER, backfill_id=backfill_id)
    async with explaining(filled) as explain:
        await history.look_at_backfilled(as_connection(explain), 0, asked, before=None, limit=51)
        at = START + timedelta(hours=13)
        before = execution_id(OWNER, at, at)
        await history.look_at_backfilled(as_connection(explain), 0, asked, before=before, limit=51)
    assert len(explain.relations()) == 1
    assert explain.scanned_whole() == set()


async def test_the_dead_letters_of_a_community_are_found_by_their_index(filled: Database) -> None:
    async with explaining(filled) as explain:
        look = await history.look(
            as_connection(explain),
            0,
            ExecutionFilter(status=ExecutionStatus.FAILED),
            before=None,
            limit=51,
            window=5000,
        )
    assert len(look.found) == 12
    assert explain.scanned_whole() <= {"executions_default"}


async def test_overdue_and_active_are_counted_by_their_indexes(filled: Database) -> None:
    async with explaining(filled) as explain:
        late = await health.overdue(as_connection(explain), before=START + timedelta(seconds=11), at_most=1000)
        active = await health.active_schedules(as_connection(explain), 1, at_most=1000)
    assert (late, active) == (10, 1000)
    assert explain.scanned_whole() == set()
    assert "idx_workflow_schedules_next_execution" in explain.indexes()


async def test_what_is_sealed_anew_is_read_and_locked_by_the_primary_key(filled: Database) -> None:
    async with explaining(filled) as explain:
        page = await resealing.SCHEDULES.page(as_connection(explain), (10_000,), 1000)
        assert [row.key for row in page] == [(number,) for number in range(10_001, 11_001)]
        locked = await resealing.SCHEDULES.lock(as_connection(explain), [row.key for row in page[:100]])
        assert len(locked) == 100
        changes = [(row.key, {"X": "old"}, {"X": "new"}) for row in locked]
        for field in resealing.FIELDS:
            assert await resealing.SCHEDULES.write(as_connection(explain), field, changes) == set()
    assert explain.scanned_whole() == set()
    assert explain.indexes() == {"workflow_schedules_pkey"}


async def test_only_instants_up_to_the_year_9999_have_a_place_in_a_history(filled: Database) -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    async with explaining(filled) as explain:
        look = await history.look(
            as_connection(explain),
            0,
            ExecutionFilter(schedule_id=OWNER),
            before=execution_id(OWNER, last, last),
            limit=5,
            window=5,
        )
    assert len(look.found) == 5
