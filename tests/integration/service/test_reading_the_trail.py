"""Reading the audit trail: what is found of it, in which order, and in which parts."""

import asyncio
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from struct import pack
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.audit import AuditAction, AuditEntry
from app.core.errors import InvalidScheduleException, StoreUnavailableException
from app.core.queries import AuditFilter
from app.service import paging
from app.service.auditing import AuditService
from app.store.database import Database
from tests.clocks import START
from tests.integration.definitions import cron
from tests.integration.service.world import CALLER, STRANGER, World

SCHEDULES = [UUID(int=number) for number in (1, 2)]
RUNS = [UUID(int=number) for number in (11, 12)]
USERS = ("ada", "bob", None)
ACTIONS = (AuditAction.SCHEDULE_PAUSE, AuditAction.EXECUTION_CANCEL)
INSTANTS = [START + timedelta(microseconds=number) for number in range(4)]
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_INSERT = """
    INSERT INTO audit_log (community_id, at, user_id, action, schedule_id, execution_id)
    VALUES ($1, $2, $3, $4, $5, $6)
"""

optional = st.none() | st.sampled_from(INSTANTS)
rows = st.tuples(
    st.sampled_from((CALLER.community_id, CALLER.community_id, STRANGER.community_id)),
    st.sampled_from(INSTANTS),
    st.sampled_from(USERS),
    st.sampled_from(ACTIONS),
    st.none() | st.sampled_from(SCHEDULES),
    st.none() | st.sampled_from(RUNS),
)
filters = st.builds(
    AuditFilter,
    schedule_id=st.none() | st.sampled_from(SCHEDULES),
    execution_id=st.none() | st.sampled_from(RUNS),
    action=st.none() | st.sampled_from(ACTIONS),
    user=st.none() | st.sampled_from(("ada", "bob")),
    from_at=optional,
    to_at=optional,
)


async def walk(trail: AuditService, wanted: AuditFilter, *, limit: int) -> list[AuditEntry]:
    """All entries that match, read part by part; each part is as long as it may be, and says whether more follow."""
    found: list[AuditEntry] = []
    cursor: str | None = None
    while True:
        page = await trail.find(CALLER, wanted, limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def matches(entry: AuditEntry, wanted: AuditFilter) -> bool:
    return (
        wanted.schedule_id in (None, entry.schedule_id)
        and wanted.execution_id in (None, entry.execution_id)
        and wanted.action in (None, entry.action)
        and wanted.user in (None, entry.user)
        and (wanted.from_at is None or entry.at >= wanted.from_at)
        and (wanted.to_at is None or entry.at < wanted.to_at)
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(stored=st.lists(rows, max_size=12), wanted=filters, limit=st.integers(1, 5))
async def test_whatever_is_asked_for_is_found_newest_first_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch, stored: list[tuple[Any, ...]], wanted: AuditFilter, limit: int
) -> None:
    # So few are read by one request that what is looked for among others lies beyond it.
    monkeypatch.setattr(paging, "_WINDOWS", (2, 3))
    async with world.database.connection() as connection:
        await connection.execute("TRUNCATE audit_log")
        await connection.executemany(_INSERT, stored)
    trail = AuditService(world.database)
    own = await walk(trail, AuditFilter(), limit=limit)
    assert len(own) == sum(row[0] == CALLER.community_id for row in stored)
    assert own == sorted(own, key=lambda entry: (entry.at, entry.audit_id), reverse=True)
    assert await walk(trail, wanted, limit=limit) == [entry for entry in own if matches(entry, wanted)]


async def test_a_part_whose_looks_found_too_little_says_where_it_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = await world.create(cron())
    await world.schedules.pause(CALLER, schedule.schedule_id, reason="lunch")
    for _ in range(12):
        await world.trigger(schedule)
    trail = AuditService(world.database)
    rare = AuditFilter(schedule_id=schedule.schedule_id, action=AuditAction.SCHEDULE_PAUSE)
    # Among so few it is found at once, however short the part.
    page = await trail.find(CALLER, rare, limit=1, cursor=None)
    assert (len(page.items), page.next_cursor) == (1, None)
    monkeypatch.setattr(paging, "_WINDOWS", (2, 4))
    page = await trail.find(CALLER, rare, limit=5, cursor=None)
    assert page.items == ()
    assert page.next_cursor is not None
    (entry,) = await walk(trail, rare, limit=5)
    assert entry.reason == "lunch"


async def test_what_an_index_answers_is_answered_whole_however_rare_it_is_and_the_rest_is_looked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "_WINDOWS", (1,))
    schedule = await world.create(cron())
    run = await world.trigger(schedule)
    await world.schedules.pause(CALLER, schedule.schedule_id, reason="lunch")
    others = await world.create(cron())
    for _ in range(12):
        await world.trigger(others)
    trail = AuditService(world.database)
    for rare, size in (
        (AuditFilter(schedule_id=schedule.schedule_id), 3),
        (AuditFilter(execution_id=run.execution_id), 1),
        (AuditFilter(from_at=START, to_at=START + timedelta(hours=1)), 16),
    ):
        page = await trail.find(CALLER, rare, limit=500, cursor=None)
        assert (len(page.items), page.next_cursor) == (size, None)
    paused = AuditFilter(action=AuditAction.SCHEDULE_PAUSE)
    page = await trail.find(CALLER, paused, limit=500, cursor=None)
    assert page.items == ()
    assert page.next_cursor is not None, "one was looked at, and it was another"
    assert len(await walk(trail, paused, limit=500)) == 1


