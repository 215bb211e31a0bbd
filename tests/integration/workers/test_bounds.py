"""How much a worker takes in, holds and sends at once, and how soon it writes what became of it."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from app.core.clock import to_ms
from app.core.execution import ExecutionStatus
from app.core.principal import Principal
from app.wheel.answers import Claimed
from app.wheel.entries import Entry, shard_of
from app.workers.loop import Worker
from app.workers.room import FEW
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.stages import delivering, look_again, turn
from tests.integration.workers.test_bursts import burst, neighbour
from tests.receiver import Received
from tests.unit.delivery.assignments import assignment


async def entries(rig: Rig, caller: Principal, number: int) -> None:
    """Entries of a community that are due now."""
    due_ms, community_id = to_ms(rig.clock.now()), caller.community_id
    members = [f"s:00000000-0000-7000-8000-{community_id:04x}{one:08x}" for one in range(number)]
    await rig.wheel.put([Entry(community_id, member, due_ms) for member in members])


async def _claimed(worker: Worker) -> int:
    worker.claimer.wake(None)
    return sum(len(claim.members) for claim in await worker.claimer.run_once())


async def test_a_thousand_are_on_their_way_or_held_at_most(rig: Rig) -> None:
    worker = await rig.worker(concurrency=400)
    await burst(rig, to_ms(rig.clock.now()))
    rig.clock.move(0.1)
    # What is claimed and not recorded yet counts, too. Batches are small while nothing goes out.
    assert [await _claimed(worker) for _ in range(40)] == [25] * 38 + [0] * 2
    # The last fifty places are for what little is due where there is no crowd.
    await entries(rig, neighbour(rig), 100)
    assert [await _claimed(worker) for _ in range(3)] == [FEW, 0, 0]


async def test_a_shard_whose_crowd_is_gone_counts_among_the_others_again(rig: Rig) -> None:
    worker = await rig.worker(concurrency=400)
    await entries(rig, CALLER, 30)
    rig.clock.move(0.1)
    assert [await _claimed(worker) for _ in range(2)] == [25, 5]
    await entries(rig, neighbour(rig), 100)
    assert await _claimed(worker) == 25
    await entries(rig, CALLER, 3)
    worker.claimer.wake(None)
    beside = await worker.claimer.run_once(crowd=False)
    assert [(claim.shard, len(claim.members)) for claim in beside] == [
        (shard_of(CALLER.community_id, rig.wheel.shards), 3)
    ]


async def test_nothing_is_claimed_before_there_is_room_for_a_batch(rig: Rig) -> None:
    worker = await rig.worker(concurrency=6)
    schedules = [await rig.create(max_executions=1) for _ in range(20)]
    rig.clock.move_to(next_of(schedules[18])[0])
    assert worker.deliverer.room() == 24
    assert len((await look_again(rig, worker)).assignments) >= 19
    # A transaction for the few that would fit costs as much as one for many.
    assert worker.deliverer.room() == 0


async def test_the_room_is_shared_among_the_shards(rig: Rig) -> None:
    worker = await rig.worker(concurrency=10)
    for caller in (CALLER, neighbour(rig)):
        await entries(rig, caller, 100)
    rig.clock.move(0.1)
    claimed: dict[int, int] = {}
    for claim in await worker.claimer.run_once():
        claimed[claim.shard] = claimed.get(claim.shard, 0) + len(claim.members)
    assert sorted(claimed.values()) == [12, 13]


async def test_no_more_are_under_way_at_once_than_may_be(rig: Rig) -> None:
    release = asyncio.Event()
    under_way = most = 0

    async def slow(_received: Received) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await release.wait()
        under_way -= 1
        return web.Response(status=202)

    rig.receiver.behaviour = slow
    worker = await rig.worker(concurrency=2)
    schedules = [await rig.create(max_executions=1) for _ in range(6)]
    rig.clock.move_to(next_of(schedules[-1])[0])
    async with delivering(worker):
        assert len((await look_again(rig, worker)).assignments) == 6
        await rig.receiver.wait_for(2)
        # Round trips to Postgres, in each of which another would have been sent.
        for schedule in schedules:
            await rig.history(schedule)
        assert len(rig.receiver.received) == 2
        release.set()
        await rig.receiver.wait_for(6)
    assert most == 2


async def test_an_outcome_is_written_within_milliseconds(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        (sent,) = (await look_again(rig, worker)).assignments
        async with asyncio.timeout(20):
            while not worker.settler.busy:
                await turn()
            # It gathers: others may be about to come.
            for _ in range(20):
                await turn()
            rig.clock.move(0.01)
            while worker.deliverer.knows(sent.execution_id):
                await turn()
    assert [one.status for one in await rig.history(schedule)] == [ExecutionStatus.SUCCEEDED]


async def test_an_outcome_is_written_after_what_is_about_to_be_sent(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        worker.deliverer.hold.add([assignment(due_ms=rig.clock.now_ms() + 6, owner=worker.presence.worker_id)])
        (sent,) = (await look_again(rig, worker)).assignments
        async with asyncio.timeout(20):
            while not worker.settler.busy:
                await turn()
            # What gathers is begun after three, and would be in the way of what is due.
            for _ in range(5):
                rig.clock.move(0.001)
                for _ in range(10):
                    await turn()
            assert not worker.settler.underway
            assert worker.deliverer.knows(sent.execution_id)
            rig.clock.move(0.003)
            while worker.deliverer.knows(sent.execution_id):
                await turn()
    assert [one.status for one in await rig.history(schedule)] == [ExecutionStatus.SUCCEEDED]


async def test_what_was_claimed_before_redis_went_away_is_not_left_to_its_lease(rig: Rig) -> None:
    worker = await rig.worker(concurrency=40)
    await entries(rig, CALLER, worker.claimer.room())
    claim, asked = rig.wheel.claim, 0

    async def once(shards: Sequence[int], *, limit: int, lease_ms: int, far: bool = False) -> list[Claimed]:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise ConnectionError("Redis went away")
        return await claim(shards, limit=limit, lease_ms=lease_ms, far=far)

    rig.wheel.claim = once  # type: ignore[method-assign]
    found = await worker.claimer.run_once()
    assert asked == 2, "the shard had more than its share"
    assert sum(len(one.members) for one in found) > 0


async def test_a_shard_is_a_crowd_only_while_it_has_more_than_its_share(rig: Rig) -> None:
    worker = await rig.worker(concurrency=40)
    await entries(rig, CALLER, worker.claimer.room())
    crowd = await worker.claimer.run_once()
    assert worker.claimer.parted(crowd) == ([], crowd)
    worker.claimer.advanced(crowd)
    await entries(rig, CALLER, 1)
    worker.claimer.wake(None)
    few = await worker.claimer.run_once()
    assert worker.claimer.parted(few) == (few, [])
