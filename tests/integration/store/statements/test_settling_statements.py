"""The fences: whose outcome counts, and what is given back."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from app.core.clock import MILLISECOND
from app.core.execution import ExecutionStatus
from app.store import settling
from app.store.database import Database
from app.store.settling import Outcome
from tests.clocks import START
from tests.integration.store.rows import add_execution, execution
from tests.unit.delivery.assignments import assignment

ME, OTHER = uuid4(), uuid4()
LATER = START + timedelta(seconds=30)
SUCCEEDED, FAILED, RETRYING = ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.RETRYING


def _outcome(execution_id: UUID, status: ExecutionStatus = SUCCEEDED, **fields: Any) -> Outcome:
    failed = status is not SUCCEEDED
    outcome = Outcome(
        execution_id=execution_id,
        community_id=1,
        owner=ME,
        number=1,
        status=status,
        attempt_json='[{"number": 1}]',
        failed=failed,
        wake_at=LATER if status is RETRYING else None,
        finished_at=None if status is RETRYING else START,
        error="HTTP 500" if failed else None,
        engine_execution_id=None if failed else "engine-1",
        started_at=START,
        lateness_ms=1,
    )
    return replace(outcome, **fields)


async def test_an_outcome_of_the_owner_is_written_whole(database: Database) -> None:
    async with database.transaction() as connection:
        wanted = await add_execution(connection, owner=ME, attempt=1, error="HTTP 503")
        outcome = _outcome(wanted)
        assert (await settling.settle(connection, [outcome])).executions == {wanted}
        row = await execution(connection, wanted)
    assert (row["status"], row["owner"], row["wake_at"], row["finished_at"]) == ("succeeded", None, None, START)
    assert (row["error"], row["engine_execution_id"], row["failures"]) == (None, "engine-1", 0)
    assert (orjson.loads(row["attempts"]), row["result"]) == ([{"number": 1}], None)
    assert (row["started_at"], row["lateness_ms"]) == (START, 1)


@pytest.mark.parametrize(
    ("stands", "success_counts", "failure_counts"),
    [
        ({"owner": ME, "attempt": 1}, True, True),
        # Taken again by the same worker, by another, released, waiting for a retry, running: a former owner's.
        ({"owner": ME, "attempt": 2}, True, False),
        ({"owner": OTHER, "attempt": 1}, True, False),
        ({"owner": OTHER, "attempt": 2}, True, False),
        ({"attempt": 1, "wake_at": START}, True, False),
        ({"attempt": 1, "wake_at": START, "status": "retrying"}, True, False),
        ({"attempt": 1, "wake_at": START, "status": "running"}, True, False),
        # Nothing ever counts over a final one.
        *[
            ({"attempt": 1, "finished_at": START, "status": status}, False, False)
            for status in ("succeeded", "failed", "cancelled", "timed_out", "skipped")
        ],
        ({"owner": ME, "attempt": 1, "finished_at": START, "status": "cancelled"}, False, False),
    ],
)
@pytest.mark.fault("4", "19a")
async def test_a_late_success_counts_while_unfinished_and_a_late_failure_never(
    database: Database, stands: dict[str, Any], success_counts: bool, failure_counts: bool
) -> None:
    async with database.transaction() as connection:
        for status, counts in ((SUCCEEDED, success_counts), (RETRYING, failure_counts), (FAILED, failure_counts)):
            wanted = await add_execution(connection, **stands)
            before = await execution(connection, wanted)
            assert (await settling.settle(connection, [_outcome(wanted, status)])).executions == (
                {wanted} if counts else set()
            )
            after = await execution(connection, wanted)
            assert after["status"] == (status.value if counts else before["status"])
            assert counts or after == before


@pytest.mark.parametrize(("started_at", "counts"), [(START, True), (START - MILLISECOND, False)])
async def test_what_is_sent_from_when_it_is_to_be_delivered_again_on_is_an_answer_to_that(
    database: Database, started_at: datetime, counts: bool
) -> None:
    async with database.transaction() as connection:
        wanted = await add_execution(connection, owner=OTHER, attempt=2, retry_since=START)
        late = _outcome(wanted, started_at=started_at)
        assert (await settling.settle(connection, [late])).executions == ({wanted} if counts else set())


async def test_a_late_success_is_not_lost_beside_a_failure_of_the_same_execution(database: Database) -> None:
    async with database.transaction() as connection:
        for number in range(40):
            wanted = await add_execution(connection, owner=ME, attempt=2)
            late = _outcome(wanted, owner=OTHER, number=1)
            current = _outcome(wanted, RETRYING, number=2)
            outcomes = [late, current] if number % 2 else [current, late]
            first, left = settling.first_of_each(outcomes)
            assert (first, left) == ([late], [current])
            assert (await settling.settle(connection, first)).executions == {wanted}
            row = await execution(connection, wanted)
            assert (row["status"], row["finished_at"], row["wake_at"]) == ("succeeded", START, None)


def test_of_each_execution_one_outcome_is_written_first_and_none_is_dropped() -> None:
    one, two = uuid4(), uuid4()
    fails, succeeds, again = _outcome(one, FAILED), _outcome(one), _outcome(one, RETRYING)
    other = _outcome(two, FAILED)
    assert settling.first_of_each([fails, other]) == ([fails, other], ())
    assert settling.first_of_each([fails, other, succeeds, again]) == ([succeeds, other], [fails, again])
    assert settling.first_of_each([again, fails]) == ([again], [fails])


async def test_attempts_add_up_and_the_first_lateness_stays(database: Database) -> None:
    async with database.transaction() as connection:
        wanted = await add_execution(connection, owner=ME, attempt=1)
        await settling.settle(connection, [_outcome(wanted, RETRYING)])
        row = await execution(connection, wanted)
        assert (row["owner"], row["wake_at"], row["finished_at"], row["failures"]) == (None, LATER, None, 1)
        await connection.execute("UPDATE executions SET owner = $1, attempt = 2, wake_at = NULL", ME)
        second = _outcome(
            wanted, FAILED, number=2, attempt_json='[{"number": 2}]', started_at=LATER, lateness_ms=30_000
        )
        assert (await settling.settle(connection, [second])).executions == {wanted}
        row = await execution(connection, wanted)
    assert orjson.loads(row["attempts"]) == [{"number": 1}, {"number": 2}]
    assert (row["failures"], row["status"], row["error"]) == (2, "failed", "HTTP 500")
    assert (row["started_at"], row["lateness_ms"]) == (START, 1)


async def test_what_runs_on_and_is_written_once_more_has_its_attempt_once(database: Database) -> None:
    """The answer to the first commit was lost."""
    async with database.transaction() as connection:
        wanted = await add_execution(connection, owner=ME, attempt=1)
        running = _outcome(wanted, ExecutionStatus.RUNNING, failed=False, error=None, wake_at=LATER, finished_at=None)
        for _ in range(2):
            assert (await settling.settle(connection, [running])).executions == {wanted}
        row = await execution(connection, wanted)
        assert (row["status"], row["wake_at"], orjson.loads(row["attempts"])) == ("running", LATER, [{"number": 1}])
        another = replace(running, number=2, attempt_json='[{"number": 2}]')
        assert (await settling.settle(connection, [another])).executions == {wanted}
        row = await execution(connection, wanted)
    assert orjson.loads(row["attempts"]) == [{"number": 1}, {"number": 2}]


async def test_what_was_to_be_tried_again_and_runs_after_all_has_the_deadline_of_its_run(database: Database) -> None:
    """A heartbeat alone gives more time; when the retry would have been says nothing about it."""
    async with database.transaction() as connection:
        wanted = await add_execution(connection, status="retrying", attempt=1, wake_at=LATER + timedelta(seconds=9))
        running = _outcome(wanted, ExecutionStatus.RUNNING, failed=False, error=None, wake_at=LATER, finished_at=None)
        assert (await settling.settle(connection, [running])).executions == {wanted}
        row = await execution(connection, wanted)
    assert (row["status"], row["wake_at"]) == ("running", LATER)


@pytest.mark.fault("19a")
async def test_an_attempt_that_ends_after_its_execution_is_noted_once_and_changes_nothing_else(
    database: Database,
) -> None:
    async with database.transaction() as connection:
        ended = [
            await add_execution(connection, attempt=1, finished_at=START, status=status, error="as it was")
            for status in ("succeeded", "failed", "cancelled")
        ]
        rest = [
            await add_execution(connection, attempt=2, finished_at=START, status="failed"),
            await add_execution(connection, owner=OTHER, attempt=1),
            await add_execution(connection, attempt=1, wake_at=START, status="retrying"),
        ]
        before = [await execution(connection, one) for one in (*ended, *rest)]
        outcomes = [_outcome(one) for one in (*ended, *rest)]
        assert await settling.note(connection, outcomes) == set(ended)
        after = [await execution(connection, one) for one in (*ended, *rest)]
        assert await settling.note(connection, outcomes) == set()
        assert [await execution(connection, one) for one in (*ended, *rest)] == after
        assert await settling.note(connection, []) == set()
    assert after[len(ended) :] == before[len(ended) :]
    noted = {"engine_execution_id": "engine-1", "started_at": START, "lateness_ms": 1}
    for row, was in zip(after, before[: len(ended)], strict=False):
        assert orjson.loads(row["attempts"]) == [{"number": 1}]
        assert dict(row) | {"attempts": was["attempts"]} == dict(was) | noted


async def test_only_what_ends_makes_room_for_who_waits_for_it(database: Database) -> None:
    async with database.transaction() as connection:
        for awaited, status in ((True, SUCCEEDED), (True, FAILED), (True, RETRYING), (False, SUCCEEDED)):
            wanted = await add_execution(connection, owner=ME, attempt=1, awaited=awaited)
            settled = await settling.settle(connection, [_outcome(wanted, status)])
            assert settled.executions == {wanted}
            assert len(settled.made_room) == (awaited and status is not RETRYING)


async def test_a_late_answer_does_not_rename_what_its_report_has_named(database: Database) -> None:
    async with database.transaction() as connection:
        ended = await add_execution(
            connection, attempt=1, finished_at=START, status="succeeded", engine_execution_id="engine-0"
        )
        assert await settling.note(connection, [_outcome(ended)]) == {ended}
        assert (await execution(connection, ended))["engine_execution_id"] == "engine-0"


async def test_an_engines_id_is_not_forgotten_by_a_later_answer_without_one(database: Database) -> None:
    async with database.transaction() as connection:
        wanted = await add_execution(connection, owner=ME, attempt=1, engine_execution_id="engine-0")
        await settling.settle(connection, [_outcome(wanted, engine_execution_id=None)])
        assert (await execution(connection, wanted))["engine_execution_id"] == "engine-0"


async def test_a_batch_over_many_days_is_settled_each_by_its_own(database: Database) -> None:
    async with database.transaction() as connection:
        ids = [
            await add_execution(connection, at=START - timedelta(hours=7 * n), owner=ME if n % 3 else OTHER, attempt=1)
            for n in range(30)
        ]
        written = (await settling.settle(connection, [_outcome(one, FAILED) for one in ids])).executions
    assert written == {one for n, one in enumerate(ids) if n % 3}


async def test_what_was_not_sent_is_given_back_for_its_due_time_or_now(database: Database) -> None:
    async with database.transaction() as connection:
        due, overdue = [
            await add_execution(connection, owner=ME, attempt=1, due_at=START + timedelta(seconds=n)) for n in (5, -5)
        ]
        rest = [
            await add_execution(connection, owner=OTHER, attempt=1),
            await add_execution(connection, owner=ME, status="cancelled", finished_at=START),
            await add_execution(connection, status="retrying", wake_at=LATER),
        ]
        asked = [due, overdue, *rest]
        released = await settling.release(connection, asked, owner=ME, now=START)
        assert {(one.execution_id, one.wake_at) for one in released} == {
            (due, START + timedelta(seconds=5)),
            (overdue, START),
        }
        row = await execution(connection, due)
        assert (row["owner"], row["attempt"], row["status"]) == (None, 1, "pending")
        assert await settling.release(connection, asked, owner=ME, now=START) == []
        assert await settling.release(connection, [], owner=ME, now=START) == []


async def test_only_what_is_still_the_workers_is_sent(database: Database) -> None:
    async with database.transaction() as connection:
        mine = await add_execution(connection, at=START - timedelta(days=3), owner=ME, attempt=1)
        rest = [
            await add_execution(connection, owner=OTHER),
            await add_execution(connection),
            await add_execution(connection, owner=ME, status="cancelled", finished_at=START),
        ]
        at = START - timedelta(days=3)
        asked = [(mine, at, 1), *((one, START, 1) for one in rest)]
        assert await settling.still_owned(connection, [(mine, at, 2)], owner=ME) == set()
        assert await settling.still_owned(connection, asked, owner=ME) == {mine}
        assert await settling.still_owned(connection, [], owner=ME) == set()


async def test_what_is_given_back_waits_for_a_time_of_its_own_under_its_fence(database: Database) -> None:
    async with database.transaction() as connection:
        mine = [await add_execution(connection, owner=ME, attempt=2) for _ in range(2)]
        others = [
            await add_execution(connection, owner=OTHER, attempt=2),
            await add_execution(connection, owner=ME, attempt=3),
            await add_execution(connection, owner=ME, attempt=2, status="cancelled", finished_at=START),
            await add_execution(connection, attempt=2, wake_at=START),
        ]
        given = [
            (assignment(execution_id=one, owner=ME, attempt=2), LATER + timedelta(seconds=number))
            for number, one in enumerate([*mine, *others])
        ]
        before = [await execution(connection, one) for one in others]
        assert await settling.lock_owned(connection, [one for one, _ in given]) == set(mine)
        wakes = await settling.give_back(connection, given)
        after = [await execution(connection, one) for one in others]
        rows = [await execution(connection, one) for one in mine]
    assert {(wake.execution_id, wake.wake_at) for wake in wakes} == {
        (mine[0], LATER),
        (mine[1], LATER + timedelta(seconds=1)),
    }
    assert [(row["status"], row["owner"], row["attempt"], row["wake_at"]) for row in rows] == [
        ("pending", None, 2, LATER),
        ("pending", None, 2, LATER + timedelta(seconds=1)),
    ]
    assert after == before


@pytest.mark.parametrize("before", [True, False])
async def test_what_was_sent_before_it_was_had_delivered_again_is_noted_while_that_is_to_come(
    database: Database, before: bool
) -> None:
    async with database.transaction() as connection:
        wanted = await add_execution(connection, attempt=1, retry_since=LATER, wake_at=LATER)
        late = _outcome(wanted, started_at=START if before else LATER)
        assert await settling.note(connection, [late]) == ({wanted} if before else set())
        row = await execution(connection, wanted)
    assert orjson.loads(row["attempts"]) == ([{"number": 1}] if before else [])
    assert (row["status"], row["wake_at"], row["finished_at"]) == ("pending", LATER, None)
