"""Creating schedules."""

from datetime import timedelta
from uuid import UUID

import orjson
import pytest

from app.core.errors import InvalidScheduleException, NameTakenException, ScheduleServiceException
from app.core.queries import ScheduleFilter
from app.core.schedule import Definition, ScheduleStatus
from tests.clocks import START
from tests.integration.definitions import cron, interval, one_time
from tests.integration.service.world import CALLER, STRANGER, World, listed, ms


async def test_a_new_schedule_is_active_and_waits_in_the_wheel_for_its_first_occurrence(world: World) -> None:
    schedule = await world.create(interval(60, name="minutely", tags=("a", 'b"\\,{}'), context_data={"x": [1, None]}))
    assert schedule.status is ScheduleStatus.ACTIVE
    assert schedule.next_execution_at == schedule.next_due_at == START + timedelta(seconds=60)
    assert schedule.searched_to == schedule.created_at == schedule.updated_at == START
    assert (schedule.revision, schedule.execution_count, schedule.created_by) == (1, 0, "ada")
    assert schedule.definition.tags == ("a", 'b"\\,{}')
    assert schedule.definition.context_data == {"x": [1, None]}
    assert await world.due_in_wheel(schedule) == ms(schedule.next_due_at)


async def test_every_field_is_stored_as_it_was_given(world: World) -> None:
    definition = cron(
        "0 9 * * MON-FRI",
        timezone="America/New_York",
        start_at=START,
        end_at=START + timedelta(days=400),
        jitter_seconds=30,
        name="näme",
        description="what it is for\n",
        max_executions=7,
        grace_period_seconds=60,
        coalesce=False,
        max_instances=9,
        timeout_seconds=12,
        context_data={"deep": {"er": [1.5, True, "ü"]}},
        tags=("one", "", "NULL"),
    )
    assert (await world.create(definition)).definition == definition


async def test_jitter_delays_the_due_time_and_not_the_occurrence(world: World) -> None:
    schedule = await world.create(interval(3600, jitter_seconds=3600))
    assert schedule.next_execution_at == START + timedelta(hours=1)
    assert schedule.next_due_at is not None
    assert schedule.next_execution_at < schedule.next_due_at < START + timedelta(hours=2)


async def test_a_one_time_in_the_past_minute_is_due_at_the_moment_of_acceptance(world: World) -> None:
    instant = START - timedelta(seconds=59)
    schedule = await world.create(one_time(instant, jitter_seconds=3600))
    assert (schedule.next_execution_at, schedule.next_due_at) == (instant, START)
    look = await world.look(schedule)
    assert [assignment.scheduled_for for assignment in look.assignments] == [instant]
    after = await world.schedules.get(CALLER, schedule.schedule_id)
    assert (after.status, after.searched_to, after.execution_count) == (ScheduleStatus.COMPLETED, instant, 1)


async def test_jitter_applies_to_a_future_one_time(world: World) -> None:
    instant = START + timedelta(hours=1)
    schedule = await world.create(one_time(instant, jitter_seconds=3600))
    assert schedule.next_execution_at == instant
    assert schedule.next_due_at is not None
    assert instant < schedule.next_due_at <= instant + timedelta(hours=1)


async def test_a_one_time_more_than_a_minute_past_is_refused(world: World) -> None:
    with pytest.raises(InvalidScheduleException) as refused:
        await world.create(one_time(START - timedelta(seconds=60, milliseconds=1)))
    assert [problem.field for problem in refused.value.errors] == ["scheduled_time"]


async def test_a_schedule_without_an_occurrence_left_is_refused_and_not_stored(world: World) -> None:
    with pytest.raises(InvalidScheduleException) as refused:
        await world.create(cron(end_at=START - timedelta(days=1)))
    assert [problem.field for problem in refused.value.errors] == ["end_at"]
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 0
    assert await world.one("SELECT count(*) FROM audit_log") == 0


