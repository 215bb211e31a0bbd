"""Replacing and patching schedules."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest

from app.core.errors import (
    InvalidScheduleException,
    NameTakenException,
    ScheduleNotFoundException,
    StaleRevisionException,
)
from app.core.execution import ExecutionStatus, Reason
from app.core.occurrences import due_at
from app.core.schedule import Definition, Schedule, ScheduleStatus
from tests.clocks import START
from tests.integration.definitions import cron, interval, one_time
from tests.integration.service.world import CALLER, STRANGER, World, ms

MINUTE = timedelta(minutes=1)


async def test_a_change_of_timing_is_in_force_from_now_on(world: World) -> None:
    schedule = await world.create(cron())
    world.clock.move(10)
    changed = await world.change(schedule, interval(60))
    assert changed.next_execution_at == START + MINUTE
    assert changed.searched_to == START + timedelta(seconds=10)
    assert (changed.revision, changed.updated_at) == (2, world.clock.now())
    assert await world.due_in_wheel(changed) == ms(changed.next_due_at)


async def test_the_instants_of_a_change_are_kept_to_the_millisecond(world: World) -> None:
    schedule = await world.create(cron())
    changed = await world.change(schedule, one_time(START + timedelta(seconds=30, microseconds=1_999)))
    instant = START + timedelta(seconds=30, milliseconds=1)
    assert (changed.definition.scheduled_time, changed.next_execution_at) == (instant, instant)


async def test_a_change_that_changes_nothing_keeps_the_revision_and_writes_nothing(world: World) -> None:
    schedule = await world.create(cron(context_data={"n": 1.0, "deep": [{"a": 1}]}))
    world.clock.move(10)
    same = await world.change(schedule, cron(context_data={"deep": [{"a": 1}], "n": 1}))
    assert same == schedule
    assert await world.one("SELECT count(*) FROM schedule_revisions") == 0
    assert await world.one("SELECT count(*) FROM audit_log") == 1


async def test_true_is_not_taken_for_one_when_looking_for_changes(world: World) -> None:
    schedule = await world.create(cron(context_data={"deep": [{"flag": 1}]}))
    changed = await world.change(schedule, cron(context_data={"deep": [{"flag": True}]}))
    assert changed.revision == 2
    assert changed.definition.context_data["deep"][0]["flag"] is True


async def test_a_change_without_timing_leaves_what_waits_alone_even_when_it_is_due(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(61)
    changed = await world.change(schedule, interval(60, description="new"))
    assert (changed.next_due_at, changed.searched_to) == (schedule.next_due_at, schedule.searched_to)
    assert await world.history(schedule.schedule_id) == []
    (assignment,) = (await world.look(changed)).assignments
    assert assignment.scheduled_for == START + MINUTE
    assert (await world.history(schedule.schedule_id))[0].revision == 2


async def test_a_change_puts_what_waits_into_the_wheel_although_its_timing_is_the_same(world: World) -> None:
    schedule = await world.create(interval(60))
    await world.wheel.clear()
    changed = await world.change(schedule, interval(60, description="new"))
    assert await world.due_in_wheel(changed) == ms(schedule.next_due_at)


async def test_a_change_of_timing_records_what_has_passed_as_one_replaced(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(190)
    changed = await world.change(schedule, interval(3600))
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.status, skipped.reason) == (ExecutionStatus.SKIPPED, Reason.REPLACED)
    assert (skipped.covers_from, skipped.scheduled_for) == (START + MINUTE, START + 3 * MINUTE)
    assert (skipped.coalesced_count, skipped.revision) == (3, 1)
    assert skipped.finished_at == world.clock.now()
    assert changed.searched_to == world.clock.now()
    assert changed.next_execution_at == START + timedelta(hours=1)


async def test_an_occurrence_whose_jitter_delays_it_past_the_change_is_recorded_too(world: World) -> None:
    schedule = await world.create(interval(3600, jitter_seconds=3600))
    world.clock.move(3600)
    assert schedule.next_due_at is not None
    assert schedule.next_due_at > world.clock.now()
    await world.change(schedule, interval(7200))
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.scheduled_for, skipped.due_at) == (START + timedelta(hours=1), schedule.next_due_at)


@pytest.mark.fault("19")
async def test_an_instant_recorded_ahead_is_not_found_again_by_a_new_timing(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(59.97)
    await world.look(schedule)
    changed = await world.change(schedule, interval(30))
    assert changed.searched_to == START + MINUTE
    assert changed.next_execution_at == START + timedelta(seconds=90)


@pytest.mark.fault("19")
async def test_a_one_time_between_now_and_what_was_recorded_ahead_fires_after_its_jitter(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(59.96)
    await world.look(schedule)
    instant = START + timedelta(seconds=59.98)
    changed = await world.change(schedule, one_time(instant, jitter_seconds=60))
    assert (changed.next_execution_at, changed.searched_to) == (instant, START + MINUTE)
    assert changed.next_due_at == due_at(changed.timing, changed.schedule_id, instant)
    assert changed.next_due_at is not None
    world.clock.move_to(changed.next_due_at)
    assert [one.scheduled_for for one in (await world.look(changed)).assignments] == [instant]


async def test_the_superseded_definition_is_kept_at_every_revision(world: World) -> None:
    schedule = await world.create(cron(context_data={"version": 1}))
    changed = await world.change(schedule, cron(context_data={"version": 2}))
    await world.schedules.pause(CALLER, changed.schedule_id, reason=None)
    rows = await world.rows("SELECT revision, definition FROM schedule_revisions ORDER BY revision")
    kept = {row["revision"]: orjson.loads(row["definition"]) for row in rows}
    assert {revision: definition["context_data"] for revision, definition in kept.items()} == {
        1: {"version": 1},
        2: {"version": 2},
    }
    assert kept[1]["timezone"] == "UTC"
    assert kept[1]["retry"]["max_retries"] == 3


@pytest.mark.fault("19")
async def test_what_was_recorded_before_a_change_is_delivered_as_it_was_defined_then(world: World) -> None:
    schedule = await world.create(cron(context_data={"version": 1}))
    await world.change(schedule, cron(context_data={"version": 2}))
    run = await world.trigger(schedule)
    await world.change(schedule, cron(context_data={"version": 3}, timezone="Europe/Berlin"))
    (assignment,) = (await world.look(run)).assignments
    assert orjson.loads(assignment.context_json) == {"version": 2}
    assert assignment.timezone == "UTC"


async def test_a_stale_revision_is_refused(world: World) -> None:
    schedule = await world.create(cron())
    await world.change(schedule, cron(description="new"))
    with pytest.raises(StaleRevisionException):
        await world.schedules.change(CALLER, schedule.schedule_id, lambda _: cron(), expected_revision=1)
    with pytest.raises(StaleRevisionException):
        await world.schedules.remove(CALLER, schedule.schedule_id, expected_revision=1)
    await world.schedules.remove(CALLER, schedule.schedule_id, expected_revision=2)


async def test_another_communitys_schedule_cannot_be_told_from_an_unknown_one(world: World) -> None:
    schedule = await world.create(cron())
    for schedule_id in (schedule.schedule_id, uuid4()):
        with pytest.raises(ScheduleNotFoundException):
            await world.schedules.change(STRANGER, schedule_id, lambda _: cron(), expected_revision=None)


async def test_a_refusal_within_the_edit_changes_nothing(world: World) -> None:
    schedule = await world.create(cron())

    def refuse(_: Schedule) -> Definition:
        raise InvalidScheduleException.of("name", "no")

    with pytest.raises(InvalidScheduleException):
        await world.schedules.change(CALLER, schedule.schedule_id, refuse, expected_revision=None)
    assert await world.schedules.get(CALLER, schedule.schedule_id) == schedule


async def test_a_change_to_a_taken_name_is_refused(world: World) -> None:
    await world.create(cron(name="taken"))
    schedule = await world.create(cron(name="own"))
    with pytest.raises(NameTakenException):
        await world.change(schedule, cron(name="taken"))
    assert await world.schedules.get(CALLER, schedule.schedule_id) == schedule


async def test_a_definition_without_an_occurrence_left_completes_the_schedule(world: World) -> None:
    schedule = await world.create(cron())
    changed = await world.change(schedule, cron(end_at=START - MINUTE))
    assert (changed.status, changed.next_due_at, changed.next_execution_at) == (ScheduleStatus.COMPLETED, None, None)
    assert await world.one("SELECT completed_at FROM workflow_schedules") == START


async def test_a_limit_that_is_reached_completes_the_schedule_and_a_higher_one_lets_it_go_on(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(60)
    await world.look(schedule)
    world.clock.move(65)
    completed = await world.change(schedule, interval(60, max_executions=1))
    assert (completed.status, completed.execution_count) == (ScheduleStatus.COMPLETED, 1)
    # The second one had passed, and has its record.
    assert [run.reason for run in await world.history(schedule.schedule_id)] == [Reason.REPLACED, None]
    world.clock.move(600)
    active = await world.change(schedule, interval(60, max_executions=2))
    assert (active.status, active.execution_count) == (ScheduleStatus.ACTIVE, 1)
    # Nothing of the time in which it was completed is made up for.
    assert active.next_execution_at == START + 13 * MINUTE
    assert await world.one("SELECT completed_at FROM workflow_schedules") is None
    assert await world.due_in_wheel(active) is not None


@pytest.mark.parametrize(
    ("definition", "consumed"),
    [(interval(60, max_executions=1), 2 * MINUTE), (interval(30, max_executions=1), timedelta(seconds=125))],
    ids=["the same timing", "another timing"],
)
async def test_a_change_that_completes_consumes_what_it_records_and_all_of_a_timing_it_replaces(
    world: World, definition: Definition, consumed: timedelta
) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(60)
    await world.look(schedule)
    world.clock.move(65)
    completed = await world.change(schedule, definition)
    assert (completed.status, completed.searched_to) == (ScheduleStatus.COMPLETED, START + consumed)


async def test_a_completed_one_time_becomes_active_by_a_new_instant_and_not_by_another_name(world: World) -> None:
    schedule = await world.create(one_time(START + MINUTE))
    world.clock.move(60)
    await world.look(schedule)
    world.clock.move(600)
    renamed = await world.change(schedule, one_time(START + MINUTE, name="new"))
    assert renamed.status is ScheduleStatus.COMPLETED
    jittered = await world.change(schedule, one_time(START + MINUTE, jitter_seconds=5))
    assert jittered.status is ScheduleStatus.COMPLETED
    active = await world.change(schedule, one_time(START + timedelta(hours=1)))
    assert (active.status, active.next_execution_at) == (ScheduleStatus.ACTIVE, START + timedelta(hours=1))
    assert len(await world.history(schedule.schedule_id)) == 1


async def test_a_change_to_a_one_time_within_the_past_minute_is_due_at_once(world: World) -> None:
    schedule = await world.create(interval(20))
    world.clock.move(45)
    instant = START + timedelta(seconds=30)
    changed = await world.change(schedule, one_time(instant))
    assert (changed.next_execution_at, changed.next_due_at) == (instant, world.clock.now())
    (assignment,) = (await world.look(changed)).assignments
    assert assignment.scheduled_for == instant
    # Two that had passed as one skipped, and the run that was asked for.
    assert [run.status for run in await world.history(schedule.schedule_id)] == [
        ExecutionStatus.SKIPPED,
        ExecutionStatus.PENDING,
    ]


async def test_a_one_time_asked_for_exactly_a_minute_late_has_not_consumed_its_instant(
    world: World,
) -> None:
    schedule = await world.create(interval(3600))
    world.clock.move(60)
    changed = await world.change(schedule, one_time(START))
    assert (changed.next_execution_at, changed.next_due_at) == (START, world.clock.now())
    assert changed.searched_to == START
    assert [one.scheduled_for for one in (await world.look(changed)).assignments] == [START]


async def test_a_one_time_whose_record_has_expired_is_completed_and_not_recorded_again(world: World) -> None:
    schedule = await world.create(one_time(START + MINUTE))
    world.clock.move(60)
    await world.look(schedule)
    # What retention does with the day's partition.
    await world.rows("DELETE FROM executions")
    world.clock.move(timedelta(days=90).total_seconds())
    changed = await world.change(schedule, one_time(START + MINUTE, jitter_seconds=5))
    assert changed.status is ScheduleStatus.COMPLETED
    assert await world.history(schedule.schedule_id) == []


async def test_a_one_time_for_an_instant_that_has_its_record_is_completed(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(60)
    await world.look(schedule)
    world.clock.move(5)
    changed = await world.change(schedule, one_time(START + MINUTE))
    assert changed.status is ScheduleStatus.COMPLETED
    assert len(await world.history(schedule.schedule_id)) == 1


async def test_the_instant_of_a_one_time_is_checked_only_when_it_changes(world: World) -> None:
    schedule = await world.create(one_time(START + MINUTE))
    world.clock.move(60)
    await world.look(schedule)
    world.clock.move(3600)
    assert (await world.change(schedule, one_time(START + MINUTE, description="kept"))).revision == 2
    with pytest.raises(InvalidScheduleException):
        await world.change(schedule, one_time(START + 2 * MINUTE))


async def test_a_paused_schedule_stays_paused_whatever_changes(world: World) -> None:
    schedule = await world.create(interval(60))
    await world.schedules.pause(CALLER, schedule.schedule_id, reason="incident")
    world.clock.move(90)
    changed = await world.change(schedule, interval(30))
    assert (changed.status, changed.status_reason, changed.next_due_at) == (ScheduleStatus.PAUSED, "incident", None)
    assert changed.searched_to == world.clock.now()
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert resumed.next_execution_at == START + timedelta(seconds=120)
    assert await world.history(schedule.schedule_id) == []


async def test_a_failed_schedule_is_computed_anew_by_a_change_of_its_timing_alone(world: World) -> None:
    schedule = await world.create(cron(timezone="Europe/Berlin"))
    await world.rows(
        "UPDATE workflow_schedules SET status = 'failed', status_reason = 'zone', next_execution_at = NULL,"
        " next_due_at = NULL"
    )
    named = await world.change(schedule, cron(timezone="Europe/Berlin", name="n"))
    assert (named.status, named.status_reason) == (ScheduleStatus.FAILED, "zone")
    moved = await world.change(schedule, cron(timezone="UTC"))
    assert (moved.status, moved.status_reason) == (ScheduleStatus.ACTIVE, None)


@pytest.mark.fault("19")
async def test_a_change_that_races_a_worker_computes_from_what_the_worker_has_written(world: World) -> None:
    schedule = await world.create(interval(60))
    world.clock.move(60)
    async with world.database.transaction() as connection:
        look = await world.look_within(connection, schedule)
        assert len(look.assignments) == 1
        change = asyncio.create_task(world.change(schedule, interval(7)))
        await world.somebody_waits_for_a_lock()
    changed = await change
    assert changed.execution_count == 1
    assert changed.searched_to == START + MINUTE
    assert changed.next_execution_at == START + timedelta(seconds=63)
    # The instant was recorded by the worker, once, and not as replaced.
    assert [run.reason for run in await world.history(schedule.schedule_id)] == [None]


async def test_concurrent_changes_each_get_a_revision_of_their_own(world: World) -> None:
    schedule = await world.create(cron())
    changed = await asyncio.gather(*(world.change(schedule, cron(description=str(place))) for place in range(10)))
    assert sorted(one.revision for one in changed) == list(range(2, 12))
    kept = await world.rows("SELECT revision FROM schedule_revisions ORDER BY revision")
    assert [row["revision"] for row in kept] == list(range(1, 11))
