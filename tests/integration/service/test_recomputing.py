"""What a changed calendar does to the schedules that keep it, and to those who work on them at the same moment."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from app.api.wire.schedules import MAX_CALENDARS
from app.core.calendars import MAX_ENTRIES, Calendar, Days, merged
from app.core.execution import ExecutionStatus, Reason
from app.core.firing import ENDED_BY_DAYS
from app.core.occurrences import OnDayOff, next_occurrence, tzdata_version
from app.core.queries import Answer, ScheduleFilter
from app.core.schedule import Definition, OverlapPolicy, Schedule, ScheduleStatus
from app.service.recomputing import CHUNK, Recomputer
from app.workers.keepers.zones import Zones
from tests.clocks import START
from tests.integration.calendars import calendar, keeps, stored
from tests.integration.definitions import cron, interval, one_time
from tests.integration.service.world import CALLER, World, listed, ms

NINE = "0 9 * * *"
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
MOVE_ON = OnDayOff.NEXT_BUSINESS_DAY


def at_nine(day: int) -> datetime:
    return datetime(2026, 11, day, 9, tzinfo=UTC)


async def set_off(world: World, *off: str, **rest: Any) -> Calendar:
    definition = calendar("firm", *off, **rest)
    return (await world.calendars.replace(CALLER, "firm", definition, expected_revision=None)).calendar


async def now_of(world: World, schedule: Schedule) -> Schedule:
    return await world.schedules.get(CALLER, schedule.schedule_id)


async def many(world: World, count: int, definition: Definition) -> list[Schedule]:
    """That many schedules, in the order of their ids."""
    made: list[Schedule] = []

    async def answer(results: Sequence[object]) -> Answer:
        made[:] = [one for one in results if isinstance(one, Schedule)]
        return await listed(made)

    await world.schedules.create_batch(CALLER, [definition] * count, atomic=True, answer=answer, idempotency=None)
    assert len(made) == count
    return made


async def test_every_schedule_that_keeps_a_changed_calendar_is_computed_anew(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    await stored(world.calendars, CALLER, calendar("other"))
    keeping = [await world.create(cron(NINE, **keeps())) for _ in range(3)]
    others = [await world.create(cron(NINE, **keeps("other"))), await world.create(cron(NINE))]
    world.clock.move(60)
    with capture_logs() as logs:
        changed = await set_off(world, "2026-11-24", "2026-11-25")
    assert (changed.revision, changed.recomputed) == (2, True)
    for schedule in keeping:
        found = await now_of(world, schedule)
        assert (found.next_execution_at, found.next_due_at) == (at_nine(26), at_nine(26))
        assert (found.revision, found.updated_at) == (1, START)
    for schedule in others:
        assert await now_of(world, schedule) == schedule
    moved = {line["schedule_id"]: line for line in logs if line["event"] == "schedule_moved"}
    assert moved.keys() == {str(schedule.schedule_id) for schedule in keeping}
    line = moved[str(keeping[0].schedule_id)]
    assert (line["cause"], line["calendar"], line["calendar_revision"]) == ("calendar", "firm", 2)
    assert (line["before"], line["after"]) == (at_nine(25).isoformat(), at_nine(26).isoformat())


async def test_what_is_due_sooner_than_before_is_put_into_the_wheel(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-23"))
    schedule = await world.create(interval(60, **keeps()))
    assert schedule.next_execution_at == datetime(2026, 11, 24, tzinfo=UTC)
    await set_off(world)
    assert await world.due_in_wheel(schedule) == ms(START + timedelta(minutes=1))


async def test_words_alone_compute_nothing_anew(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    schedule = await world.create(cron(NINE, **keeps()))
    async with world.database.transaction() as connection:
        await connection.execute("SELECT FROM workflow_schedules FOR UPDATE")
        changed = await set_off(world, "2026-11-24", description="ours")
    assert (changed.revision, changed.days_revision, changed.recomputed) == (2, 1, True)
    assert await now_of(world, schedule) == schedule


async def test_more_schedules_than_one_transaction_takes_are_all_computed(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    count = 2 * CHUNK + 1
    await many(world, count, cron(NINE, **keeps()))
    changed = await set_off(world, "2026-11-24", "2026-11-25")
    assert changed.recomputed
    assert await world.one("SELECT count(*) FROM workflow_schedules WHERE next_due_at = $1", at_nine(26)) == count
    assert await world.one("SELECT count(*) FROM calendar_uses WHERE calendar_revision = 2") == count


async def test_a_schedule_that_does_not_fire_gets_the_days_and_stays_as_it_is(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    paused, failed, completed = [await world.create(cron(NINE, **keeps())) for _ in range(3)]
    await world.schedules.pause(CALLER, paused.schedule_id, reason="why")
    for schedule, status in ((failed, "failed"), (completed, "completed")):
        async with world.database.transaction() as connection:
            await connection.execute(
                """UPDATE workflow_schedules SET status = $2, status_reason = 'why', next_execution_at = NULL,
                          next_due_at = NULL WHERE schedule_id = $1""",
                schedule.schedule_id,
                status,
            )
    changed = await set_off(world, "2026-11-25")
    for schedule, status in ((paused, "paused"), (failed, "failed"), (completed, "completed")):
        found = await now_of(world, schedule)
        assert (found.status, found.status_reason, found.next_due_at) == (ScheduleStatus(status), "why", None)
        assert found.business_days == merged([changed], OnDayOff.SKIP)
    resumed = await world.schedules.resume(CALLER, paused.schedule_id, reason=None)
    assert resumed.next_execution_at == at_nine(24)


async def test_a_schedule_that_has_no_occurrence_left_is_completed_and_says_why(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedule = await world.create(cron(NINE, end_at=at_nine(26), **keeps()))
    single = await world.create(one_time(at_nine(26), **keeps()))
    await set_off(world, "2026-11-24/2026-11-30")
    for one in (schedule, single):
        found = await now_of(world, one)
        assert (found.status, found.next_execution_at, found.next_due_at) == (ScheduleStatus.COMPLETED, None, None)
        assert found.status_reason == ENDED_BY_DAYS
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.covers_from, skipped.scheduled_for, skipped.coalesced_count) == (at_nine(24), at_nine(26), 3)
    (once,) = await world.history(single.schedule_id)
    assert once.scheduled_for == at_nine(26)
    assert {(one.status, one.reason) for one in (skipped, once)} == {(ExecutionStatus.SKIPPED, Reason.CALENDAR)}


async def fired(world: World, schedule: Schedule, until: datetime) -> list[tuple[datetime, str | None]]:
    """What a schedule has recorded when a worker has come for all that it waits for up to an instant, oldest first."""
    while (due := (await now_of(world, schedule)).next_due_at) is not None and due <= until:
        world.clock.move_to(due)
        await world.look(schedule)
    return [(one.scheduled_for, one.reason) for one in reversed(await world.history(schedule.schedule_id))]


async def test_what_a_calendar_ended_begins_again_when_its_days_are_taken_back(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    single = await world.create(one_time(at_nine(26), **keeps()))
    schedule = await world.create(cron(NINE, end_at=at_nine(26), **keeps()))
    await set_off(world, "2026-11-24/2026-11-26")
    await set_off(world, "2026-11-24/2026-11-27")
    assert (await now_of(world, single)).status is ScheduleStatus.COMPLETED
    world.clock.move_to(at_nine(24) + HOUR)
    await set_off(world)
    for one, next_at in ((single, at_nine(26)), (schedule, at_nine(25))):
        found = await now_of(world, one)
        assert (found.status, found.status_reason, found.next_due_at) == (ScheduleStatus.ACTIVE, None, next_at)
        assert (found.revision, found.updated_at) == (1, START)
    assert await world.one("SELECT count(*) FROM workflow_schedules WHERE completed_at IS NOT NULL") == 0
    assert await fired(world, schedule, at_nine(26)) == [
        (at_nine(24), Reason.CALENDAR),
        (at_nine(25), None),
        (at_nine(26), None),
    ]
    assert await fired(world, single, at_nine(26)) == [(at_nine(26), None)]


async def test_an_instant_that_has_passed_while_its_day_was_off_stays_skipped(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    single = await world.create(one_time(at_nine(26), **keeps()))
    await set_off(world, "2026-11-26")
    world.clock.move_to(at_nine(26) + SECOND)
    await set_off(world)
    assert (await now_of(world, single)).status is ScheduleStatus.COMPLETED
    # Nor does a caller's change within the minute fire what is recorded.
    changed = await world.change(single, one_time(at_nine(26)))
    assert changed.status is ScheduleStatus.COMPLETED
    (skipped,) = await world.history(single.schedule_id)
    assert (skipped.status, skipped.reason) == (ExecutionStatus.SKIPPED, Reason.CALENDAR)


async def test_a_callers_change_takes_back_what_the_days_off_recorded_ahead(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    single = await world.create(one_time(at_nine(26), **keeps()))
    await set_off(world, "2026-11-26")
    still = await world.change(single, one_time(at_nine(26), description="new", **keeps()))
    assert (still.status, still.status_reason) == (ScheduleStatus.COMPLETED, ENDED_BY_DAYS)
    assert len(await world.history(single.schedule_id)) == 1
    free = await world.change(still, one_time(at_nine(26)))
    assert (free.status, free.status_reason, free.next_due_at) == (ScheduleStatus.ACTIVE, None, at_nine(26))
    assert await fired(world, free, at_nine(26)) == [(at_nine(26), None)]


@pytest.mark.parametrize("resumed_on", [24, 27])
async def test_a_resumed_schedule_that_its_calendar_left_nothing_says_so_and_vanishes_nothing(
    world: World, resumed_on: int
) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    single = await world.create(one_time(at_nine(26), **keeps()))
    schedule = await world.create(cron(NINE, end_at=at_nine(28), **keeps()))
    for one in (single, schedule):
        await world.schedules.pause(CALLER, one.schedule_id, reason="why")
    await set_off(world, "2026-11-24/2026-11-28")
    world.clock.move_to(at_nine(resumed_on) - HOUR)
    for one in (single, schedule):
        found = await world.schedules.resume(CALLER, one.schedule_id, reason=None)
        assert (found.status, found.status_reason) == (ScheduleStatus.COMPLETED, ENDED_BY_DAYS)
    (skipped,) = await world.history(schedule.schedule_id)
    (once,) = await world.history(single.schedule_id)
    assert (skipped.covers_from, skipped.scheduled_for) == (at_nine(resumed_on), at_nine(28))
    assert (once.scheduled_for, once.reason, skipped.reason) == (at_nine(26), Reason.CALENDAR, Reason.CALENDAR)
    await set_off(world)
    again = ScheduleStatus.ACTIVE if resumed_on < 26 else ScheduleStatus.COMPLETED
    assert (await now_of(world, single)).status is again
    assert (await now_of(world, schedule)).next_due_at == at_nine(resumed_on)


async def test_what_ended_for_another_reason_does_not_begin_again(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    single = await world.create(one_time(at_nine(24), **keeps()))
    limited = await world.create(cron(NINE, max_executions=1, **keeps()))
    world.clock.move_to(at_nine(24))
    await world.look(single, limited)
    await set_off(world, "2026-11-25")
    await set_off(world)
    for one in (single, limited):
        assert (await now_of(world, one)).status is ScheduleStatus.COMPLETED
        assert len(await world.history(one.schedule_id)) == 1


async def test_what_newer_zone_rules_have_computed_is_left_to_them(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    newer, other = [await world.create(cron(NINE, **keeps())) for _ in range(2)]
    version = "UPDATE workflow_schedules SET tzdata_version = $2 WHERE schedule_id = $1"
    await world.rows(version, newer.schedule_id, "2999a")
    assert not (await set_off(world, "2026-11-24")).recomputed
    assert (await now_of(world, newer)) == newer
    assert (await now_of(world, other)).next_execution_at == at_nine(25)
    # As if a process had come that has them.
    await world.rows(version, newer.schedule_id, tzdata_version())
    await Zones(world.database, world.wheel, world.clock, world.metrics).run_once()
    assert (await now_of(world, newer)).next_execution_at == at_nine(25)
    assert (await world.calendars.get(CALLER, "firm")).recomputed


async def test_a_row_that_cannot_be_read_does_not_fail_the_change_nor_the_other_rows(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    strange, other = [await world.create(cron(NINE, **keeps())) for _ in range(2)]
    await world.rows(
        "UPDATE workflow_schedules SET overlap_policy = 'newfangled' WHERE schedule_id = $1", strange.schedule_id
    )
    with capture_logs() as logs:
        changed = await set_off(world, "2026-11-24")
    assert (changed.revision, changed.recomputed) == (2, False)
    (line,) = [line for line in logs if line["event"] == "recompute_poison"]
    assert line["schedule_id"] == str(strange.schedule_id)
    assert (await now_of(world, other)).next_execution_at == at_nine(25)
    assert await world.one("SELECT count(*) FROM calendar_uses") == 2


async def test_a_row_that_cannot_be_computed_holds_up_no_other_row_of_its_chunk(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedules = await many(world, CHUNK + 2, cron(NINE, **keeps()))
    bad = [schedules[0], schedules[CHUNK - 1], schedules[CHUNK]]
    bad_ids = [schedule.schedule_id for schedule in bad]
    await world.rows("UPDATE workflow_schedules SET searched_to = '-infinity' WHERE schedule_id = ANY($1)", bad_ids)
    with capture_logs() as logs:
        assert not (await set_off(world, "2026-11-24")).recomputed
    for schedule in schedules:
        row = "SELECT next_execution_at FROM workflow_schedules WHERE schedule_id = $1"
        expected = at_nine(24 if schedule in bad else 25)
        assert await world.one(row, schedule.schedule_id) == expected
    told = [line["schedule_id"] for line in logs if line["event"] == "recompute_poison"]
    assert told == [str(schedule.schedule_id) for schedule in bad]
    # Repaired, they are found again.
    await world.rows("UPDATE workflow_schedules SET searched_to = $2 WHERE schedule_id = ANY($1)", bad_ids, START)
    await Zones(world.database, world.wheel, world.clock, world.metrics).run_once()
    assert await world.one("SELECT count(*) FROM workflow_schedules WHERE next_due_at = $1", at_nine(24)) == 0
    assert (await world.calendars.get(CALLER, "firm")).recomputed


async def test_a_change_is_answered_although_computing_its_schedules_fails(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    await world.create(cron(NINE, **keeps()))
    await world.rows("ALTER TABLE calendar_uses RENAME COLUMN calendar_revision TO renamed")
    try:
        changed = await set_off(world, "2026-11-24")
    finally:
        await world.rows("ALTER TABLE calendar_uses RENAME COLUMN renamed TO calendar_revision")
    assert (changed.revision, changed.recomputed) == (2, False)


async def test_schedules_with_as_many_days_as_may_be_are_computed_well_within_the_statement_timeout(
    world: World,
) -> None:
    first = date(1970, 1, 1)
    names = [f"large-{number}" for number in range(MAX_CALENDARS)]
    for number, name in enumerate(names):
        apart = (first + timedelta(days=2 * (MAX_CALENDARS * place + number)) for place in range(MAX_ENTRIES))
        large = replace(calendar(name), days_off=tuple(Days(day, day) for day in apart))
        await stored(world.calendars, CALLER, large)
    schedules = await many(world, CHUNK, cron(NINE, **keeps(*names)))
    days = schedules[0].business_days
    assert days is not None
    assert len(days.days_off) == MAX_CALENDARS * MAX_ENTRIES
    changed = await world.calendars.replace(CALLER, names[0], calendar(names[0]), expected_revision=None)
    assert changed.calendar.recomputed


async def test_what_waits_late_is_left_to_be_recorded_when_only_days_to_come_change(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedule = await world.create(interval(60, **keeps()))
    world.clock.move(150)
    changed = await set_off(world, "2026-11-24")
    found = await now_of(world, schedule)
    assert (found.next_execution_at, found.searched_to) == (START + 60 * SECOND, START)
    assert found.business_days == merged([changed], OnDayOff.SKIP)
    (assignment,) = (await world.look(found)).assignments
    assert (assignment.scheduled_for, assignment.coalesced_count) == (START + 120 * SECOND, 2)


async def test_what_has_passed_on_a_day_that_is_now_off_is_recorded_as_replaced(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedule = await world.create(interval(60, **keeps()))
    world.clock.move(190)
    await set_off(world, "2026-11-23")
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.status, skipped.reason) == (ExecutionStatus.SKIPPED, Reason.REPLACED)
    assert (skipped.covers_from, skipped.scheduled_for) == (START + 60 * SECOND, START + 180 * SECOND)
    assert (skipped.coalesced_count, skipped.revision) == (3, 1)
    found = await now_of(world, schedule)
    assert (found.next_execution_at, found.searched_to) == (datetime(2026, 11, 24, tzinfo=UTC), world.clock.now())


async def test_what_was_passed_over_is_recorded_before_its_day_is_not_off_any_more(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    schedule = await world.create(cron(NINE, **keeps()))
    world.clock.move_to(at_nine(24) + HOUR)
    await set_off(world)
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.scheduled_for, skipped.reason) == (at_nine(24), Reason.CALENDAR)
    found = await now_of(world, schedule)
    assert (found.next_execution_at, found.searched_to) == (at_nine(25), world.clock.now())


async def test_what_was_searched_ahead_of_now_is_not_searched_again(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-25"))
    schedule = await world.create(cron(NINE, **keeps()))
    world.clock.move_to(at_nine(24) - timedelta(milliseconds=30))
    (assignment,) = (await world.look(schedule)).assignments
    assert assignment.scheduled_for == at_nine(24)
    await set_off(world)
    found = await now_of(world, schedule)
    assert (found.searched_to, found.next_execution_at) == (at_nine(24), at_nine(25))


async def test_what_begins_again_is_searched_after_what_was_recorded_ahead(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedule = await world.create(cron(NINE, end_at=at_nine(25), **keeps()))
    world.clock.move_to(at_nine(24) - timedelta(milliseconds=30))
    assert len((await world.look(schedule)).assignments) == 1
    await set_off(world, "2026-11-25")
    assert (await now_of(world, schedule)).status is ScheduleStatus.COMPLETED
    await set_off(world)
    found = await now_of(world, schedule)
    assert (found.searched_to, found.next_execution_at) == (at_nine(24), at_nine(25))


async def test_a_one_time_moves_with_its_calendar(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedule = await world.create(one_time(at_nine(27), **keeps(on_day_off=MOVE_ON)))
    await set_off(world, "2026-11-27")
    assert (await now_of(world, schedule)).next_execution_at == at_nine(30)
    await set_off(world, "2026-11-27", worked=["2026-11-28"])
    assert (await now_of(world, schedule)).next_execution_at == at_nine(28)
    await set_off(world)
    assert (await now_of(world, schedule)).next_execution_at == at_nine(27)


async def test_a_one_time_that_a_calendar_moves_into_the_past_is_recorded_as_skipped(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-27"))
    schedule = await world.create(one_time(at_nine(27), **keeps(on_day_off=MOVE_ON)))
    world.clock.move_to(at_nine(28))
    await set_off(world)
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.scheduled_for, skipped.reason) == (at_nine(27), Reason.REPLACED)
    assert (await now_of(world, schedule)).status is ScheduleStatus.COMPLETED


async def test_a_wish_to_skip_the_next_occurrence_ends_when_another_one_is_next(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    kept, ended = await world.create(cron("0 9 * * FRI", **keeps())), await world.create(cron(NINE, **keeps()))
    for schedule in (kept, ended):
        await world.schedules.skip_next(CALLER, schedule.schedule_id, reason=None, expected_revision=None)
    await set_off(world, "2026-11-24")
    assert (await now_of(world, kept)).skip_next is not None
    assert (await now_of(world, ended)).skip_next is None


async def test_a_refresh_computes_schedules_anew_too(world: World) -> None:
    filled = calendar("firm", fill=None)
    await stored(world.calendars, CALLER, filled)
    schedule = await world.create(cron("0 9 25 12 *", **keeps()))
    assert schedule.next_execution_at == datetime(2026, 12, 25, 9, tzinfo=UTC)
    source = {
        "fill": {"country": "DE", "region": None, "first_year": 2025, "last_year": 2025},
        "package_version": "0",
        "filled_at": START.isoformat(),
        "weekend": [0, 6],
    }
    async with world.database.transaction() as connection:
        await connection.execute("UPDATE calendars SET source = $1", orjson.dumps(source).decode())
    done = await world.calendars.refresh(CALLER, "firm", years=(2026, 2026), apply=True, expected_revision=None)
    assert (done.schedules_affected, done.calendar.recomputed) == (1, True)
    assert (await now_of(world, schedule)).next_execution_at == datetime(2027, 12, 25, 9, tzinfo=UTC)


async def assert_all_by_the_present_days(world: World) -> None:
    """Every row has the days that its calendars hold now, and waits for what they make its next occurrence."""
    found = (await world.schedules.find(CALLER, ScheduleFilter(), limit=500, cursor=None)).items
    known = {one.name: one for one in (await world.calendars.find(CALLER, limit=100, cursor=None)).items}
    uses = await world.rows("SELECT schedule_id, calendar_id, calendar_revision FROM calendar_uses")
    for schedule in found:
        use = schedule.definition.calendars
        names = () if use is None else use.names
        days = None if use is None else merged([known[name] for name in names], use.on_day_off)
        assert schedule.business_days == days
        if schedule.status is ScheduleStatus.ACTIVE:
            assert schedule.next_execution_at == next_occurrence(schedule.timing, schedule.searched_to)
        rows = [row for row in uses if row["schedule_id"] == schedule.schedule_id]
        assert {row["calendar_id"] for row in rows} == {known[name].calendar_id for name in names}
        revisions = {one.calendar_id: one.days_revision for one in known.values()}
        assert all(row["calendar_revision"] >= revisions[row["calendar_id"]] for row in rows)
    assert all(one.recomputed for one in known.values())


async def test_a_process_that_dies_half_way_leaves_work_that_a_keeper_finishes(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedules = await many(world, 2 * CHUNK, cron(NINE, **keeps()))
    later = sorted(schedules, key=lambda one: one.schedule_id)[CHUNK + 10]
    async with world.database.transaction() as connection:
        await connection.execute("SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR UPDATE", later.schedule_id)
        dying = asyncio.create_task(set_off(world, "2026-11-24"))
        await world.somebody_waits_for_a_lock()
        dying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dying
    done = "SELECT count(*) FROM workflow_schedules WHERE next_due_at = $1"
    assert await world.one(done, at_nine(25)) == CHUNK
    found = await world.calendars.get(CALLER, "firm")
    assert (found.revision, found.recomputed) == (2, False)

    await Zones(world.database, world.wheel, world.clock, world.metrics).run_once()
    assert await world.one(done, at_nine(25)) == 2 * CHUNK
    await assert_all_by_the_present_days(world)


async def test_what_takes_longer_than_it_may_is_left_to_a_keeper(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedule = await world.create(cron(NINE, **keeps()))
    await set_off(world, "2026-11-24")
    await world.rows("UPDATE calendars SET days_revision = 3, revision = 3")
    late = Recomputer(world.database, world.wheel, world.clock, world.metrics)
    changed = await world.calendars.get(CALLER, "firm")
    assert not await late.recompute(changed, seconds=-1)
    assert not (await world.calendars.get(CALLER, "firm")).recomputed
    assert await late.recompute(changed, seconds=0)
    assert (await world.calendars.get(CALLER, "firm")).recomputed
    assert (await now_of(world, schedule)).next_execution_at == at_nine(25)


async def test_a_schedule_created_before_its_calendar_is_changed_is_waited_for_and_computed_anew(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    async with world.database.transaction() as connection:
        # As a create does that has read the calendar, and is not committed yet.
        await connection.execute("SELECT FROM calendars FOR SHARE")
        changing = asyncio.create_task(set_off(world, "2026-11-24"))
        await world.somebody_waits_for_a_lock()
        schedule = await world.create(cron(NINE, **keeps()))
        assert schedule.next_execution_at == at_nine(24)
        assert not changing.done()
    await changing
    assert (await now_of(world, schedule)).next_execution_at == at_nine(25)
    await assert_all_by_the_present_days(world)


async def test_a_removed_calendar_and_a_create_that_names_it_do_not_both_succeed(world: World) -> None:
    for _ in range(10):
        await stored(world.calendars, CALLER, calendar("firm"))
        removed, created = await asyncio.gather(
            world.calendars.remove(CALLER, "firm", expected_revision=None),
            world.create(cron(NINE, **keeps())),
            return_exceptions=True,
        )
        assert isinstance(removed, Exception) != isinstance(created, Exception)
        if isinstance(created, Schedule):
            await world.schedules.remove(CALLER, created.schedule_id)
            await world.calendars.remove(CALLER, "firm", expected_revision=None)


async def test_changes_of_schedules_and_of_calendars_at_once_end_in_agreement(world: World) -> None:
    for name in ("firm", "country"):
        await stored(world.calendars, CALLER, calendar(name))
    schedules = await many(world, 30, cron(NINE, **keeps("firm", "country")))

    async def edit(place: int) -> None:
        for turn in range(6):
            names = (("firm",), ("country", "firm"), ("country",), ())[(place + turn) % 4]
            fields = keeps(*names, on_day_off=MOVE_ON) if names else {}
            await world.change(schedules[place], cron(NINE, description=f"{place}-{turn}", **fields))

    async def change(name: str) -> None:
        for turn in range(12):
            off = calendar(name, *(f"2026-11-{day}" for day in range(24, 26 + turn % 4)))
            await world.calendars.replace(CALLER, name, off, expected_revision=None)

    async def create() -> None:
        for _ in range(15):
            await world.create(cron(NINE, **keeps("country")))

    async def remove(place: int) -> None:
        await world.schedules.remove(CALLER, schedules[place].schedule_id)

    await asyncio.gather(
        change("firm"),
        change("country"),
        create(),
        *(edit(place) for place in range(12)),
        *(remove(place) for place in range(20, 30)),
    )
    await assert_all_by_the_present_days(world)
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 35


async def test_a_worker_that_fires_while_the_calendar_changes_loses_and_repeats_nothing(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedules = [await world.create(interval(60, overlap_policy=OverlapPolicy.ALLOW, **keeps())) for _ in range(8)]
    for turn in range(10):
        world.clock.move(60)
        present = await asyncio.gather(*(now_of(world, one) for one in schedules))
        # Days to come: whoever is first, nothing of this minute changes.
        await asyncio.gather(
            *(world.look(one) for one in present), set_off(world, *(["2026-11-25"] if turn % 2 else ["2026-11-26"]))
        )
        # What the other had locked at that moment is looked at again.
        await asyncio.gather(*(world.look(one) for one in schedules))
    for schedule in schedules:
        history = await world.history(schedule.schedule_id)
        assert [one.scheduled_for for one in reversed(history)] == [START + turn * 60 * SECOND for turn in range(1, 11)]
        assert {one.status for one in history} == {ExecutionStatus.PENDING}
    await assert_all_by_the_present_days(world)


async def test_whatever_a_calendar_says_of_today_while_workers_fire_each_instant_has_one_record(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedules = [await world.create(interval(60, overlap_policy=OverlapPolicy.ALLOW, **keeps())) for _ in range(6)]
    for turn in range(24):
        world.clock.move(60)
        today = ["2026-11-23"] if turn % 5 in (1, 2) else []
        await asyncio.gather(*(world.look(one) for one in schedules), set_off(world, *today, f"2026-12-{turn + 1:02}"))
    await set_off(world)
    await asyncio.gather(*(world.look(one) for one in schedules))
    reasons = set()
    for schedule in schedules:
        history = sorted(await world.history(schedule.schedule_id), key=lambda one: one.scheduled_for)
        reached = START
        for one in history:
            assert (one.covers_from or one.scheduled_for) == reached + 60 * SECOND
            assert one.scheduled_for == reached + one.coalesced_count * 60 * SECOND
            reached = one.scheduled_for
            reasons.add(one.reason)
        assert reached == START + 24 * 60 * SECOND
    assert Reason.CALENDAR in reasons
