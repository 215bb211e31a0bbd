"""Removing schedules."""

import asyncio
from datetime import timedelta

import pytest

from app.core.errors import ExecutionNotFoundException, ScheduleNotFoundException
from app.core.execution import ExecutionStatus, Reason
from app.core.queries import ExecutionFilter
from tests.clocks import START
from tests.integration.definitions import cron, interval
from tests.integration.service.world import CALLER, STRANGER, World
from tests.integration.store.rows import add_execution


async def test_a_removed_schedule_is_gone_and_a_second_removal_does_not_find_it(world: World) -> None:
    schedule = await world.create(cron())
    await world.schedules.remove(CALLER, schedule.schedule_id)
    with pytest.raises(ScheduleNotFoundException):
        await world.schedules.get(CALLER, schedule.schedule_id)
    with pytest.raises(ScheduleNotFoundException):
        await world.schedules.remove(CALLER, schedule.schedule_id)
    assert (await world.look(schedule)).next_due_ms == {f"s:{schedule.schedule_id}": None}


async def test_what_has_passed_is_recorded_as_removed_and_stays_readable_at_both_addresses(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(120)
    await world.schedules.remove(CALLER, schedule.schedule_id)
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.reason, skipped.coalesced_count) == (Reason.REMOVED, 2)
    assert await world.executions.get(CALLER, skipped.execution_id) == skipped


async def test_a_removed_schedule_without_executions_has_an_empty_history_for_its_community_alone(world: World) -> None:
    schedule = await world.create(cron())
    await world.schedules.remove(CALLER, schedule.schedule_id)
    assert await world.history(schedule.schedule_id) == []
    with pytest.raises(ScheduleNotFoundException):
        await world.executions.find(STRANGER, ExecutionFilter(schedule_id=schedule.schedule_id), limit=1, cursor=None)


async def test_queued_and_retrying_executions_are_cancelled_and_pending_ones_are_delivered(world: World) -> None:
    schedule = await world.create(cron(context_data={"a": 1}))
    runs = [await world.trigger(schedule) for _ in range(5)]
    for run, status in zip(runs, ("queued", "retrying", "pending", "succeeded", "running"), strict=True):
        finished = world.clock.now() if status == "succeeded" else None
        await world.rows(
            "UPDATE executions SET status = $2, finished_at = $3 WHERE execution_id = $1",
            run.execution_id,
            status,
            finished,
        )
    world.clock.move(1)
    await world.schedules.remove(CALLER, schedule.schedule_id)
    after = [await world.executions.get(CALLER, run.execution_id) for run in runs]
    assert [(run.status.value, run.reason) for run in after] == [
        ("cancelled", "removed"),
        ("cancelled", "removed"),
        ("pending", None),
        ("succeeded", None),
        ("running", None),
    ]
    assert [run.wake_at is None for run in after[:2]] == [True, True]
    # Acknowledged before the removal: delivered under the definition that was kept.
    (assignment,) = (await world.look(after[2])).assignments
    assert assignment.context_json == '{"a": 1}'


async def test_what_is_still_to_be_told_of_a_removed_schedule_is_told(world: World) -> None:
    schedule = await world.create(cron())
    async with world.database.transaction() as connection:
        notice = await add_execution(
            connection, schedule_id=schedule.schedule_id, trigger="failure", status="retrying", wake_at=START
        )
    await world.schedules.remove(CALLER, schedule.schedule_id)
    assert (await world.executions.get(CALLER, notice)).status is ExecutionStatus.RETRYING


@pytest.mark.fault("19")
async def test_a_removal_that_races_a_worker_finds_what_the_worker_has_recorded(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(60)
    async with world.database.transaction() as connection:
        await world.look_within(connection, schedule)
        removal = asyncio.create_task(world.schedules.remove(CALLER, schedule.schedule_id))
        await world.somebody_waits_for_a_lock()
    await removal
    (run,) = await world.history(schedule.schedule_id)
    assert (run.status, run.scheduled_for) == (ExecutionStatus.PENDING, START + timedelta(seconds=60))


async def test_the_victim_of_a_deadlock_is_repeated(world: World) -> None:
    schedule = await world.create(cron())
    run = await world.trigger(schedule)
    await world.rows("UPDATE executions SET status = 'retrying'")
    async with world.database.transaction() as connection:
        # The wrong way round, which nothing in the service does: an execution before its schedule.
        await connection.execute("SET LOCAL deadlock_timeout = '4s'")
        await connection.execute("SELECT FROM executions FOR NO KEY UPDATE")
        removal = asyncio.create_task(world.schedules.remove(CALLER, schedule.schedule_id))
        await world.somebody_waits_for_a_lock()
        await connection.execute("SELECT FROM workflow_schedules FOR NO KEY UPDATE")
    await removal
    assert (await world.executions.get(CALLER, run.execution_id)).status is ExecutionStatus.CANCELLED
    assert await world.one("SELECT count(*) FROM audit_log WHERE action = 'schedule_remove'") == 1


async def test_an_unknown_execution_is_not_found_by_any_id(world: World) -> None:
    schedule = await world.create(cron())
    run = await world.trigger(schedule)
    for principal, execution_id in ((CALLER, schedule.schedule_id), (STRANGER, run.execution_id)):
        with pytest.raises(ExecutionNotFoundException):
            await world.executions.get(principal, execution_id)
