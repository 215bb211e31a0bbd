"""Skipping exactly the next occurrence, and thinking better of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.errors import ScheduleNotFoundException, StaleRevisionException, StateForbidsException
from app.core.schedule import Schedule, ScheduleStatus, SkipNext
from tests.clocks import START
from tests.integration.definitions import cron, interval
from tests.integration.service.world import CALLER, STRANGER, World

MINUTE = timedelta(minutes=1)


async def skip(world: World, schedule: Schedule, reason: str | None = "stock-taking") -> Schedule:
    return await world.schedules.skip_next(CALLER, schedule.schedule_id, reason=reason, expected_revision=None)


async def undo(world: World, schedule: Schedule) -> Schedule:
    return await world.schedules.undo_skip_next(CALLER, schedule.schedule_id, expected_revision=None)


async def recorded(world: World) -> list[tuple[object, ...]]:
    rows = await world.rows("SELECT scheduled_for, status, reason, reason_detail FROM executions ORDER BY 1")
    return [tuple(row) for row in rows]


async def test_the_next_one_is_recorded_as_skipped_with_who_and_why_and_the_one_after_fires(world: World) -> None:
    schedule = await world.create(interval(60))
    skipping = await skip(world, schedule)
    assert skipping.skip_next == SkipNext("ada", "stock-taking", START)
    assert (skipping.revision, skipping.next_execution_at) == (2, START + MINUTE)
    for _ in range(2):
        world.clock.move(60)
        await world.look(schedule)
    assert await recorded(world) == [
        (START + MINUTE, "skipped", "skip_next", "by ada: stock-taking"),
        (START + 2 * MINUTE, "pending", None, None),
    ]
    after = await world.schedules.get(CALLER, schedule.schedule_id)
    assert (after.skip_next, after.execution_count) == (None, 1)


async def test_twice_is_once(world: World) -> None:
    schedule = await world.create(interval(60))
    first = await skip(world, schedule)
    assert await skip(world, schedule, "another reason") == first
    world.clock.move(60)
    await world.look(schedule)
    world.clock.move(60)
    await world.look(schedule)
    assert [row[1] for row in await recorded(world)] == ["skipped", "pending"]


async def test_what_is_undone_in_time_fires(world: World) -> None:
    schedule = await world.create(interval(60))
    await skip(world, schedule)
    undone = await undo(world, schedule)
    assert (undone.skip_next, undone.revision) == (None, 3)
    world.clock.move(60)
    await world.look(schedule)
    assert await recorded(world) == [(START + MINUTE, "pending", None, None)]


async def test_what_was_recorded_cannot_be_undone(world: World) -> None:
    schedule = await world.create(interval(60))
    await skip(world, schedule)
    world.clock.move(60)
    await world.look(schedule)
    with pytest.raises(StateForbidsException, match="may be recorded already"):
        await undo(world, schedule)


async def test_upcoming_occurrences_leave_it_out(world: World) -> None:
    schedule = await world.create(interval(60, max_executions=2))
    await skip(world, schedule)
    upcoming = await world.schedules.upcoming(CALLER, schedule.schedule_id, 5)
    assert upcoming == [START + 2 * MINUTE, START + 3 * MINUTE]


async def test_a_pause_undoes_it(world: World) -> None:
    schedule = await world.create(interval(60))
    await skip(world, schedule)
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert (resumed.status, resumed.skip_next) == (ScheduleStatus.ACTIVE, None)


async def test_a_new_timing_undoes_it_and_another_change_does_not(world: World) -> None:
    schedule = await world.create(interval(60))
    await skip(world, schedule)
    renamed = await world.schedules.change(
        CALLER, schedule.schedule_id, lambda one: replace(one.definition, name="other"), expected_revision=None
    )
    assert renamed.schedule.skip_next is not None
    retimed = await world.schedules.change(
        CALLER, schedule.schedule_id, lambda one: replace(one.definition, interval_seconds=7), expected_revision=None
    )
    assert retimed.schedule.skip_next is None


@pytest.mark.parametrize("status", ["paused", "completed", "failed"])
async def test_what_waits_for_nothing_has_no_next_one(world: World, status: str) -> None:
    schedule = await world.create(cron())
    await world.rows("UPDATE workflow_schedules SET status = $1, next_due_at = NULL, next_execution_at = NULL", status)
    with pytest.raises(StateForbidsException, match=f"a {status} schedule"):
        await skip(world, schedule)


async def test_a_revision_that_is_stale_is_refused(world: World) -> None:
    schedule = await world.create(cron())
    await skip(world, schedule)
    with pytest.raises(StaleRevisionException):
        await world.schedules.undo_skip_next(CALLER, schedule.schedule_id, expected_revision=1)


async def test_it_is_audited_with_the_reason(world: World) -> None:
    schedule = await world.create(cron())
    await skip(world, schedule)
    await undo(world, schedule)
    rows = await world.rows("SELECT action, user_id, reason FROM audit_log WHERE action ~ 'skip' ORDER BY audit_id")
    assert [tuple(row) for row in rows] == [
        ("schedule_skip_next", "ada", "stock-taking"),
        ("schedule_skip_next_undo", "ada", None),
    ]


async def test_another_communitys_schedule_is_unknown(world: World) -> None:
    schedule = await world.create(cron())
    with pytest.raises(ScheduleNotFoundException):
        await world.schedules.skip_next(STRANGER, schedule.schedule_id, reason=None, expected_revision=None)


async def test_an_execution_under_the_old_revision_still_sends_what_was_recorded(world: World) -> None:
    schedule = await world.create(interval(60, context_data={"a": 1}))
    run = await world.trigger(schedule)
    await skip(world, schedule)
    (assignment,) = (await world.look(run)).assignments
    assert (assignment.revision, assignment.context_json) == (1, '{"a": 1}')
