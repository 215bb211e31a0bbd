"""Schedules that keep calendars: created, changed, removed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from app.core.calendars import merged
from app.core.errors import InvalidScheduleException
from app.core.execution import ExecutionStatus, Reason
from app.core.occurrences import DstPolicy, Fold, Gap, OnDayOff
from app.core.queries import Answer
from app.core.schedule import CalendarUse, Definition, Schedule, ScheduleStatus
from app.store import retention
from tests.clocks import START
from tests.integration.calendars import calendar, keeps, stored
from tests.integration.definitions import cron, interval, one_time
from tests.integration.service.world import CALLER, STRANGER, World, listed

NINE = "0 9 * * *"
DAY = timedelta(days=1)
SATURDAY = datetime(2026, 11, 28, 9, tzinfo=UTC)
MONDAY, FRIDAY = SATURDAY + 2 * DAY, SATURDAY - DAY


def at_nine(day: int) -> datetime:
    return datetime(2026, 11, day, 9, tzinfo=UTC)


async def uses(world: World, schedule: Schedule) -> dict[str, int]:
    """The calendars that a schedule keeps by the table, each with the revision it was computed by."""
    rows = await world.rows(
        "SELECT name, calendar_revision FROM calendar_uses JOIN calendars USING (calendar_id) WHERE schedule_id = $1",
        schedule.schedule_id,
    )
    return {row["name"]: row["calendar_revision"] for row in rows}


async def test_a_schedule_waits_for_the_first_day_that_is_not_off(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24", "2026-11-25"))
    schedule = await world.create(cron(NINE, **keeps()))
    assert schedule.next_execution_at == at_nine(26)
    assert schedule.definition.calendars == CalendarUse(("firm",), OnDayOff.SKIP)
    assert await uses(world, schedule) == {"firm": 1}


async def test_a_day_that_any_of_several_calendars_has_off_is_off(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    await stored(world.calendars, CALLER, calendar("country", "2026-11-25", "2026-11-26", worked=["2026-11-26"]))
    schedule = await world.create(cron(NINE, **keeps("firm", "country")))
    assert schedule.next_execution_at == at_nine(26)
    assert await uses(world, schedule) == {"firm": 1, "country": 1}


async def test_what_falls_on_a_day_off_is_moved_where_the_rule_says_so(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-27"))
    later = await world.create(cron("0 9 * * FRI", **keeps(on_day_off=OnDayOff.NEXT_BUSINESS_DAY)))
    earlier = await world.create(cron("0 9 * * FRI", **keeps(on_day_off=OnDayOff.PREVIOUS_BUSINESS_DAY)))
    assert (later.next_execution_at, earlier.next_execution_at) == (at_nine(30), at_nine(26))


async def test_a_worker_decides_by_the_row_alone(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24", "2026-11-26"))
    schedule = await world.create(cron(NINE, **keeps()))
    world.clock.move_to(at_nine(25))
    async with world.database.transaction() as connection:
        await connection.execute("LOCK TABLE calendars, calendar_uses IN ACCESS EXCLUSIVE MODE")
        (assignment,) = (await world.look(schedule)).assignments
    assert assignment.scheduled_for == at_nine(25)
    found = await world.schedules.get(CALLER, schedule.schedule_id)
    assert found.next_execution_at == at_nine(27)
    history = await world.history(schedule.schedule_id)
    assert [(one.scheduled_for, one.reason) for one in history if one.status is ExecutionStatus.SKIPPED] == [
        (at_nine(24), Reason.CALENDAR)
    ]


@pytest.mark.parametrize("definition", [cron(NINE), interval(3600), one_time(START + DAY)])
async def test_a_schedule_without_calendars_does_not_ask_for_any(world: World, definition: Definition) -> None:
    async with world.database.transaction() as connection:
        await connection.execute("LOCK TABLE calendars, calendar_uses IN ACCESS EXCLUSIVE MODE")
        schedule = await world.create(definition)
        await world.change(schedule, replace(definition, description="new"))
        await world.schedules.remove(CALLER, schedule.schedule_id)


async def test_a_calendar_that_there_is_not_is_refused_by_its_name_and_nothing_is_stored(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    await stored(world.calendars, STRANGER, calendar("theirs"))
    for names in (("theirs",), ("firm", "theirs")):
        with pytest.raises(InvalidScheduleException, match="there is no calendar 'theirs'") as refused:
            await world.create(cron(**keeps(*names)))
        assert [each.field for each in refused.value.errors] == ["calendars.names"]
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 0
    assert await world.one("SELECT count(*) FROM calendar_uses") == 0


async def test_in_a_batch_each_unknown_calendar_is_its_own_refusal(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    definitions = [cron(NINE, **keeps()), cron(NINE, **keeps("other")), cron(NINE), cron(NINE, **keeps())]
    results: list[object] = []

    async def answer(found: object) -> Answer:
        assert isinstance(found, list)
        results[:] = found
        return await listed(found)

    await world.schedules.create_batch(CALLER, definitions, atomic=False, answer=answer, idempotency=None)
    first, second, third, fourth = results
    assert isinstance(second, InvalidScheduleException)
    for one, next_at in ((first, at_nine(25)), (third, at_nine(24)), (fourth, at_nine(25))):
        assert isinstance(one, Schedule)
        assert one.next_execution_at == next_at
    assert isinstance(first, Schedule)
    assert isinstance(fourth, Schedule)
    assert first.business_days is fourth.business_days
    assert await world.one("SELECT count(*) FROM calendar_uses") == 2


async def test_days_that_are_all_off_for_ever_are_refused(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("never", "1970-01-01/2099-12-31"))
    with pytest.raises(InvalidScheduleException, match="no occurrence is left on a day that is not off") as refused:
        await world.create(cron(NINE, end_at=datetime(2090, 1, 1, tzinfo=UTC), **keeps("never")))
    assert [each.field for each in refused.value.errors] == ["calendars"]


async def test_calendars_whose_weekends_together_are_all_days_are_refused_where_they_are_named(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("one", weekend=frozenset({0, 1, 2, 3})))
    await stored(world.calendars, CALLER, calendar("other", weekend=frozenset({4, 5, 6})))
    both = keeps("one", "other", on_day_off=OnDayOff.NEXT_BUSINESS_DAY)
    schedule = await world.create(cron(NINE, **keeps("one", on_day_off=OnDayOff.NEXT_BUSINESS_DAY)))
    for definition in (cron(NINE, **both), one_time(SATURDAY, **both)):
        for ask in (world.create(definition), world.change(schedule, definition)):
            with pytest.raises(InvalidScheduleException, match="together their weekends are all seven days") as refused:
                await ask
            assert [each.field for each in refused.value.errors] == ["calendars"]


@pytest.mark.parametrize(
    ("rule", "instant"), [(OnDayOff.NEXT_BUSINESS_DAY, MONDAY), (OnDayOff.PREVIOUS_BUSINESS_DAY, FRIDAY)]
)
async def test_a_one_time_on_a_day_off_fires_on_another(world: World, rule: OnDayOff, instant: datetime) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedule = await world.create(one_time(SATURDAY, **keeps(on_day_off=rule)))
    assert (schedule.next_execution_at, schedule.definition.scheduled_time) == (instant, SATURDAY)
    world.clock.move_to(instant)
    (assignment,) = (await world.look(schedule)).assignments
    assert assignment.scheduled_for == instant
    assert (await world.schedules.get(CALLER, schedule.schedule_id)).status is ScheduleStatus.COMPLETED


async def test_a_one_time_on_a_day_off_that_is_to_be_skipped_is_refused(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-28"))
    with pytest.raises(InvalidScheduleException, match="its day is off") as refused:
        await world.create(one_time(SATURDAY, **keeps()))
    assert [each.field for each in refused.value.errors] == ["scheduled_time"]
    schedule = await world.create(one_time(SATURDAY))
    with pytest.raises(InvalidScheduleException, match="its day is off"):
        await world.change(schedule, one_time(SATURDAY, **keeps()))


async def test_a_one_time_that_would_move_into_the_past_is_refused(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-23", "2026-11-24"))
    with pytest.raises(InvalidScheduleException, match=r"moves to '2026-11-20.*', which is in the past"):
        await world.create(one_time(at_nine(24), **keeps(on_day_off=OnDayOff.PREVIOUS_BUSINESS_DAY)))


async def test_a_one_time_of_this_minute_that_stays_on_its_day_is_due_at_once(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    asked = START - timedelta(seconds=30)
    schedule = await world.create(one_time(asked, **keeps()))
    assert (schedule.next_execution_at, schedule.next_due_at) == (asked, START)


async def test_a_resumed_one_time_waits_for_the_day_it_moved_to(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedule = await world.create(one_time(SATURDAY, **keeps(on_day_off=OnDayOff.NEXT_BUSINESS_DAY)))
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    world.clock.move_to(SATURDAY + DAY)
    resumed = await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    assert (resumed.status, resumed.next_execution_at) == (ScheduleStatus.ACTIVE, MONDAY)
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    world.clock.move_to(MONDAY + DAY)
    assert (await world.schedules.resume(CALLER, schedule.schedule_id, reason=None)).status is ScheduleStatus.COMPLETED
    (skipped,) = await world.history(schedule.schedule_id)
    assert (skipped.scheduled_for, skipped.reason) == (MONDAY, Reason.PAUSED)


async def test_a_change_to_other_calendars_computes_the_next_occurrence_anew(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    await stored(world.calendars, CALLER, calendar("country", "2026-11-24/2026-11-26"))
    schedule = await world.create(cron(NINE))
    for definition, day, kept in (
        (cron(NINE, **keeps("firm")), 25, {"firm": 1}),
        (cron(NINE, **keeps("country")), 27, {"country": 1}),
        (cron(NINE, **keeps("country", on_day_off=OnDayOff.PREVIOUS_BUSINESS_DAY)), 27, {"country": 1}),
        (cron(NINE), 24, {}),
    ):
        schedule = await world.change(schedule, definition)
        assert schedule.next_execution_at == at_nine(day)
        assert await uses(world, schedule) == kept


async def test_a_change_of_the_daylight_policy_computes_the_next_occurrence_anew(world: World) -> None:
    berlin = {"timezone": "Europe/Berlin", "start_at": datetime(2027, 3, 28, tzinfo=UTC)}
    schedule = await world.create(cron("30 2 * * *", **berlin))
    assert schedule.next_execution_at == datetime(2027, 3, 28, 1, tzinfo=UTC)
    changed = await world.change(schedule, cron("30 2 * * *", dst_policy=DstPolicy(Gap.SKIP, Fold.ONCE), **berlin))
    assert changed.next_execution_at == datetime(2027, 3, 29, 0, 30, tzinfo=UTC)
    assert (await world.schedules.get(CALLER, schedule.schedule_id)).definition.dst_policy == DstPolicy(Gap.SKIP)


async def test_an_unrelated_change_leaves_what_waits_alone_even_when_it_is_due(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    schedule = await world.create(cron(NINE, **keeps()))
    world.clock.move_to(at_nine(25) + timedelta(seconds=5))
    changed = await world.change(schedule, cron(NINE, description="new", **keeps()))
    assert (changed.next_due_at, changed.searched_to) == (schedule.next_due_at, schedule.searched_to)
    assert await world.history(schedule.schedule_id) == []


async def test_a_change_brings_the_present_days_where_the_row_still_has_old_ones(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    schedule = await world.create(cron(NINE, **keeps()))
    changed = calendar("firm", "2026-11-24", "2026-11-25")
    async with world.database.transaction() as connection:
        # The process that changed it died before it came to the schedules.
        await connection.execute(
            "UPDATE calendars SET days_off = $1, revision = 2, days_revision = 2",
            orjson.dumps(changed.days_off).decode(),
        )
    assert (await world.change(schedule, cron(NINE, name="x", **keeps()))).next_execution_at == at_nine(26)
    assert await uses(world, schedule) == {"firm": 2}


async def test_a_superseded_definition_keeps_its_policy_and_days(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm", "2026-11-24"))
    policy = DstPolicy(Gap.SKIP, Fold.TWICE)
    schedule = await world.create(cron(NINE, dst_policy=policy, **keeps()))
    await world.change(schedule, cron(NINE))
    kept = orjson.loads(await world.one("SELECT definition FROM schedule_revisions"))
    assert kept["dst_policy"] == {"gap": "skip", "fold": "twice"}
    assert kept["calendars"]["names"] == ["firm"]
    ordinal = at_nine(24).toordinal()
    assert kept["calendars"]["days_off"] == [[ordinal, ordinal]]


async def test_retention_forgets_which_calendars_a_completed_schedule_kept(world: World) -> None:
    await stored(world.calendars, CALLER, calendar("firm"))
    schedule = await world.create(one_time(SATURDAY, **keeps(on_day_off=OnDayOff.NEXT_BUSINESS_DAY)))
    other = await world.create(cron(NINE, **keeps()))
    async with world.database.transaction() as connection:
        await connection.execute(
            """UPDATE workflow_schedules SET status = 'completed', next_due_at = NULL, completed_at = $2
                WHERE schedule_id = $1""",
            schedule.schedule_id,
            START - 2 * DAY,
        )
        removed = await retention.remove_completed(connection, completed_before=START - DAY, now=START, limit=10)
    assert removed == 1
    assert await uses(world, schedule) == {}
    assert await uses(world, other) == {"firm": 1}


async def test_the_row_holds_the_days_that_its_calendars_come_to(world: World) -> None:
    one = await stored(world.calendars, CALLER, calendar("firm", "2026-11-24", weekend=frozenset({5})))
    other = await stored(world.calendars, CALLER, calendar("country", "2026-11-25/2026-11-27", worked=["2026-11-26"]))
    rule = OnDayOff.NEXT_BUSINESS_DAY
    schedule = await world.create(cron(NINE, **keeps("firm", "country", on_day_off=rule)))
    assert schedule.business_days == merged([one, other], rule)
    again = await world.schedules.get(CALLER, schedule.schedule_id)
    assert again.business_days is not None
    assert again.business_days is (await world.schedules.get(CALLER, schedule.schedule_id)).business_days
