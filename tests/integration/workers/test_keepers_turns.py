"""Keepers take turns, reach both columns and every page, and say that a shard is complete when it is."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.store import upkeep
from app.store.upkeep import FIRST_ID, Keeper
from app.wheel.entries import Entry, shard_of
from app.wheel.wheel import Wheel
from app.workers.keepers import window
from app.workers.keepers.scan import Kind
from app.workers.loop import Worker
from tests.clocks import ManualClock
from tests.integration.store.rows import add_execution, add_schedule
from tests.integration.workers.rig import Rig


async def _window(worker: Worker) -> bool:
    return await worker.keepers.window.run_once() > 0


async def _sweep(worker: Worker) -> bool:
    return await worker.keepers.sweep.run_once() > 0


async def _bury(worker: Worker) -> bool:
    return await worker.keepers.bury.run_once() > 0


async def _retention(worker: Worker) -> bool:
    return await worker.keepers.retention.run_once() != (0, 0)


async def _zones(worker: Worker) -> bool:
    await worker.keepers.zones.run_once()
    worker.keepers.zones._look_at = 0.0
    async with worker._database.connection() as connection:
        return bool(await connection.fetchval("SELECT bool_and(tzdata_version > '1999a') FROM workflow_schedules"))


async def _scan(worker: Worker) -> bool:
    return Kind.WAKE_OVERDUE in await worker.keepers.scan.run_once()


@pytest.mark.parametrize(
    ("keeper", "pass_once"),
    [
        (Keeper.WINDOW, _window),
        (Keeper.SWEEP, _sweep),
        (Keeper.BURY, _bury),
        (Keeper.RETENTION, _retention),
        (Keeper.ZONES, _zones),
        (Keeper.SCAN, _scan),
    ],
    ids=["window", "sweep", "bury", "retention", "zones", "scan"],
)
async def test_a_pass_is_left_to_who_has_the_turn(
    rig: Rig, keeper: Keeper, pass_once: Callable[[Worker], Awaitable[bool]]
) -> None:
    worker = await rig.worker()
    if keeper != 1:
        await worker.keepers.window.run_once()
    async with rig.database.transaction() as connection:
        await add_schedule(connection, tzdata_version="1999a")
        await add_execution(connection, owner=worker.presence.worker_id, attempt=1)
        await connection.execute("UPDATE executions SET owner = gen_random_uuid()")
    rig.clock.move(3)
    async with rig.database.transaction() as another:
        assert await upkeep.try_turn(another, keeper)
        assert not await pass_once(worker)
    assert await pass_once(worker)


@pytest.mark.parametrize(
    ("keeper", "talk", "pass_once"),
    [(Keeper.BURY, "put", _bury), (Keeper.ZONES, "put", _zones), (Keeper.SCAN, "missing", _scan)],
    ids=["bury", "zones", "scan"],
)
async def test_a_pass_has_committed_before_it_talks_to_redis(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, keeper: Keeper, talk: str, pass_once: Callable[[Worker], Awaitable[bool]]
) -> None:
    worker = await rig.worker()
    async with rig.database.transaction() as connection:
        await add_schedule(connection, tzdata_version="1999a")
        await add_execution(connection, owner=uuid4(), attempt=1)
    rig.clock.move(11)
    talks, free = getattr(rig.wheel, talk), []

    async def watched(*arguments: Any) -> Any:
        async with rig.database.transaction() as another:
            free.append(await upkeep.try_turn(another, keeper))
            # Nor does it hold a row.
            await another.execute("SELECT FROM workflow_schedules FOR UPDATE NOWAIT")
            await another.execute("SELECT FROM executions FOR UPDATE NOWAIT")
        return await talks(*arguments)

    monkeypatch.setattr(rig.wheel, talk, watched)
    assert await pass_once(worker)
    assert free == [True]


async def test_a_load_finds_what_waits_in_either_column_page_by_page(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_PAGE", 3)
    worker = await rig.worker()
    at = rig.clock.now() + timedelta(seconds=60)
    async with rig.database.transaction() as connection:
        for _ in range(8):
            await add_schedule(connection, next_due_at=at, next_execution_at=at)
            await add_execution(connection, status="retrying", attempt=1, wake_at=at)
    assert await worker.keepers.window.run_once() == 16


@pytest.fixture
async def offers(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How far the shard was said to be loaded, at each offer."""
    found: list[int] = []
    offer = rig.wheel.offer

    async def watched(shard: int, epoch: str, due_ms: list[tuple[str, int]]) -> int | None:
        mark = (await rig.wheel.marks())[shard]
        found.append(-1 if mark is None else mark.loaded_until_ms)
        return await offer(shard, epoch, due_ms)

    monkeypatch.setattr(rig.wheel, "offer", watched)
    return found


async def test_a_shard_is_complete_after_its_last_page_and_not_before(
    rig: Rig, offers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "_PAGE", 2)
    worker = await rig.worker()
    async with rig.database.transaction() as connection:
        for _ in range(5):
            await add_schedule(connection)
    await worker.keepers.window.run_once()
    assert offers == [0, 0, 0]
    assert all(mark is not None and mark.loaded_until_ms > 0 for mark in await rig.wheel.marks())


async def test_a_load_that_another_may_not_live_to_finish_is_looked_at_again_soon(rig: Rig) -> None:
    worker = await rig.worker()
    await rig.create()
    await rig.wheel.client.flushall()
    async with rig.database.transaction() as another:
        assert await upkeep.try_turn(another, Keeper.WINDOW)
        assert await worker.keepers.window.run_once() == 0
        assert worker.keepers.window.unfinished
    # It had come no further than this.
    for shard in range(rig.wheel.shards):
        await rig.wheel.begin_load(shard, "of who died")
    assert await worker.keepers.window.run_once() == 1
    assert not worker.keepers.window.unfinished
    # Who was only slow goes on under it: the two offer the same.
    assert {mark and mark.epoch for mark in await rig.wheel.marks()} == {"of who died"}


async def test_a_lost_shard_is_loaded_whole_beside_those_that_are_only_brought_on(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    await rig.create(interval_seconds=300)
    lost = shard_of(1, rig.wheel.shards)
    await rig.wheel.client.delete(f"{{ss:{lost}}}:due", f"{{ss:{lost}}}:mark")
    rig.clock.move(window.PASS_SECONDS)
    assert await worker.keepers.window.run_once() == 1


async def test_each_minute_the_wheel_is_brought_to_the_windows_end(rig: Rig) -> None:
    worker = await rig.worker()
    for _ in range(3):
        await worker.keepers.window.run_once()
        until_ms = rig.clock.now_ms() + rig.wheel.window_ms
        assert [mark is not None and mark.loaded_until_ms for mark in await rig.wheel.marks()] == [until_ms] * 4
        rig.clock.move(window.PASS_SECONDS)


async def test_what_is_put_by_a_clock_that_is_behind_is_in_the_window_too(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    end_ms = rig.clock.now_ms() + rig.wheel.window_ms
    # By its own clock it lies beyond the window, and the keeper has just passed there.
    clock = ManualClock(rig.clock.now() - timedelta(seconds=100))
    behind = Wheel(rig.wheel.client, clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
    await behind.put([Entry(1, f"s:{FIRST_ID}", end_ms)])
    assert (await rig.wheel.state()).entries == 1
