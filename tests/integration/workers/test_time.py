"""Postgres's clock is set back, or on: nothing fires twice, nothing stands still, nothing goes out early."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core.tasks import end
from app.store.database import Database
from tests.integration.workers.rig import Rig, next_of
from tests.integration.workers.running import Running, SettableClock, running_worker

HOUR = 3_600.0
STEPS = [-HOUR, -90.0, -2.0, -0.7, 0.7, HOUR]


@pytest.fixture
async def running(database_url: str, redis_url: str) -> AsyncIterator[Running]:
    async with running_worker(database_url, redis_url) as made:
        yield made


# A whole worker


@pytest.mark.fault("14")
@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_goes_on_firing_on_time_after_the_clock_was_set(running: Running, step: float) -> None:
    await running.fire_one_in(0.2)
    await running.set_clock(step)
    for _ in range(3):
        await running.fire_one_in(0.2)


@pytest.mark.fault("14")
async def test_an_instant_that_comes_again_is_not_fired_again(running: Running) -> None:
    await running.every_second()
    await running.receiver.wait_for(2)
    await running.set_clock(-30)
    recorded = await running.scheduled_for()
    # What was recorded already comes by once more; a schedule that is new fires.
    await running.fire_one_in(1.5)
    assert [at for at in await running.scheduled_for() if at in recorded] == recorded
    assert len(await running.scheduled_for()) == len(recorded) + 1
    await running.set_clock(+30)
    await running.receiver.wait_for(len(recorded) + 3, within_seconds=5)
    assert max(running.receiver.deliveries().values()) == 1
    instants = await running.scheduled_for()
    assert len(set(instants)) == len(instants)


async def test_what_is_held_waits_for_its_instant_and_no_longer(running: Running) -> None:
    await running.every_second()
    await running.receiver.wait_for(1)
    # Until one is recorded ahead, and held.
    async with asyncio.timeout(5):
        while max(await running.scheduled_for()) <= running.clock.now():
            await asyncio.sleep(0.002)
    await running.set_clock(-HOUR)
    sent = len(running.receiver.received)
    await running.fire_one_in(1.5)
    assert len(running.receiver.received) == sent + 1, "its instant is an hour away again"
    # Back where it was: it waits no hour.
    await running.set_clock(+HOUR)
    await running.receiver.wait_for(sent + 3, within_seconds=5)
    assert max(running.receiver.deliveries().values()) == 1


async def test_the_clock_is_followed_and_a_step_is_told(database_url: str) -> None:
    database, clock = await Database.open(database_url), SettableClock()
    await database.measure(clock)
    told: asyncio.Queue[float] = asyncio.Queue()
    following = asyncio.create_task(database.follow(clock, every_seconds=0.01, stepped=told.put_nowait))
    try:
        for step in (-30.0, +30.0, -90.0):
            before = clock.now_ms()
            clock.set_by += step
            async with asyncio.timeout(10):
                assert abs(await told.get() - step) < 5
                while abs(clock.now_ms() - before - step * 1000) > 5_000:
                    await asyncio.sleep(0.002)
    finally:
        await end(following)
        await database.close()
    assert told.empty()


# Stage by stage


@pytest.mark.fault("14")
async def test_a_lease_from_before_the_clock_was_set_back_does_not_outlast_the_step(rig: Rig) -> None:
    lost, other = await rig.worker(), await rig.worker()
    schedule = await rig.create()
    rig.clock.move_to(next_of(schedule)[0])
    assert await lost.claimer.run_once(), "and it is killed before it records"
    rig.clock.step_back(HOUR)
    await rig.execute("UPDATE workflow_schedules SET next_due_at = next_due_at - interval '1 hour'")
    other.claimer.wake(None)
    (claim,) = await other.claimer.run_once()
    assert claim.members == (f"s:{schedule.schedule_id}",)


async def test_a_lease_made_after_the_clock_was_set_back_is_as_short_as_any(rig: Rig) -> None:
    lost, other = await rig.worker(), await rig.worker()
    first = await rig.create()
    rig.clock.move_to(next_of(first)[0])
    await rig.fire(lost)
    rig.clock.step_back(HOUR)
    second = await rig.create(interval_seconds=10)
    rig.clock.move(10)
    lost.claimer.wake(None)
    assert await lost.claimer.run_once(), "and it is killed before it records"
    other.claimer.wake(None)
    assert await other.claimer.run_once() == [], "the lease holds, for as long as it should"
    rig.clock.move(5.1)
    other.claimer.wake(None)
    assert [one.schedule_id for one in (await rig.fire(other)).assignments] == [second.schedule_id]


async def test_a_shard_that_no_wake_names_is_looked_at_after_the_clock_was_set_back(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    await worker.claimer.run_once()
    rig.clock.step_back(HOUR)
    schedule = await rig.create(interval_seconds=10)
    rig.clock.move_to(next_of(schedule)[0])
    assert len((await rig.fire(worker)).assignments) == 1


# The shorter step is just longer than what a put adds beyond the window.
@pytest.mark.parametrize(("step", "interval_seconds"), [(HOUR, 5_400), (130.0, 3_725)])
async def test_what_is_put_after_the_clock_was_set_back_is_found_in_the_window(
    rig: Rig, step: float, interval_seconds: int
) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    rig.clock.step_back(step)
    # Due beyond what a put adds now, and within what was loaded before.
    schedule = await rig.create(interval_seconds=interval_seconds)
    assert (await rig.wheel.state()).entries == 0
    for _ in range(31):
        rig.clock.move(60)
        await worker.keepers.window.run_once()
    assert (await rig.wheel.state()).entries == 1
    rig.clock.move_to(next_of(schedule)[0])
    assert len((await rig.fire(worker)).assignments) == 1


@pytest.mark.fault("14")
async def test_nobody_is_buried_for_a_clock_that_was_set(rig: Rig) -> None:
    one, other = await rig.worker(), await rig.worker()
    for step in (-HOUR, HOUR, 0):
        rig.clock.step_back(-step)
        for worker in (one, other):
            assert worker.presence.trusted
            await worker.presence.run_once()
            await worker.keepers.bury.run_once()
    assert len(await rig.execute("SELECT FROM workers")) == 2
