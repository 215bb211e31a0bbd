"""A hundred thousand at midnight: they are shared, and others do not wait for them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.core.clock import to_ms
from app.core.principal import Principal, Role
from app.core.queries import Answer
from app.core.schedule import Schedule
from app.core.tasks import end
from app.wheel.answers import Claimed
from app.wheel.entries import Entry, shard_of
from app.workers.loop import Worker
from app.workers.signals import Point, Signals
from tests.integration.definitions import one_time
from tests.integration.workers.asking import no_answer
from tests.integration.workers.rig import CALLER, MINUTELY, Rig, next_of
from tests.integration.workers.running import running_worker

_BURST = 5_000


def neighbour(rig: Rig) -> Principal:
    """Somebody of a community whose entries stand in another shard than CALLER's."""
    shards = rig.wheel.shards
    other = next(one for one in range(2, 100) if shard_of(one, shards) != shard_of(CALLER.community_id, shards))
    return Principal(community_id=other, user="neighbour", role=Role.ADMIN)


async def burst(rig: Rig, due_ms: int) -> None:
    """Thousands of entries of one community, all due at once: a look finds nothing behind them, and costs as much."""
    members = [f"s:00000000-0000-7000-8000-{number:012x}" for number in range(_BURST)]
    await rig.wheel.put([Entry(CALLER.community_id, member, due_ms) for member in members])


async def neighbours_schedule(rig: Rig, **fields: Any) -> Schedule:
    """A schedule of the neighbour's."""
    created: list[Schedule] = []

    def keep(schedule: Schedule) -> Answer:
        created.append(schedule)
        return Answer(201, {}, b"")

    await rig.schedules.create(neighbour(rig), replace(MINUTELY, **fields), answer=keep, idempotency=None)
    (schedule,) = created
    return schedule


async def due_beside_a_crowd(rig: Rig) -> Schedule:
    """A neighbour's schedule that is due, and thousands of CALLER's community that have been for a second."""
    schedule = await neighbours_schedule(rig)
    (due,) = next_of(schedule)
    await burst(rig, to_ms(due) - 1_000)
    rig.clock.move_to(due)
    return schedule


