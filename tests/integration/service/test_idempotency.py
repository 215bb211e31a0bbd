"""Requests that are repeated under an idempotency key."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from app.core.errors import IdempotencyKeyReusedException, NameTakenException
from app.core.principal import Principal
from app.core.queries import Answer, Idempotency
from app.core.schedule import Definition
from app.service.schedules import ScheduleService
from tests.integration.definitions import cron
from tests.integration.service.world import CALLER, STRANGER, World, accepted, created, listed
from tests.integration.workers.running import SettableClock

KEY = Idempotency("key-1", b"fingerprint")


async def create(
    world: World, definition: Definition | None = None, request: Idempotency = KEY, principal: Principal = CALLER
) -> Answer:
    return await world.schedules.create(principal, definition or cron(), answer=created, idempotency=request)


async def test_a_repeated_request_is_given_the_first_answer(world: World) -> None:
    first = await create(world)
    world.clock.move(3600)
    assert await create(world) == first
    assert first.headers["Location"].endswith(first.body.decode())
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 1
    assert await world.one("SELECT count(*) FROM audit_log") == 1


@pytest.mark.fault("20")
async def test_twenty_concurrent_creates_with_one_key_make_one_schedule(world: World) -> None:
    answers = await asyncio.gather(*(create(world) for _ in range(20)))
    assert len({answer.body for answer in answers}) == 1
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 1


async def test_the_same_key_for_another_request_is_refused(world: World) -> None:
    await create(world)
    with pytest.raises(IdempotencyKeyReusedException, match="key-1"):
        await create(world, request=Idempotency("key-1", b"other"))


async def test_a_key_belongs_to_its_community(world: World) -> None:
    mine, theirs = await create(world), await create(world, principal=STRANGER)
    assert mine.body != theirs.body


async def test_a_refused_request_leaves_the_key_free(world: World) -> None:
    await world.create(cron(name="taken"))
    with pytest.raises(NameTakenException):
        await create(world, cron(name="taken"))
    assert await world.one("SELECT count(*) FROM idempotency_keys") == 0
    await create(world, cron(name="free"), Idempotency("key-1", b"corrected"))


async def test_after_a_day_the_key_is_free_again(world: World) -> None:
    first = await create(world)
    world.clock.move(timedelta(hours=23, minutes=59).total_seconds())
    assert await create(world) == first
    world.clock.move(60)
    second = await create(world, request=Idempotency("key-1", b"other"))
    assert second.body != first.body
    assert await create(world, request=Idempotency("key-1", b"other")) == second


@pytest.mark.fault("14")
async def test_a_postgres_clock_that_was_set_ahead_has_no_request_done_twice(world: World) -> None:
    clock = SettableClock()
    await world.database.measure(clock)
    world.schedules = ScheduleService(world.database, world.wheel, clock)
    first = await create(world)
    clock.set_by = timedelta(days=60).total_seconds()
    await world.database.measure(clock)
    assert await create(world) == first
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 1


async def test_a_request_that_waited_for_one_that_was_refused_is_done_itself(world: World) -> None:
    schedule = await world.create(cron(name="old"))
    async with world.database.transaction() as connection:
        # Holds the first request, which has claimed the key, until it is certain that its name is taken.
        await connection.execute(
            "UPDATE workflow_schedules SET name = 'taken' WHERE schedule_id = $1", schedule.schedule_id
        )
        refused = asyncio.create_task(create(world, cron(name="taken")))
        await world.somebody_waits_for_a_lock()
        other = asyncio.create_task(create(world, cron(name="free"), Idempotency("key-1", b"other")))
        await world.somebody_waits_for_a_lock(2)
    with pytest.raises(NameTakenException):
        await refused
    assert (await other).status == 201


async def test_a_trigger_and_a_batch_are_repeated_safely_too(world: World) -> None:
    schedule = await world.create(cron())
    runs = [await world.trigger(schedule, idempotency=KEY) for _ in range(2)]
    assert runs[0].execution_id == runs[1].execution_id
    request = Idempotency("key-2", b"batch")
    answers = [
        await world.schedules.create_batch(
            CALLER, [cron(name="a"), cron(name="a")], atomic=False, answer=listed, idempotency=request
        )
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert await world.one("SELECT count(*) FROM workflow_schedules") == 2


async def test_a_retry_is_repeated_safely_too(world: World) -> None:
    run = await world.trigger(await world.create(cron()))
    await world.rows("UPDATE executions SET status = 'failed', finished_at = now(), wake_at = NULL")

    async def retry() -> UUID:
        answer = await world.executions.retry(CALLER, run.execution_id, answer=accepted, idempotency=KEY)
        return UUID(answer.body.decode())

    assert await asyncio.gather(*(retry() for _ in range(5))) == [run.execution_id] * 5
    assert await world.one("SELECT count(*) FROM audit_log WHERE action = 'execution_retry'") == 1