async def test_instants_are_kept_to_the_millisecond(world: World) -> None:
    schedule = await world.create(one_time(START + timedelta(seconds=1, microseconds=123_456)))
    assert schedule.definition.scheduled_time == schedule.next_due_at == START + timedelta(seconds=1, milliseconds=123)


async def test_a_name_is_unique_in_its_community_only(world: World) -> None:
    await world.create(cron(name="nightly"))
    with pytest.raises(NameTakenException, match="nightly"):
        await world.create(cron(name="nightly"))
    await world.create(cron(name="nightly"), STRANGER)
    await world.create(cron(name=None))
    await world.create(cron(name=None))


async def test_what_the_database_cannot_hold_is_refused_and_not_an_internal_error(world: World) -> None:
    for hostile in (
        cron(name="nul\0"),
        cron(name="x" * 256),
        cron(name="half a pair \ud800"),
        cron(tags=("\0",)),
        cron(context_data={"a": "\0"}),
        cron(context_data={"a": "\ud800"}),
        cron(context_data={"a": 10**30}),
    ):
        with pytest.raises(InvalidScheduleException):
            await world.create(hostile)
    for filter_ in (ScheduleFilter(name_prefix="\0"), ScheduleFilter(tag="\ud800")):
        with pytest.raises(InvalidScheduleException):
            await world.schedules.find(CALLER, filter_, limit=1, cursor=None)


async def test_an_atomic_batch_with_a_taken_name_stores_nothing(world: World) -> None:
    await world.create(cron(name="b"))
    batch = [cron(name="a"), cron(name="b"), cron(name="c")]
    with pytest.raises(NameTakenException, match="'b'"):
        await world.schedules.create_batch(CALLER, batch, atomic=True, answer=listed, idempotency=None)
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 1
    assert await world.one("SELECT count(*) FROM audit_log") == 1


async def test_an_atomic_batch_raises_what_was_refused_before(world: World) -> None:
    refused = InvalidScheduleException.of("timezone", "no such zone")
    with pytest.raises(InvalidScheduleException, match="no such zone"):
        await world.schedules.create_batch(CALLER, [cron(), refused], atomic=True, answer=listed, idempotency=None)
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 0


async def test_a_batch_that_is_not_atomic_has_one_result_each_in_order(world: World) -> None:
    await world.create(cron(name="stored"))
    batch: list[Definition | ScheduleServiceException] = [
        cron(name="z"),
        cron(name="stored"),
        InvalidScheduleException.of("timezone", "no such zone"),
        cron(name="a"),
        cron(name="z"),
        cron(end_at=START - timedelta(days=1)),
        cron(name=None),
    ]
    answer = await world.schedules.create_batch(CALLER, batch, atomic=False, answer=listed, idempotency=None)
    results = orjson.loads(answer.body)
    refusals = ["NAME_TAKEN", "INVALID_SCHEDULE", "NAME_TAKEN", "INVALID_SCHEDULE"]
    assert [results[place] for place in (1, 2, 4, 5)] == refusals
    stored = [await world.schedules.get(CALLER, UUID(results[place])) for place in (0, 3, 6)]
    assert [schedule.definition.name for schedule in stored] == ["z", "a", None]
    assert [await world.due_in_wheel(schedule) for schedule in stored] == [ms(stored[0].next_due_at)] * 3
    assert await world.one("SELECT count(*) FROM audit_log") == 4


async def test_a_batch_of_a_thousand_is_listed_in_the_order_asked(world: World) -> None:
    batch = [cron(name=f"n{place:04}") for place in reversed(range(1000))]
    await world.schedules.create_batch(CALLER, batch, atomic=True, answer=listed, idempotency=None)
    names: list[str | None] = []
    cursor = None
    while True:
        page = await world.schedules.find(CALLER, ScheduleFilter(), limit=300, cursor=cursor)
        names += [schedule.definition.name for schedule in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert names == [definition.name for definition in batch]
