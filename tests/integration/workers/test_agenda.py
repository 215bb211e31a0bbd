"""When a worker looks: all that is due within a moment at once, in whichever shards it stands."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core.clock import from_ms, to_ms
from app.wheel.answers import Claimed
from app.wheel.entries import Entry, execution_entry, schedule_entry, shard_of
from app.wheel.wheel import Wheel
from app.workers.agenda import CADENCE_MS, POLL_MS
from app.workers.loop import Worker
from tests.integration.workers.rig import Rig
from tests.unit.delivery.assignments import assignment

AHEAD = timedelta(milliseconds=50)
"""`CLAIM_AHEAD_MS` as it is by default."""
CADENCE = timedelta(milliseconds=CADENCE_MS)
MILLISECOND = timedelta(milliseconds=1)


def entries(rig: Rig, number: int, due: datetime, *, apart: timedelta, shards: int | None = None) -> list[Entry]:
    """Schedules' entries, due one after the other, each in a shard of its own unless there are to be fewer."""
    by_shard = {shard_of(community, rig.wheel.shards): community for community in range(1, 200)}
    communities = list(by_shard.values())[: shards or number]
    return [
        schedule_entry(communities[position % len(communities)], UUID(int=position), due + position * apart)
        for position in range(number)
    ]


async def looked(worker: Worker) -> list[str]:
    """What a look that nothing names claims."""
    return [member for claim in await worker.claimer.run_once() for member in claim.members]


async def knowing(rig: Rig, entries: list[Entry]) -> Worker:
    """A worker that has looked at all shards when nothing was due yet."""
    await rig.wheel.put(entries)
    worker = await rig.worker()
    assert await looked(worker) == []
    return worker


