"""When a worker looks: late enough to find much at once, and early enough to record it before it is due."""

from datetime import datetime, timedelta
from uuid import UUID

from app.wheel.entries import Entry, execution_entry, schedule_entry, shard_of
from app.workers.loop import Worker
from tests.integration.workers.rig import Rig

AHEAD = timedelta(milliseconds=50)
"""`CLAIM_AHEAD_MS` as it is by default."""
LEFT = timedelta(milliseconds=20)
"""What is left of it at least when what is next is claimed."""


def entries(rig: Rig, number: int, due: datetime, *, apart: timedelta) -> list[Entry]:
    """Schedules' entries of communities that stand in different shards, due one after the other."""
    by_shard = {shard_of(community, rig.wheel.shards): community for community in range(1, 200)}
    return [
        schedule_entry(community, UUID(int=position), due + position * apart)
        for position, community in enumerate(list(by_shard.values())[:number])
    ]


async def looked(worker: Worker) -> list[str]:
    """What a look that nothing names claims."""
    return [member for claim in await worker.claimer.run_once() for member in claim.members]


async def knowing(rig: Rig, entries: list[Entry]) -> tuple[Worker, datetime]:
    """A worker that has looked at all shards when nothing was due yet, and the instant at which the first will be."""
    await rig.wheel.put(entries)
    worker = await rig.worker()
    assert await looked(worker) == []
    return worker, rig.clock.now()


async def test_what_is_due_soon_in_many_shards_is_claimed_at_once(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    many = entries(rig, 8, due, apart=timedelta(milliseconds=4))
    worker, _ = await knowing(rig, many)
    rig.clock.move_to(due - LEFT - timedelta(milliseconds=1))
    assert await looked(worker) == []
    rig.clock.move_to(due - LEFT)
    # The last of them is due 48 ms from now.
    assert sorted(await looked(worker)) == sorted(entry.member for entry in many)


async def test_the_next_look_is_when_it_has_to_be(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    worker, _ = await knowing(rig, entries(rig, 2, due, apart=timedelta(milliseconds=4)))
    assert worker.claimer.next_round(crowd=True) == round((due - LEFT).timestamp() * 1000)


async def test_where_recording_takes_long_what_is_next_is_claimed_early(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    worker, _ = await knowing(rig, [])
    worker.claimer.advanced([], took_seconds=0.02)
    await rig.wheel.put(entries(rig, 1, due, apart=AHEAD))
    rig.clock.move(0.1)
    worker.claimer.wake(None)
    assert await looked(worker) == []
    rig.clock.move_to(due - timedelta(milliseconds=41))
    assert await looked(worker) == []
    rig.clock.move_to(due - timedelta(milliseconds=40))
    assert len(await looked(worker)) == 1


async def test_however_long_recording_takes_nothing_is_claimed_before_the_claim_ahead(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    worker, _ = await knowing(rig, [])
    worker.claimer.advanced([], took_seconds=30.0)
    await rig.wheel.put(entries(rig, 1, due, apart=AHEAD))
    worker.claimer.wake(None)
    assert await looked(worker) == []
    assert worker.claimer.next_round(crowd=True) == round((due - AHEAD).timestamp() * 1000)


async def test_that_recording_took_long_once_is_forgotten(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    worker, _ = await knowing(rig, [])
    worker.claimer.advanced([], took_seconds=30.0)
    for _ in range(100):
        worker.claimer.advanced([], took_seconds=0.004)
    await rig.wheel.put(entries(rig, 1, due, apart=AHEAD))
    worker.claimer.wake(None)
    assert await looked(worker) == []
    assert worker.claimer.next_round(crowd=True) == round((due - LEFT).timestamp() * 1000)


async def test_an_execution_that_waits_is_looked_at_exactly_when_its_time_has_come(rig: Rig) -> None:
    wake_at = rig.clock.now() + timedelta(milliseconds=500)
    worker, _ = await knowing(rig, [execution_entry(1, UUID(int=7), wake_at)])
    assert worker.claimer.next_round(crowd=True) == round(wake_at.timestamp() * 1000)
    rig.clock.move_to(wake_at)
    assert await looked(worker) == [f"x:{UUID(int=7)}"]


async def test_what_a_wake_names_is_looked_at_at_once(rig: Rig) -> None:
    due = rig.clock.now() + timedelta(milliseconds=500)
    worker, _ = await knowing(rig, [])
    (entry,) = entries(rig, 1, due, apart=AHEAD)
    await rig.wheel.put([entry])
    rig.clock.move_to(due - AHEAD)
    assert await looked(worker) == []
    worker.claimer.wake(shard_of(entry.community_id, rig.wheel.shards))
    assert await looked(worker) == [entry.member]
