"""Schedules whose zone's rules are newer than those they were computed by, and calendars that were left half done."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from app.core.execution import ExecutionStatus
from app.core.firing import ENDED_BY_DAYS
from app.core.occurrences import ScheduleType, tzdata_version
from app.core.schedule import Schedule, ScheduleStatus
from app.metrics import Metrics
from app.service.calendars import CalendarService
from app.store import firing, recomputing, upkeep
from app.store.upkeep import Keeper
from app.workers.keepers import zones
from tests.clocks import START
from tests.integration.calendars import calendar, keeps, stored
from tests.integration.workers.rig import CALLER, Rig

TOMORROW = datetime(2026, 11, 24, 8, tzinfo=UTC)
"""Nine in Berlin."""
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OLDER, NEWER = "2019c", "2999a"


async def daily(rig: Rig, **fields: Any) -> Schedule:
    """A schedule that fires at nine in Berlin."""
    nine = {"schedule_type": ScheduleType.CRON, "interval_seconds": None, "cron_expression": "0 9 * * *"}
    return await rig.create(**nine, timezone="Europe/Berlin", **fields)


async def computed_by(rig: Rig, schedule: Schedule, version: str, next_at: datetime) -> None:
    """As if other rules had computed when it fires next."""
    await rig.execute(
        """UPDATE workflow_schedules SET tzdata_version = $2, next_execution_at = $3, next_due_at = $3
            WHERE schedule_id = $1""",
        *(schedule.schedule_id, version, next_at),
    )


async def row_of(rig: Rig, schedule: Schedule) -> asyncpg.Record:
    (row,) = await rig.execute("SELECT * FROM workflow_schedules WHERE schedule_id = $1", schedule.schedule_id)
    return row


@pytest.mark.fault("23")
async def test_a_schedule_of_older_rules_fires_next_when_the_newer_ones_say(rig: Rig) -> None:
    schedule = await daily(rig)
    await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    rig.clock.move_to(TOMORROW - 30 * MINUTE)
    worker = await rig.worker()
    with capture_logs() as logs:
        assert await worker.keepers.zones.run_once() == 1
    row = await row_of(rig, schedule)
    assert (row["next_execution_at"], row["next_due_at"], row["tzdata_version"]) == (
        *(TOMORROW, TOMORROW),
        tzdata_version(),
    )
    assert (row["revision"], row["updated_at"], row["searched_to"]) == (1, START, START)
    (line,) = [line for line in logs if line["event"] == "schedule_moved"]
    assert (line["schedule_id"], line["cause"]) == (str(schedule.schedule_id), "zone")
    assert (line["before"], line["after"]) == ((TOMORROW + HOUR).isoformat(), TOMORROW.isoformat())
    # It was put into the wheel: the worker finds it there without another keeper.
    rig.clock.move_to(TOMORROW)
    assert [one.scheduled_for for one in (await rig.fire(worker)).assignments] == [TOMORROW]


@pytest.mark.fault("23")
async def test_a_change_of_something_else_does_not_hide_what_older_rules_computed(rig: Rig) -> None:
    schedule = await daily(rig, name="before")
    # An hour early by the newer rules, which the process that answers the change has already.
    await computed_by(rig, schedule, OLDER, TOMORROW - HOUR)
    changed = await rig.schedules.change(
        CALLER,
        schedule.schedule_id,
        lambda current: replace(current.definition, name="after"),
        expected_revision=None,
    )
    assert changed.schedule.next_execution_at == TOMORROW - HOUR
    worker = await rig.worker()
    assert await worker.keepers.zones.run_once() == 1
    row = await row_of(rig, schedule)
    assert (row["name"], row["next_due_at"], row["tzdata_version"]) == ("after", TOMORROW, tzdata_version())
    rig.clock.move_to(TOMORROW - HOUR)
    assert (await rig.fire(worker)).assignments == []


async def test_what_fires_at_the_same_instant_by_the_newer_rules_is_only_marked(rig: Rig) -> None:
    schedule = await daily(rig)
    await computed_by(rig, schedule, OLDER, TOMORROW)
    assert await (await rig.worker()).keepers.zones.run_once() == 0
    row = await row_of(rig, schedule)
    assert (row["next_execution_at"], row["tzdata_version"]) == (TOMORROW, tzdata_version())


async def test_nothing_is_computed_towards_older_rules_or_by_the_same(rig: Rig) -> None:
    wrong = TOMORROW + HOUR
    for version in (NEWER, tzdata_version(), "unknown"):
        await computed_by(rig, await daily(rig), version, wrong)
    assert await (await rig.worker()).keepers.zones.run_once() == 0
    rows = await rig.execute("SELECT next_due_at, tzdata_version FROM workflow_schedules")
    assert {row["tzdata_version"] for row in rows} == {NEWER, tzdata_version(), "unknown"}
    assert {row["next_due_at"] for row in rows} == {wrong}


async def test_what_is_past_due_stays_and_the_search_after_it_is_by_the_newer_rules(rig: Rig) -> None:
    schedule = await daily(rig)
    worker = await rig.worker()
    await computed_by(rig, schedule, OLDER, TOMORROW - HOUR)
    rig.clock.move_to(TOMORROW - HOUR + MINUTE)
    assert await worker.keepers.zones.run_once() == 0
    assert (await row_of(rig, schedule))["next_due_at"] == TOMORROW - HOUR
    await worker.keepers.sweep.run_once()
    await worker.keepers.window.run_once()
    assert [one.scheduled_for for one in (await rig.fire(worker)).assignments] == [TOMORROW - HOUR]
    row = await row_of(rig, schedule)
    assert (row["next_execution_at"], row["tzdata_version"]) == (TOMORROW, tzdata_version())


async def test_what_a_worker_may_have_claimed_ahead_stays(rig: Rig) -> None:
    schedule = await daily(rig)
    await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    rig.clock.move_to(TOMORROW + HOUR - timedelta(milliseconds=50))
    assert await (await rig.worker()).keepers.zones.run_once() == 0
    assert (await row_of(rig, schedule))["next_due_at"] == TOMORROW + HOUR


async def _computed_by_newer_rules(rig: Rig, schedule: Schedule) -> None:
    await computed_by(rig, schedule, NEWER, TOMORROW + 2 * HOUR)


async def _failed(rig: Rig, schedule: Schedule) -> None:
    async with rig.database.transaction() as connection:
        await firing.fail(connection, {schedule.schedule_id: "poison"}, now=rig.clock.now())


@pytest.mark.parametrize("meanwhile", [_computed_by_newer_rules, _failed], ids=["newer rules", "a failure"])
async def test_what_another_has_done_between_the_look_and_the_lock_stays(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Rig, Schedule], Awaitable[None]]
) -> None:
    schedule, other = await daily(rig), await daily(rig)
    for one in (schedule, other):
        await computed_by(rig, one, OLDER, TOMORROW + HOUR)
    look = recomputing.page_of_other_rules
    then: list[asyncpg.Record] = []

    async def overtaken(*arguments: Any) -> recomputing.RulesPage:
        page = await look(*arguments)
        if not then:
            await meanwhile(rig, schedule)
            then.append(await row_of(rig, schedule))
        return page

    monkeypatch.setattr(recomputing, "page_of_other_rules", overtaken)
    assert await (await rig.worker()).keepers.zones.run_once() == 1
    assert [await row_of(rig, schedule)] == then
    assert (await row_of(rig, other))["next_due_at"] == TOMORROW


async def test_an_instant_that_has_passed_by_the_newer_rules_is_not_lost(rig: Rig) -> None:
    schedule = await daily(rig)
    worker = await rig.worker()
    await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    rig.clock.move_to(TOMORROW + 10 * MINUTE)
    assert await worker.keepers.zones.run_once() == 1
    assert [one.scheduled_for for one in (await rig.fire(worker)).assignments] == [TOMORROW]


async def test_what_was_recorded_is_not_searched_again(rig: Rig) -> None:
    schedule = await daily(rig)
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    rig.clock.move_to(TOMORROW - timedelta(milliseconds=40))
    await worker.keepers.window.run_once()
    assert len((await rig.fire(worker)).assignments) == 1
    await computed_by(rig, schedule, OLDER, TOMORROW + 25 * HOUR)
    await worker.keepers.zones.run_once()
    row = await row_of(rig, schedule)
    assert (row["searched_to"], row["next_execution_at"]) == (TOMORROW, TOMORROW + 24 * HOUR)


async def test_a_schedule_without_an_occurrence_under_the_newer_rules_is_completed(rig: Rig) -> None:
    schedule = await daily(rig, end_at=TOMORROW)
    rig.clock.move_to(TOMORROW - timedelta(milliseconds=40))
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    assert len((await rig.fire(worker)).assignments) == 1
    await rig.execute(
        """UPDATE workflow_schedules SET status = 'active', tzdata_version = $1, next_execution_at = $2,
                  next_due_at = $2, completed_at = NULL""",
        *(OLDER, TOMORROW + HOUR),
    )
    assert await worker.keepers.zones.run_once() == 1
    row = await row_of(rig, schedule)
    assert (row["status"], row["next_due_at"], row["completed_at"]) == ("completed", None, rig.clock.now())
    assert row["status_reason"] == f"no occurrence is left under the zone rules of {tzdata_version()}"


async def test_what_its_days_off_keep_from_firing_is_recorded_where_the_newer_rules_leave_nothing_else(
    rig: Rig,
) -> None:
    calendars = CalendarService(rig.database, rig.wheel, rig.clock, rig.metrics)
    await stored(calendars, CALLER, calendar("firm", "2026-11-24/2026-11-30"))
    last = TOMORROW + timedelta(days=7)
    schedule = await daily(rig, end_at=last, **keeps("firm"))
    assert schedule.next_execution_at == last
    # By the older rules it fired an hour sooner, and so before its end.
    await computed_by(rig, schedule, OLDER, last - HOUR)
    await rig.execute("UPDATE workflow_schedules SET end_at = $1", last - 30 * MINUTE)
    worker = await rig.worker()
    assert await worker.keepers.zones.run_once() == 1
    row = await row_of(rig, schedule)
    assert (row["status"], row["status_reason"], row["searched_to"]) == ("completed", ENDED_BY_DAYS, START)
    (skipped,) = await rig.history(schedule)
    assert (skipped.covers_from, skipped.scheduled_for, skipped.coalesced_count, skipped.reason) == (
        *(TOMORROW, last - timedelta(days=1)),
        *(7, "calendar"),
    )


async def test_what_does_not_fire_is_left_alone(rig: Rig) -> None:
    schedule = await daily(rig)
    await rig.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    await rig.execute("UPDATE workflow_schedules SET tzdata_version = $1", OLDER)
    assert await (await rig.worker()).keepers.zones.run_once() == 0
    assert (await row_of(rig, schedule))["tzdata_version"] == OLDER


async def test_a_zone_that_is_gone_keeps_no_other_schedule_from_being_computed(rig: Rig) -> None:
    gone, other = await daily(rig), await daily(rig)
    for schedule in (gone, other):
        await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    await rig.execute(
        "UPDATE workflow_schedules SET timezone = 'Mars/Olympus' WHERE schedule_id = $1", gone.schedule_id
    )
    assert await (await rig.worker()).keepers.zones.run_once() == 1
    assert (await row_of(rig, other))["next_due_at"] == TOMORROW
    left = await row_of(rig, gone)
    assert (left["status"], left["next_due_at"], left["tzdata_version"]) == ("active", TOMORROW + HOUR, OLDER)


async def test_a_row_that_cannot_be_computed_keeps_no_other_schedule_from_being_computed(rig: Rig) -> None:
    bad, others = await daily(rig), [await daily(rig) for _ in range(3)]
    for schedule in (bad, *others):
        await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    await rig.execute("UPDATE workflow_schedules SET searched_to = '-infinity' WHERE schedule_id = $1", bad.schedule_id)
    worker = await rig.worker()
    with capture_logs() as logs:
        assert await worker.keepers.zones.run_once() == len(others)
    for schedule in others:
        assert (await row_of(rig, schedule))["next_due_at"] == TOMORROW
    left = await row_of(rig, bad)
    assert (left["next_due_at"], left["tzdata_version"]) == (TOMORROW + HOUR, OLDER)
    (line,) = [line for line in logs if line["event"] == "rezone_poison"]
    assert line["schedule_id"] == str(bad.schedule_id)
    # It alone does not have all schedules looked through again each minute.
    rig.clock.move(zones.UNFINISHED_SECONDS)
    with capture_logs() as logs:
        assert await worker.keepers.zones.run_once() == 0
    assert not logs


async def test_a_wish_to_skip_the_next_occurrence_goes_with_it(rig: Rig) -> None:
    schedule = await daily(rig)
    await rig.schedules.skip_next(CALLER, schedule.schedule_id, reason=None, expected_revision=None)
    await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    assert await (await rig.worker()).keepers.zones.run_once() == 1
    assert (await rig.schedules.get(CALLER, schedule.schedule_id)).skip_next is not None


async def test_a_calendars_days_off_count_under_the_newer_rules_too(rig: Rig) -> None:
    service = CalendarService(rig.database, rig.wheel, rig.clock, Metrics())
    await stored(service, CALLER, calendar("firm", "2026-11-24"))
    schedule = await daily(rig, **keeps())
    await computed_by(rig, schedule, OLDER, TOMORROW + 25 * HOUR)
    assert await (await rig.worker()).keepers.zones.run_once() == 1
    assert (await row_of(rig, schedule))["next_due_at"] == TOMORROW + 24 * HOUR


async def test_all_schedules_are_looked_through_however_many_pages_they_fill(rig: Rig) -> None:
    schedule = await daily(rig)
    await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    await copies(rig, schedule, 5_600)
    assert await (await rig.worker()).keepers.zones.run_once() == 5_601
    assert await rig.execute("SELECT FROM workflow_schedules WHERE next_due_at <> $1", TOMORROW) == []


async def copies(rig: Rig, schedule: Schedule, count: int) -> None:
    """That many further schedules of the same kind."""
    await rig.execute(
        """INSERT INTO workflow_schedules (
               schedule_id, community_id, workflow_id, schedule_type, cron_expression, timezone, status,
               next_execution_at, next_due_at, searched_to, tzdata_version, grace_period_seconds, coalesce,
               max_instances, overlap_policy, completion, timeout_seconds, retry, after_completion, created_at,
               updated_at)
           SELECT gen_random_uuid(), community_id, workflow_id, schedule_type, cron_expression, timezone, status,
                  next_execution_at, next_due_at, searched_to, tzdata_version, grace_period_seconds, coalesce,
                  max_instances, overlap_policy, completion, timeout_seconds, retry, after_completion, created_at,
                  updated_at
             FROM workflow_schedules, generate_series(1, $2) WHERE schedule_id = $1""",
        *(schedule.schedule_id, count),
    )


async def test_they_are_looked_through_at_the_start_and_then_each_hour(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.zones.run_once()
    schedule = await daily(rig)
    await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    rig.clock.move(zones.RULES_SECONDS - 1)
    assert await worker.keepers.zones.run_once() == 0
    rig.clock.move(1)
    assert await worker.keepers.zones.run_once() == 1


async def test_what_another_has_locked_is_looked_at_again_a_minute_later(rig: Rig) -> None:
    worker = await rig.worker()
    locked, free = await daily(rig), await daily(rig)
    for schedule in (locked, free):
        await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    async with rig.database.transaction() as connection:
        await connection.execute("SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR UPDATE", locked.schedule_id)
        assert await worker.keepers.zones.run_once() == 1
    rig.clock.move(zones.UNFINISHED_SECONDS)
    assert await worker.keepers.zones.run_once() == 1
    assert (await row_of(rig, locked))["next_due_at"] == TOMORROW


async def test_while_another_worker_has_the_turn_it_waits_for_its_own(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await daily(rig)
    await computed_by(rig, schedule, OLDER, TOMORROW + HOUR)
    async with rig.database.transaction() as connection:
        assert await upkeep.try_turn(connection, Keeper.ZONES)
        assert await worker.keepers.zones.run_once() == 0
    rig.clock.move(zones.UNFINISHED_SECONDS)
    assert await worker.keepers.zones.run_once() == 1


async def test_a_calendar_that_was_left_half_done_is_finished_within_seconds(rig: Rig) -> None:
    service = CalendarService(rig.database, rig.wheel, rig.clock, Metrics())
    await stored(service, CALLER, calendar("firm"))
    schedule = await daily(rig, **keeps())
    worker = await rig.worker()
    await worker.keepers.zones.run_once()
    await rig.execute(
        """UPDATE calendars SET revision = 2, days_revision = 2,
                  days_off = '[{"first": "2026-11-24", "last": "2026-11-24", "label": null, "from_source": false}]'"""
    )
    assert not (await service.get(CALLER, "firm")).recomputed
    rig.clock.move(zones.PASS_SECONDS)
    await worker.keepers.zones.run_once()
    assert (await row_of(rig, schedule))["next_due_at"] == TOMORROW + 24 * HOUR
    assert (await service.get(CALLER, "firm")).recomputed


async def test_a_use_whose_schedule_is_gone_does_not_keep_a_calendar_unfinished(rig: Rig) -> None:
    service = CalendarService(rig.database, rig.wheel, rig.clock, Metrics())
    await stored(service, CALLER, calendar("firm"))
    schedule = await daily(rig, **keeps())
    await rig.execute("DELETE FROM workflow_schedules WHERE schedule_id = $1", schedule.schedule_id)
    await rig.execute("UPDATE calendars SET revision = 2, days_revision = 2")
    await (await rig.worker()).keepers.zones.run_once()
    assert (await service.get(CALLER, "firm")).recomputed
    assert await rig.execute("SELECT FROM calendar_uses") == []


async def test_a_row_that_this_release_cannot_read_holds_up_nothing_else(rig: Rig) -> None:
    service = CalendarService(rig.database, rig.wheel, rig.clock, Metrics())
    for name in ("first", "second"):
        await stored(service, CALLER, calendar(name))
        rig.clock.move(1)
    strange, other, rezoned = await daily(rig, **keeps("first")), await daily(rig, **keeps("second")), await daily(rig)
    await computed_by(rig, rezoned, OLDER, TOMORROW + HOUR)
    await rig.execute(
        "UPDATE workflow_schedules SET overlap_policy = 'newfangled' WHERE schedule_id = $1", strange.schedule_id
    )
    await rig.execute(
        """UPDATE calendars SET revision = 2, days_revision = 2,
                  days_off = '[{"first": "2026-11-24", "last": "2026-11-24", "label": null, "from_source": false}]'"""
    )
    worker = await rig.worker()
    assert await worker.keepers.zones.run_once() == 1
    assert (await row_of(rig, other))["next_due_at"] == TOMORROW + 24 * HOUR
    assert (await row_of(rig, strange))["next_due_at"] == TOMORROW
    assert not (await service.get(CALLER, "first")).recomputed
    # As if a newer release had come.
    await rig.execute("UPDATE workflow_schedules SET overlap_policy = 'skip'")
    await worker.keepers.zones.run_once()
    assert not (await service.get(CALLER, "first")).recomputed
    rig.clock.move(zones.UNFINISHED_SECONDS)
    await worker.keepers.zones.run_once()
    assert (await row_of(rig, strange))["next_due_at"] == TOMORROW + 24 * HOUR


@pytest.mark.fault("23")
async def test_the_backlog_of_an_outage_is_recorded_whole_although_the_rules_are_new(rig: Rig) -> None:
    schedule = await daily(rig, grace_period_seconds=604_800, coalesce=False)
    await rig.execute("UPDATE workflow_schedules SET tzdata_version = $1", OLDER)
    rig.clock.move_to(TOMORROW + 49 * HOUR)
    worker = await rig.worker()
    assert await worker.keepers.zones.run_once() == 0
    await worker.keepers.window.run_once()
    await rig.fire(worker)
    history = await rig.history(schedule)
    assert [one.scheduled_for for one in history] == [TOMORROW + day * 24 * HOUR for day in range(3)]
    assert {one.status for one in history} == {ExecutionStatus.PENDING}
    assert (await rig.schedules.get(CALLER, schedule.schedule_id)).status is ScheduleStatus.ACTIVE
