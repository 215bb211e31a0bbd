"""A schedule that fires for the last time before its end, because only days off are left: a worker completes it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core.firing import ENDED_BY_DAYS
from app.core.occurrences import OnDayOff, ScheduleType
from app.core.schedule import OverlapPolicy, Schedule, ScheduleStatus
from app.service.calendars import CalendarService
from app.workers.loop import Worker
from tests.integration.calendars import calendar, keeps, stored
from tests.integration.workers.rig import CALLER, Rig

HOUR = timedelta(hours=1)


def at_eight(day: int) -> datetime:
    return datetime(2026, 11, day, 8, tzinfo=UTC)


@pytest.fixture
async def firm(rig: Rig) -> CalendarService:
    """A calendar that has the 25th to the 30th off."""
    calendars = CalendarService(rig.database, rig.wheel, rig.clock, rig.metrics)
    await stored(calendars, CALLER, calendar("firm", "2026-11-25/2026-11-30"))
    return calendars


async def fired_last(rig: Rig, on_day_off: OnDayOff = OnDayOff.SKIP, **fields: Any) -> Schedule:
    """A daily one that ends on the 28th, after it has fired on the 24th."""
    daily = {"schedule_type": ScheduleType.CRON, "interval_seconds": None, "cron_expression": "0 8 * * *"}
    schedule = await rig.create(
        **daily, timezone="UTC", end_at=at_eight(28) + HOUR, **keeps("firm", on_day_off=on_day_off), **fields
    )
    worker = await rig.worker()
    await fires(rig, worker, at_eight(24))
    rig.clock.move_to(at_eight(24) + HOUR)
    return await rig.schedules.get(CALLER, schedule.schedule_id)


async def fires(rig: Rig, worker: Worker, at: datetime) -> None:
    """See that a worker fires, at this instant, what is due at it."""
    rig.clock.move_to(at)
    await worker.keepers.window.run_once()
    worker.claimer.wake(None)
    assert [one.scheduled_for for one in (await rig.fire(worker)).assignments] == [at]


async def skipped(rig: Rig, schedule: Schedule) -> list[tuple[datetime | None, datetime, int]]:
    """What days off kept from firing."""
    return [
        (one.covers_from, one.scheduled_for, one.coalesced_count)
        for one in await rig.history(schedule)
        if one.reason == "calendar"
    ]


async def test_it_says_so_and_what_does_not_fire_is_on_record(rig: Rig, firm: CalendarService) -> None:
    schedule = await fired_last(rig)
    assert (schedule.status, schedule.status_reason) == (ScheduleStatus.COMPLETED, ENDED_BY_DAYS)
    assert schedule.searched_to == at_eight(24)
    assert await skipped(rig, schedule) == [(at_eight(25), at_eight(28), 4)]


async def test_it_goes_on_when_the_days_are_taken_back(rig: Rig, firm: CalendarService) -> None:
    schedule = await fired_last(rig, overlap_policy=OverlapPolicy.ALLOW)
    await firm.replace(CALLER, "firm", calendar("firm", "2026-11-26"), expected_revision=None)
    again = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert (again.status, again.next_execution_at) == (ScheduleStatus.ACTIVE, at_eight(25))
    assert await skipped(rig, schedule) == []
    worker = await rig.worker()
    for day in (25, 27, 28):
        await fires(rig, worker, at_eight(day))
    assert await skipped(rig, schedule) == [(None, at_eight(26), 1)]
    ended = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert (ended.status, ended.status_reason) == (ScheduleStatus.COMPLETED, None)


async def test_a_change_of_its_timing_goes_on_from_where_it_was(rig: Rig, firm: CalendarService) -> None:
    schedule = await fired_last(rig)
    changed = await rig.schedules.change(
        CALLER,
        schedule.schedule_id,
        lambda current: replace(current.definition, calendars=None, end_at=None),
        expected_revision=None,
    )
    after = changed.schedule
    assert (after.status, after.next_execution_at) == (ScheduleStatus.ACTIVE, at_eight(25))
    assert await skipped(rig, schedule) == []


async def test_what_was_off_before_it_fired_stays_on_record(rig: Rig, firm: CalendarService) -> None:
    await firm.replace(
        CALLER, "firm", calendar("firm", "2026-11-23/2026-11-24", "2026-11-26/2026-11-30"), expected_revision=None
    )
    daily = {"schedule_type": ScheduleType.CRON, "interval_seconds": None, "cron_expression": "0 18 * * *"}
    end = datetime(2026, 11, 27, 20, tzinfo=UTC)
    schedule = await rig.create(**daily, timezone="UTC", end_at=end, **keeps("firm"))
    worker = await rig.worker()
    at = datetime(2026, 11, 25, 18, tzinfo=UTC)
    await fires(rig, worker, at)
    before, after = timedelta(days=-1), timedelta(days=1)
    assert sorted(await skipped(rig, schedule), key=lambda one: one[1]) == [
        (at + 2 * before, at + before, 2),
        (at + after, at + 2 * after, 2),
    ]
    await firm.replace(CALLER, "firm", calendar("firm"), expected_revision=None)
    assert await skipped(rig, schedule) == [(at + 2 * before, at + before, 2)]
    again = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert again.next_execution_at == at + after


async def test_one_that_would_fire_on_another_day_past_its_end_says_so_too(rig: Rig, firm: CalendarService) -> None:
    schedule = await fired_last(rig, OnDayOff.NEXT_BUSINESS_DAY)
    assert (schedule.status, schedule.status_reason) == (ScheduleStatus.COMPLETED, ENDED_BY_DAYS)
    assert await skipped(rig, schedule) == []
    await firm.replace(CALLER, "firm", calendar("firm"), expected_revision=None)
    again = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert (again.status, again.next_execution_at) == (ScheduleStatus.ACTIVE, at_eight(25))


async def test_one_that_has_run_as_often_as_it_may_is_ended_by_that(rig: Rig, firm: CalendarService) -> None:
    schedule = await fired_last(rig, max_executions=1)
    assert (schedule.status, schedule.status_reason) == (ScheduleStatus.COMPLETED, None)
    assert await skipped(rig, schedule) == []