async def test_while_many_write_a_reader_finds_each_entry_of_before_once(world: World) -> None:
    schedules = [await world.create(cron()) for _ in range(6)]
    for schedule in schedules:
        for _ in range(5):
            await world.trigger(schedule)
    trail = AuditService(world.database)
    before = await walk(trail, AuditFilter(), limit=500)
    assert len(before) == 36
    reading = True

    async def write(number: int) -> None:
        while reading:
            world.clock.move(0.001)
            await world.trigger(schedules[number])

    writers = [asyncio.create_task(write(number)) for number in range(len(schedules))]
    try:
        for wanted in (AuditFilter(), AuditFilter(user="ada"), AuditFilter(schedule_id=schedules[2].schedule_id)):
            found = await walk(trail, wanted, limit=3)
            known = {entry.audit_id for entry in before}
            assert [entry for entry in found if entry.audit_id in known] == [
                entry for entry in before if matches(entry, wanted)
            ]
            assert len({entry.audit_id for entry in found}) == len(found)
    finally:
        reading = False
        await asyncio.gather(*writers)


@pytest.mark.parametrize(
    "cursor", ["", "x", "A" * 21, "A" * 23, "A" * 21 + "B", "é" * 22, "A" * 21 + "=", "f" + "_" * 10 + "A" * 11]
)
async def test_what_is_no_cursor_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(InvalidScheduleException, match="next_cursor"):
        await AuditService(world.database).find(CALLER, AuditFilter(), limit=5, cursor=cursor)


@pytest.mark.parametrize(
    ("instant", "audit_id", "size"),
    [(LAST, 2**63 - 1, 1), (LAST, -(2**63), 1), (FIRST, 2**63 - 1, 0), (FIRST, 0, 0)],
)
async def test_a_cursor_may_name_any_instant_that_there_is(
    world: World, instant: datetime, audit_id: int, size: int
) -> None:
    await world.create(cron())
    microseconds = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    cursor = urlsafe_b64encode(pack(">qq", microseconds, audit_id)).decode().rstrip("=")
    page = await AuditService(world.database).find(CALLER, AuditFilter(), limit=5, cursor=cursor)
    assert (len(page.items), page.next_cursor) == (size, None)


async def test_a_text_that_postgres_cannot_hold_is_a_refusal(world: World) -> None:
    with pytest.raises(InvalidScheduleException):
        await AuditService(world.database).find(CALLER, AuditFilter(user="a\0"), limit=5, cursor=None)


async def test_a_database_that_is_away_is_said_so(database_url: str) -> None:
    database = await Database.open(database_url)
    await database.close()
    with pytest.raises(StoreUnavailableException):
        await AuditService(database).find(CALLER, AuditFilter(), limit=5, cursor=None)


async def test_the_statement_of_the_docs_cuts_the_oldest_and_nothing_else(world: World) -> None:
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
    (cut,) = re.findall(r"```sql\n(.+?)```", page, re.DOTALL)
    await world.rows(
        """
        INSERT INTO audit_log (community_id, at, action)
        SELECT days, now() - days * interval '1 day', 'key_create' FROM unnest(ARRAY[500, 401, 399, 1]) days
        """
    )
    await world.rows(cut)
    assert await world.one("SELECT array_agg(community_id ORDER BY at) FROM audit_log") == [399, 1]
