"""The scan: each thing that must not be is made, counted, and gone from the figure when it is mended."""

from datetime import timedelta
from math import isnan
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics
from app.store import upkeep
from app.store.upkeep import Keeper
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from app.workers.keepers import scan
from app.workers.keepers.scan import Kind, Scan
from app.workers.loop import Worker
from tests.clocks import START
from tests.integration.store.rows import add_execution, add_schedule
from tests.integration.workers.rig import Rig, next_of

_NOTHING = dict.fromkeys(Kind, 0)


async def _passes(rig: Rig, keeper: Scan, number: int = 2) -> dict[Kind, int]:
    """So many passes, in their usual rhythm; what the last one counted."""
    counted: dict[Kind, int] = {}
    for _ in range(number):
        rig.clock.move(scan.PASS_SECONDS)
        counted = await keeper.run_once()
    return counted


def _shown(metrics: Metrics) -> dict[str, float]:
    text = metrics.render()[0].decode()
    return {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "schedule_service_anomalies"
    }


async def _worker(rig: Rig) -> Worker:
    worker = await rig.worker()
    await worker.keepers.retention.run_once()
    await worker.keepers.window.run_once()
    return worker


async def test_nothing_is_found_while_schedules_fire(rig: Rig) -> None:
    worker = await _worker(rig)
    for _ in range(20):
        await rig.create(interval_seconds=5)
    assert await _passes(rig, worker.keepers.scan, 1) == _NOTHING
    # Overdue by over ten seconds, and in the wheel; then under a lease; then recorded and in this worker's hands.
    assert await _passes(rig, worker.keepers.scan) == _NOTHING
    claims = await worker.claimer.run_once()
    assert await _passes(rig, worker.keepers.scan) == _NOTHING
    look = await worker.advancer.run_once(claims)
    assert look.assignments
    assert await _passes(rig, worker.keepers.scan, 1) == _NOTHING


@pytest.mark.fault("27")
async def test_what_is_overdue_and_not_in_the_wheel_is_found_by_the_second_pass(rig: Rig) -> None:
    worker = await _worker(rig)
    schedule = await rig.create()
    async with rig.database.transaction() as connection:
        await add_execution(connection, status="retrying", wake_at=START)
    await rig.wheel.client.flushall()
    rig.clock.move_to(next_of(schedule)[0] + timedelta(seconds=11))
    assert (await worker.keepers.scan.run_once())[Kind.NOT_IN_WHEEL] == 0
    assert (await _passes(rig, worker.keepers.scan, 1))[Kind.NOT_IN_WHEEL] == 2
    await worker.keepers.window.run_once()
    assert (await _passes(rig, worker.keepers.scan, 1))[Kind.NOT_IN_WHEEL] == 0


async def test_what_fired_between_two_passes_is_not_missing_for_what_it_waits_for_now(rig: Rig) -> None:
    worker = await _worker(rig)
    schedule = await rig.create()
    for instant in next_of(schedule, 2):
        for shard in range(rig.wheel.shards):
            await rig.wheel.client.delete(f"{{ss:{shard}}}:due")
        rig.clock.move_to(instant + timedelta(seconds=11))
        assert (await worker.keepers.scan.run_once())[Kind.NOT_IN_WHEEL] == 0
        assert await worker.keepers.sweep.run_once() == 1
        worker.claimer.wake(None)
        assert len((await rig.fire(worker)).assignments) == 1


@pytest.mark.fault("27")
async def test_what_is_pending_under_an_id_that_nobody_has_is_found(rig: Rig) -> None:
    worker = await _worker(rig)
    async with rig.database.transaction() as connection:
        await add_execution(connection, owner=uuid4(), attempt=1)
    assert (await worker.keepers.scan.run_once()) == _NOTHING | {Kind.OWNERLESS: 1}
    await worker.keepers.bury.run_once()
    assert (await worker.keepers.scan.run_once())[Kind.OWNERLESS] == 0


@pytest.mark.fault("27")
async def test_what_a_worker_owns_and_does_not_know_is_found_by_its_second_pass(rig: Rig) -> None:
    worker, other = await _worker(rig), await _worker(rig)
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    (recorded,) = (await rig.fire(worker)).assignments
    assert await _passes(rig, worker.keepers.scan) == _NOTHING
    worker.deliverer.forget(recorded.execution_id)
    assert await _passes(rig, worker.keepers.scan, 1) == _NOTHING
    assert await _passes(rig, worker.keepers.scan, 1) == _NOTHING | {Kind.UNKNOWN_TO_OWNER: 1}
    assert await _passes(rig, other.keepers.scan) == _NOTHING


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "pending"},
        {"status": "queued"},
        {"status": "retrying"},
        {"status": "running"},
        {"status": "pending", "owner": "mine", "wake_at": START + timedelta(days=1)},
        {"status": "pending", "owner": "nobody", "wake_at": START + timedelta(days=1)},
        {"status": "running", "owner": "mine"},
    ],
)
async def test_an_execution_that_nothing_looks_at_or_two_do_is_found(rig: Rig, fields: dict[str, Any]) -> None:
    worker = await _worker(rig)
    if "owner" in fields:
        fields = fields | {"owner": worker.presence.worker_id if fields["owner"] == "mine" else uuid4()}
    async with rig.database.transaction() as connection:
        await add_execution(connection, **fields)
    assert await worker.keepers.scan.run_once() == _NOTHING | {Kind.UNWATCHED: 1}


