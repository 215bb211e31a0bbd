"""The sweep: whatever is overdue in Postgres and not in the wheel by then is brought back, in either column."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from app.wheel.entries import shard_of
from app.workers.loop import Worker
from tests.integration.workers.rig import Rig, next_of


@pytest.fixture
async def worker(rig: Rig) -> Worker:
    """A worker whose wheel is loaded."""
    made = await rig.worker()
    await made.keepers.window.run_once()
    return made


async def _lose_entries(rig: Rig) -> None:
    for shard in range(rig.wheel.shards):
        await rig.wheel.client.delete(f"{{ss:{shard}}}:due")


@pytest.mark.fault("7")
async def test_a_run_whose_put_was_lost_is_swept_too(rig: Rig, worker: Worker) -> None:
    await rig.trigger(await rig.create(interval_seconds=3600))
    await _lose_entries(rig)
    rig.clock.move(1.9)
    assert await worker.keepers.sweep.run_once() == 0
    rig.clock.move(0.2)
    assert await worker.keepers.sweep.run_once() == 1
    assert len((await rig.fire(worker)).assignments) == 1


async def test_a_run_that_was_taken_while_the_sweep_looked_is_not_taken_for_lost(rig: Rig, worker: Worker) -> None:
    await rig.trigger(await rig.create(interval_seconds=3600))
    rig.clock.move(3)
    lacking, looked = rig.wheel.lacking, 0

    async def late(shard: int, due_ms: Sequence[tuple[str, int]]) -> list[str]:
        nonlocal looked
        looked += len((await rig.fire(worker)).assignments)
        return await lacking(shard, due_ms)

    rig.wheel.lacking = late  # type: ignore[method-assign]
    before = (await rig.wheel.state()).entries
    assert await worker.keepers.sweep.run_once() == 0
    assert (looked, (await rig.wheel.state()).entries) == (1, before - 1)


async def test_what_stands_later_than_it_is_due_is_swept_too(rig: Rig, worker: Worker) -> None:
    """An earlier time was committed, and its put was lost: the entry of before is still there."""
    schedule = await rig.create(interval_seconds=600)
    sooner = rig.clock.now() + timedelta(seconds=60)
    await rig.execute("UPDATE workflow_schedules SET next_execution_at = $1, next_due_at = $1", sooner)
    rig.clock.move_to(sooner + timedelta(seconds=3))
    assert await worker.keepers.sweep.run_once() == 1
    (fired,) = (await rig.fire(worker)).assignments
    assert (fired.schedule_id, fired.scheduled_for) == (schedule.schedule_id, sooner)


async def test_a_pass_that_has_come_to_the_end_is_followed_by_one_from_the_beginning(rig: Rig, worker: Worker) -> None:
    schedules = [await rig.create() for _ in range(3)]
    rig.clock.move_to(next_of(schedules[-1])[0])
    rig.clock.move(3)
    for _ in range(2):
        await _lose_entries(rig)
        assert await worker.keepers.sweep.run_once() == 3


async def test_a_shard_that_is_to_be_loaded_anew_keeps_no_other_from_being_swept(rig: Rig, worker: Worker) -> None:
    shards = range(rig.wheel.shards)
    communities = [
        next(number for number in range(1_000) if shard_of(number, rig.wheel.shards) == shard) for shard in shards
    ]
    for community_id in communities:
        schedule = await rig.create()
        await rig.execute(
            "UPDATE workflow_schedules SET community_id = $1 WHERE schedule_id = $2", community_id, schedule.schedule_id
        )
    rig.clock.move(63)
    for lost in shards:
        await _lose_entries(rig)
        await rig.wheel.client.delete(f"{{ss:{lost}}}:mark")
        assert await worker.keepers.sweep.run_once() == len(shards) - 1 - lost
