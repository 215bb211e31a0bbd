"""Claim and advance: what is recorded, once, whoever looks."""

import asyncio

import pytest

from app.core.execution import ExecutionStatus
from app.core.occurrences import ScheduleType
from app.core.schedule import OverlapPolicy, ScheduleStatus
from tests.integration.workers.rig import CALLER, Rig, next_of, seconds


async def test_an_occurrence_is_recorded_ahead_of_its_instant_and_handed_over_to_be_held(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    (due,) = next_of(schedule)
    rig.clock.move_to(due - seconds(0.06))
    assert (await rig.fire(worker)).assignments == []
    rig.clock.move_to(due - seconds(0.04))
    look = await rig.fire(worker)
    assert [assignment.due_ms for assignment in look.assignments] == [round(due.timestamp() * 1000)]
    (execution,) = await rig.history(schedule)
    assert (execution.scheduled_for, execution.status) == (due, ExecutionStatus.PENDING)
    after = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert after.execution_count == 1
    assert after.last_execution_id == execution.execution_id
    assert after.next_execution_at == due + seconds(60)
    assert after.revision == schedule.revision


@pytest.mark.fault("5")
async def test_of_two_workers_that_look_at_the_same_entry_one_records(rig: Rig) -> None:
    first, second = await rig.worker(), await rig.worker()
    schedule = await rig.create()
    rig.clock.move_to(next_of(schedule)[0])
    claims = await first.claimer.run_once()
    looks = await asyncio.gather(first.advancer.run_once(claims), second.advancer.run_once(claims))
    assert sorted(len(look.assignments) for look in looks) == [0, 1]
    assert len(await rig.history(schedule)) == 1


@pytest.mark.fault("5")
async def test_a_batch_that_is_looked_at_again_after_its_lease_ran_out_records_nothing_twice(rig: Rig) -> None:
    first, second = await rig.worker(), await rig.worker()
    schedules = [await rig.create() for _ in range(20)]
    rig.clock.move_to(next_of(schedules[-1])[0])
    lost = await first.claimer.run_once()
    # The first worker is killed here: its lease expires, another claims the same.
    rig.clock.move(5.1)
    second.claimer.wake(None)
    look = await rig.fire(second)
    assert len(look.assignments) == 20
    late = await first.advancer.run_once(lost)
    assert late.assignments == []
    assert [len(await rig.history(schedule)) for schedule in schedules] == [1] * 20


async def test_a_row_that_another_has_locked_is_handed_back_and_fires_a_moment_later(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    rig.clock.move_to(next_of(schedule)[0])
    async with rig.database.transaction() as connection:
        await connection.execute(
            "SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR NO KEY UPDATE", schedule.schedule_id
        )
        look = await rig.fire(worker)
        assert look.assignments == []
        assert look.next_due_ms == {f"s:{schedule.schedule_id}": rig.clock.now_ms() + 70}
    rig.clock.move(0.03)
    worker.claimer.wake(None)
    assert len((await rig.fire(worker)).assignments) == 1


async def test_the_entry_of_a_removed_schedule_is_dropped(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    await rig.schedules.remove(CALLER, schedule.schedule_id)
    rig.clock.move(61)
    look = await rig.fire(worker)
    assert look.next_due_ms == {f"s:{schedule.schedule_id}": None}
    assert (await rig.wheel.state()).entries == 0


async def test_an_entry_that_stands_too_early_costs_a_look_and_is_put_where_it_belongs(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    moved_on = await rig.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    assert moved_on.status is ScheduleStatus.PAUSED
    rig.clock.move(30)
    resumed = await rig.schedules.resume(CALLER, schedule.schedule_id, reason=None)
    await rig.execute("UPDATE workflow_schedules SET next_due_at = next_due_at + interval '10 s'")
    rig.clock.move_to(next_of(resumed)[0])
    look = await rig.fire(worker)
    assert look.assignments == []
    assert look.in_vain == 1
    rig.clock.move(10)
    worker.claimer.wake(None)
    assert len((await rig.fire(worker)).assignments) == 1


async def test_what_a_stranger_left_in_the_wheel_is_dropped_and_the_others_fire(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    rig.clock.move_to(next_of(schedule)[0])
    (shard,) = {claim.shard for claim in await rig.wheel.claim(range(4), limit=1, lease_ms=1) if claim.members}
    rig.clock.move(0.01)
    junk = ("s:junk", "x:", "y:1", f"x:{schedule.schedule_id}", "")
    await rig.wheel.client.zadd(f"{{ss:{shard}}}:due", {**dict.fromkeys(junk, 1), b"s:\xff\x00": 1})
    look = await rig.fire(worker)
    assert [assignment.schedule_id for assignment in look.assignments] == [schedule.schedule_id]
    assert look.in_vain == len(junk) + 1
    assert (await rig.wheel.state()).entries == 1


@pytest.mark.fault("22")
async def test_one_poisoned_row_fails_with_its_reason_and_the_others_fire(rig: Rig) -> None:
    worker = await rig.worker()
    healthy, poisoned = await rig.create(), await rig.create()
    await rig.execute(
        "UPDATE workflow_schedules SET timezone = 'Nowhere/Atlantis', schedule_type = 'cron',"
        " cron_expression = '* * * * *', interval_seconds = NULL WHERE schedule_id = $1",
        poisoned.schedule_id,
    )
    rig.clock.move_to(next_of(healthy)[0])
    look = await rig.fire(worker)
    assert [assignment.schedule_id for assignment in look.assignments] == [healthy.schedule_id]
    failed = await rig.schedules.get(CALLER, poisoned.schedule_id)
    assert failed.status is ScheduleStatus.FAILED
    assert failed.status_reason is not None
    assert "Nowhere/Atlantis" in failed.status_reason
    assert failed.next_due_at is None
    (skipped,) = await rig.history(poisoned)
    assert (skipped.scheduled_for, skipped.status, skipped.reason) == (
        *(next_of(poisoned)[0], ExecutionStatus.SKIPPED),
        "not_computed",
    )
    assert skipped.reason_detail == failed.status_reason
    # Once it can be computed again, it goes on after that.
    await rig.execute("UPDATE workflow_schedules SET timezone = 'UTC' WHERE schedule_id = $1", poisoned.schedule_id)
    resumed = await rig.schedules.resume(CALLER, poisoned.schedule_id, reason=None)
    assert resumed.next_execution_at is not None
    assert resumed.next_execution_at > skipped.scheduled_for


async def test_an_error_that_no_row_is_to_blame_for_takes_no_schedule_out_of_service(rig: Rig) -> None:
    worker = await rig.worker()
    schedules = [await rig.create(), await rig.create()]
    rig.clock.move_to(next_of(schedules[1])[0])
    # As with old code on a schema that was contracted too early.
    await rig.execute("ALTER TABLE executions RENAME COLUMN covers_from TO covered_from")
    assert (await rig.fire(worker)).assignments == []
    for schedule in schedules:
        assert (await rig.schedules.get(CALLER, schedule.schedule_id)).status is ScheduleStatus.ACTIVE
    await rig.execute("ALTER TABLE executions RENAME COLUMN covered_from TO covers_from")
    rig.clock.move(5)
    worker.claimer.wake(None)
    assert len((await rig.fire(worker)).assignments) == 2


async def test_a_wake_that_comes_while_a_claim_is_under_way_is_not_lost(rig: Rig) -> None:
    worker = await rig.worker()
    await worker.keepers.window.run_once()
    claiming = asyncio.create_task(worker.claimer.run_once())
    await asyncio.sleep(0)
    worker.claimer.wake(None)
    assert await claiming == []
    await rig.create(schedule_type=ScheduleType.ONE_TIME, interval_seconds=None, scheduled_time=rig.clock.now())
    # No second passes, and nothing wakes it again.
    assert len((await rig.fire(worker)).assignments) == 1


@pytest.mark.fault("22")
async def test_a_row_that_postgres_itself_refuses_is_set_aside_and_the_others_fire(rig: Rig) -> None:
    worker = await rig.worker()
    healthy, poisoned = await rig.create(), await rig.create()
    # The counter is at its end: the statement that moves the batch on fails as a whole.
    await rig.execute(
        "UPDATE workflow_schedules SET execution_count = 2147483647 WHERE schedule_id = $1", poisoned.schedule_id
    )
    rig.clock.move_to(next_of(healthy)[0])
    look = await rig.fire(worker)
    assert [assignment.schedule_id for assignment in look.assignments] == [healthy.schedule_id]
    assert (await rig.schedules.get(CALLER, poisoned.schedule_id)).status is ScheduleStatus.FAILED
    assert [(one.scheduled_for, one.reason) for one in await rig.history(poisoned)] == [
        (next_of(poisoned)[0], "not_computed")
    ]


async def test_twenty_workers_at_once_never_exceed_max_executions(rig: Rig) -> None:
    workers = [await rig.worker() for _ in range(20)]
    schedule = await rig.create(
        interval_seconds=1, max_executions=100, coalesce=False, overlap_policy=OverlapPolicy.ALLOW
    )
    rig.clock.move(150)
    sent = 0
    for _ in range(12):
        for worker in workers:
            worker.claimer.wake(None)
        claims = [claim for worker in workers for claim in await worker.claimer.run_once()]
        looks = await asyncio.gather(*(worker.advancer.run_once(claims) for worker in workers if claims))
        sent += sum(len(look.assignments) for look in looks)
        rig.clock.move(0.1)
    history = await rig.history(schedule)
    assert len(history) == sent == 100
    after = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert (after.execution_count, after.status) == (100, ScheduleStatus.COMPLETED)


async def test_each_of_several_that_are_recorded_at_once_is_told_of_those_around_it(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(coalesce=False, overlap_policy=OverlapPolicy.ALLOW)
    first, second, third, fourth = next_of(schedule, 4)
    rig.clock.move_to(third)
    look = await rig.fire(worker)
    around = [(one.scheduled_for, one.last_scheduled_for, one.next_execution_at) for one in look.assignments]
    assert around == [(first, None, second), (second, first, third), (third, second, fourth)]
    stored = await rig.execute(
        "SELECT scheduled_for, last_scheduled_for, next_execution_at FROM executions ORDER BY scheduled_for"
    )
    assert [tuple(row) for row in stored] == around


async def test_an_occurrence_is_skipped_while_max_instances_are_unfinished(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_instances=1)
    rig.clock.move(60)
    await rig.fire(worker)
    rig.clock.move(60)
    await rig.fire(worker)
    assert [(one.status.value, one.reason) for one in await rig.history(schedule)] == [
        ("pending", None),
        ("skipped", "overlap"),
    ]


async def test_two_looks_at_once_count_what_the_other_has_recorded(rig: Rig) -> None:
    """Without a count of its own, after the lock, both would see none unfinished."""
    workers = [await rig.worker() for _ in range(2)]
    schedule = await rig.create(interval_seconds=1, max_instances=1, coalesce=False)
    rig.clock.move(1)
    for _ in range(10):
        for worker in workers:
            worker.claimer.wake(None)
        claims = [claim for worker in workers for claim in await worker.claimer.run_once()]
        await asyncio.gather(*(worker.advancer.run_once(claims) for worker in workers if claims))
        rig.clock.move(1)
    pending = [one for one in await rig.history(schedule) if one.status is ExecutionStatus.PENDING]
    assert len(pending) == 1


@pytest.mark.fault("15")
async def test_an_outage_of_a_week_is_one_missed_record_and_the_schedule_goes_on(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(interval_seconds=1, grace_period_seconds=60)
    rig.clock.move(7 * 86_400)
    await rig.fire(worker)
    missed, coalesced = await rig.history(schedule)
    assert (missed.status.value, missed.reason) == ("missed", "grace")
    assert missed.covers_from == schedule.next_execution_at
    assert coalesced.status is ExecutionStatus.PENDING
    assert missed.coalesced_count + coalesced.coalesced_count == 7 * 86_400
    after = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert after.next_execution_at == rig.clock.now() + seconds(1)
