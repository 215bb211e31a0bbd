"""The statements for what waits: which definition an attempt gets, and who may take it."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.core.execution import ExecutionStatus
from app.store import taking
from app.store.database import Connection, Database
from app.store.queueing import Group
from app.store.taking import WaitingExecution
from tests.clocks import START
from tests.integration.store.rows import add_execution, add_schedule, execution

ME = uuid4()
FAILED = ExecutionStatus.FAILED


async def _one(connection: Connection, execution_id: UUID) -> WaitingExecution:
    (waiting,) = await taking.lock_waiting(connection, [execution_id])
    return waiting


async def _superseded(connection: Connection, schedule_id: UUID, revision: int, **definition: Any) -> None:
    await connection.execute(
        """
        INSERT INTO schedule_revisions (schedule_id, revision, community_id, definition, superseded_at)
        SELECT schedule_id, $2, community_id, to_jsonb(s) || $3::jsonb, $4 FROM workflow_schedules s
         WHERE schedule_id = $1
        """,
        schedule_id,
        revision,
        definition.pop("json"),
        START,
    )


@pytest.mark.parametrize(
    ("fields", "takeable"),
    [
        ({"status": "retrying"}, True),
        ({"status": "pending"}, True),
        ({"status": "pending", "owner": ME}, False),
        ({"status": "running"}, False),
    ],
)
async def test_an_attempt_is_made_of_a_retry_and_of_what_nobody_owns(
    database: Database, fields: dict[str, Any], takeable: bool
) -> None:
    async with database.transaction() as connection:
        waiting = await _one(connection, await add_execution(connection, wake_at=START, **fields))
    assert waiting.takeable is takeable
    assert waiting.wake_at == START


async def test_only_what_is_unfinished_and_waits_is_locked_in_order(database: Database) -> None:
    async with database.transaction() as connection:
        waiting = [await add_execution(connection, at=START - timedelta(hours=n), wake_at=START) for n in range(5)]
        rest = [
            await add_execution(connection),
            await add_execution(connection, wake_at=START, finished_at=START, status="failed"),
        ]
        # Whatever the plan: an index would give them in their order by itself.
        await connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
        found = await taking.lock_waiting(connection, [*waiting, *rest])
        assert [one.execution_id for one in found] == sorted(waiting)
        assert await taking.still_waiting(connection, [*waiting, *rest]) == set(waiting)


async def test_what_another_has_locked_is_passed_over_but_still_waits(database: Database) -> None:
    async with database.transaction() as connection:
        free, held = [await add_execution(connection, wake_at=START) for _ in range(2)]
    async with database.transaction() as first, database.transaction() as second:
        await _one(first, held)
        found = await taking.lock_waiting(second, [free, held])
        assert [one.execution_id for one in found] == [free]
        assert await taking.still_waiting(second, [held]) == {held}


async def test_an_attempt_gets_the_definition_it_was_recorded_under(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection, revision=2)
        older = '{"timezone": "Asia/Tokyo", "retry": {"max_retries": 9}, "context_data": {"old": 1}}'
        await _superseded(connection, schedule_id, 1, json=older)
        old = await add_execution(connection, schedule_id=schedule_id, revision=1, wake_at=START)
        new = await add_execution(connection, schedule_id=schedule_id, revision=2, wake_at=START)
        own = await add_execution(
            connection, schedule_id=schedule_id, revision=1, wake_at=START, context_override='{"own": true}'
        )
        taken = {one.execution_id: one.taken_by(ME) for one in await taking.lock_waiting(connection, [old, new, own])}
    assert (taken[old].timezone, taken[old].retry.max_retries, taken[old].context_json) == (
        "Asia/Tokyo",
        9,
        '{"old": 1}',
    )
    assert (taken[new].timezone, taken[new].context_json) == ("UTC", '{"report": "daily"}')
    assert (taken[own].retry.max_retries, taken[own].context_json) == (9, '{"own": true}')


async def test_an_attempt_outlives_its_schedule_as_long_as_the_definition_is_kept(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection)
        kept = await add_execution(connection, schedule_id=schedule_id, wake_at=START)
        orphan = await add_execution(connection, wake_at=START)
        await _superseded(connection, schedule_id, 1, json="{}")
        await connection.execute("DELETE FROM workflow_schedules WHERE schedule_id = $1", schedule_id)
        assert (await _one(connection, kept)).taken_by(ME).context_json == '{"report": "daily"}'
        with pytest.raises(LookupError, match="definition"):
            (await _one(connection, orphan)).taken_by(ME)


async def test_taking_raises_the_attempt_and_clears_the_wait(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection)
        waiting = await _one(
            connection,
            await add_execution(
                connection, schedule_id=schedule_id, status="retrying", attempt=3, failures=2, wake_at=START
            ),
        )
        assignment = waiting.taken_by(ME)
        assert (assignment.attempt, assignment.failures, assignment.owner) == (4, 2, ME)
        assert assignment.retry_since == START
        await taking.take(connection, [assignment], owner=ME)
        await taking.take(connection, [], owner=ME)
        row = await execution(connection, waiting.execution_id)
    assert (row["status"], row["owner"], row["attempt"], row["wake_at"]) == ("pending", ME, 4, None)


async def test_a_fresh_budget_of_retries_counts_from_when_it_was_given(database: Database) -> None:
    since = START + timedelta(days=3)
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection)
        retried = await add_execution(connection, schedule_id=schedule_id, wake_at=START, retry_since=since)
        assert (await _one(connection, retried)).taken_by(ME).retry_since == since


async def test_what_is_finished_is_neither_taken_nor_failed(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection)
        waiting = await _one(connection, await add_execution(connection, schedule_id=schedule_id, wake_at=START))
        assignment = waiting.taken_by(ME)
        await connection.execute("UPDATE executions SET status = 'cancelled', finished_at = $1", START)
        await taking.take(connection, [assignment], owner=ME)
        assert await taking.end(connection, {waiting.execution_id: "too late"}, FAILED, now=START) == set()
        row = await execution(connection, waiting.execution_id)
    assert (row["status"], row["owner"], row["attempt"], row["error"]) == ("cancelled", None, 0, None)


async def test_what_cannot_be_attempted_fails_with_its_reason(database: Database) -> None:
    async with database.transaction() as connection:
        first = await add_execution(connection, status="retrying", wake_at=START)
        second = await add_execution(connection, at=START - timedelta(days=2), wake_at=START, owner=ME)
        await taking.end(connection, {first: "one", second: "two"}, FAILED, now=START)
        await taking.end(connection, {}, FAILED, now=START)
        rows = [await execution(connection, one) for one in (first, second)]
    assert [(row["status"], row["error"], row["owner"], row["wake_at"], row["finished_at"]) for row in rows] == [
        ("failed", "one", None, None, START),
        ("failed", "two", None, None, START),
    ]


async def test_an_id_that_no_execution_can_have_is_refused(database: Database) -> None:
    async with database.transaction() as connection:
        with pytest.raises(ValueError, match="not the id of an execution"):
            await taking.lock_waiting(connection, [uuid4()])


async def test_a_queued_run_is_locked_by_who_starts_it_alone(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection)
        queued = await add_execution(connection, schedule_id=schedule_id, status="queued", wake_at=START)
        assert await taking.lock_waiting(connection, [queued]) == []
        assert await taking.still_waiting(connection, [queued]) == set()
        (row,) = await taking.lock_queued(connection, [queued])
        # Long after it was due: the budget of its retries begins with its turn.
        turn_at = START + timedelta(hours=1)
        started = row.taken_by(ME, started_at=turn_at)
        await taking.start(connection, [started], owner=ME, now=turn_at)
        stored = await execution(connection, queued)
    assert (stored["status"], stored["owner"], stored["attempt"], stored["awaited"]) == ("pending", ME, 1, True)
    assert stored["retry_since"] == started.retry_since == turn_at


async def test_the_end_of_an_awaited_run_names_its_group(database: Database) -> None:
    group_id = uuid4()
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection)
        runs = [
            await add_execution(connection, schedule_id=schedule_id, wake_at=START, awaited=awaited, group_id=group)
            for awaited, group in ((True, None), (True, group_id), (False, uuid4()))
        ]
        ended = await taking.end(connection, dict.fromkeys(runs, "why"), ExecutionStatus.TIMED_OUT, now=START)
    assert ended == {Group(schedule_id, None), Group(schedule_id, group_id)}


@pytest.mark.parametrize("status", ["succeeded", "cancelled", "timed_out"])
async def test_what_has_ended_is_not_ended_once_more(database: Database, status: str) -> None:
    async with database.transaction() as connection:
        over = await add_execution(connection, status=status, finished_at=START, awaited=True)
        before = await execution(connection, over)
        late = START + timedelta(seconds=1)
        assert await taking.end(connection, {over: "too late"}, FAILED, now=late) == set()
        assert await execution(connection, over) == before