async def test_what_comes_alone_is_claimed_as_early_as_may_be(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    worker = await knowing(rig, entries(rig, 1, due, apart=CADENCE))
    assert worker.claimer.next_round(crowd=True) == to_ms(due - AHEAD)
    rig.clock.move_to(due - AHEAD)
    assert len(await looked(worker)) == 1


async def test_what_is_due_within_a_moment_after_a_find_is_claimed_at_once_in_whichever_shards(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    first, *others = entries(rig, 11, due, apart=2 * MILLISECOND)
    worker = await knowing(rig, [first, *others])
    rig.clock.move_to(due - AHEAD)
    assert await looked(worker) == [first.member]
    # The next would be 2 ms from now.
    assert worker.claimer.next_round(crowd=True) == to_ms(due - AHEAD + CADENCE)
    rig.clock.move_to(due - AHEAD + CADENCE - MILLISECOND)
    assert await looked(worker) == []
    rig.clock.move_to(due - AHEAD + CADENCE)
    assert sorted(await looked(worker)) == sorted(entry.member for entry in others)


def awaits(worker: Worker, due: datetime) -> None:
    """The worker is to send something then."""
    worker.deliverer.hold.add([assignment(due_ms=to_ms(due), owner=worker.presence.worker_id)])


async def test_a_round_for_what_comes_alone_waits_until_what_is_to_be_sent_has_left(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    worker = await knowing(rig, entries(rig, 1, due, apart=CADENCE))
    awaits(worker, due - AHEAD + 3 * MILLISECOND)
    assert worker.claimer.next_round(crowd=True) == to_ms(due - AHEAD + 4 * MILLISECOND)


@pytest.mark.parametrize("shards", [1, 11])
async def test_a_round_soon_after_a_find_comes_before_what_is_to_be_sent(rig: Rig, shards: int) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    first, *others = entries(rig, 11, due, apart=MILLISECOND, shards=shards)
    worker = await knowing(rig, [first, *others])
    rig.clock.move_to(due - AHEAD)
    assert await looked(worker) == [first.member]
    awaits(worker, due - AHEAD + CADENCE + 2 * MILLISECOND)
    # What waits has to be recorded by its instant: later would be too late.
    early = due - AHEAD + CADENCE - 6 * MILLISECOND
    assert worker.claimer.next_round(crowd=True) == to_ms(early)
    rig.clock.move_to(early - MILLISECOND)
    assert await looked(worker) == []
    rig.clock.move_to(early)
    assert sorted(await looked(worker)) == sorted(entry.member for entry in others)


async def test_a_round_that_waits_for_a_gap_waits_although_it_is_woken_by_something_else(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    (entry,) = entries(rig, 1, due, apart=CADENCE)
    worker = await knowing(rig, [entry])
    awaits(worker, due - AHEAD + 3 * MILLISECOND)
    rig.clock.move_to(due - AHEAD + MILLISECOND)
    assert await looked(worker) == []
    rig.clock.move_to(due - AHEAD + 4 * MILLISECOND)
    assert await looked(worker) == [entry.member]


async def test_a_round_is_not_so_early_that_it_finds_nothing(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    first, second = entries(rig, 2, due, apart=18 * MILLISECOND)
    worker = await knowing(rig, [first, second])
    rig.clock.move_to(due - AHEAD)
    assert await looked(worker) == [first.member]
    awaits(worker, due - AHEAD + CADENCE + 2 * MILLISECOND)
    # Six milliseconds earlier would be four too early for the second.
    assert worker.claimer.next_round(crowd=True) == second.due_ms - 50
    rig.clock.move_to(from_ms(second.due_ms - 50))
    assert await looked(worker) == [second.member]


async def test_where_the_claim_ahead_is_short_no_look_waits_for_a_gap(rig: Rig) -> None:
    wheel = Wheel(rig.wheel.client, rig.clock, shards=rig.wheel.shards, window_seconds=3600, claim_ahead_ms=30)
    rig = replace(rig, wheel=wheel)
    due = rig.clock.now() + timedelta(milliseconds=500)
    worker = await knowing(rig, entries(rig, 1, due, apart=CADENCE))
    awaits(worker, due - timedelta(milliseconds=27))
    assert worker.claimer.next_round(crowd=True) == to_ms(due) - 30


async def test_what_was_looked_at_just_before_its_time_does_not_wait_for_another_find(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    first, second = entries(rig, 2, due, apart=17 * MILLISECOND)
    worker = await knowing(rig, [first, second])
    rig.clock.move_to(due - AHEAD - 2 * MILLISECOND)
    worker.claimer.wake(shard_of(first.community_id, rig.wheel.shards))
    assert await looked(worker) == []
    rig.clock.move_to(from_ms(second.due_ms - 50))
    assert sorted(await looked(worker)) == [first.member, second.member]


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_to_be_sent_or_named_meanwhile_each_is_claimed_in_time_to_be_recorded(
    rig: Rig, seed: int
) -> None:
    draw = random.Random(seed)
    begin_ms = rig.clock.now_ms()
    by_shard = {shard_of(community, rig.wheel.shards): community for community in range(1, 200)}
    drawn = [
        schedule_entry(
            draw.choice(list(by_shard.values())), UUID(int=number), from_ms(begin_ms + draw.randrange(60, 560))
        )
        for number in range(draw.choice([10, 20, 40]))
    ]
    worker = await knowing(rig, drawn)
    hold = worker.deliverer.hold
    left_ms = {entry.member: entry.due_ms for entry in drawn}
    names_at = sorted(begin_ms + draw.randrange(560) for _ in range(seed % 2 * 20))
    rounds = 0
    while left_ms:
        rounds += 1
        look_at = max(worker.claimer.next_round(crowd=True), rig.clock.now_ms())
        if names_at and names_at[0] <= look_at:
            look_at = max(names_at.pop(0), rig.clock.now_ms())
            worker.claimer.wake(draw.randrange(rig.wheel.shards))
        rig.clock.move_to(from_ms(look_at))
        hold.add([one for one in hold.clear() if one.due_ms > look_at])
        found = await worker.claimer.run_once()
        worker.claimer.advanced(found)
        for member in (member for claim in found for member in claim.members):
            due_ms = left_ms.pop(member)
            assert due_ms - look_at >= 30
            hold.add([assignment(due_ms=due_ms, owner=worker.presence.worker_id)])
    assert rounds <= 100


async def test_what_a_wake_names_is_looked_at_at_once(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    first, second = entries(rig, 2, due, apart=MILLISECOND)
    worker = await knowing(rig, [first])
    rig.clock.move_to(due - AHEAD)
    assert await looked(worker) == [first.member]
    rig.clock.move(0.002)
    awaits(worker, rig.clock.now() + MILLISECOND)
    await rig.wheel.put([second])
    assert await looked(worker) == []
    worker.claimer.wake(shard_of(second.community_id, rig.wheel.shards))
    assert await looked(worker) == [second.member]


async def test_an_execution_that_waits_is_looked_at_when_its_time_has_come(rig: Rig) -> None:
    wake_at = rig.clock.now() + timedelta(milliseconds=500)
    worker = await knowing(rig, [execution_entry(1, UUID(int=7), wake_at)])
    assert worker.claimer.next_round(crowd=True) == to_ms(wake_at)
    rig.clock.move_to(wake_at)
    assert await looked(worker) == [f"x:{UUID(int=7)}"]


async def test_a_shard_with_more_than_its_share_is_looked_at_again_at_once(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    many = [schedule_entry(1, UUID(int=number), due) for number in range(40)]
    worker = await knowing(rig, many)
    rig.clock.move_to(due - AHEAD)
    found = [await looked(worker) for _ in range(2)]
    assert sorted(member for some in found for member in some) == sorted(entry.member for entry in many)


@pytest.mark.fault("14")
async def test_a_clock_that_is_set_back_after_a_find_keeps_nothing_waiting(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    first, second = entries(rig, 2, due, apart=MILLISECOND)
    worker = await knowing(rig, [first])
    rig.clock.move_to(due - AHEAD)
    assert await looked(worker) == [first.member]
    rig.clock.step_back(30)
    soon = schedule_entry(second.community_id, UUID(int=9), rig.clock.now() + timedelta(seconds=2))
    await rig.wheel.put([soon])
    worker.claimer.wake(None)
    assert await looked(worker) == []
    assert worker.claimer.next_round(crowd=True) <= soon.due_ms - 50


@pytest.mark.fault("14")
async def test_a_clock_that_is_set_back_during_a_look_keeps_nothing_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await knowing(rig, [])
    claim = rig.wheel.claim

    async def set_back(*arguments: Any, **named: Any) -> list[Claimed]:
        claims = await claim(*arguments, **named)
        rig.clock.step_back(3_600)
        return claims

    rig.clock.move(1)
    with monkeypatch.context() as patched:
        patched.setattr(rig.wheel, "claim", set_back)
        assert await looked(worker) == []
    (entry,) = entries(rig, 1, rig.clock.now(), apart=CADENCE)
    await rig.wheel.put([entry])
    assert worker.claimer.next_round(crowd=True) <= rig.clock.now_ms() + POLL_MS
    assert await looked(worker) == [entry.member]


@pytest.mark.fault("14")
async def test_a_shard_that_was_put_off_before_the_clock_was_set_back_is_looked_at(rig: Rig) -> None:
    worker = await knowing(rig, [])
    rig.clock.step_back(3_600)
    (entry,) = entries(rig, 1, rig.clock.now(), apart=CADENCE)
    await rig.wheel.put([entry])
    assert await looked(worker) == [entry.member]


async def test_each_shard_comes_first_in_its_turn(rig: Rig) -> None:
    due = rig.clock.now()
    worker = await rig.worker()
    by_shard = {shard_of(community, rig.wheel.shards): community for community in range(1, 200)}
    await rig.wheel.put(
        [
            schedule_entry(community, UUID(int=100 * community + number), due)
            for community in by_shard.values()
            for number in range(40)
        ]
    )
    first = set()
    for _ in range(rig.wheel.shards):
        found = await worker.claimer.run_once()
        first.add(found[0].shard)
        # As if all of it had been delivered at once: what limits a round is its batch.
        worker.claimer.advanced(found)
    assert first == set(range(rig.wheel.shards))


async def test_a_shard_is_let_be_for_a_moment_although_what_waits_there_is_nearly_due(rig: Rig) -> None:
    wake_at = rig.clock.now() + timedelta(milliseconds=3)
    worker = await knowing(rig, [execution_entry(1, UUID(int=7), wake_at)])
    assert worker.claimer.next_round(crowd=True) == to_ms(rig.clock.now() + CADENCE)


@pytest.mark.fault("16")
async def test_beside_a_crowd_the_others_are_looked_at_further_ahead_and_a_moment_apart(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    crowds, alone = entries(rig, 2, due, apart=CADENCE)
    worker = await knowing(rig, [alone])
    crowd = [schedule_entry(crowds.community_id, UUID(int=1000 + number), rig.clock.now()) for number in range(200)]
    await rig.wheel.put(crowd)
    worker.claimer.wake(None)
    assert len(await looked(worker)) == 25
    # What it knows of the other is of before there was a crowd, but for those that it looks at from now on.
    worker.claimer.wake(None)
    await worker.claimer.run_once(crowd=False)
    reach = timedelta(milliseconds=rig.wheel.reach_ms)
    assert worker.claimer.next_round(crowd=False) == alone.due_ms - rig.wheel.reach_ms
    rig.clock.move_to(due + CADENCE - reach + MILLISECOND)
    assert worker.claimer.next_round(crowd=False) == to_ms(rig.clock.now() + CADENCE)
    assert [claim.members for claim in await worker.claimer.run_once(crowd=False)] == [(alone.member,)]


async def test_who_waits_for_room_is_woken_by_it_and_by_no_more_often(rig: Rig) -> None:
    due = rig.clock.now()
    worker = await knowing(rig, [])
    await rig.wheel.put([schedule_entry(1, UUID(int=number), due) for number in range(2_000)])
    worker.claimer.wake(None)
    while found := await worker.claimer.run_once():
        worker.claimer.wake(None)
        last = found
    assert worker.claimer.waits_for_room()
    worker.claimer.woken.clear()
    worker.claimer.room_came()
    assert not worker.claimer.woken.is_set()
    worker.claimer._on_the_way -= sum(len(claim.members) for claim in last)
    worker.claimer.room_came()
    assert worker.claimer.woken.is_set()
    worker.claimer.woken.clear()
    worker.claimer.room_came()
    assert not worker.claimer.woken.is_set()


@pytest.mark.parametrize("ahead_ms", [0, 500])
async def test_whatever_the_claim_ahead_schedules_are_claimed_so_early_and_executions_never(
    rig: Rig, ahead_ms: int
) -> None:
    wheel = Wheel(rig.wheel.client, rig.clock, shards=rig.wheel.shards, window_seconds=3600, claim_ahead_ms=ahead_ms)
    rig = replace(rig, wheel=wheel)
    due = rig.clock.now() + timedelta(seconds=2)
    wake_at = due + timedelta(seconds=2)
    schedule, execution = schedule_entry(1, UUID(int=1), due), execution_entry(1, UUID(int=2), wake_at)
    worker = await knowing(rig, [schedule, execution])
    for entry, instant in ((schedule, due - timedelta(milliseconds=ahead_ms)), (execution, wake_at)):
        while (look_at := worker.claimer.next_round(crowd=True)) < to_ms(instant):
            rig.clock.move_to(from_ms(look_at))
            assert await looked(worker) == []
        rig.clock.move_to(from_ms(look_at))
        assert (look_at, await looked(worker)) == (to_ms(instant), [entry.member])
