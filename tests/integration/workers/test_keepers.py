"""The keepers: each closes a gap that a fault leaves."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from app.core.execution import ExecutionStatus
from app.core.schedule import AfterCompletion
from app.wheel.entries import shard_of
from app.wheel.wheel import Wheel
from app.workers.keepers import sweep
from app.workers.keepers.reclaim import Reclaim
from app.workers.keepers.retention import Retention
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.running import SettableClock


@pytest.mark.fault("6")
async def test_a_flushed_wheel_is_loaded_again_with_what_is_due_within_the_window(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    soon = [await rig.create() for _ in range(20)]
    await rig.create(interval_seconds=86_400)
    await worker.keepers.window.run_once()
    await rig.wheel.client.flushall()
    await worker.claimer.run_once()
    assert worker.keepers.loading, "a claim from an unmarked shard asks for a load"
    assert await worker.keepers.window.run_once() == 20
    assert (await rig.wheel.state()).entries == 20
    rig.clock.move_to(next_of(soon[-1])[0])
    assert len((await rig.fire(worker)).assignments) == 20


@pytest.mark.fault("6")
async def test_a_wheel_that_was_loaded_for_another_number_of_shards_is_loaded_again(rig: Rig) -> None:
    worker = await rig.worker()
    schedules = [await rig.create() for _ in range(3)]
    await worker.keepers.window.run_once()
    await worker.claimer.run_once()
    assert not worker.keepers.loading
    # The next release is deployed with another WHEEL_SHARDS, in which the community stands elsewhere.
    wheel = Wheel(rig.wheel.client, rig.clock, shards=7, window_seconds=3600, claim_ahead_ms=50)
    assert shard_of(1, 7) != shard_of(1, 4)
    after = await replace(rig, wheel=wheel).worker()
    await after.claimer.run_once()
    assert after.keepers.loading
    assert await after.keepers.window.run_once() == 3
    rig.clock.move_to(next_of(schedules[-1])[0])
    after.claimer.wake(None)
    assert len((await rig.fire(after)).assignments) == 3


async def test_what_comes_into_the_window_is_put_there_in_time(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    schedule = await rig.create(interval_seconds=5400)
    assert (await rig.wheel.state()).entries == 0
    for _ in range(32):
        rig.clock.move(60)
        await worker.keepers.window.run_once()
    assert (await rig.wheel.state()).entries == 1
    rig.clock.move_to(next_of(schedule)[0])
    assert len((await rig.fire(worker)).assignments) == 1


@pytest.mark.fault("7")
async def test_a_put_that_was_lost_is_swept_once_it_is_overdue(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    schedule = await rig.create()
    for shard in range(4):
        await rig.wheel.client.delete(f"{{ss:{shard}}}:due")
    rig.clock.move_to(next_of(schedule)[0])
    assert (await rig.fire(worker)).assignments == []
    rig.clock.move(1.9)
    assert await worker.keepers.sweep.run_once() == 0
    rig.clock.move(0.2)
    assert await worker.keepers.sweep.run_once() == 1
    worker.claimer.wake(None)
    assert len((await rig.fire(worker)).assignments) == 1


async def test_what_was_recorded_while_the_sweep_looked_is_not_taken_for_lost(rig: Rig) -> None:
    """A backlog: it is read as overdue, then claimed, recorded and acked, and is in the wheel no more."""
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    rig.clock.move(3)
    lacking = rig.wheel.lacking

    async def late(shard: int, due_ms: Sequence[tuple[str, int]]) -> list[str]:
        worker.claimer.wake(None)
        assert len((await rig.fire(worker)).assignments) == 1
        found = await lacking(shard, due_ms)
        assert len(found) == 1
        return found

    rig.wheel.lacking = late  # type: ignore[method-assign]
    assert await worker.keepers.sweep.run_once() == 0
    assert (await rig.wheel.state()).entries == 0


async def test_a_long_backlog_is_swept_a_part_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_PAGE", 2)
    monkeypatch.setattr(sweep, "_PAGES", 2)
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    schedules = [await rig.create() for _ in range(7)]
    rig.clock.move_to(next_of(schedules[-1])[0])
    rig.clock.move(3)
    for shard in range(4):
        await rig.wheel.client.delete(f"{{ss:{shard}}}:due")
    assert [await worker.keepers.sweep.run_once() for _ in range(3)] == [4, 3, 0]


async def test_a_silent_worker_is_buried_and_what_it_held_is_released(rig: Rig) -> None:
    dead, living = await rig.worker(), await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    assert len((await rig.fire(dead)).assignments) == 1
    for _ in range(15):
        await living.presence.run_once()
        assert await living.keepers.bury.run_once() == 0
        rig.clock.move(1)
    assert await living.keepers.bury.run_once() == 1
    (execution,) = await rig.history(schedule)
    assert execution.status is ExecutionStatus.PENDING
    living.claimer.wake(None)
    assert [one.attempt for one in (await rig.fire(living)).assignments] == [2]
    assert [row[0] for row in await rig.execute("SELECT worker_id FROM workers")] == [living.presence.worker_id]


async def test_what_is_recorded_under_an_id_that_was_buried_already_is_released_too(rig: Rig) -> None:
    frozen, living = await rig.worker(), await rig.worker()
    schedule = await rig.create(max_executions=1)
    await rig.execute("DELETE FROM workers WHERE worker_id = $1", frozen.presence.worker_id)
    await living.keepers.bury.run_once()
    rig.clock.move_to(next_of(schedule)[0])
    # It was frozen in its commit, and thaws.
    assert len((await rig.fire(frozen)).assignments) == 1
    assert await living.keepers.bury.run_once() == 1


async def test_who_buries_says_so_and_who_was_buried_says_which_id_it_has_now(rig: Rig) -> None:
    frozen, living = await rig.worker(), await rig.worker()
    former = frozen.presence.worker_id
    with capture_logs() as logs:
        for _ in range(16):
            await living.presence.run_once()
            await living.keepers.bury.run_once()
            rig.clock.move(1)
        assert not await frozen.presence.run_once()
    (buried,) = [log for log in logs if log["event"] == "worker_buried"]
    assert buried["worker_id"] == str(former)
    (renewed,) = [log for log in logs if log["event"] == "worker_id_renewed"]
    assert (renewed["former_id"], renewed["worker_id"]) == (str(former), str(frozen.presence.worker_id))
    assert living._metrics.registry.get_sample_value("schedule_service_buried_workers_total") == 1


@pytest.mark.fault("14a")
async def test_nobody_is_buried_for_a_pause_in_which_the_watcher_saw_nothing(rig: Rig) -> None:
    silent, watcher = await rig.worker(), await rig.worker()
    await watcher.keepers.bury.run_once()
    rig.clock.move(60)
    await watcher.keepers.bury.run_once()
    assert len(await rig.execute("SELECT FROM workers")) == 2
    assert silent.presence.worker_id != watcher.presence.worker_id


@pytest.mark.fault("7a")
async def test_a_commit_whose_answer_was_lost_is_released_by_its_own_worker(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    (recorded,) = (await rig.fire(worker)).assignments
    assert await worker.keepers.reclaim.run_once() == 0
    worker.deliverer.forget(recorded.execution_id)
    assert await worker.keepers.reclaim.run_once() == 0
    rig.clock.move(9)
    assert await worker.keepers.reclaim.run_once() == 0
    rig.clock.move(2)
    assert await worker.keepers.reclaim.run_once() == 1
    worker.claimer.wake(None)
    assert [one.attempt for one in (await rig.fire(worker)).assignments] == [2]


async def test_what_is_in_a_workers_hands_again_is_not_released_for_what_was(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    (recorded,) = (await rig.fire(worker)).assignments
    known: set[UUID] = set()
    keeper = Reclaim(rig.database, rig.wheel, rig.clock, worker.presence, rig.metrics, knows=known.__contains__)
    assert await keeper.run_once() == 0
    known.add(recorded.execution_id)
    for _ in range(2):
        rig.clock.move(6)
        assert await keeper.run_once() == 0
    known.clear()
    for after, released in ((0, 0), (9.9, 0), (0.1, 1)):
        rig.clock.move(after)
        assert await keeper.run_once() == released


async def test_partitions_are_made_ahead_and_dropped_when_their_retention_is_over(rig: Rig) -> None:
    worker = await rig.worker(execution_retention_days=7)
    made, dropped = await worker.keepers.retention.run_once()
    assert (made, dropped) == (11, 0)
    assert await worker.keepers.retention.run_once() == (0, 0)
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    (pending,) = (await rig.fire(worker)).assignments
    first_day = rig.clock.now()
    rig.clock.move(10 * 86_400)
    assert await worker.keepers.retention.run_once() == (10, 9), "the day with an unfinished execution stays"
    await rig.executions.cancel(CALLER, pending.execution_id, reason=None)
    assert await worker.keepers.retention.run_once() == (0, 1)
    days = await rig.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'executions'::regclass"
    )
    assert f"executions_{first_day:%Y%m%d}" not in {row[0] for row in days}


@pytest.mark.fault("14")
async def test_a_postgres_clock_that_was_set_ahead_costs_no_history(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SettableClock()
    await rig.database.measure(clock)
    keeper = Retention(rig.database, clock, execution_days=7, completed_days=30)
    assert (await keeper.run_once())[1] == 0
    clock.set_by = timedelta(days=60).total_seconds()
    await rig.database.measure(clock)
    made, dropped = await keeper.run_once()
    assert made > 0, "by its clock there is no partition for what is recorded now"
    assert dropped == 0
    ahead_ns = time.time_ns() + round(clock.set_by * 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: ahead_ns)
    assert (await keeper.run_once())[1] > 0, "the machine's own clock says the same"


async def test_a_completed_schedule_that_asks_for_it_goes_once_its_executions_are_finished(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1, after_completion=AfterCompletion.DELETE)
    kept = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(kept)[0])
    looks = [await rig.fire(worker)]
    assert len(looks[0].assignments) == 2
    await worker.keepers.retention.run_once()
    assert len(await rig.execute("SELECT FROM workflow_schedules")) == 2
    for assignment in looks[0].assignments:
        await rig.executions.cancel(CALLER, assignment.execution_id, reason=None)
    await worker.keepers.retention.run_once()
    left = await rig.execute("SELECT schedule_id FROM workflow_schedules")
    assert [row[0] for row in left] == [kept.schedule_id]
    assert len(await rig.history(schedule)) == 1
    rig.clock.move(timedelta(days=31).total_seconds())
    await worker.keepers.retention.run_once()
    assert await rig.execute("SELECT FROM workflow_schedules") == []
