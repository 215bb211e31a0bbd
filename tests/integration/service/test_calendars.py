"""Calendars: created, filled, replaced, refreshed, removed."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import date, timedelta

import orjson
import pytest

from app.core.calendars import MAX_ENTRIES, Calendar, CalendarDefinition, Days, Fill
from app.core.errors import (
    CalendarInUseException,
    CalendarNameTakenException,
    CalendarNotFoundException,
    IdempotencyKeyReusedException,
    InvalidScheduleException,
    StaleRevisionException,
    StateForbidsException,
)
from app.core.queries import Idempotency
from app.service import calendar_changes
from app.service.calendars import CalendarService
from app.store.database import Database
from tests.integration.calendars import BAVARIA, calendar, days, keeps, stored
from tests.integration.definitions import cron
from tests.integration.service.world import CALLER, STRANGER, World

CHRISTMAS_DAY = Days(date(2026, 12, 25), date(2026, 12, 25), "Christmas Day", from_source=True)
SATURDAY_AND_SUNDAY, FRIDAY_AND_SATURDAY = frozenset({6, 0}), frozenset({5, 6})


async def make(world: World, definition: CalendarDefinition) -> Calendar:
    return await stored(world.calendars, CALLER, definition)


async def change(world: World, definition: CalendarDefinition, expected_revision: int | None = None) -> Calendar:
    name = definition.name
    return (await world.calendars.replace(CALLER, name, definition, expected_revision=expected_revision)).calendar


async def test_a_calendar_is_read_as_it_was_written(world: World) -> None:
    made = await make(
        world, calendar("firm", "2026-12-27/2026-12-31", "2026-12-24", worked=["2026-12-26"], description="ours")
    )
    assert made.contents.days_off == days("2026-12-24", "2026-12-27/2026-12-31")
    assert made.contents.days_worked == days("2026-12-26")
    assert made.contents.weekend == SATURDAY_AND_SUNDAY
    assert (made.description, made.created_by, made.revision) == ("ours", "ada", 1)
    assert made.created_at == made.updated_at == world.clock.now()
    assert made.recomputed


@pytest.mark.parametrize(
    "asked",
    [
        lambda calendars: stored(calendars, CALLER, calendar("new", fill=BAVARIA)),
        lambda calendars: calendars.replace(
            CALLER, "firm", calendar("firm", fill=Fill("DE", "BY", 2026, 2028)), expected_revision=None
        ),
        lambda calendars: calendars.refresh(CALLER, "firm", years=None, apply=True, expected_revision=None),
    ],
    ids=["create", "replace", "refresh"],
)
async def test_while_holidays_are_copied_no_connection_is_taken(
    world: World, database_url: str, asked: Callable[[CalendarService], Awaitable[object]]
) -> None:
    """A crowd of copies, of which one is made at a time, would keep everybody else from Postgres."""
    made = await make(world, calendar("firm", fill=BAVARIA))
    database = await Database.open(database_url, pool_size=1)
    calendars = CalendarService(database, world.wheel, world.clock, world.metrics)
    begun, over = threading.Event(), threading.Event()

    def copy() -> None:
        begun.set()
        over.wait()

    calendar_changes._COPYING.submit(copy)
    begun.wait()
    try:
        asking = asyncio.ensure_future(asked(calendars))
        async with asyncio.timeout(20):
            while not calendar_changes._COPYING._work_queue.qsize():
                await asyncio.sleep(0)
        assert await calendars.get(CALLER, "firm") == made
        assert not asking.done()
    finally:
        over.set()
    await asking
    await database.close()


async def test_another_community_has_its_own_calendars(world: World) -> None:
    await make(world, calendar())
    with pytest.raises(CalendarNotFoundException):
        await world.calendars.get(STRANGER, "firm")
    with pytest.raises(CalendarNotFoundException):
        await world.calendars.replace(STRANGER, "firm", calendar(), expected_revision=None)
    with pytest.raises(CalendarNotFoundException):
        await world.calendars.remove(STRANGER, "firm", expected_revision=None)
    await stored(world.calendars, STRANGER, calendar())
    assert (await world.calendars.find(STRANGER, limit=10, cursor=None)).items[0].community_id == 2


async def test_a_name_is_taken_once(world: World) -> None:
    await make(world, calendar())
    with pytest.raises(CalendarNameTakenException):
        await make(world, calendar())


async def test_a_repeated_create_with_the_same_key_gets_the_first_answer(world: World) -> None:
    key = Idempotency("key", b"\1" * 32)
    await stored(world.calendars, CALLER, calendar(), key)
    await stored(world.calendars, CALLER, calendar(), key)
    with pytest.raises(IdempotencyKeyReusedException):
        await stored(world.calendars, CALLER, calendar("other"), Idempotency("key", b"\2" * 32))
    assert await world.one("SELECT count(*) FROM calendars") == 1


async def test_the_list_goes_on_where_the_page_before_ended(world: World) -> None:
    names = [f"calendar-{number}" for number in range(5)]
    for name in names:
        await make(world, calendar(name))
        world.clock.move(1)
    first = await world.calendars.find(CALLER, limit=3, cursor=None)
    second = await world.calendars.find(CALLER, limit=3, cursor=first.next_cursor)
    assert [one.name for one in (*first.items, *second.items)] == names
    assert second.next_cursor is None


async def test_holidays_are_copied_beside_the_callers_own_days(world: World) -> None:
    made = await make(world, calendar("bavaria", "2026-12-24", fill=BAVARIA))
    assert CHRISTMAS_DAY in made.contents.days_off
    assert days("2026-12-24")[0] in made.contents.days_off
    assert {each.first.year for each in made.contents.days_off} == {2026, 2027}
    source = made.contents.source
    assert source is not None
    assert (source.fill, source.filled_at) == (BAVARIA, world.clock.now())
    assert source.package_version


async def test_the_weekend_is_the_countrys_unless_one_is_given(world: World) -> None:
    arabia = Fill("SA", None, 2026, 2026)
    assert (await make(world, calendar("a", fill=arabia))).contents.weekend == FRIDAY_AND_SATURDAY
    given = calendar("b", fill=arabia, weekend=SATURDAY_AND_SUNDAY)
    assert (await make(world, given)).contents.weekend == SATURDAY_AND_SUNDAY


@pytest.mark.parametrize(
    ("fill", "field", "named"),
    [
        (Fill("GER", None, 2026, 2026), "fill.country", "GE"),
        (Fill("DE", "Bayern", 2026, 2026), "fill.region", "BY"),
        (Fill("DE", "XX", 2026, 2026), "fill.region", "NW"),
        (Fill("DE", None, 1970, 2099), "fill.years", "50"),
        (Fill("BV", None, 2026, 2026), "fill.years", "BV"),
    ],
)
async def test_holidays_that_are_not_known_are_refused_with_what_is(
    world: World, fill: Fill, field: str, named: str
) -> None:
    with pytest.raises(InvalidScheduleException) as refused:
        await make(world, calendar(fill=fill))
    assert [each.field for each in refused.value.errors] == [field]
    assert named in refused.value.detail
    assert await world.one("SELECT count(*) FROM calendars") == 0


async def test_a_calendar_has_so_many_entries_at_most_copied_ones_included(world: World) -> None:
    first = date(1970, 1, 1)
    many = tuple(Days(day, day) for day in (first + timedelta(days=number) for number in range(MAX_ENTRIES)))
    whole = CalendarDefinition("whole", None, many, (), None, None)
    assert len((await make(world, whole)).contents.days_off) == MAX_ENTRIES
    with pytest.raises(InvalidScheduleException, match="1001 entries in all; a calendar has at most 1000"):
        await make(world, CalendarDefinition("more", None, many, days("2030-01-01"), None, None))
    with pytest.raises(InvalidScheduleException) as refused:
        await make(world, CalendarDefinition("filled", None, many, (), None, BAVARIA))
    assert [each.field for each in refused.value.errors] == ["fill.years"]


async def test_a_replacement_that_changes_nothing_keeps_the_revision(world: World) -> None:
    made = await make(world, calendar("bavaria", "2026-12-24", fill=BAVARIA))
    world.clock.move(10)
    again = await change(world, calendar("bavaria", "2026-12-24", fill=BAVARIA))
    read_and_sent_back = calendar("bavaria", "2026-12-24", fill=BAVARIA, weekend=made.contents.weekend)
    assert await change(world, read_and_sent_back) == again == made
    assert await world.one("SELECT count(*) FROM audit_log") == 1


async def test_a_replacement_raises_the_revision_and_is_refused_for_an_old_one(world: World) -> None:
    await make(world, calendar())
    world.clock.move(10)
    changed = await change(world, calendar("firm", "2026-12-24"), expected_revision=1)
    assert (changed.revision, changed.updated_at) == (2, world.clock.now())
    with pytest.raises(StaleRevisionException):
        await change(world, calendar(), expected_revision=1)


async def forget_christmas(world: World) -> None:
    """As if the holidays had been copied from a release that did not know of it."""
    copied = (await world.calendars.get(CALLER, "bavaria")).contents.days_off
    without = orjson.dumps([each for each in copied if each != CHRISTMAS_DAY]).decode()
    async with world.database.transaction() as connection:
        await connection.execute("UPDATE calendars SET days_off = $1", without)


async def test_copied_days_do_not_move_by_themselves_while_the_same_are_asked_for(world: World) -> None:
    await make(world, calendar("bavaria", fill=BAVARIA))
    await forget_christmas(world)
    changed = await change(world, calendar("bavaria", "2026-12-24", fill=BAVARIA))
    assert CHRISTMAS_DAY not in changed.contents.days_off
    assert days("2026-12-24")[0] in changed.contents.days_off
    other_years = await change(world, calendar("bavaria", fill=Fill("DE", "BY", 2026, 2028)))
    assert CHRISTMAS_DAY in other_years.contents.days_off


async def test_without_a_fill_nothing_that_was_copied_stays(world: World) -> None:
    await make(world, calendar("bavaria", "2026-12-24", fill=BAVARIA))
    changed = await change(world, calendar("bavaria", "2026-12-24"))
    assert changed.contents.days_off == days("2026-12-24")
    assert changed.contents.source is None


async def test_a_refresh_says_what_it_would_change_and_changes_it_when_it_is_told_to(world: World) -> None:
    made = await make(world, calendar("bavaria", "2026-12-24", worked=["2026-12-26"], fill=BAVARIA))
    await forget_christmas(world)
    world.clock.move(10)
    said = await world.calendars.refresh(CALLER, "bavaria", years=None, apply=False, expected_revision=None)
    assert said.difference.days_off_added == (CHRISTMAS_DAY,)
    assert said.difference.days_off_removed == ()
    assert (said.difference.kept_own, said.applied, said.calendar.revision) == (2, False, 1)
    assert CHRISTMAS_DAY not in (await world.calendars.get(CALLER, "bavaria")).contents.days_off

    done = await world.calendars.refresh(CALLER, "bavaria", years=None, apply=True, expected_revision=1)
    assert done.difference == said.difference
    assert (done.applied, done.calendar.revision) == (True, 2)
    found = await world.calendars.get(CALLER, "bavaria")
    assert found.contents.days_off == made.contents.days_off
    assert found.contents.source is not None
    assert found.contents.source.filled_at == world.clock.now()


async def test_a_refresh_that_brings_nothing_changes_nothing(world: World) -> None:
    made = await make(world, calendar("bavaria", fill=BAVARIA))
    world.clock.move(10)
    done = await world.calendars.refresh(CALLER, "bavaria", years=None, apply=True, expected_revision=None)
    assert (done.difference.days_off_added, done.calendar) == ((), made)


async def test_a_refresh_for_other_years_takes_away_what_is_not_of_them(world: World) -> None:
    await make(world, calendar("bavaria", "2026-12-24", fill=BAVARIA))
    done = await world.calendars.refresh(CALLER, "bavaria", years=(2027, 2028), apply=True, expected_revision=None)
    assert {each.first.year for each in done.difference.days_off_removed} == {2026}
    assert {each.first.year for each in done.difference.days_off_added} == {2028}
    found = (await world.calendars.get(CALLER, "bavaria")).contents
    assert [each for each in found.days_off if each.first.year == 2026] == list(days("2026-12-24"))
    assert found.source is not None
    assert found.source.fill == Fill("DE", "BY", 2027, 2028)


async def test_what_was_not_filled_cannot_be_refreshed(world: World) -> None:
    await make(world, calendar())
    with pytest.raises(StateForbidsException):
        await world.calendars.refresh(CALLER, "firm", years=None, apply=False, expected_revision=None)


async def test_a_calendar_in_use_is_not_removed_and_the_refusal_names_who_uses_it(world: World) -> None:
    await make(world, calendar())
    for number in range(5):
        await world.create(cron(name=f"report-{number}" if number else None, **keeps()))
        world.clock.move(1)
    with pytest.raises(CalendarInUseException, match=r"used by 5 schedules: [0-9a-f-]{36}, 'report-1', .*, …"):
        await world.calendars.remove(CALLER, "firm", expected_revision=None)


async def test_a_calendar_that_nobody_uses_any_more_is_removed(world: World) -> None:
    await make(world, calendar())
    removed, changed = await world.create(cron(**keeps())), await world.create(cron(**keeps()))
    await world.schedules.remove(CALLER, removed.schedule_id)
    await world.change(changed, cron())
    with pytest.raises(StaleRevisionException):
        await world.calendars.remove(CALLER, "firm", expected_revision=2)
    await world.calendars.remove(CALLER, "firm", expected_revision=1)
    with pytest.raises(CalendarNotFoundException):
        await world.calendars.remove(CALLER, "firm", expected_revision=None)


async def test_the_audit_has_one_row_a_change_that_says_what_changed_for_how_many(world: World) -> None:
    await make(world, calendar("firm", "2026-12-24"))
    for _ in range(3):
        await world.create(cron(**keeps()))
    await change(world, calendar("firm", "2026-12-31", weekend=FRIDAY_AND_SATURDAY))
    await change(world, calendar("firm", "2026-12-31", weekend=FRIDAY_AND_SATURDAY, description="only words"))
    rows = await world.rows("SELECT * FROM audit_log WHERE action LIKE 'calendar%' ORDER BY audit_id")
    assert [row["action"] for row in rows] == ["calendar_create", "calendar_update", "calendar_update"]
    first, second, third = (orjson.loads(row["after"]) for row in rows)
    assert first["days_off"] == [{"first": "2026-12-24", "last": "2026-12-24", "label": None, "from_source": False}]
    assert (second["name"], second["revision"], second["weekend"]) == ("firm", 2, [5, 6])
    assert [each["first"] for each in second["changes"]["days_off_added"]] == ["2026-12-31"]
    assert [each["first"] for each in second["changes"]["days_off_removed"]] == ["2026-12-24"]
    assert (second["schedules_affected"], third["schedules_affected"]) == (3, 0)
    assert rows[1]["user_id"] == "ada"
    assert rows[1]["request_id"] == "request-1"
