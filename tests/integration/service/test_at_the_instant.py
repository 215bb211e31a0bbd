"""Callers who change a schedule at the very moment at which workers fire it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.errors import ScheduleServiceException
from app.core.execution import Reason
from app.core.queries import Answer
from app.core.schedule import Schedule
from app.service.backfilling import BackfillRequest
from tests.clocks import START
from tests.integration.definitions import interval
from tests.integration.service.world import CALLER, World

MINUTE = timedelta(minutes=1)
_ROUNDS = 12

Call = Callable[[World, Schedule], Coroutine[None, None, object]]


async def skip_next(world: World, schedule: Schedule) -> object:
    return await world.schedules.skip_next(CALLER, schedule.schedule_id, reason=None, expected_revision=None)


async def replace_timing(world: World, schedule: Schedule) -> object:
    return await world.schedules.change(
        CALLER, schedule.schedule_id, lambda one: replace(one.definition, jitter_seconds=1), expected_revision=None
    )


async def replace_name(world: World, schedule: Schedule) -> object:
    return await world.schedules.change(
        CALLER, schedule.schedule_id, lambda one: replace(one.definition, description="x"), expected_revision=None
    )


async def pause(world: World, schedule: Schedule) -> object:
    return await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)


async def remove(world: World, schedule: Schedule) -> object:
    await world.schedules.remove(CALLER, schedule.schedule_id)
    return None


async def trigger(world: World, schedule: Schedule) -> object:
    return await world.trigger(schedule)


async def backfill(world: World, schedule: Schedule) -> object:
    request = BackfillRequest(START, START + 5 * MINUTE, 1, dry_run=False, context_override=None)
    return await world.schedules.backfill(
        CALLER, schedule.schedule_id, request, answer=lambda _: Answer(202, {}, b""), idempotency=None
    )


@pytest.mark.parametrize("call", [skip_next, replace_timing, replace_name, pause, remove, trigger, backfill])
async def test_the_instant_is_in_exactly_one_record_and_counted_once(world: World, call: Call) -> None:
    for _ in range(_ROUNDS):
        schedule = await world.create(interval(60))
        world.clock.move(60)
        instant = schedule.next_execution_at
        assert instant is not None
        await asyncio.gather(world.look(schedule), call(world, schedule), world.look(schedule), world.look(schedule))
        # What another had locked is handed back, and looked at again.
        await world.look(schedule)
        rows = await world.rows(
            "SELECT status, reason FROM executions WHERE schedule_id = $1 AND trigger = 'schedule'"
            " AND scheduled_for = $2",
            schedule.schedule_id,
            instant,
        )
        assert len(rows) == 1, (call, rows)
        fired = rows[0]["status"] == "pending"
        try:
            after = await world.schedules.get(CALLER, schedule.schedule_id)
        except ScheduleServiceException:
            assert call is remove
            continue
        assert after.execution_count == int(fired)
        assert after.searched_to >= instant
        if call is skip_next:
            # Either this one was skipped, or it had fired and the next one will be.
            assert (rows[0]["reason"] == "skip_next") == (after.skip_next is None)


@pytest.mark.parametrize(
    ("call", "reason"),
    [(pause, Reason.PAUSED), (replace_timing, Reason.REPLACED), (remove, Reason.REMOVED)],
    ids=["pause", "replace", "remove"],
)
async def test_an_instant_that_passes_while_a_change_waits_for_the_row_is_recorded_by_it(
    world: World, call: Call, reason: Reason
) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(59)
    async with world.database.transaction() as another:
        await another.execute("SELECT FROM workflow_schedules FOR NO KEY UPDATE")
        changing = asyncio.create_task(call(world, schedule))
        await world.somebody_waits_for_a_lock()
        world.clock.move(2)
    await changing
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.scheduled_for, skipped.reason) == (START + MINUTE, reason)


async def test_an_instant_that_passes_while_a_resume_waits_for_the_row_is_not_replayed(world: World) -> None:
    schedule = await world.create(interval(60))
    await pause(world, schedule)
    world.clock.move(59)
    async with world.database.transaction() as another:
        await another.execute("SELECT FROM workflow_schedules FOR NO KEY UPDATE")
        resuming = asyncio.create_task(world.schedules.resume(CALLER, schedule.schedule_id, reason=None))
        await world.somebody_waits_for_a_lock()
        world.clock.move(2)
    assert (await resuming).next_execution_at == START + 2 * MINUTE
