"""The statements of a look: locking what is due, recording it once, moving on."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.core.execution import ExecutionStatus, Reason
from app.core.firing import Decision, Recording, Standing, Waiting
from app.core.ids import execution_id, new_id
from app.core.occurrences import tzdata_version
from app.core.schedule import ScheduleStatus
from app.store import firing
from app.store.database import Connection, Database
from app.store.firing import LockedSchedule, Moved, NewExecution
from tests.clocks import START
from tests.integration.store.rows import add_execution, add_schedule, execution, schedule

ME = uuid4()
MINUTE = timedelta(minutes=1)


def _recording(status: ExecutionStatus = ExecutionStatus.PENDING, reason: Reason | None = None) -> Recording:
    return Recording(START, START, None, 1, status, reason)


def _new(locked: LockedSchedule, recording: Recording) -> NewExecution:
    return NewExecution(
        execution_id(locked.due.schedule_id, recording.scheduled_for, recording.scheduled_for),
        locked,
        recording,
        locked.last_execution_at,
        START + MINUTE,
    )


async def _locked(connection: Connection, schedule_id: UUID) -> LockedSchedule:
    (row,) = await firing.lock_due(connection, [schedule_id])
    return firing.locked_schedule(row)


async def test_active_schedules_are_locked_in_the_order_of_their_ids(database: Database) -> None:
    async with database.transaction() as connection:
        # Written in the opposite order: the table's own is not that of the ids.
        ids = [await add_schedule(connection, schedule_id=new_id(number)) for number in range(20, 0, -1)]
        others = [await add_schedule(connection, status=status) for status in ("paused", "completed", "failed")]
        locked = await firing.lock_due(connection, [*ids, *others, uuid4()])
        assert [row["schedule_id"] for row in locked] == sorted(ids)


async def test_what_another_has_locked_is_passed_over_and_told_from_what_is_gone(database: Database) -> None:
    async with database.transaction() as connection:
        free, held = await add_schedule(connection), await add_schedule(connection)
        paused = await add_schedule(connection, status="paused")
    async with database.transaction() as first, database.transaction() as second:
        assert len(await firing.lock_due(first, [held])) == 1
        found = await firing.lock_due(second, [free, held, paused])
        assert [row["schedule_id"] for row in found] == [free]
        assert await firing.still_active(second, [held, paused, uuid4()]) == {held}


async def test_a_locked_row_is_read_as_it_is_stored(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection, next_due_at=START + MINUTE, execution_count=4, max_executions=9)
        locked = await _locked(connection, schedule_id)
    assert locked.due.waiting == Waiting(START, START + MINUTE)
    assert (locked.due.execution_count, locked.due.max_executions) == (4, 9)
    assert locked.due.timing.anchor == START - timedelta(days=1)
    assert (locked.retry.max_retries, locked.context_json) == (3, '{"report": "daily"}')


@pytest.mark.parametrize("poison", [{"retry": '{"unknown": 1}'}, {"retry": "[]"}, {"overlap_policy": "odd"}])
async def test_a_row_that_cannot_be_decoded_says_so(database: Database, poison: dict[str, str]) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection, **poison)
        with pytest.raises((TypeError, KeyError)):
            await _locked(connection, schedule_id)


async def test_what_is_to_be_delivered_is_recorded_as_the_workers_own(database: Database) -> None:
    async with database.transaction() as connection:
        locked = await _locked(connection, await add_schedule(connection))
        new = _new(locked, _recording())
        assert set(await firing.record(connection, [new], owner=ME, now=START)) == {new.execution_id}
        row = await execution(connection, new.execution_id)
    assert (row["owner"], row["attempt"], row["finished_at"], row["wake_at"]) == (ME, 1, None, None)
    assert (row["recorded_for"], row["next_execution_at"]) == (START, START + MINUTE)


@pytest.mark.parametrize("status", [ExecutionStatus.MISSED, ExecutionStatus.SKIPPED])
async def test_what_is_not_to_be_delivered_is_finished_from_the_start(
    database: Database, status: ExecutionStatus
) -> None:
    async with database.transaction() as connection:
        locked = await _locked(connection, await add_schedule(connection))
        run = replace(_recording(status, Reason.GRACE), covers_from=START - MINUTE, coalesced_count=2)
        new = _new(locked, run)
        await firing.record(connection, [new], owner=ME, now=START + MINUTE)
        row = await execution(connection, new.execution_id)
    assert (row["owner"], row["attempt"], row["finished_at"]) == (None, 0, START + MINUTE)
    assert (row["status"], row["reason"], row["covers_from"], row["coalesced_count"]) == (
        status.value,
        "grace",
        START - MINUTE,
        2,
    )


async def test_an_occurrence_is_recorded_once_however_often_it_is_looked_at(database: Database) -> None:
    async with database.transaction() as connection:
        locked = await _locked(connection, await add_schedule(connection))
        first, second = _new(locked, _recording()), _new(locked, replace(_recording(), scheduled_for=START + MINUTE))
        assert set(await firing.record(connection, [first], owner=ME, now=START)) == {first.execution_id}
        recorded = await firing.record(connection, [first, second], owner=uuid4(), now=START)
        assert set(recorded) == {second.execution_id}
        assert (await execution(connection, first.execution_id))["owner"] == ME
        assert await firing.record(connection, [], owner=ME, now=START) == {}


async def test_moving_on_counts_what_fired_and_keeps_what_it_does_not_say(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection, execution_count=5, last_execution_at=START - MINUTE)
        decision = Decision((), START, Waiting(START + MINUTE, START + 2 * MINUTE))
        last = uuid4()
        for fired, at, by in ((2, START, last), (0, None, None)):
            await firing.move_on(
                connection, [Moved(schedule_id, decision, ScheduleStatus.ACTIVE, fired, at, by)], now=START
            )
            row = await schedule(connection, schedule_id)
            assert (row["execution_count"], row["last_execution_at"], row["last_execution_id"]) == (7, START, last)
    assert (row["next_execution_at"], row["next_due_at"]) == (START + MINUTE, START + 2 * MINUTE)
    assert (row["status"], row["completed_at"]) == ("active", None)


async def test_searched_to_is_never_lowered_by_a_look(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection, searched_to=START + 10 * MINUTE)
        decision = Decision((), START, Waiting(START + 11 * MINUTE, START + 11 * MINUTE))
        await firing.move_on(
            connection, [Moved(schedule_id, decision, ScheduleStatus.ACTIVE, 0, None, None)], now=START
        )
        assert (await schedule(connection, schedule_id))["searched_to"] == START + 10 * MINUTE


async def test_what_a_look_computes_is_by_the_zone_rules_of_its_worker(database: Database) -> None:
    """Older ones than before, too: else a worker that has newer ones would not compute it once more."""
    async with database.transaction() as connection:
        for version in ("1999a", "2999z"):
            schedule_id = await add_schedule(connection, tzdata_version=version)
            decision = Decision((), START, Waiting(START + MINUTE, START + MINUTE))
            await firing.move_on(
                connection, [Moved(schedule_id, decision, ScheduleStatus.ACTIVE, 0, None, None)], now=START
            )
            assert (await schedule(connection, schedule_id))["tzdata_version"] == tzdata_version()


async def test_a_schedule_without_a_next_occurrence_completes(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection)
        moved = Moved(schedule_id, Decision((), START, None), ScheduleStatus.COMPLETED, 1, START, uuid4())
        await firing.move_on(connection, [moved], now=START + MINUTE)
        row = await schedule(connection, schedule_id)
    assert (row["status"], row["next_due_at"], row["completed_at"]) == ("completed", None, START + MINUTE)


async def test_an_active_schedule_that_waits_for_nothing_cannot_be_stored(database: Database) -> None:
    async with database.connection() as connection:
        schedule_id = await add_schedule(connection)
        moved = Moved(schedule_id, Decision((), START, None), ScheduleStatus.ACTIVE, 0, None, None)
        with pytest.raises(asyncpg.CheckViolationError):
            await firing.move_on(connection, [moved], now=START)


async def test_many_schedules_move_on_each_by_its_own(database: Database) -> None:
    async with database.transaction() as connection:
        ids = [await add_schedule(connection) for _ in range(50)]
        moves = [
            Moved(
                schedule_id,
                Decision((), START + n * MINUTE, Waiting(START + (n + 1) * MINUTE, START + (n + 1) * MINUTE)),
                ScheduleStatus.ACTIVE,
                n,
                None,
                None,
            )
            for n, schedule_id in enumerate(ids)
        ]
        await firing.move_on(connection, moves, now=START)
        await firing.move_on(connection, [], now=START)
        rows = [await schedule(connection, schedule_id) for schedule_id in ids]
    assert [row["execution_count"] for row in rows] == list(range(50))
    assert [row["next_due_at"] for row in rows] == [START + (n + 1) * MINUTE for n in range(50)]


async def test_only_an_active_schedule_is_taken_out_with_its_reason(database: Database) -> None:
    async with database.transaction() as connection:
        active, paused = await add_schedule(connection), await add_schedule(connection, status="paused")
        never = await add_schedule(connection)
        await connection.execute(
            "UPDATE workflow_schedules SET next_execution_at = '-infinity' WHERE schedule_id = $1", never
        )
        reasons = {active: "ValueError: no such zone", paused: "late", never: "at no time"}
        await firing.fail(connection, reasons, now=START + MINUTE)
        await firing.fail(connection, {}, now=START)
        recorded = await connection.fetch("SELECT * FROM executions")
        unreadable = await schedule(connection, never)
        failed, left = await schedule(connection, active), await schedule(connection, paused)
    assert (failed["status"], failed["status_reason"], failed["next_due_at"]) == (
        "failed",
        "ValueError: no such zone",
        None,
    )
    assert (left["status"], left["status_reason"]) == ("paused", None)
    assert (unreadable["status"], unreadable["next_execution_at"]) == ("failed", None)
    (skipped,) = recorded
    assert (skipped["schedule_id"], skipped["scheduled_for"], skipped["status"], skipped["reason"]) == (
        *(active, START, "skipped"),
        "not_computed",
    )
    assert (skipped["reason_detail"], skipped["finished_at"]) == ("ValueError: no such zone", START + MINUTE)
    assert failed["searched_to"] == START


async def test_searched_to_is_never_lowered_by_a_failure_either(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection, searched_to=START + MINUTE)
        await firing.fail(connection, {schedule_id: "no such zone"}, now=START)
        assert (await schedule(connection, schedule_id))["searched_to"] == START + MINUTE


async def test_what_is_due_at_no_time_is_taken_out_and_nothing_recorded(database: Database) -> None:
    async with database.transaction() as connection:
        schedule_id = await add_schedule(connection)
        await connection.execute("UPDATE workflow_schedules SET next_due_at = '-infinity'")
        await firing.fail(connection, {schedule_id: "at no time"}, now=START)
        row = await schedule(connection, schedule_id)
        assert (row["status"], row["next_due_at"]) == ("failed", None)
        assert await connection.fetch("SELECT FROM executions") == []


async def test_unfinished_are_those_that_run_or_wait_for_delivery(database: Database) -> None:
    async with database.transaction() as connection:
        busy, idle = await add_schedule(connection), await add_schedule(connection)
        for status in ("pending", "running", "retrying"):
            await add_execution(connection, schedule_id=busy, status=status)
        await add_execution(connection, schedule_id=busy, trigger="manual")
        for schedule_id in (busy, idle):
            await add_execution(connection, schedule_id=schedule_id, status="queued", wake_at=START)
            await add_execution(connection, schedule_id=schedule_id, trigger="backfill", group_id=uuid4())
            await add_execution(connection, schedule_id=schedule_id, status="succeeded", finished_at=START)
        assert await firing.count_standing(connection, [busy, idle]) == {busy: Standing(4, 1), idle: Standing(0, 1)}
