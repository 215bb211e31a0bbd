"""What reading the audit trail costs: which index answers each question, and how much is read for it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.core.audit import AuditAction
from app.core.queries import AuditFilter
from app.store import trail
from app.store.database import Database
from app.store.trail import Place
from tests.clocks import START
from tests.integration.databases import copied
from tests.integration.store.test_caller_plans import Explaining, as_connection
from tests.integration.store.test_caller_plans import explaining as planning

ENTRIES = 200_000
BUSY = UUID(int=1)
"""A schedule of which half of the trail tells, and `RARE` is one of which its oldest entries do."""
RARE = UUID(int=2)
RUN = UUID(int=3)
MIDDLE = START + timedelta(seconds=ENTRIES / 2)
PART = 51


@pytest.fixture(scope="module")
async def filled(postgres_url: str, database_template: str) -> AsyncIterator[Database]:
    """A community with a long trail, all of it reports of runs but for its oldest entries, and one that has none."""
    async with copied(postgres_url, database_template) as url:
        database = await Database.open(url, pool_size=2)
        async with database.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute(
                """
                INSERT INTO audit_log (at, community_id, user_id, role, action, schedule_id, execution_id)
                SELECT $1::timestamptz + n * interval '1 s', CASE WHEN n % 50 = 0 THEN 2 ELSE 1 END,
                       CASE WHEN n <= 30 THEN 'anna' WHEN n % 50 = 0 THEN 'bob' ELSE 'target' END, 'operator',
                       CASE WHEN n <= 30 THEN 'schedule_pause' WHEN n % 50 = 0 THEN 'schedule_triggered'
                            ELSE 'execution_complete' END,
                       CASE WHEN n <= 30 THEN $3::uuid WHEN n % 2 = 0 AND n % 50 > 0 THEN $2
                            ELSE gen_random_uuid() END,
                       CASE WHEN n = 40 THEN $4::uuid WHEN n > 30 THEN gen_random_uuid() END
                  FROM generate_series(1, $5::int) n
                """,
                START,
                BUSY,
                RARE,
                RUN,
                ENTRIES,
                timeout=60,
            )
        async with database.connection() as connection:
            await connection.execute("VACUUM ANALYZE audit_log")
        yield database
        await database.close()


class Counting(Explaining):
    """A connection that also counts the rows that a statement reads, those included that it does not want."""

    read = 0

    async def _explain(self, statement: str, values: tuple[object, ...]) -> None:
        (row,) = await self._connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
        self.plans.append(row[0])
        for node in self._scans(orjson.loads(row[0])[0]["Plan"]):
            self.read += node["Actual Rows"] + node.get("Rows Removed by Filter", 0)

    def _scans(self, node: dict[str, Any]) -> list[dict[str, Any]]:
        below = [scan for child in node.get("Plans", ()) for scan in self._scans(child)]
        return [node, *below] if node.get("Relation Name") == "audit_log" else below


@pytest.mark.parametrize(
    ("wanted", "index", "size"),
    [
        (AuditFilter(), "idx_audit_log_at", PART),
        (AuditFilter(from_at=START, to_at=MIDDLE), "idx_audit_log_at", PART),
        (AuditFilter(to_at=START + timedelta(seconds=11)), "idx_audit_log_at", 10),
        (AuditFilter(schedule_id=BUSY), "idx_audit_log_schedule_at", PART),
        (AuditFilter(schedule_id=BUSY, to_at=MIDDLE), "idx_audit_log_schedule_at", PART),
        (AuditFilter(schedule_id=RARE), "idx_audit_log_schedule_at", 30),
        (AuditFilter(execution_id=RUN), "idx_audit_log_execution_at", 1),
        (AuditFilter(schedule_id=RARE, user="anna"), "idx_audit_log_schedule_at", 30),
        (AuditFilter(execution_id=RUN, schedule_id=BUSY, user="target"), "idx_audit_log_execution_at", 1),
        (AuditFilter(user="target", to_at=MIDDLE), "idx_audit_log_at", PART),
        (AuditFilter(user="anna", from_at=START, to_at=START + timedelta(seconds=50)), "idx_audit_log_at", 30),
        (AuditFilter(action=AuditAction.EXECUTION_COMPLETE, to_at=MIDDLE), "idx_audit_log_at", PART),
    ],
    ids=str,
)
@pytest.mark.parametrize("before", [None, (MIDDLE, 0)], ids=["first", "further"])
async def test_each_question_is_answered_by_an_index_of_what_it_asks_for(
    filled: Database, wanted: AuditFilter, index: str, size: int, before: Place | None
) -> None:
    async with filled.transaction() as connection:
        counting = Counting(connection)
        look = await trail.look(as_connection(counting), 1, wanted, before=before, limit=PART, window=PART)
    assert len(look.found) == size
    assert counting.indexes() == {index}
    assert counting.scanned_whole() == set()
    assert counting.read <= PART


async def test_another_communitys_entries_are_not_even_read(filled: Database) -> None:
    async with filled.transaction() as connection:
        counting = Counting(connection)
        for wanted in (AuditFilter(schedule_id=RARE), AuditFilter(execution_id=RUN), AuditFilter(user="anna")):
            look = await trail.look(as_connection(counting), 3, wanted, before=None, limit=PART, window=PART)
            assert (look.found, look.reached) == ((), None)
    assert counting.read == 0


async def test_a_part_is_read_by_its_ids(filled: Database) -> None:
    async with planning(filled) as plan:
        look = await trail.look(as_connection(plan), 1, AuditFilter(), before=None, limit=PART, window=PART)
        plan.plans.clear()
        entries = await trail.these(as_connection(plan), 1, look.found)
    assert [(entry.at, entry.audit_id) for entry in entries.values] == list(look.found)
    assert plan.indexes() == {"audit_log_pkey"}
    assert plan.scanned_whole() == set()
    async with filled.connection() as connection:
        assert (await trail.these(connection, 2, look.found)).values == []
        assert (await trail.these(connection, 1, ())).values == []


async def test_what_is_common_elsewhere_and_missing_here_is_not_looked_for_in_the_whole_trail(
    filled: Database,
) -> None:
    """Postgres knows how common something is in the table, and not in a community."""
    async with filled.transaction() as connection:
        counting = Counting(connection)
        look = await trail.look(
            as_connection(counting), 2, AuditFilter(schedule_id=BUSY), before=None, limit=PART, window=PART
        )
        assert (look.found, look.reached) == ((), None)
    assert counting.read == 0
