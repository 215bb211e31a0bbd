"""Backfills: runs for instants that a schedule had, or would have had."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from app.core.clock import utc
from app.core.errors import InvalidScheduleException, ScheduleNotFoundException
from app.core.execution import ExecutionStatus, Trigger
from app.core.queries import Answer, ExecutionFilter
from app.core.schedule import Schedule
from app.service.backfilling import BackfillRequest, BackfillResult
from tests.clocks import START
from tests.integration.definitions import cron, interval, one_time
from tests.integration.service.world import CALLER, STRANGER, World

HOUR = timedelta(hours=1)
DAY_BEFORE = BackfillRequest(START - 24 * HOUR, START, 1, dry_run=False, context_override=None)


async def backfill(world: World, schedule: Schedule, request: BackfillRequest) -> BackfillResult:
    results: list[BackfillResult] = []

    def answer(result: BackfillResult) -> Answer:
        results.append(result)
        return Answer(202, {}, b"")

    await world.schedules.backfill(CALLER, schedule.schedule_id, request, answer=answer, idempotency=None)
    return results[-1]


async def runs_of(world: World, result: BackfillResult) -> list[tuple[object, ...]]:
    rows = await world.rows(
        "SELECT execution_id, scheduled_for, status, trigger FROM executions ORDER BY scheduled_for"
    )
    assert [row["execution_id"] for row in rows] == [run_id for _, run_id in result.runs]
    return [tuple(row)[1:] for row in rows]


async def test_every_occurrence_of_the_span_is_queued_in_order(world: World) -> None:
    schedule = await world.create(cron("0 */6 * * *"))
    result = await backfill(world, schedule, DAY_BEFORE)
    expected = [START - 24 * HOUR, START - 18 * HOUR, START - 12 * HOUR, START - 6 * HOUR]
    assert [instant for instant, _ in result.runs] == expected
    assert await runs_of(world, result) == [(instant, "queued", "backfill") for instant in expected]


async def test_each_run_is_told_of_the_occurrences_around_it(world: World) -> None:
    schedule = await world.create(cron("0 */6 * * *"))
    await backfill(world, schedule, DAY_BEFORE)
    rows = await world.rows(
        "SELECT scheduled_for, last_scheduled_for, next_execution_at FROM executions ORDER BY scheduled_for"
    )
    instants = [START - hours * HOUR for hours in (24, 18, 12, 6, 0)]
    assert [tuple(row) for row in rows] == list(zip(instants[:-1], [None, *instants[:-2]], instants[1:], strict=True))


async def test_from_is_inclusive_and_to_is_not(world: World) -> None:
    schedule = await world.create(cron())
    exact = replace(DAY_BEFORE, start=START - 2 * HOUR, end=START - HOUR)
    assert [instant for instant, _ in (await backfill(world, schedule, exact)).runs] == [START - 2 * HOUR]
    just_after = replace(exact, start=exact.start + timedelta(milliseconds=1))
    assert (await backfill(world, schedule, just_after)).runs == ()


async def test_a_dry_run_says_what_it_would_do_and_stores_nothing(world: World) -> None:
    schedule = await world.create(cron())
    result = await backfill(world, schedule, replace(DAY_BEFORE, dry_run=True))
    assert (len(result.runs), result.backfill_id, result.runs[0][1]) == (24, None, None)
    assert await world.rows("SELECT FROM executions") == []
    assert await world.one("SELECT trigger_seq FROM workflow_schedules") == 0


async def test_more_than_a_thousand_are_refused_with_where_to_stop(world: World) -> None:
    schedule = await world.create(cron("* * * * *"))
    with pytest.raises(InvalidScheduleException, match="more than 1000") as refused:
        await backfill(world, schedule, DAY_BEFORE)
    told = refused.value.detail.split("go up to ")[1].split(" ")[0]
    assert told == utc(START - 24 * HOUR + timedelta(minutes=1000))
    assert await world.rows("SELECT FROM executions") == []


async def test_it_changes_neither_timing_nor_count_nor_revision(world: World) -> None:
    schedule = await world.create(cron(max_executions=1))
    await backfill(world, schedule, DAY_BEFORE)
    after = await world.schedules.get(CALLER, schedule.schedule_id)
    assert (after.next_due_at, after.execution_count, after.revision) == (schedule.next_due_at, 0, 1)


async def test_the_same_span_twice_is_two_backfills(world: World) -> None:
    schedule = await world.create(cron("0 0 * * *"))
    first, second = [await backfill(world, schedule, DAY_BEFORE) for _ in range(2)]
    assert first.backfill_id != second.backfill_id
    assert len(await world.rows("SELECT FROM executions")) == 2


async def test_its_runs_are_found_by_its_id(world: World) -> None:
    schedule = await world.create(cron())
    await world.trigger(schedule)
    result = await backfill(world, schedule, replace(DAY_BEFORE, end=START - 22 * HOUR))
    wanted = ExecutionFilter(schedule_id=schedule.schedule_id, backfill_id=result.backfill_id)
    page = await world.executions.find(CALLER, wanted, limit=10, cursor=None)
    assert {one.trigger for one in page.items} == {Trigger.BACKFILL}
    assert {one.group_id for one in page.items} == {result.backfill_id}
    assert len(page.items) == 2


async def test_an_interval_has_no_occurrence_before_its_anchor(world: World) -> None:
    schedule = await world.create(interval(3600, start_at=START - 3 * HOUR))
    result = await backfill(world, schedule, DAY_BEFORE)
    assert [instant for instant, _ in result.runs] == [START - 3 * HOUR, START - 2 * HOUR, START - HOUR]


async def test_a_one_time_has_its_one_instant(world: World) -> None:
    schedule = await world.create(one_time(START + HOUR))
    span = replace(DAY_BEFORE, end=START + 2 * HOUR)
    assert [instant for instant, _ in (await backfill(world, schedule, span)).runs] == [START + HOUR]
    assert (await backfill(world, schedule, replace(span, end=START + HOUR))).runs == ()


@pytest.mark.parametrize("status", ["paused", "completed"])
async def test_it_runs_whatever_the_schedules_status(world: World, status: str) -> None:
    schedule = await world.create(cron())
    await world.rows("UPDATE workflow_schedules SET status = $1, next_due_at = NULL, next_execution_at = NULL", status)
    assert len((await backfill(world, schedule, DAY_BEFORE)).runs) == 24


async def test_it_is_audited_with_its_span(world: World) -> None:
    schedule = await world.create(cron())
    result = await backfill(world, schedule, DAY_BEFORE)
    (row,) = await world.rows("SELECT user_id, after FROM audit_log WHERE action = 'schedule_backfill'")
    assert str(result.backfill_id) in row["after"]
    assert '"runs": 24' in row["after"]


async def test_another_communitys_schedule_is_unknown(world: World) -> None:
    schedule = await world.create(cron())
    with pytest.raises(ScheduleNotFoundException):
        await world.schedules.backfill(
            STRANGER, schedule.schedule_id, DAY_BEFORE, answer=lambda _: Answer(202, {}, b""), idempotency=None
        )


async def test_a_worker_starts_as_many_as_may_run_at_once_in_order(world: World) -> None:
    # As many as the backfill says, and not the schedule.
    schedule = await world.create(cron(max_instances=1))
    result = await backfill(world, schedule, replace(DAY_BEFORE, max_parallel=3))
    first = await world.executions.get(CALLER, _id(result, 0))
    look = await world.look(first)
    assert [one.execution_id for one in look.assignments] == sorted(_id(result, place) for place in range(3))
    assert {one.attempt for one in look.assignments} == {1}
    following = await world.executions.get(CALLER, _id(result, 3))
    assert following.status is ExecutionStatus.QUEUED


async def test_its_runs_are_sent_as_the_schedule_was_defined_when_they_were_asked_for(world: World) -> None:
    schedule = await world.create(cron(context_data={"version": 1}))
    await world.change(schedule, cron(context_data={"version": 2}))
    result = await backfill(world, schedule, DAY_BEFORE)
    await world.change(schedule, cron(context_data={"version": 3}))
    (assignment,) = (await world.look(await world.executions.get(CALLER, _id(result, 0)))).assignments
    assert (assignment.revision, assignment.context_json) == (2, '{"version": 2}')


def _id(result: BackfillResult, place: int) -> UUID:
    run_id = result.runs[place][1]
    assert run_id is not None
    return run_id
