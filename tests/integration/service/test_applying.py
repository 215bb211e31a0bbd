"""Schedules by their names, also where somebody else is at the same name in that moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.errors import (
    InvalidScheduleException,
    PreconditionFailedException,
    QuotaExceededException,
    StaleRevisionException,
)
from app.core.occurrences import OnDayOff
from app.core.principal import Principal
from app.core.schedule import AfterCompletion, Definition, Schedule, ScheduleStatus
from app.service import applying, changes
from app.service.changes import Changed
from app.service.schedules import ScheduleService
from app.service.transactions import Work, actor_of
from app.store.retention import remove_completed
from tests.clocks import START
from tests.integration.calendars import calendar, keeps, stored
from tests.integration.definitions import cron, interval, one_time
from tests.integration.service.world import CALLER, STRANGER, World, ms


def any_revision(_found: int | None) -> None:
    """Demands nothing."""


async def apply(
    world: World,
    definition: Definition,
    principal: Principal = CALLER,
    check: Callable[[int | None], None] = any_revision,
) -> Changed:
    """Put a definition by its name."""
    assert definition.name is not None
    return await world.schedules.apply(principal, definition.name, lambda _: definition, check=check)


@asynccontextmanager
async def under_way(world: World) -> AsyncIterator[Work]:
    """A caller's transaction that is committed at the end of the block."""
    async with world.database.transaction() as connection:
        yield Work(connection, actor_of(CALLER), world.clock)


async def test_a_new_one_is_created_and_put_into_the_wheel(world: World) -> None:
    applied = await apply(world, interval(60, name="n"))
    assert applied.created
    assert (applied.schedule.revision, applied.schedule.created_by) == (1, "ada")
    assert await world.due_in_wheel(applied.schedule) == ms(START + timedelta(minutes=1))


async def test_a_changed_one_is_put_into_the_wheel(world: World) -> None:
    before = await world.create(interval(60, name="n"))
    await world.wheel.clear()
    applied = await apply(world, interval(30, name="n"))
    assert (applied.created, applied.schedule.schedule_id, applied.schedule.revision) == (False, before.schedule_id, 2)
    assert await world.due_in_wheel(applied.schedule) == ms(START + timedelta(seconds=30))


async def test_the_same_again_writes_nothing_and_is_not_put_into_the_wheel(world: World) -> None:
    before = (await apply(world, interval(60, name="n"))).schedule
    await world.wheel.clear()
    world.clock.move(10)
    applied = await apply(world, interval(60, name="n"))
    assert applied == Changed(before, before.revision)
    assert await world.due_in_wheel(before) is None
    assert await world.one("SELECT count(*) FROM audit_log") == 1
    assert await world.one("SELECT count(*) FROM schedule_revisions") == 0


async def test_another_communitys_name_is_another_schedule(world: World) -> None:
    ours = (await apply(world, cron(name="n"))).schedule
    theirs = await apply(world, cron(name="n", description="theirs"), STRANGER)
    assert theirs.created
    assert await world.schedules.get(CALLER, ours.schedule_id) == ours


async def test_what_waits_and_is_due_is_left_alone_by_the_same_definition(world: World) -> None:
    """A file that is applied each minute must not keep a schedule of each minute from firing."""
    before = (await apply(world, interval(60, name="n"))).schedule
    world.clock.move(61)
    applied = await apply(world, interval(60, name="n"))
    assert applied.schedule == before
    assert [each.scheduled_for for each in (await world.look(before)).assignments] == [START + timedelta(minutes=1)]


async def test_a_one_time_that_has_fired_is_not_created_anew_and_not_refused(world: World) -> None:
    once = one_time(START + timedelta(minutes=1), name="once")
    before = (await apply(world, once)).schedule
    world.clock.move(60)
    await world.look(before)
    world.clock.move(3600)
    applied = await apply(world, once)
    assert (applied.created, applied.schedule.status) == (False, ScheduleStatus.COMPLETED)
    assert (applied.schedule.revision, applied.schedule.execution_count) == (1, 1)
    assert len(await world.history(before.schedule_id)) == 1


@pytest.mark.parametrize("moved", [False, True], ids=["its day", "moved by days off"])
async def test_a_one_time_that_has_fired_and_was_deleted_for_it_does_not_fire_again(world: World, moved: bool) -> None:
    """Retention comes each ten seconds, and a create takes what is up to a minute late."""
    at = START + timedelta(minutes=1)
    calendars = {}
    if moved:
        await stored(world.calendars, CALLER, calendar("firm", "2026-11-22"))
        calendars = keeps("firm", on_day_off=OnDayOff.NEXT_BUSINESS_DAY)
    asked = at - timedelta(days=1) if moved else at
    once = one_time(asked, name="once", after_completion=AfterCompletion.DELETE, **calendars)
    before = (await apply(world, once)).schedule
    world.clock.move(60)
    (run,) = (await world.look(before)).assignments
    assert run.scheduled_for == at
    await world.executions.complete(CALLER, run.execution_id, failed=False, result=None, error=None)
    async with world.database.transaction() as connection:
        now = world.clock.now()
        assert await remove_completed(connection, completed_before=START, now=now, limit=1) == 1
    world.clock.move(10)
    with pytest.raises(InvalidScheduleException, match="is in the past"):
        await apply(world, once)
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 0
    # One that is kept would still be there: what is not there is new, and late.
    assert (await apply(world, replace(once, after_completion=AfterCompletion.KEEP))).created