@pytest.mark.fault("16")
async def test_another_communitys_schedule_does_not_wait_for_thousands_that_are_due_before_it(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await due_beside_a_crowd(rig)
    look = await rig.fire(worker)
    assert [assignment.schedule_id for assignment in look.assignments] == [schedule.schedule_id]


@pytest.mark.fault("16")
async def test_beside_a_crowd_what_is_due_is_claimed_and_recorded_further_ahead(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await neighbours_schedule(rig)
    (due,) = next_of(schedule)
    rig.clock.move_to(due - timedelta(milliseconds=rig.wheel.reach_ms))
    assert await worker.claimer.run_once() == []
    await burst(rig, to_ms(rig.clock.now()))
    worker.claimer.wake(None)
    assert {claim.shard for claim in await worker.claimer.run_once()} == {
        shard_of(CALLER.community_id, rig.wheel.shards)
    }
    worker.claimer.wake(None)
    look = await worker.advancer.run_once(await worker.claimer.run_once(crowd=False))
    # It is held until its time then.
    assert [(one.schedule_id, one.due_ms) for one in look.assignments] == [(schedule.schedule_id, to_ms(due))]


@pytest.mark.fault("16")
async def test_what_is_claimed_further_ahead_is_not_skipped_for_a_run_that_ends_in_between(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await neighbours_schedule(rig, max_instances=1)
    first, second = next_of(schedule, 2)
    rig.clock.move_to(first)
    (running,) = (await rig.fire(worker)).assignments
    rig.clock.move_to(second - timedelta(milliseconds=rig.wheel.reach_ms))
    await burst(rig, to_ms(rig.clock.now()))
    worker.claimer.wake(None)
    await worker.claimer.run_once()
    worker.claimer.wake(None)
    claims = await worker.claimer.run_once(crowd=False)
    look = await worker.advancer.run_once(claims)
    decide_at = second - timedelta(milliseconds=rig.wheel.claim_ahead_ms)
    assert (look.assignments, look.unsent, look.early) == (
        [],
        [],
        {f"s:{schedule.schedule_id}": to_ms(decide_at)},
    )
    # Under its lease: nobody claims it meanwhile, and somebody does should this worker die.
    shard = shard_of(neighbour(rig).community_id, rig.wheel.shards)
    (leased,) = rig.wheel._keys(shard, "leased")
    assert await rig.wheel.client.zscore(leased, f"s:{schedule.schedule_id}") is not None
    worker.claimer.advanced(claims)
    on_the_way = worker.claimer._on_the_way
    worker.early.add(claims, look.early)
    worker.claimer.wake(None)
    assert not any(f"s:{schedule.schedule_id}" in one.members for one in await worker.claimer.run_once(crowd=False))
    await rig.executions.cancel(neighbour(rig), running.execution_id, reason=None)
    assert worker.few.empty
    rig.clock.move_to(decide_at)
    async with asyncio.timeout(10):
        again = await worker.few.get()
    assert worker.claimer._on_the_way == on_the_way + 1
    look = await worker.advancer.run_once(again)
    assert [(one.schedule_id, one.due_ms) for one in look.assignments] == [(schedule.schedule_id, to_ms(second))]
    assert look.early == {}


@pytest.mark.fault("16")
async def test_a_burst_is_claimed_by_room_and_the_rest_is_left_to_others(rig: Rig) -> None:
    first, second = await rig.worker(), await rig.worker()
    await burst(rig, to_ms(rig.clock.now()))
    rig.clock.move(0.1)
    claims = [await worker.claimer.run_once() for worker in (first, second)]
    members = [{member for claim in some for member in claim.members} for some in claims]
    assert all(0 < len(some) <= 100 for some in members)
    assert not members[0] & members[1]


async def first_claims(worker: Worker) -> tuple[Claimed, list[Claimed]]:
    """What goes into the line of few first, and what beside it into the crowd's."""
    claiming = asyncio.create_task(worker.claiming.run_forever(lambda: None))
    async with asyncio.timeout(10):
        (few,) = await worker.few.get()
        many = await worker.line.get()
    worker.claiming.stop()
    await end(claiming)
    return few, many


async def test_what_little_is_due_beside_a_crowd_is_recorded_beside_it_and_not_behind(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await due_beside_a_crowd(rig)
    few, many = await first_claims(worker)
    assert few.members == (f"s:{schedule.schedule_id}",)
    assert {claim.shard for claim in many} == {shard_of(CALLER.community_id, rig.wheel.shards)}


@pytest.mark.fault("16")
async def test_what_little_is_due_does_not_wait_until_there_is_place_for_more_of_a_crowd(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    await burst(rig, to_ms(rig.clock.now()))
    rig.clock.move(0.1)
    claiming = asyncio.create_task(worker.claiming.run_forever(lambda: None))
    await until(lambda: worker.line.full)
    for number in range(3):
        # Nobody has taken what waits there.
        member = f"s:00000000-0000-7000-8000-{number:012x}"
        await rig.wheel.put([Entry(neighbour(rig).community_id, member, to_ms(rig.clock.now()))])
        worker.claimer.wake(None)
        async with asyncio.timeout(10):
            (few,) = await worker.few.get()
        assert few.members == (member,)
    assert worker.line.full
    many = await worker.line.get()
    worker.claiming.taken()
    async with asyncio.timeout(10):
        further = await worker.line.get()
    assert {claim.shard for claim in many + further} == {shard_of(CALLER.community_id, rig.wheel.shards)}
    await end(claiming)


async def test_what_little_came_while_the_line_of_few_was_busy_shares_a_transaction(
    database_url: str, redis_url: str
) -> None:
    holds = Holds()
    async with running_worker(database_url, redis_url, holds) as running:
        few = running.worker.few
        for number in range(5):
            members = (f"s:00000000-0000-7000-8000-{number:012x}",)
            few.put_at_once([Claimed(0, number, None, True, True, members)])
            await until(lambda number=number: holds.reached_by[Point.RECORDED] == min(number + 1, 2))  # type: ignore[misc]
        assert not few.empty
        holds.go_on.set()
        async with asyncio.timeout(10):
            await few.join()
        assert holds.reached_by[Point.RECORDED] == 3


async def test_what_is_due_later_passes_a_crowd_of_its_own_community_by(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    (due,) = next_of(schedule)
    await burst(rig, to_ms(due) - 1_000)
    rig.clock.move_to(due)
    passing, many = await first_claims(worker)
    assert f"s:{schedule.schedule_id}" in passing.members
    members = [member for claim in many for member in claim.members]
    assert len(members) >= 7 * len(passing.members)
    assert set(members).isdisjoint(passing.members)
    # What is in two lines counts as on its way until each has been recorded.
    look = await worker.advancer.run_once([passing])
    assert [one.schedule_id for one in look.assignments] == [schedule.schedule_id]
    worker.claimer.advanced([passing])
    worker.claimer.advanced(many)
    assert worker.claimer._on_the_way == 0


class Holds(Signals):
    """Whoever has claimed, or recorded, is counted; who has recorded is held there."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.start_again()

    def start_again(self) -> None:
        """Count from nothing, and hold from here on."""
        self.reached_by = dict.fromkeys(Point, 0)
        self.go_on.clear()

    async def reached(self, point: Point) -> None:
        self.reached_by[point] += 1
        if point is Point.RECORDED:
            await self.go_on.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_two_batches_are_advanced_at_once_and_a_further_one_waits_for_its_turn(
    database_url: str, redis_url: str
) -> None:
    holds = Holds()
    async with running_worker(database_url, redis_url, holds) as running:
        # While its wheel is still empty a worker claims from Postgres, where the two stages are one.
        holds.go_on.set()
        await running.fire_one_in(0.2)
        claimer, claiming = running.worker.claimer, running.worker.claiming
        await until(lambda: not claiming.by_postgres and claimer._on_the_way == 0)
        holds.start_again()
        for number in (1, 2, 3):
            at = running.clock.now() + timedelta(milliseconds=200)
            await running.schedules.create(CALLER, one_time(at), answer=no_answer, idempotency=None)
            await until(lambda number=number: holds.reached_by[Point.CLAIMED] == number)  # type: ignore[misc]
            await until(lambda number=number: holds.reached_by[Point.RECORDED] == min(number, 2))  # type: ignore[misc]
        assert running.worker.advancing.longest_seconds() > 0.2, "held since the first was claimed"
        assert holds.reached_by[Point.RECORDED] == 2
        holds.go_on.set()
        await running.receiver.wait_for(4, within_seconds=10)
        await until(lambda: running.worker.advancing.longest_seconds() == 0)
