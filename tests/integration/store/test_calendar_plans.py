"""What the statements about calendars and recomputing cost: each finds its rows by an index."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from app.core.occurrences import tzdata_version
from app.store import calendar_uses, calendars, recomputing
from app.store.database import Database
from tests.clocks import START
from tests.integration.databases import copied
from tests.integration.store.test_caller_plans import Explaining, as_connection, explaining

FIRST_ID = UUID(int=0)


@pytest.fixture(scope="module")
async def kept(postgres_url: str, database_template: str) -> AsyncIterator[Database]:
    """Two thousand calendars of ten communities, one of them stale; twenty thousand schedules that keep one each."""
    async with copied(postgres_url, database_template) as url:
        database = await Database.open(url, pool_size=2)
        async with database.transaction() as connection:
            await connection.execute(
                """
                INSERT INTO calendars (calendar_id, community_id, name, created_at, updated_at, days_revision)
                SELECT gen_random_uuid(), n % 10, 'calendar-' || n, $1, $1, CASE WHEN n = 77 THEN 2 ELSE 1 END
                  FROM generate_series(1, 2000) n
                """,
                START,
            )
            await connection.execute(
                """
                INSERT INTO workflow_schedules (schedule_id, community_id, schedule_type, interval_seconds, timezone,
                       status, next_execution_at, next_due_at, searched_to, tzdata_version, grace_period_seconds,
                       coalesce, max_instances, overlap_policy, completion, timeout_seconds, retry, after_completion,
                       created_at, updated_at)
                SELECT gen_random_uuid(), n % 10, 'interval', 60, 'UTC', 'active', $1, $1, $1, $2, 900, true, 3, 'skip',
                       'response', 60, '{}', 'keep', $1, $1
                  FROM generate_series(1, 20000) n
                """,
                *(START, tzdata_version()),
            )
            await connection.execute(
                """
                INSERT INTO calendar_uses (calendar_id, schedule_id, calendar_revision)
                SELECT c.calendar_id, s.schedule_id, 1
                  FROM workflow_schedules s JOIN calendars c ON c.name = 'calendar-' || (s.id % 100 + 1)
                """
            )
        async with database.connection() as connection:
            await connection.execute("ANALYZE")
        yield database
        await database.close()


@pytest.fixture
async def explain(kept: Database) -> AsyncIterator[Explaining]:
    async with explaining(kept) as explain:
        yield explain


async def test_named_calendars_are_found_by_their_names(explain: Explaining) -> None:
    names = ["calendar-11", "calendar-21"]
    assert len(await calendars.share(as_connection(explain), 1, names)) == 2
    assert await calendars.get(as_connection(explain), 1, "calendar-11") is not None
    assert explain.indexes() == {"calendars_community_id_name_key"}
    assert explain.scanned_whole() == set()


async def test_the_list_of_calendars_is_read_in_its_order(explain: Explaining) -> None:
    look = await calendars.look(as_connection(explain), 1, after=FIRST_ID, limit=11, window=11)
    assert len(look.found) == 11
    assert explain.indexes() == {"idx_calendars_community"}


async def test_a_stale_calendar_is_found_without_looking_at_the_others(explain: Explaining) -> None:
    found = await calendars.next_stale(as_connection(explain), FIRST_ID)
    assert found is not None
    assert found.name == "calendar-77"
    assert explain.indexes() == {"idx_calendars_stale"}


async def test_the_stale_uses_of_a_calendar_are_found_by_its_key(explain: Explaining) -> None:
    connection = as_connection(explain)
    found = await calendars.next_stale(connection, FIRST_ID)
    assert found is not None
    explain.plans.clear()
    stale = await calendar_uses.stale(connection, found.calendar_id, found.days_revision, FIRST_ID, 200)
    assert len(stale) == 200
    assert await calendar_uses.count(connection, found.calendar_id) == 200
    assert explain.indexes() == {"calendar_uses_pkey"}
    assert explain.scanned_whole() == set()
    explain.plans.clear()
    kept_by = await calendar_uses.of(connection, stale[:3])
    assert [len(one) for one in kept_by.values()] == [1, 1, 1]
    assert explain.indexes() == {"idx_calendar_uses_schedule"}


async def test_schedules_are_looked_through_for_older_rules_in_the_order_of_their_key(explain: Explaining) -> None:
    page = await recomputing.page_of_other_rules(as_connection(explain), 10_000, 500)
    assert page.by_version == {}
    assert page.reached == 10_500
    assert explain.indexes() == {"workflow_schedules_pkey"}
    assert "Sort" not in {node["Node Type"] for node in explain.nodes()}


async def test_schedules_are_locked_for_recomputing_by_their_ids(explain: Explaining) -> None:
    connection = as_connection(explain)
    found = await calendars.next_stale(connection, FIRST_ID)
    assert found is not None
    stale = await calendar_uses.stale(connection, found.calendar_id, found.days_revision, FIRST_ID, 20)
    explain.plans.clear()
    assert (await recomputing.lock_at(connection, stale, ["2019c"])).schedules == []
    assert explain.scanned_whole() == set()
    assert explain.indexes() == {"workflow_schedules_schedule_id_key"}