async def test_a_failed_one_is_left_alone_by_the_same_definition_and_computed_by_another_timing(world: World) -> None:
    before = (await apply(world, interval(60, name="n"))).schedule
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE workflow_schedules SET status = 'failed', next_execution_at = NULL, next_due_at = NULL"
        )
    same = (await apply(world, interval(60, name="n"))).schedule
    assert (same.status, same.revision) == (ScheduleStatus.FAILED, 1)
    described = (await apply(world, interval(60, name="n", description="new"))).schedule
    assert (described.status, described.revision) == (ScheduleStatus.FAILED, 2)
    retimed = (await apply(world, interval(30, name="n"))).schedule
    assert (retimed.schedule_id, retimed.status) == (before.schedule_id, ScheduleStatus.ACTIVE)


async def test_a_refusal_stores_nothing(world: World) -> None:
    def refuse(found: int | None) -> None:
        raise PreconditionFailedException(f"it is at {found}")

    with pytest.raises(PreconditionFailedException, match="None"):
        await apply(world, cron(name="n"), check=refuse)
    with pytest.raises(InvalidScheduleException):
        await apply(world, one_time(START - timedelta(hours=1), name="n"))
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 0


Move = Callable[[Work, Schedule], Awaitable[object]]


async def _rename(work: Work, schedule: Schedule) -> None:
    await changes.change(work, schedule.schedule_id, lambda _: cron(name="moved"), None)


async def _remove(work: Work, schedule: Schedule) -> None:
    await changes.remove(work, schedule.schedule_id, None)


@pytest.mark.parametrize("leave", [_rename, _remove], ids=lambda leave: leave.__name__.strip("_"))
async def test_what_is_renamed_or_removed_while_it_is_waited_for_makes_room_for_a_new_one(
    world: World, leave: Move
) -> None:
    before = await world.create(cron(name="n"))
    async with under_way(world) as work:
        await leave(work, before)
        putting = asyncio.create_task(apply(world, cron(name="n", description="new")))
        await world.somebody_waits_for_a_lock()
    applied = await putting
    assert applied.created
    assert applied.schedule.schedule_id != before.schedule_id
    if leave is _rename:
        assert (await world.schedules.get(CALLER, before.schedule_id)).definition.name == "moved"


async def _create(work: Work, _other: Schedule) -> None:
    await applying.apply(work, "n", lambda _: cron(name="n"), any_revision, quota=0)


async def _take(work: Work, other: Schedule) -> None:
    await changes.change(work, other.schedule_id, lambda _: cron(name="n"), None)


@pytest.mark.parametrize("take", [_create, _take], ids=["created", "renamed to it"])
@pytest.mark.parametrize("described", [None, "new"], ids=["unchanged", "replaced"])
async def test_who_gets_the_name_while_it_is_created_is_replaced_or_found_unchanged(
    world: World, take: Move, described: str | None
) -> None:
    other = await world.create(cron(name="other"))
    async with under_way(world) as work:
        await take(work, other)
        putting = asyncio.create_task(apply(world, cron(name="n", description=described)))
        await world.somebody_waits_for_a_lock()
    applied = await putting
    assert not applied.created
    assert (applied.schedule.definition.name, applied.schedule.definition.description) == ("n", described)
    assert (applied.schedule.schedule_id == other.schedule_id) == (take is _take)
    revision = (2 if take is _take else 1) + (0 if described is None else 1)
    assert applied.schedule.revision == revision
    assert await world.one("SELECT count(*) FROM workflow_schedules WHERE name = 'n'") == 1


async def test_what_is_demanded_is_asked_again_of_who_got_the_name_meanwhile(world: World) -> None:
    found: list[int | None] = []

    def only_new(revision: int | None) -> None:
        found.append(revision)
        if revision is not None:
            raise PreconditionFailedException("there is one")

    async with under_way(world) as work:
        await applying.apply(work, "n", lambda _: cron(name="n"), any_revision, quota=0)
        putting = asyncio.create_task(apply(world, cron(name="n", description="new"), check=only_new))
        await world.somebody_waits_for_a_lock()
    with pytest.raises(PreconditionFailedException):
        await putting
    assert found == [None, 1]


async def test_who_gets_the_last_place_for_the_same_name_is_replaced_and_not_one_too_many(world: World) -> None:
    bounded = ScheduleService(world.database, world.wheel, world.clock, quota=1)

    def put(name: str) -> "asyncio.Task[Changed]":
        definition = cron(name=name, description="new")
        return asyncio.create_task(bounded.apply(CALLER, name, lambda _: definition, check=any_revision))

    async with under_way(world) as work:
        await applying.apply(work, "n", lambda _: cron(name="n"), any_revision, quota=1)
        same, other = put("n"), put("other")
        await world.somebody_waits_for_a_lock(2)
    applied = await same
    assert (applied.revision_before, applied.schedule.definition.description) == (1, "new")
    with pytest.raises(QuotaExceededException):
        await other


async def test_a_revision_is_compared_with_what_is_committed_when_the_lock_is_got(world: World) -> None:
    def at_1(revision: int | None) -> None:
        if revision != 1:
            raise StaleRevisionException(f"it is at {revision}")

    before = await world.create(cron(name="n"))
    async with under_way(world) as work:
        await changes.change(work, before.schedule_id, lambda _: cron(name="n", description="theirs"), None)
        putting = asyncio.create_task(apply(world, cron(name="n", description="ours"), check=at_1))
        await world.somebody_waits_for_a_lock()
    with pytest.raises(StaleRevisionException, match="2"):
        await putting
    assert (await world.schedules.get(CALLER, before.schedule_id)).definition.description == "theirs"
