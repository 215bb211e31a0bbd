"""Work that goes on after the 2xx: running until its target reports, or its time is over."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from app.core.errors import ExecutionNotFoundException, StateForbidsException
from app.core.execution import Execution, ExecutionStatus
from app.core.principal import Principal, Role
from app.core.queries import Answer
from app.core.schedule import Completion, RetryPolicy, Schedule
from app.store import settling
from app.store.settling import Outcome
from tests.integration.store.rows import add_execution
from tests.integration.workers.rig import CALLER, Rig, next_of, seconds
from tests.integration.workers.stages import delivering, look_again, settled
from tests.receiver import Received

STRANGER = Principal(community_id=2, user="stranger", role=Role.ADMIN)


async def running(rig: Rig, timeout_seconds: int = 100, **fields: object) -> Execution:
    """An execution that its target has taken."""
    worker = await rig.worker()
    schedule = await rig.create(completion=Completion.CALLBACK, timeout_seconds=timeout_seconds, **fields)
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        await look_again(rig, worker)
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
    return await only(rig, schedule)


async def only(rig: Rig, schedule: Schedule) -> Execution:
    (execution,) = await rig.history(schedule)
    return await rig.executions.get(CALLER, execution.execution_id)


async def report(rig: Rig, execution: Execution, *, failed: bool = False) -> Execution:
    return await rig.executions.complete(
        CALLER, execution.execution_id, failed=failed, result={"rows": 3}, error="no disk" if failed else None
    )


async def test_a_2xx_begins_the_work_and_the_report_ends_it(rig: Rig) -> None:
    execution = await running(rig)
    assert (execution.status, execution.finished_at) == (ExecutionStatus.RUNNING, None)
    assert execution.started_at is not None
    assert execution.wake_at == execution.started_at + seconds(100)
    rig.clock.move(42)
    ended = await report(rig, execution)
    assert (ended.status, ended.finished_at, ended.result) == (
        ExecutionStatus.SUCCEEDED,
        rig.clock.now(),
        {"rows": 3},
    )
    assert ended.wake_at is None
    assert len(ended.attempts) == 1


async def test_a_failed_report_is_a_dead_letter_with_what_went_wrong(rig: Rig) -> None:
    ended = await report(rig, await running(rig), failed=True)
    assert (ended.status, ended.error) == (ExecutionStatus.FAILED, "no disk")
    assert len(rig.receiver.received) == 1


@pytest.mark.parametrize("failed", [False, True])
async def test_the_same_report_twice_changes_nothing_and_the_other_one_is_refused(rig: Rig, failed: bool) -> None:
    execution = await running(rig)
    first = await report(rig, execution, failed=failed)
    rig.clock.move(5)
    assert await report(rig, execution, failed=failed) == first
    with pytest.raises(StateForbidsException, match="has ended"):
        await report(rig, execution, failed=not failed)


@pytest.mark.fault("19a")
async def test_an_answer_to_what_was_sent_before_a_retry_is_no_answer_to_the_retry(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(completion=Completion.CALLBACK, max_executions=1)
    retried = asyncio.Event()

    async def answer_late(_received: Received) -> web.StreamResponse:
        await retried.wait()
        return web.json_response({}, status=202)

    rig.receiver.behaviour = answer_late
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        await look_again(rig, worker)
        await rig.receiver.wait_for(1)
        await report(rig, await only(rig, schedule), failed=True)
        rig.clock.move(1)
        await rig.executions.retry(
            CALLER,
            (await only(rig, schedule)).execution_id,
            answer=lambda _execution: Answer(202, {}, b""),
            idempotency=None,
        )
        retried.set()
        await settled(rig, worker)
        waiting = await only(rig, schedule)
        assert (waiting.status, [one.number for one in waiting.attempts]) == (ExecutionStatus.PENDING, [1])
        await look_again(rig, worker)
        await rig.receiver.wait_for(2)
        await settled(rig, worker)
    again = await only(rig, schedule)
    assert (again.status, [one.number for one in again.attempts]) == (ExecutionStatus.RUNNING, [1, 2])


async def test_what_a_run_reported_before_it_was_retried_is_no_result_of_the_retry(rig: Rig) -> None:
    execution = await running(rig)
    ended = await report(rig, execution, failed=True)
    assert ended.result is not None
    await rig.executions.retry(
        CALLER, execution.execution_id, answer=lambda _execution: Answer(202, {}, b""), idempotency=None
    )
    found = await rig.executions.get(CALLER, execution.execution_id)
    assert (found.status, found.result, found.error) == (ExecutionStatus.PENDING, None, None)


@pytest.mark.fault("19a")
async def test_a_report_that_overtakes_its_answer_counts_and_the_answer_is_only_noted(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(completion=Completion.CALLBACK)
    reported = asyncio.Event()

    async def answer_late(_received: Received) -> web.StreamResponse:
        await reported.wait()
        return web.json_response({"data": {"execution_id": "engine-1"}}, status=202)

    rig.receiver.behaviour = answer_late
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        await look_again(rig, worker)
        await rig.receiver.wait_for(1)
        pending = await only(rig, schedule)
        assert pending.status is ExecutionStatus.PENDING
        ended = await report(rig, pending)
        reported.set()
        await settled(rig, worker)
    noted = await only(rig, schedule)
    assert [(attempt.number, attempt.status_code) for attempt in noted.attempts] == [(1, 202)]
    assert (noted.engine_execution_id, noted.started_at, noted.lateness_ms) == ("engine-1", ended.due_at, 0)
    assert replace(noted, attempts=(), engine_execution_id=None, started_at=None, lateness_ms=None) == ended
    # Nobody took it over: that is no sign of a worker that is too slow.
    assert worker._metrics.settles_refused._value.get() == 0


@pytest.mark.fault("19a")
async def test_a_report_in_the_middle_of_a_retry_ends_it(rig: Rig) -> None:
    async def refuse(_received: Received) -> web.StreamResponse:
        return web.Response(status=503)

    rig.receiver.behaviour = refuse
    execution = await running(rig, retry=RetryPolicy(initial_backoff_seconds=60))
    assert execution.status is ExecutionStatus.RETRYING
    assert (await report(rig, execution)).status is ExecutionStatus.SUCCEEDED


async def test_without_a_report_it_is_timed_out_at_its_deadline_and_not_before(rig: Rig) -> None:
    execution = await running(rig, timeout_seconds=30)
    worker = await rig.worker()
    assert execution.wake_at is not None
    rig.clock.move_to(execution.wake_at - seconds(0.001))
    await look_again(rig, worker)
    assert (await rig.executions.get(CALLER, execution.execution_id)).status is ExecutionStatus.RUNNING
    rig.clock.move(0.001)
    await look_again(rig, worker)
    ended = await rig.executions.get(CALLER, execution.execution_id)
    assert (ended.status, ended.finished_at) == (ExecutionStatus.TIMED_OUT, rig.clock.now())
    assert ended.error == "no report of its end within timeout_seconds (30)"
    with pytest.raises(StateForbidsException, match="it is timed_out"):
        await report(rig, execution)


async def test_a_heartbeat_gives_it_the_whole_time_again(rig: Rig) -> None:
    execution = await running(rig, timeout_seconds=30)
    worker = await rig.worker()
    rig.clock.move(20)
    extended = await rig.executions.heartbeat(CALLER, execution.execution_id)
    assert extended.wake_at == rig.clock.now() + seconds(30)
    rig.clock.move(29)
    await look_again(rig, worker)
    assert (await rig.executions.get(CALLER, execution.execution_id)).status is ExecutionStatus.RUNNING
    rig.clock.move(1)
    await look_again(rig, worker)
    assert (await rig.executions.get(CALLER, execution.execution_id)).status is ExecutionStatus.TIMED_OUT


async def test_a_heartbeat_takes_no_time_away_where_the_clock_was_set_back(rig: Rig) -> None:
    execution = await running(rig, timeout_seconds=30)
    rig.clock.step_back(5)
    extended = await rig.executions.heartbeat(CALLER, execution.execution_id)
    assert execution.wake_at is not None
    assert extended.wake_at == execution.wake_at


async def test_a_heartbeat_for_what_does_not_run_changes_nothing_and_tells_what_became_of_it(rig: Rig) -> None:
    execution = await running(rig)
    cancelled = await rig.executions.cancel(CALLER, execution.execution_id, reason=None)
    rig.clock.move(1)
    assert await rig.executions.heartbeat(CALLER, execution.execution_id) == cancelled


@pytest.mark.parametrize("status", ["pending", "retrying", "queued"])
async def test_a_heartbeat_moves_no_other_time_than_a_deadline(rig: Rig, status: str) -> None:
    schedule = await rig.create()
    wake_at = rig.clock.now() + seconds(5)
    async with rig.database.transaction() as connection:
        waits = await add_execution(
            connection, at=rig.clock.now(), schedule_id=schedule.schedule_id, status=status, attempt=1, wake_at=wake_at
        )
    assert (await rig.executions.heartbeat(CALLER, waits)).status == status
    assert (await rig.executions.get(CALLER, waits)).wake_at == wake_at


async def test_a_deadline_counts_by_the_definition_that_was_in_force(rig: Rig) -> None:
    execution = await running(rig, timeout_seconds=30)
    await rig.schedules.change(
        CALLER,
        execution.schedule_id,
        lambda schedule: replace(schedule.definition, timeout_seconds=7),
        expected_revision=None,
    )
    extended = await rig.executions.heartbeat(CALLER, execution.execution_id)
    assert extended.wake_at == rig.clock.now() + seconds(30)


async def test_another_communitys_execution_is_unknown(rig: Rig) -> None:
    execution = await running(rig)
    with pytest.raises(ExecutionNotFoundException):
        await rig.executions.complete(STRANGER, execution.execution_id, failed=False, result=None, error=None)
    with pytest.raises(ExecutionNotFoundException):
        await rig.executions.heartbeat(STRANGER, execution.execution_id)


async def test_what_waits_in_a_queue_cannot_have_ended(rig: Rig) -> None:
    execution = await running(rig)
    await rig.execute("UPDATE executions SET status = 'queued' WHERE execution_id = $1", execution.execution_id)
    with pytest.raises(StateForbidsException, match="queued"):
        await report(rig, execution)


async def test_a_late_answer_does_not_take_back_what_a_heartbeat_gave(rig: Rig) -> None:
    """Two owners' answers: the older one comes last, and names an earlier deadline."""
    execution = await running(rig, timeout_seconds=100)
    rig.clock.move(50)
    extended = await rig.executions.heartbeat(CALLER, execution.execution_id)
    worker = await rig.worker()
    assert execution.started_at is not None
    late = Outcome(
        execution_id=execution.execution_id,
        community_id=1,
        owner=worker.presence.worker_id,
        number=7,
        status=ExecutionStatus.RUNNING,
        attempt_json="[]",
        failed=False,
        wake_at=execution.started_at + seconds(100),
        finished_at=None,
        error=None,
        engine_execution_id=None,
        started_at=execution.started_at,
        lateness_ms=0,
    )
    async with rig.database.connection() as connection:
        await settling.settle(connection, [late])
    assert (await rig.executions.get(CALLER, execution.execution_id)).wake_at == extended.wake_at


async def test_an_end_that_is_reported_is_counted_once(rig: Rig) -> None:
    execution = await running(rig)
    for _ in range(2):
        await report(rig, execution)
    sample = rig.metrics.registry.get_sample_value("schedule_service_executions_total", {"outcome": "succeeded"})
    assert sample == 1