@pytest.mark.fault("27")
async def test_a_wake_that_passed_over_a_minute_ago_is_found(rig: Rig) -> None:
    worker = await _worker(rig)
    async with rig.database.transaction() as connection:
        await add_execution(connection, status="retrying", wake_at=START)
    rig.clock.move(60)
    assert (await worker.keepers.scan.run_once())[Kind.WAKE_OVERDUE] == 0
    rig.clock.move(0.001)
    assert (await worker.keepers.scan.run_once())[Kind.WAKE_OVERDUE] == 1


@pytest.mark.fault("27")
async def test_an_active_schedule_without_a_next_occurrence_is_found(rig: Rig) -> None:
    worker = await _worker(rig)
    async with rig.database.transaction() as connection:
        await add_schedule(connection, next_due_at=START + timedelta(days=1), next_execution_at=None)
        await add_schedule(connection, status="paused")
        # No row of a healthy database gets past this.
        await connection.execute("ALTER TABLE workflow_schedules DROP CONSTRAINT workflow_schedules_due_check")
        await add_schedule(connection, next_due_at=None)
    assert await worker.keepers.scan.run_once() == _NOTHING | {Kind.WITHOUT_NEXT: 2}


async def test_a_day_without_a_partition_is_found_before_it_comes(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    assert await worker.keepers.scan.run_once() == _NOTHING | {Kind.WITHOUT_PARTITION: 2}
    await worker.keepers.retention.run_once()
    assert await worker.keepers.scan.run_once() == _NOTHING


async def test_a_large_table_is_looked_through_part_by_part(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "WINDOW", 3)
    worker = await _worker(rig)
    async with rig.database.transaction() as connection:
        schedules = [
            await add_schedule(connection, next_due_at=START + timedelta(days=1), next_execution_at=None)
            for _ in range(8)
        ]
        for number in range(8):
            # Two of each schedule: no row falls between two parts.
            await add_execution(connection, schedule_id=schedules[number // 2], owner=uuid4())
    found = [await worker.keepers.scan.run_once() for _ in range(3)]
    assert [counted[Kind.WITHOUT_NEXT] for counted in found] == [3, 6, 8]
    assert found[-1][Kind.OWNERLESS] == 8
    async with rig.database.transaction() as connection:
        await connection.execute("UPDATE workflow_schedules SET next_execution_at = next_due_at")
        await connection.execute("UPDATE executions SET owner = NULL, wake_at = now() + interval '10 years'")
    # Shown until a whole round has not found it again.
    found = [await worker.keepers.scan.run_once() for _ in range(6)]
    assert [counted[Kind.WITHOUT_NEXT] for counted in found[:3]] == [8, 8, 0]
    assert found[-1] == _NOTHING


async def test_who_has_not_the_turn_counts_its_own_and_shows_no_old_figure(rig: Rig) -> None:
    worker, metrics = await _worker(rig), Metrics()
    keeper = Scan(rig.database, rig.wheel, rig.clock, worker.presence, metrics, knows=worker.deliverer.knows)
    assert all(isnan(value) for value in _shown(metrics).values())
    await keeper.run_once()
    assert _shown(metrics) == {kind.value: 0 for kind in Kind}
    async with rig.database.transaction() as connection:
        assert await upkeep.try_turn(connection, Keeper.SCAN)
        assert await keeper.run_once() == {Kind.UNKNOWN_TO_OWNER: 0}
        rig.clock.move(80)
        assert await keeper.run_once() == {Kind.UNKNOWN_TO_OWNER: 0}
    rig.clock.move(11)
    shown = _shown(metrics)
    assert shown.pop(Kind.UNKNOWN_TO_OWNER.value) == 0
    assert all(isnan(value) for value in shown.values())


async def test_what_was_missing_before_redis_was_away_is_to_be_missed_twice_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await _worker(rig)
    schedule = await rig.create()
    await rig.wheel.client.flushall()
    rig.clock.move_to(next_of(schedule)[0] + timedelta(seconds=11))
    nowhere = Wheel(connect("redis://127.0.0.1:1"), rig.clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
    found: list[int | None] = []
    for wheel in (rig.wheel, nowhere, rig.wheel, rig.wheel):
        monkeypatch.setattr(worker.keepers.scan, "_wheel", wheel)
        found += [(await _passes(rig, worker.keepers.scan, 1)).get(Kind.NOT_IN_WHEEL)]
    assert found == [0, None, 0, 1]
    await nowhere.close()


async def test_without_redis_the_rest_is_counted(rig: Rig) -> None:
    worker = await _worker(rig)
    await rig.create(interval_seconds=5)
    nowhere = Wheel(connect("redis://127.0.0.1:1"), rig.clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
    keeper = Scan(rig.database, nowhere, rig.clock, worker.presence, Metrics(), knows=worker.deliverer.knows)
    assert await _passes(rig, keeper, 1) == {kind: 0 for kind in Kind if kind is not Kind.NOT_IN_WHEEL}
    await nowhere.close()
