"""A deliver stage that stands still shows its age; one whose targets are slow, or have limits, has none."""

import asyncio

import pytest
from aiohttp import web

from app.core.tasks import end
from app.workers.loop import Worker
from tests.integration.workers.hosts import Hosts
from tests.integration.workers.rig import Rig, next_of
from tests.integration.workers.stages import delivering, look_again, settled, turn
from tests.receiver import Received, Receiver


@pytest.fixture
def answers(rig: Rig) -> asyncio.Event:
    """The engine answers nobody before it is set."""
    event = asyncio.Event()

    async def wait(_received: Received) -> web.StreamResponse:
        await event.wait()
        return web.Response(status=202)

    rig.receiver.behaviour = wait
    return event


async def hold_one_until_due(rig: Rig, worker: Worker) -> None:
    """One is recorded ahead of its instant, which comes."""
    rig.clock.move_to(next_of(await rig.create())[0])
    rig.clock.step_back(0.05)
    await look_again(rig, worker)
    assert worker.deliverer.stands_seconds() == 0
    rig.clock.move(0.05)


async def test_what_is_due_and_not_handed_on_is_seen_until_it_is(rig: Rig) -> None:
    worker = await rig.worker()
    await hold_one_until_due(rig, worker)
    assert worker.deliverer.stands_seconds() == 0
    rig.clock.move(40)
    assert worker.deliverer.stands_seconds() == 40
    # What comes late does not make it look younger.
    rig.clock.move_to(next_of(await rig.create())[0])
    await look_again(rig, worker)
    assert worker.deliverer.stands_seconds() > 40
    async with delivering(worker):
        await rig.receiver.wait_for(2)
        assert worker.deliverer.stands_seconds() == 0
        await settled(rig, worker)


async def test_what_is_late_when_it_comes_has_not_waited_here(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    rig.clock.move_to(next_of(schedule)[0])
    rig.clock.move(50)
    await look_again(rig, worker)
    assert len(worker.deliverer.hold) == 1
    assert worker.deliverer.stands_seconds() == 0
    rig.clock.move(1)
    assert worker.deliverer.stands_seconds() == 1


async def test_what_has_a_place_and_no_sender_that_takes_it_is_seen(rig: Rig) -> None:
    worker = await rig.worker()
    await hold_one_until_due(rig, worker)
    holding = asyncio.create_task(worker.deliverer.hold.run_forever())
    while not worker.deliverer.senders.waiting:
        await turn()
    rig.clock.move(40)
    assert worker.deliverer.stands_seconds() == 40
    await end(holding)


async def test_slow_targets_do_not_make_it_old_and_one_longer_than_a_request_may_take_does(
    rig: Rig, answers: asyncio.Event
) -> None:
    worker = await rig.worker(concurrency=1, trigger_request_timeout_seconds=30)
    schedules = [await rig.create() for _ in range(2)]
    rig.clock.move_to(next_of(schedules[0])[0])
    async with delivering(worker):
        await look_again(rig, worker)
        await rig.receiver.wait_for(1)
        assert (worker.deliverer.senders.in_flight, worker.deliverer.senders.waiting) == (1, 1)
        rig.clock.move(29)
        assert worker.deliverer.stands_seconds() == 0
        rig.clock.move(12)
        assert worker.deliverer.stands_seconds() == pytest.approx(11, abs=0.1)
        await worker.presence.run_once()
        answers.set()
        await rig.receiver.wait_for(2)
        assert worker.deliverer.stands_seconds() == 0
        await settled(rig, worker)


async def test_what_is_read_again_and_gets_no_answer_is_seen(rig: Rig) -> None:
    worker = await rig.worker()
    await hold_one_until_due(rig, worker)
    # The worker does not know whether it lives: all is doubtful, and waits.
    rig.clock.move(30)
    async with delivering(worker):
        while not worker.deliverer.senders.in_flight:
            await turn()
        rig.clock.move(5)
        assert worker.deliverer.stands_seconds() == pytest.approx(5, abs=1)
        await worker.presence.run_once()
        while not rig.receiver.received:
            rig.clock.move(0.1)
            await turn()
        assert worker.deliverer.stands_seconds() == 0
        await settled(rig, worker)


async def test_who_waits_behind_the_limit_of_a_host_makes_nothing_old_while_somebody_sees_to_it(rig: Rig) -> None:
    hosts, answered = Hosts(rig), asyncio.Event()

    async def wait(_received: Received) -> web.StreamResponse:
        await answered.wait()
        return web.Response(status=202)

    async with Receiver() as other:
        other.behaviour = wait
        worker = await hosts.worker(target_max_concurrent=1)
        await hosts.due(other.url, 3)
        ages: list[float] = []
        async with hosts.working(worker):
            await look_again(rig, worker)
            await other.wait_for(1)
            for _ in range(150):
                rig.clock.move(0.01)
                await turn()
                ages += [worker.deliverer.stands_seconds(), worker.lanes.stands_seconds()]
            assert worker._metrics.registry.get_sample_value("schedule_service_waiting_behind_limits") == 2
            assert max(ages) < 0.2
            answered.set()
            await hosts.go_on([worker], lambda: len(other.received) == 3)
