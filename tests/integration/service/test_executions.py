"""Looking up, cancelling and repeating executions."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.core.errors import (
    ExecutionNotFoundException,
    InvalidScheduleException,
    ScheduleNotFoundException,
    StateForbidsException,
)
from app.core.execution import Execution, ExecutionStatus, Reason, Trigger
from app.core.queries import ExecutionFilter
from app.service import paging
from app.store import settling
from app.store.settling import Outcome
from tests.clocks import START
from tests.integration.definitions import cron, interval
from tests.integration.service.world import CALLER, STRANGER, WORKER, World, accepted

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


async def retry(world: World, run: Execution) -> Execution:
    answer = await world.executions.retry(CALLER, run.execution_id, answer=accepted, idempotency=None)
    return await world.executions.get(CALLER, UUID(answer.body.decode()))


async def settled(world: World, run: Execution, status: ExecutionStatus, *, number: int = 1) -> frozenset[UUID]:
    """Write an attempt's outcome as a worker does; answers what passed the fence."""
    attempt = (
        '[{"number": 1, "started_at": "2026-11-23T12:00:00.001Z", "duration_ms": 5, "status_code": 500, "error": "no"}]'
    )
    failed = status is not ExecutionStatus.SUCCEEDED
    outcome = Outcome(
        execution_id=run.execution_id,
        community_id=run.community_id,
        owner=WORKER,
        number=number,
        status=status,
        attempt_json=attempt,
        failed=failed,
        wake_at=None,
        finished_at=world.clock.now(),
        error="no" if failed else None,
        engine_execution_id=None,
        started_at=world.clock.now(),
        lateness_ms=1,
    )
    async with world.database.transaction() as connection:
        return (await settling.settle(connection, [outcome])).executions


async def test_cancelling_ends_an_unfinished_execution_once(world: World) -> None:
    run = await world.trigger(await world.create(cron()))
    world.clock.move(1)
    cancelled = await world.executions.cancel(CALLER, run.execution_id, reason="wrong one")
    assert (cancelled.status, cancelled.reason) == (ExecutionStatus.CANCELLED, Reason.CANCELLED_BY_CALLER)
    assert (cancelled.wake_at, cancelled.finished_at) == (None, world.clock.now())
    world.clock.move(1)
    assert await world.executions.cancel(CALLER, run.execution_id, reason=None) == cancelled
    assert (await world.look(run)).assignments == []
    audited = await world.rows("SELECT reason FROM audit_log WHERE action = 'execution_cancel'")
    assert [row["reason"] for row in audited] == ["wrong one"]


async def test_a_cancelled_execution_stays_cancelled_whatever_its_worker_reports(world: World) -> None:
    run = await world.trigger(await world.create(cron()))
    await world.look(run)
    await world.executions.cancel(CALLER, run.execution_id, reason=None)
    assert await settled(world, run, ExecutionStatus.SUCCEEDED) == set()
    assert (await world.executions.get(CALLER, run.execution_id)).status is ExecutionStatus.CANCELLED


async def test_a_finished_execution_cannot_be_cancelled(world: World) -> None:
    run = await world.trigger(await world.create(cron()))
    await world.look(run)
    await settled(world, run, ExecutionStatus.SUCCEEDED)
    with pytest.raises(StateForbidsException, match="succeeded"):
        await world.executions.cancel(CALLER, run.execution_id, reason=None)


async def test_a_failed_execution_is_delivered_again_under_its_id_with_a_fresh_budget(world: World) -> None:
    run = await world.trigger(await world.create(cron()))
    await world.look(run)
    await settled(world, run, ExecutionStatus.FAILED)
    failed = await world.executions.get(CALLER, run.execution_id)
    assert (failed.error, failed.attempts[0].status_code, failed.lateness_ms) == ("no", 500, 1)
    world.clock.move(7200)
    again = await retry(world, run)
    assert (again.status, again.error, again.finished_at) == (ExecutionStatus.PENDING, None, None)
    assert again.wake_at == world.clock.now()
    assert await world.due_in_wheel(again) is not None
    (assignment,) = (await world.look(again)).assignments
    assert (assignment.attempt, assignment.failures, assignment.retry_since) == (2, 0, world.clock.now())


async def test_an_execution_of_a_removed_schedule_can_be_delivered_again(world: World) -> None:
    schedule = await world.create(cron(context_data={"kept": True}))
    run = await world.trigger(schedule)
    await world.look(run)
    await settled(world, run, ExecutionStatus.FAILED)
    await world.schedules.remove(CALLER, schedule.schedule_id)
    (assignment,) = (await world.look(await retry(world, run))).assignments
    assert assignment.context_json == '{"kept": true}'


async def test_only_failed_and_timed_out_executions_are_delivered_again(world: World) -> None:
    schedule = await world.create(cron())
    for status in ExecutionStatus:
        run = await world.trigger(schedule)
        await world.rows("UPDATE executions SET status = $2 WHERE execution_id = $1", run.execution_id, status.value)
        if status in (ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT):
            assert (await retry(world, run)).status is ExecutionStatus.PENDING
        else:
            with pytest.raises(StateForbidsException, match=status.value):
                await retry(world, run)


async def test_another_communitys_execution_is_not_found(world: World) -> None:
    run = await world.trigger(await world.create(cron()))
    for execution_id, principal in ((run.execution_id, STRANGER), (uuid4(), CALLER)):
        with pytest.raises(ExecutionNotFoundException):
            await world.executions.get(principal, execution_id)
        with pytest.raises(ExecutionNotFoundException):
            await world.executions.cancel(principal, execution_id, reason=None)
        with pytest.raises(ExecutionNotFoundException):
            await world.executions.retry(principal, execution_id, answer=accepted, idempotency=None)


