"""Manual runs."""

import asyncio
from datetime import timedelta

import orjson
import pytest

from app.core.clock import to_ms
from app.core.errors import ScheduleNotFoundException
from app.core.execution import ExecutionStatus, Reason, Trigger
from app.core.ids import execution_id, recorded_for
from app.core.schedule import OverlapPolicy
from tests.clocks import START
from tests.integration.definitions import cron, interval
from tests.integration.service.world import CALLER, STRANGER, World, accepted


async def test_a_manual_run_is_pending_without_an_owner_and_due_now(world: World) -> None:
    schedule = await world.create(cron())
    world.clock.move(10)
    now = world.clock.now()
    run = await world.trigger(schedule)
    assert (run.status, run.trigger, run.reason) == (ExecutionStatus.PENDING, Trigger.MANUAL, None)
    assert run.scheduled_for == run.due_at == run.wake_at == run.created_at == recorded_for(run.execution_id) == now
    assert run.execution_id == execution_id(schedule.schedule_id, now, now, 1)
    assert await world.due_in_wheel(run) == to_ms(now) + world.wheel.claim_ahead_ms
    (row,) = await world.rows("SELECT owner, attempt, trigger_key, next_execution_at FROM executions")
    assert tuple(row) == (None, 0, 1, schedule.next_execution_at)


async def test_a_manual_run_changes_neither_timing_nor_revision_nor_count(world: World) -> None:
    schedule = await world.create(cron(max_executions=1))
    await world.trigger(schedule)
    after = await world.schedules.get(CALLER, schedule.schedule_id)
    assert await world.one("SELECT trigger_seq FROM workflow_schedules") == 1
    assert (after.revision, after.next_due_at, after.execution_count, after.updated_at) == (
        schedule.revision,
        schedule.next_due_at,
        0,
        schedule.updated_at,
    )


async def test_a_worker_takes_it_with_the_override_and_the_last_occurrence(world: World) -> None:
    schedule = await world.create(interval(60, context_data={"a": 1}))
    world.clock.move(60)
    await world.look(schedule)
    run = await world.trigger(schedule, context={"b": 2})
    (assignment,) = (await world.look(run)).assignments
    assert (assignment.attempt, assignment.trigger) == (1, "manual")
    assert orjson.loads(assignment.context_json) == {"b": 2}
    assert assignment.last_scheduled_for == START + timedelta(seconds=60)
    assert assignment.next_execution_at == START + timedelta(seconds=120)


async def test_twenty_runs_in_one_millisecond_are_twenty_executions(world: World) -> None:
    schedule = await world.create(cron())
    runs = await asyncio.gather(*(world.trigger(schedule) for _ in range(20)))
    assert len({run.execution_id for run in runs}) == 20
    assert await world.one("SELECT trigger_seq FROM workflow_schedules") == 20


async def test_it_runs_although_the_schedule_is_paused(world: World) -> None:
    schedule = await world.create(cron())
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    assert (await world.trigger(schedule)).status is ExecutionStatus.PENDING


async def test_overlap_is_ignored_unless_the_caller_names_a_policy(world: World) -> None:
    schedule = await world.create(cron(max_instances=1))
    policies = (None, None, OverlapPolicy.ALLOW, OverlapPolicy.SKIP)
    runs = [await world.trigger(schedule, policy) for policy in policies]
    assert [run.status.value for run in runs] == ["pending", "pending", "pending", "skipped"]
    skipped = runs[3]
    assert (skipped.reason, skipped.wake_at, skipped.finished_at) == (Reason.OVERLAP, None, START)
    assert await world.due_in_wheel(skipped) is None


async def test_concurrent_runs_that_skip_never_exceed_the_instances(world: World) -> None:
    schedule = await world.create(cron(max_instances=2))
    runs = await asyncio.gather(*(world.trigger(schedule, OverlapPolicy.SKIP) for _ in range(10)))
    assert sorted(run.status.value for run in runs) == ["pending"] * 2 + ["skipped"] * 8


async def test_concurrent_runs_that_queue_leave_one_waiting(world: World) -> None:
    schedule = await world.create(cron(max_instances=2))
    runs = await asyncio.gather(*(world.trigger(schedule, OverlapPolicy.QUEUE) for _ in range(10)))
    assert sorted(run.status.value for run in runs) == ["pending"] * 2 + ["queued"] + ["skipped"] * 7
    assert {run.reason for run in runs if run.status is ExecutionStatus.SKIPPED} == {Reason.QUEUE_FULL}


async def test_concurrent_runs_that_cancel_leave_the_newest_running(world: World) -> None:
    schedule = await world.create(cron(max_instances=2))
    runs = await asyncio.gather(*(world.trigger(schedule, OverlapPolicy.CANCEL_RUNNING) for _ in range(10)))
    assert {run.status for run in runs} == {ExecutionStatus.PENDING}
    left = [one for one in await world.history(schedule.schedule_id) if one.status is ExecutionStatus.PENDING]
    assert len(left) == 2


async def test_another_communitys_schedule_is_not_found(world: World) -> None:
    schedule = await world.create(cron())
    with pytest.raises(ScheduleNotFoundException):
        await world.schedules.trigger(
            STRANGER,
            schedule.schedule_id,
            context_override=None,
            overlap_policy=None,
            answer=accepted,
            idempotency=None,
        )
