"""Pause and resume."""

from datetime import timedelta

import pytest

from app.core.errors import ScheduleNotFoundException, StateForbidsException
from app.core.execution import ExecutionStatus, Reason
from app.core.schedule import ScheduleStatus
from tests.clocks import START
from tests.integration.definitions import cron, interval, one_time
from tests.integration.service.world import CALLER, STRANGER, World, ms

MINUTE = timedelta(minutes=1)


async def test_a_pause_records_what_has_passed_and_keeps_its_reason(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(130)
    paused = await world.schedules.pause(CALLER, schedule.schedule_id, reason="maintenance")
    assert (paused.status, paused.status_reason, paused.revision) == (ScheduleStatus.PAUSED, "maintenance", 2)
    assert (paused.next_execution_at, paused.next_due_at) == (None, None)
    assert paused.searched_to == START + 2 * MINUTE
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.reason, skipped.coalesced_count, skipped.status) == (Reason.PAUSED, 2, ExecutionStatus.SKIPPED)


@pytest.mark.fault("19")
async def test_nothing_is_recorded_while_paused(world: World) -> None:
    schedule = await world.create(interval(60))
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    world.clock.move(600)
    assert (await world.look(schedule)).assignments == []
    assert await world.history(schedule.schedule_id) == []


async def test_resume_goes_on_from_now_and_replays_nothing(world: World) -> None:
    schedule = await world.create(interval(60))
    await world.schedules.pause(CALLER, schedule.schedule_id, reason="x")
    world.clock.move(605)
    # The entry of before the pause is still there, and would only be a look too early.
    await world.wheel.clear()
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason="done")
    assert (resumed.status, resumed.status_reason, resumed.revision) == (ScheduleStatus.ACTIVE, None, 3)
    assert resumed.next_execution_at == START + 11 * MINUTE
    assert resumed.searched_to == world.clock.now()
    assert await world.due_in_wheel(resumed) == ms(resumed.next_due_at)
    assert await world.history(schedule.schedule_id) == []


async def test_twice_changes_nothing(world: World) -> None:
    schedule = await world.create(cron())
    paused = await world.schedules.pause(CALLER, schedule.schedule_id, reason="first")
    assert await world.schedules.pause(CALLER, schedule.schedule_id, reason="second") == paused
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert await world.schedules.resume(CALLER, schedule.schedule_id, reason=None) == resumed
    actions = await world.rows("SELECT action FROM audit_log ORDER BY audit_id")
    assert [row["action"] for row in actions] == ["schedule_create", "schedule_pause", "schedule_resume"]


@pytest.mark.fault("19")
async def test_a_pause_and_resume_within_the_claim_ahead_does_not_fire_an_instant_again(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(59.96)
    assert len((await world.look(schedule)).assignments) == 1
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert resumed.next_execution_at == START + 2 * MINUTE


async def test_a_one_time_whose_instant_passed_while_paused_is_skipped_and_completed(world: World) -> None:
    schedule = await world.create(one_time(START + MINUTE))
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    world.clock.move(61)
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert (resumed.status, resumed.next_due_at) == (ScheduleStatus.COMPLETED, None)
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.status, skipped.reason, skipped.scheduled_for) == (
        ExecutionStatus.SKIPPED,
        Reason.PAUSED,
        START + MINUTE,
    )


async def test_a_one_time_that_was_paused_when_due_is_completed_with_its_one_record(world: World) -> None:
    schedule = await world.create(one_time(START - timedelta(seconds=30)))
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert resumed.status is ScheduleStatus.COMPLETED
    assert [run.reason for run in await world.history(schedule.schedule_id)] == [Reason.PAUSED]


async def test_a_one_time_that_is_resumed_in_time_fires(world: World) -> None:
    schedule = await world.create(one_time(START + MINUTE))
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    world.clock.move(59)
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert (resumed.status, resumed.next_due_at) == (ScheduleStatus.ACTIVE, START + MINUTE)


async def test_a_paused_one_time_given_a_past_instant_is_skipped_once(world: World) -> None:
    schedule = await world.create(interval(3600))
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    world.clock.move(30)
    await world.change(schedule, one_time(START + timedelta(seconds=10)))
    world.clock.move(300)
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert resumed.status is ScheduleStatus.COMPLETED
    assert [run.reason for run in await world.history(schedule.schedule_id)] == [Reason.PAUSED]


async def test_a_resume_without_an_occurrence_or_a_run_left_completes(world: World) -> None:
    ended = await world.create(cron(end_at=START + timedelta(hours=1)))
    used = await world.create(interval(60))
    world.clock.move(60)
    await world.look(used)
    for schedule in (ended, used):
        await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    await world.change(used, interval(60, max_executions=1))
    world.clock.move(7200)
    for schedule in (ended, used):
        resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
        assert resumed.status is ScheduleStatus.COMPLETED


async def test_a_completed_schedule_is_neither_paused_nor_resumed(world: World) -> None:
    schedule = await world.create(one_time(START))
    await world.look(schedule)
    with pytest.raises(StateForbidsException, match="completed"):
        await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    with pytest.raises(StateForbidsException, match="completed"):
        await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)


async def test_a_failed_schedule_is_not_paused_and_is_computed_anew_by_resume(world: World) -> None:
    schedule = await world.create(interval(60))
    await world.rows(
        "UPDATE workflow_schedules SET status = 'failed', status_reason = 'zone', next_execution_at = NULL,"
        " next_due_at = NULL"
    )
    with pytest.raises(StateForbidsException, match="failed"):
        await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    world.clock.move(61)
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert (resumed.status, resumed.status_reason) == (ScheduleStatus.ACTIVE, None)
    assert resumed.next_execution_at == START + 2 * MINUTE


async def test_a_schedule_whose_zone_vanished_can_be_paused_but_not_resumed(world: World) -> None:
    schedule = await world.create(cron())
    await world.rows("UPDATE workflow_schedules SET timezone = 'Mars/Olympus'")
    world.clock.move(3700)
    paused = await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    assert paused.status is ScheduleStatus.PAUSED
    assert [run.scheduled_for for run in await world.history(schedule.schedule_id)] == [schedule.next_execution_at]
    with pytest.raises(StateForbidsException, match="Olympus"):
        await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    await world.schedules.remove(CALLER, schedule.schedule_id)


async def test_another_communitys_schedule_is_not_found(world: World) -> None:
    schedule = await world.create(cron())
    with pytest.raises(ScheduleNotFoundException):
        await world.schedules.pause(STRANGER, schedule.schedule_id, reason=None)
    with pytest.raises(ScheduleNotFoundException):
        await world.schedules.resume(STRANGER, schedule.schedule_id, reason=None)