async def test_a_cancel_that_races_a_settle_leaves_the_first_outcome(world: World) -> None:
    run = await world.trigger(await world.create(cron()))
    await world.look(run)
    async with world.database.transaction() as connection:
        await connection.execute("UPDATE executions SET status = 'succeeded', finished_at = now()")
        cancel = asyncio.create_task(world.executions.cancel(CALLER, run.execution_id, reason=None))
        await world.somebody_waits_for_a_lock()
    with pytest.raises(StateForbidsException, match="succeeded"):
        await cancel


async def recorded(world: World, count: int) -> list[Execution]:
    """A schedule's minutely occurrences, each recorded in its time, newest first."""
    schedule = await world.create(interval(60))
    for _ in range(count):
        world.clock.move(60)
        await world.look(schedule)
    return await world.history(schedule.schedule_id)


async def pages(world: World, wanted: ExecutionFilter, limit: int) -> list[list[Execution]]:
    found, cursor = [], None
    while True:
        page = await world.executions.find(CALLER, wanted, limit=limit, cursor=cursor)
        found.append(list(page.items))
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_a_history_is_paged_newest_first_without_gap_or_repetition(world: World) -> None:
    history = await recorded(world, 7)
    assert [run.scheduled_for for run in history] == [START + n * MINUTE for n in range(7, 0, -1)]
    of_schedule = ExecutionFilter(schedule_id=history[0].schedule_id)
    for wanted in (of_schedule, ExecutionFilter()):
        parts = await pages(world, wanted, 3)
        assert [len(part) for part in parts] == [3, 3, 1]
        assert [run for part in parts for run in part] == history


async def test_a_full_last_page_has_no_cursor(world: World) -> None:
    history = await recorded(world, 3)
    assert [len(part) for part in await pages(world, ExecutionFilter(schedule_id=history[0].schedule_id), 3)] == [3]


async def test_a_history_is_filtered_by_status_and_by_the_scheduled_instant(world: World) -> None:
    history = await recorded(world, 6)
    await world.executions.cancel(CALLER, history[4].execution_id, reason=None)
    schedule_id = history[0].schedule_id
    for scope in (schedule_id, None):
        cancelled = ExecutionFilter(schedule_id=scope, status=ExecutionStatus.CANCELLED)
        assert [[run.execution_id for run in part] for part in await pages(world, cancelled, 5)] == [
            [history[4].execution_id]
        ]
        between = ExecutionFilter(schedule_id=scope, from_at=START + 2 * MINUTE, to_at=START + 4 * MINUTE)
        (part,) = await pages(world, between, 5)
        assert [run.scheduled_for for run in part] == [START + 3 * MINUTE, START + 2 * MINUTE]
        assert await pages(world, ExecutionFilter(schedule_id=scope, status=ExecutionStatus.FAILED), 5) == [[]]


async def test_failed_executions_are_listed_across_schedules(world: World) -> None:
    history = await recorded(world, 4)
    for run in (history[0], history[2]):
        await world.rows("UPDATE executions SET status = 'failed' WHERE execution_id = $1", run.execution_id)
    parts = await pages(world, ExecutionFilter(status=ExecutionStatus.FAILED), 1)
    assert [[run.execution_id for run in part] for part in parts] == [
        [history[0].execution_id],
        [history[2].execution_id],
    ]


async def test_backfilled_runs_are_found_by_the_instant_that_they_are_for(world: World) -> None:
    history = await recorded(world, 4)
    backfilled = history[1].execution_id
    await world.rows(
        "UPDATE executions SET status = 'failed', trigger = 'backfill', scheduled_for = $2 WHERE execution_id = $1",
        backfilled,
        START - DAY,
    )
    span: dict[str, Any] = {"from_at": START - DAY, "to_at": START}
    for wanted in (
        ExecutionFilter(trigger=Trigger.BACKFILL, **span),
        ExecutionFilter(status=ExecutionStatus.FAILED, **span),
        ExecutionFilter(schedule_id=history[0].schedule_id, **span),
    ):
        assert [[run.execution_id for run in part] for part in await pages(world, wanted, 5)] == [[backfilled]]


async def test_a_list_across_schedules_has_the_own_communitys_alone(world: World) -> None:
    await recorded(world, 2)
    page = await world.executions.find(STRANGER, ExecutionFilter(), limit=10, cursor=None)
    assert (page.items, page.next_cursor) == ((), None)


async def test_what_is_rare_is_found_by_following_the_cursor(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "_WINDOWS", (2, 4))
    history = await recorded(world, 20)
    await world.executions.cancel(CALLER, history[17].execution_id, reason=None)
    for scope in (history[0].schedule_id, None):
        parts = await pages(world, ExecutionFilter(schedule_id=scope, status=ExecutionStatus.CANCELLED), 5)
        assert [[run.execution_id for run in part] for part in parts] == [[], [], [history[17].execution_id], []]


@pytest.mark.parametrize("cursor", ["", "x", "!" * 22, "A" * 22, "A" * 23, "é" * 22, "=" * 22, "\0" * 22])
async def test_a_garbage_cursor_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(InvalidScheduleException) as refused:
        await world.executions.find(CALLER, ExecutionFilter(), limit=1, cursor=cursor)
    assert refused.value.errors[0].field == "cursor"


async def test_the_history_of_a_schedule_that_never_was_is_not_found(world: World) -> None:
    with pytest.raises(ScheduleNotFoundException):
        await world.executions.find(CALLER, ExecutionFilter(schedule_id=uuid4()), limit=1, cursor=None)
