"""After the commit, always a put: whoever asks makes good what another process lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from app.core.execution import Execution, ExecutionStatus
from app.core.queries import Answer, ExecutionFilter
from app.core.schedule import Definition, OverlapPolicy, Schedule
from app.service.backfilling import BackfillRequest
from app.service.dead_letters import RetryRequest
from app.wheel.entries import Entry
from app.wheel.wheel import Wheel
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


async def _skip_next_once_more(world: World, schedule: Schedule) -> None:
    await _skip_next(world, schedule)
    await world.wheel.clear()
    await _skip_next(world, schedule)


@pytest.mark.parametrize(
    "call",
    [_replace, _replace_by_the_same, _resume_what_is_active, _pause_and_resume, _skip_next, _skip_next_once_more],
    ids=lambda call: call.__name__.strip("_"),
)
async def test_whatever_a_caller_changes_puts_what_the_schedule_waits_for(
    world: World, call: Callable[[World, Schedule], Awaitable[None]]
) -> None:
    schedule = await world.create(interval(60))
    await world.wheel.clear()
    await call(world, schedule)
    assert await world.due_in_wheel(schedule) == ms(START + MINUTE)


class WatchedWheel(Wheel):
    """A world's wheel, which notes at each put what others can read of the one schedule by then."""

    def __init__(self, world: World) -> None:
        super().__init__(world.wheel.client, world.clock, shards=16, window_seconds=3600, claim_ahead_ms=50)
        self._world = world
        self.revisions: list[int] = []

    async def put(self, entries: Sequence[Entry]) -> None:
        self.revisions.append(await self._world.one("SELECT revision FROM workflow_schedules"))
        await super().put(entries)


async def test_a_put_comes_when_what_it_is_for_is_committed(world: World) -> None:
    schedule = await world.create(interval(60))
    watched = WatchedWheel(world)
    await _replace(World(world.database, watched, world.clock), schedule)
    assert watched.revisions == [2]


async def test_what_is_repeated_for_a_deadlock_is_put_as_it_ended(world: World) -> None:
    schedule = await world.create(interval(60))
    await world.wheel.clear()
    edits: list[Schedule] = []

    def edit(current: Schedule) -> Definition:
        edits.append(current)
        if len(edits) == 1:
            raise asyncpg.DeadlockDetectedError
        return replace(current.definition, description="new")

    await world.schedules.change(CALLER, schedule.schedule_id, edit, expected_revision=None)
    assert len(edits) == 2
    assert await world.due_in_wheel(schedule) == ms(START + MINUTE)


async def test_a_run_that_is_queued_behind_one_that_ends_meanwhile_is_put_for_now(world: World) -> None:
    schedule = await world.create(interval(3600, max_instances=1))
    await world.trigger(schedule)
    async with world.database.transaction() as another:
        await another.execute("UPDATE executions SET status = 'succeeded', finished_at = $1, wake_at = NULL", START)
        asking = asyncio.create_task(world.trigger(schedule, OverlapPolicy.QUEUE))
        await world.somebody_waits_for_a_lock()
    queued = await asking
    assert (queued.status, queued.wake_at) == (ExecutionStatus.QUEUED, START)
    assert await world.due_in_wheel(queued) == await _score(world, queued)


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


async def test_whatever_of_many_is_reopened_is_put(world: World) -> None:
    schedule = await world.create(interval(3600))
    async with world.database.transaction() as connection:
        dead = [
            await add_execution(connection, schedule_id=schedule.schedule_id, status=status, finished_at=START)
            for status in ("failed", "timed_out")
        ]
    request = RetryRequest(ExecutionFilter(schedule_id=schedule.schedule_id), limit=10, cursor=None, dry_run=False)
    await world.executions.retry_matching(CALLER, request, answer=lambda _: Answer(200, {}, b""), idempotency=None)
    for execution_id in dead:
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
