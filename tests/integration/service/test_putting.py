"""After the commit, always a put: whoever asks makes good what another process lost."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.execution import Execution, ExecutionStatus
from app.core.queries import Answer
from app.core.schedule import Schedule
from app.service.backfilling import BackfillRequest
from tests.clocks import START
from tests.integration.definitions import interval
from tests.integration.service.world import CALLER, World, accepted, ms
from tests.integration.store.rows import add_execution

MINUTE = timedelta(minutes=1)


async def _replace(world: World, schedule: Schedule) -> None:
    await world.change(schedule, replace(schedule.definition, description="new"))


async def _replace_by_the_same(world: World, schedule: Schedule) -> None:
    await world.change(schedule, schedule.definition)


async def _resume_what_is_active(world: World, schedule: Schedule) -> None:
    await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)


async def _pause_and_resume(world: World, schedule: Schedule) -> None:
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    await world.wheel.clear()
    await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)


async def _skip_next(world: World, schedule: Schedule) -> None:
    await world.schedules.skip_next(CALLER, schedule.schedule_id, reason=None, expected_revision=None)


@pytest.mark.parametrize(
    "call",
    [_replace, _replace_by_the_same, _resume_what_is_active, _pause_and_resume, _skip_next],
    ids=lambda call: call.__name__.strip("_"),
)
async def test_whatever_a_caller_changes_puts_what_the_schedule_waits_for(
    world: World, call: Callable[[World, Schedule], Awaitable[None]]
) -> None:
    schedule = await world.create(interval(60))
    await world.wheel.clear()
    await call(world, schedule)
    assert await world.due_in_wheel(schedule) == ms(START + MINUTE)


async def test_a_run_that_is_asked_for_is_put(world: World) -> None:
    schedule = await world.create(interval(3600))
    asked = BackfillRequest(START, START + timedelta(hours=2), 1, dry_run=False, context_override=None)
    await world.schedules.backfill(
        CALLER, schedule.schedule_id, asked, answer=lambda _: Answer(202, {}, b""), idempotency=None
    )
    await world.trigger(schedule)
    for run in await world.history(schedule.schedule_id):
        assert run.wake_at is not None
        assert await world.due_in_wheel(run) == await _score(world, run)


async def test_a_deadline_that_is_moved_and_a_run_that_is_reopened_are_put(world: World) -> None:
    schedule = await world.create(interval(3600))
    async with world.database.transaction() as connection:
        runs = await add_execution(connection, schedule_id=schedule.schedule_id, status="running", wake_at=START)
        dead = await add_execution(connection, schedule_id=schedule.schedule_id, status="failed", finished_at=START)
    await world.executions.heartbeat(CALLER, runs)
    await world.executions.retry(CALLER, dead, answer=accepted, idempotency=None)
    for execution_id in (runs, dead):
        execution = await world.executions.get(CALLER, execution_id)
        assert await world.due_in_wheel(execution) == await _score(world, execution)


async def _score(world: World, execution: Execution) -> int:
    at = ms(execution.wake_at)
    assert at is not None
    return at + world.wheel.claim_ahead_ms


async def test_a_pause_leaves_what_was_recorded_alone(world: World) -> None:
    schedule = await world.create(interval(60))
    async with world.database.transaction() as connection:
        for status in ("queued", "retrying", "running", "pending"):
            await add_execution(connection, schedule_id=schedule.schedule_id, status=status, wake_at=START)
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    statuses = {execution.status for execution in await world.history(schedule.schedule_id)}
    assert statuses == {
        ExecutionStatus.QUEUED,
        ExecutionStatus.RETRYING,
        ExecutionStatus.RUNNING,
        ExecutionStatus.PENDING,
    }
