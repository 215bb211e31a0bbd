"""Deliver and settle: never early, under the fences, with retries that survive the worker."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from aiohttp import web

from app.core.clock import to_ms
from app.core.execution import Execution, ExecutionStatus
from app.core.queries import Answer
from app.core.schedule import Completion, RetryPolicy, Schedule, ScheduleStatus
from app.core.tasks import end
from app.wheel.entries import shard_of
from app.workers import settle
from app.workers.loop import Worker
from app.workers.signals import Point, Signals
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.stages import delivering, look_again, settled, turn
from tests.receiver import Received


async def only(rig: Rig, schedule: Schedule) -> Execution:
    (execution,) = await rig.history(schedule)
    return await rig.executions.get(CALLER, execution.execution_id)


async def fire_next(rig: Rig, worker: Worker, schedule: Schedule) -> None:
    rig.clock.move_to(next_of(schedule)[0])
    await look_again(rig, worker)


async def test_what_is_held_is_sent_at_its_instant_and_not_before(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    (due,) = next_of(schedule)
    rig.clock.move_to(due)
    rig.clock.step_back(0.045)
    async with delivering(worker):
        await look_again(rig, worker)
        # A round trip to Postgres is far longer than the sender would need.
        await only(rig, schedule)
        assert rig.receiver.received == []
        rig.clock.move(0.044)
        await only(rig, schedule)
        assert rig.receiver.received == []
        rig.clock.move(0.001)
        (received,) = await rig.receiver.wait_for(1)
        await settled(rig, worker)
    execution = await only(rig, schedule)
    assert execution.status is ExecutionStatus.SUCCEEDED
    assert execution.lateness_ms == 0
    assert execution.engine_execution_id == "engine-1"
    assert [attempt.status_code for attempt in execution.attempts] == [202]
    body = received.json
    assert body["execution_id"] == received.headers["Idempotency-Key"] == str(execution.execution_id)
    assert body["variables"]["report"] == "daily"
    assert body["next_execution_at"] is not None


async def test_a_timer_that_fires_early_has_nothing_sent_early(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = rig.clock.wait

    async def early(event: asyncio.Event, until_ms: int) -> None:
        await wait(event, until_ms - 1)

    monkeypatch.setattr(rig.clock, "wait", early)
    worker = await rig.worker()
    schedule = await rig.create()
    rig.clock.move_to(next_of(schedule)[0])
    rig.clock.step_back(0.04)
    async with delivering(worker):
        await look_again(rig, worker)
        rig.clock.move(0.039)
        for _ in range(10):
            await turn()
        assert rig.receiver.received == []
        rig.clock.move(0.001)
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
    assert (await only(rig, schedule)).lateness_ms == 0


class HoldsFirstBatch(Signals):
    """Counts the answers, and holds the settler in its first batch."""

    def __init__(self) -> None:
        self.answers = 0
        self.settled, self.go_on = asyncio.Event(), asyncio.Event()

    async def reached(self, point: Point) -> None:
        if point is Point.ANSWERED:
            self.answers += 1
        elif point is Point.SETTLED:
            self.settled.set()
            await self.go_on.wait()


async def test_what_is_answered_while_a_batch_is_written_is_gathered_with_what_follows(rig: Rig) -> None:
    answered = {str(UUID(int=number)): asyncio.Event() for number in range(3)}

    async def once_told(received: Received) -> web.StreamResponse:
        await answered[received.json["workflow_id"]].wait()
        return web.Response(status=202)

    rig.receiver.behaviour = once_told
    signals = HoldsFirstBatch()
    worker = await rig.worker(signals)
    schedules = [await rig.create(workflow_id=UUID(key)) for key in answered]
    first, second, third = answered.values()
    async with delivering(worker):
        await fire_next(rig, worker, schedules[0])
        await rig.receiver.wait_for(3)
        first.set()
        while not signals.settled.is_set():
            rig.clock.move(0.001)
            await turn()
        for number, answer in ((2, second), (3, third)):
            answer.set()
            while signals.answers < number:
                await turn()
            signals.go_on.set()
            # Not as far as the next batch is.
            for _ in range(5):
                await turn()
                rig.clock.move(0.001)
        await settled(rig, worker)
    written_by = [
        (await rig.execute("SELECT xmin FROM executions WHERE schedule_id = $1", schedule.schedule_id))[0]["xmin"]
        for schedule in schedules
    ]
    assert written_by[0] != written_by[1] == written_by[2]


async def test_what_is_more_than_a_batch_is_written_although_nothing_comes_after_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "BATCH", 1)
    signals = HoldsFirstBatch()
    signals.go_on.set()
    worker = await rig.worker(signals)
    schedules = [await rig.create() for _ in range(3)]
    sending = asyncio.create_task(worker.deliverer.run_forever())
    await fire_next(rig, worker, schedules[0])
    while signals.answers < len(schedules):
        await turn()
    settling = asyncio.create_task(worker.settler.run_forever())
    await settled(rig, worker)
    await end(settling, sending)
    for schedule in schedules:
        assert (await only(rig, schedule)).status is ExecutionStatus.SUCCEEDED


async def test_a_refused_attempt_is_tried_again_by_any_worker_and_then_a_dead_letter(rig: Rig) -> None:
    async def broken(_request: Received) -> web.StreamResponse:
        return web.Response(status=503, text="not today")

    rig.receiver.behaviour = broken
    first, second = await rig.worker(), await rig.worker()
    schedule = await rig.create(retry=RetryPolicy(max_retries=2), max_executions=1)
    async with delivering(first):
        await fire_next(rig, first, schedule)
        await rig.receiver.wait_for(1)
        await settled(rig, first)
    waiting = await only(rig, schedule)
    assert waiting.status is ExecutionStatus.RETRYING
    assert waiting.wake_at is not None
    # The first worker is gone; the wheel has the retry.
    async with delivering(second):
        for attempt in (2, 3):
            rig.clock.move(5)
            await look_again(rig, second)
            await rig.receiver.wait_for(attempt)
            await settled(rig, second)
    dead = await only(rig, schedule)
    assert dead.status is ExecutionStatus.FAILED
    assert [attempt.number for attempt in dead.attempts] == [1, 2, 3]
    assert dead.error == "HTTP 503: not today"
    assert set(rig.receiver.deliveries().values()) == {3}


async def test_an_outcome_that_cannot_be_written_as_it_came_is_written_without_what_the_target_said(rig: Rig) -> None:
    """Else it would be delivered again and again, whatever its budget."""

    async def broken(request: Received) -> web.StreamResponse:
        cursed_one = request.path.endswith(f"{cursed.definition.workflow_id}/execute")
        return web.Response(status=422, text="a curse" if cursed_one else "no")

    rig.receiver.behaviour = broken
    worker = await rig.worker()
    cursed, healthy = await rig.create(workflow_id=uuid4(), max_executions=1), await rig.create(max_executions=1)
    await rig.refuse_updates("executions", "NEW.error LIKE '%a curse%'")
    async with delivering(worker):
        await fire_next(rig, worker, cursed)
        await rig.receiver.wait_for(2)
        await settled(rig, worker)
    dead, other = await only(rig, cursed), await only(rig, healthy)
    assert (dead.status, other.status) == (ExecutionStatus.FAILED, ExecutionStatus.FAILED)
    assert dead.error == dead.attempts[0].error == "what the target said could not be written"
    assert dead.attempts[0].status_code == 422
    assert other.error == "HTTP 422: no"


async def test_the_retries_of_what_is_settled_beside_such_a_one_stand_in_the_wheel(rig: Rig) -> None:
    async def broken(request: Received) -> web.StreamResponse:
        return web.Response(status=503, text="a curse" if str(cursed) in request.path else "not today")

    rig.receiver.behaviour = broken
    worker, cursed = await rig.worker(), uuid4()
    schedules = [await rig.create(workflow_id=one, max_executions=1) for one in (uuid4(), cursed, uuid4())]
    await rig.refuse_updates("executions", "NEW.error LIKE '%a curse%'")
    rig.clock.move_to(next_of(schedules[-1])[0])
    assignments = {one.schedule_id: one for one in (await look_again(rig, worker)).assignments}
    for schedule in schedules:
        worker.settler.add(await worker.deliverer.senders.sender.send(assignments[schedule.schedule_id]))
    assert await worker.settler.run_once() == 3
    (due,) = rig.wheel._keys(shard_of(CALLER.community_id, rig.wheel.shards), "due")
    for schedule in schedules:
        waiting = await only(rig, schedule)
        assert waiting.wake_at is not None
        assert await rig.wheel.client.zscore(due, f"x:{waiting.execution_id}") == to_ms(waiting.wake_at) + 50


@pytest.mark.fault("18")
async def test_a_retry_is_not_made_before_its_time(rig: Rig) -> None:
    async def busy(_request: Received) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "30"})

    rig.receiver.behaviour = busy
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
        waiting = await only(rig, schedule)
        assert waiting.wake_at is not None
        assert (waiting.wake_at - rig.clock.now()).total_seconds() > 29
        rig.clock.move_to(waiting.wake_at)
        rig.clock.step_back(0.001)
        worker.claimer.wake(None)
        assert (await rig.fire(worker)).assignments == []
        rig.clock.move(0.001)
        worker.claimer.wake(None)
        assert [one.attempt for one in (await rig.fire(worker)).assignments] == [2]


async def test_a_target_that_is_gone_pauses_the_schedule_unless_it_was_repaired_meanwhile(rig: Rig) -> None:
    async def gone(_request: Received) -> web.StreamResponse:
        return web.Response(status=410, text="moved away")

    rig.receiver.behaviour = gone
    worker = await rig.worker()
    left, repaired = await rig.create(), await rig.create()
    async with delivering(worker):
        rig.clock.move_to(next_of(left)[0])
        await worker.presence.run_once()
        worker.claimer.wake(None)
        assert len((await rig.fire(worker)).assignments) == 2
        await rig.schedules.change(
            CALLER, repaired.schedule_id, lambda found: replace(found.definition, tags=("new",)), expected_revision=None
        )
        await rig.receiver.wait_for(2)
        await settled(rig, worker)
    paused = await rig.schedules.get(CALLER, left.schedule_id)
    assert paused.status is ScheduleStatus.PAUSED
    assert paused.status_reason == "the target answered HTTP 410: moved away"
    assert paused.revision == left.revision + 1
    assert (await only(rig, left)).status is ExecutionStatus.FAILED
    assert (await rig.schedules.get(CALLER, repaired.schedule_id)).status is ScheduleStatus.ACTIVE


@pytest.mark.fault("4")
async def test_a_failure_of_a_former_owner_is_refused_and_its_late_success_counts(rig: Rig) -> None:
    first, second = await rig.worker(), await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    (held,) = (await rig.fire(first)).assignments
    # The first is declared dead while it holds the execution; the second takes it under the same id.
    await rig.execute("DELETE FROM workers WHERE worker_id = $1", first.presence.worker_id)
    await second.keepers.bury.run_once()
    second.claimer.wake(None)
    (taken,) = (await rig.fire(second)).assignments
    assert (taken.execution_id, taken.attempt) == (held.execution_id, 2)

    sender = first.deliverer.senders.sender
    late = await sender.send(held)

    async def broken(_request: Received) -> web.StreamResponse:
        return web.Response(status=500)

    rig.receiver.behaviour = broken
    first.settler.add(await sender.send(held))
    assert await first.settler.run_once() == 0
    assert (await only(rig, schedule)).status is ExecutionStatus.PENDING
    first.settler.add(late)
    assert await first.settler.run_once() == 1
    assert (await only(rig, schedule)).status is ExecutionStatus.SUCCEEDED
    second.settler.add(await sender.send(taken))
    assert await second.settler.run_once() == 0
    assert (await only(rig, schedule)).status is ExecutionStatus.SUCCEEDED


@pytest.mark.parametrize("stale_first", [True, False])
async def test_an_outcome_that_the_fence_refuses_does_not_take_the_last_attempt_s_with_it(
    rig: Rig, stale_first: bool
) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1, completion=Completion.CALLBACK)
    rig.clock.move_to(next_of(schedule)[0])
    (held,) = (await rig.fire(worker)).assignments
    sender = worker.deliverer.senders.sender
    # The answer is slow. Meanwhile the target reports a failure, and an operator has it delivered again.
    stale = await sender.send(held)
    rig.clock.move(1)
    await rig.executions.complete(CALLER, held.execution_id, failed=True, result=None, error=None)
    await rig.executions.retry(
        CALLER, held.execution_id, answer=lambda _execution: Answer(202, {}, b""), idempotency=None
    )
    (taken,) = (await look_again(rig, worker)).assignments

    async def broken(_request: Received) -> web.StreamResponse:
        return web.Response(status=500)

    rig.receiver.behaviour = broken
    last = await sender.send(taken)
    for delivered in (stale, last) if stale_first else (last, stale):
        worker.settler.add(delivered)
    assert await worker.settler.run_once() == 1
    (row,) = await rig.execute("SELECT status, failures, attempt FROM executions")
    assert tuple(row) == (ExecutionStatus.RETRYING, 1, 2)


async def test_what_waited_behind_the_bound_and_was_cancelled_is_not_sent(rig: Rig) -> None:
    release = asyncio.Event()

    async def slow(_request: Received) -> web.StreamResponse:
        await release.wait()
        return web.Response(status=200)

    rig.receiver.behaviour = slow
    worker = await rig.worker(concurrency=1)
    first, second = await rig.create(max_executions=1), await rig.create(max_executions=1)
    async with delivering(worker):
        await fire_next(rig, worker, second)
        await rig.receiver.wait_for(1)
        sent = rig.receiver.received[0].json["schedule_id"]
        waiting = second if sent == str(first.schedule_id) else first
        execution = await only(rig, waiting)
        await rig.executions.cancel(CALLER, execution.execution_id, reason="no more")
        rig.clock.move(2)
        release.set()
        async with asyncio.timeout(20):
            while worker.deliverer.knows(execution.execution_id):
                await turn()
    assert len(rig.receiver.received) == 1
    cancelled = await only(rig, waiting)
    assert (cancelled.status.value, cancelled.reason) == ("cancelled", "cancelled_by_caller")


@pytest.mark.fault("4")
async def test_a_worker_whose_own_beat_is_old_sends_nothing_until_postgres_confirms_it(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    await worker.presence.run_once()
    await rig.fire(worker)
    rig.clock.move(10)
    assert worker.presence.trusted
    # Frozen for eleven seconds, nobody buried it.
    rig.clock.move(1)
    assert not worker.presence.trusted
    async with delivering(worker):
        await only(rig, schedule)
        assert rig.receiver.received == []
        assert await worker.presence.run_once()
        rig.clock.move(0.2)
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
    assert (await only(rig, schedule)).status is ExecutionStatus.SUCCEEDED


async def test_an_error_while_reading_again_loses_nothing_and_stops_nothing(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    (held,) = (await rig.fire(worker)).assignments
    rig.clock.move(11)
    await rig.execute("ALTER TABLE executions RENAME COLUMN owner TO possessor")
    async with delivering(worker):
        await worker.presence.run_once()
        for _ in range(50):
            await turn()
        assert worker.deliverer.knows(held.execution_id)
        await rig.execute("ALTER TABLE executions RENAME COLUMN possessor TO owner")
        rig.clock.move(1.1)
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
    assert (await only(rig, schedule)).status is ExecutionStatus.SUCCEEDED


@pytest.mark.fault("4")
async def test_a_buried_worker_takes_a_new_id_and_drops_what_it_held(rig: Rig) -> None:
    worker, other = await rig.worker(), await rig.worker()
    schedule = await rig.create(max_executions=1)
    rig.clock.move_to(next_of(schedule)[0])
    (held,) = (await rig.fire(worker)).assignments
    rig.clock.move(20)
    await rig.execute("DELETE FROM workers WHERE worker_id = $1", worker.presence.worker_id)
    assert await other.keepers.bury.run_once() == 1
    former = worker.presence.worker_id
    assert not await worker.presence.run_once()
    assert worker.presence.worker_id != former
    async with delivering(worker), asyncio.timeout(20):
        while worker.deliverer.knows(held.execution_id):
            await turn()
    assert rig.receiver.received == []


async def test_an_operator_retries_a_dead_letter_under_its_own_id_with_a_fresh_budget(rig: Rig) -> None:
    async def gone(_request: Received) -> web.StreamResponse:
        return web.Response(status=404)

    rig.receiver.behaviour = gone
    worker = await rig.worker()
    schedule = await rig.create(max_executions=1)
    async with delivering(worker):
        await fire_next(rig, worker, schedule)
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
        dead = await only(rig, schedule)
        assert dead.status is ExecutionStatus.FAILED
        rig.receiver.behaviour = None
        rig.clock.move(3 * 86_400)
        await rig.executions.retry(
            CALLER, dead.execution_id, answer=lambda _execution: Answer(202, {}, b""), idempotency=None
        )
        await look_again(rig, worker)
        await rig.receiver.wait_for(2)
        await settled(rig, worker)
    alive = await only(rig, schedule)
    assert alive.status is ExecutionStatus.SUCCEEDED
    assert alive.execution_id == dead.execution_id
    assert set(rig.receiver.deliveries().values()) == {2}
