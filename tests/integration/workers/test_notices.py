"""Who is told that an execution failed, was cancelled, or that its schedule was paused: once, and whoever dies."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from app.core.execution import Execution, ExecutionStatus, Trigger
from app.core.notices import SAID_ONCE
from app.core.queries import Answer, ExecutionFilter
from app.core.schedule import Completion, Definition, OverlapPolicy, RetryPolicy, Schedule, ScheduleStatus
from app.core.target import Target
from app.workers.loop import Worker
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.stages import delivering, look_again, look_and_send
from tests.integration.workers.test_own_targets import target
from tests.receiver import Received, Receiver

ONCE = RetryPolicy(max_retries=0)


async def refuses(_request: Received) -> web.StreamResponse:
    return web.Response(status=400, text="no such report")


async def fire(rig: Rig, worker: Worker, schedule: Schedule) -> Execution:
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        await look_and_send(rig, worker)
    return (await rig.history(schedule))[0]


async def notices(rig: Rig, schedule: Schedule, trigger: Trigger = Trigger.FAILURE) -> list[Execution]:
    asked = ExecutionFilter(schedule_id=schedule.schedule_id, trigger=trigger)
    page = await rig.executions.find(CALLER, asked, limit=500, cursor=None)
    return list(page.items[::-1])


async def told(rig: Rig, worker: Worker) -> None:
    """Deliver what is to be told."""
    async with delivering(worker):
        await look_and_send(rig, worker)


async def test_a_failure_is_told_once_under_an_id_of_its_own(rig: Rig) -> None:
    rig.receiver.behaviour = refuses
    worker = await rig.worker()
    async with Receiver() as ops:
        schedule = await rig.create(name="nightly", failure_target=target(f"{ops.url}/failed"), retry=ONCE)
        execution = await fire(rig, worker, schedule)
        assert execution.status is ExecutionStatus.FAILED
        assert ops.received == []
        await told(rig, await rig.worker())
        (received,) = ops.received
    (notice,) = await notices(rig, schedule)
    assert notice.status is ExecutionStatus.SUCCEEDED
    assert received.headers["Idempotency-Key"] == received.headers["webhook-id"] == str(notice.execution_id)
    said = received.json
    assert list(said) == [*SAID_ONCE, "notice_id", "attempt", "sent_at"]
    at, sent_at = (datetime.fromisoformat(said.pop(name)) for name in ("at", "sent_at"))
    assert execution.started_at is not None
    assert execution.started_at <= at <= sent_at <= rig.clock.now()
    assert said == {
        "event": "execution.failed",
        "schedule_id": str(schedule.schedule_id),
        "schedule_name": "nightly",
        "workflow_id": str(schedule.definition.workflow_id),
        "community_id": 1,
        "execution_id": str(execution.execution_id),
        "engine_execution_id": None,
        "trigger": "schedule",
        "scheduled_for": execution.scheduled_for.isoformat().replace("+00:00", "Z"),
        "status": "failed",
        "reason": None,
        "reason_detail": None,
        "error": "HTTP 400: no such report",
        "failures": 1,
        "notice_id": str(notice.execution_id),
        "attempt": 1,
    }


async def test_what_succeeds_and_what_is_tried_again_is_told_to_nobody(rig: Rig) -> None:
    worker = await rig.worker()
    async with Receiver() as ops:
        schedule = await rig.create(failure_target=target(ops.url), retry=RetryPolicy(max_retries=1))

        async def broken_once(_request: Received) -> web.StreamResponse:
            return web.Response(status=503 if len(rig.receiver.received) == 1 else 202)

        rig.receiver.behaviour = broken_once
        assert (await fire(rig, worker, schedule)).status is ExecutionStatus.RETRYING
        rig.clock.move(2)
        await told(rig, worker)
        assert (await rig.history(schedule))[0].status is ExecutionStatus.SUCCEEDED
        assert await notices(rig, schedule) == []
        assert ops.received == []


async def test_a_notice_is_no_run_of_its_schedule(rig: Rig) -> None:
    rig.receiver.behaviour = refuses
    worker = await rig.worker()
    async with Receiver() as ops:

        async def broken(_request: Received) -> web.StreamResponse:
            return web.Response(status=503)

        ops.behaviour = broken
        schedule = await rig.create(
            failure_target=target(ops.url),
            retry=RetryPolicy(max_retries=0),
            max_instances=1,
            overlap_policy=OverlapPolicy.SKIP,
        )
        await fire(rig, worker, schedule)
        (notice,) = await notices(rig, schedule)
        assert notice.status is ExecutionStatus.PENDING
        # It waits to be told, and is not in the way of the next occurrence.
        rig.receiver.behaviour = None
        rig.clock.move(60)
        await told(rig, worker)
        assert [one.status for one in await rig.history(schedule)] == [
            ExecutionStatus.FAILED,
            ExecutionStatus.SUCCEEDED,
        ]
        assert (await rig.schedules.get(CALLER, schedule.schedule_id)).execution_count == 2
        # Nobody is told of a notice that failed, and no list shows it that was not asked for it.
        (notice,) = await notices(rig, schedule)
        assert notice.status is ExecutionStatus.FAILED
        everything = await rig.executions.find(CALLER, ExecutionFilter(), limit=100, cursor=None)
        assert {one.trigger for one in everything.items} == {Trigger.SCHEDULE}


async def test_a_notice_is_tried_again_by_any_worker(rig: Rig) -> None:
    rig.receiver.behaviour = refuses
    async with Receiver() as ops:

        async def broken_once(_request: Received) -> web.StreamResponse:
            return web.Response(status=503 if len(ops.received) == 1 else 204)

        ops.behaviour = broken_once
        schedule = await rig.create(failure_target=target(ops.url), retry=RetryPolicy(max_retries=1))
        await fire(rig, await rig.worker(), schedule)
        await told(rig, await rig.worker())
        rig.clock.move(2)
        await told(rig, await rig.worker())
        assert [one.json["attempt"] for one in ops.received] == [1, 2]
        assert len(ops.deliveries()) == 1
    (notice,) = await notices(rig, schedule)
    assert notice.status is ExecutionStatus.SUCCEEDED


async def test_a_failure_target_is_filled_in_and_goes_its_own_way_with_a_410(rig: Rig) -> None:
    rig.receiver.behaviour = refuses

    async def gone(_request: Received) -> web.StreamResponse:
        return web.Response(status=410)

    async with Receiver() as ops:
        ops.behaviour = gone
        schedule = await rig.create(
            retry=ONCE,
            failure_target=target(
                ops.url + "/{{ execution_id }}?why={{ error }}",
                headers={"X-Key": "ops secret {{ report }}"},
                body={"text": "{{ event }}: {{ schedule_id }} ({{ report }})", "failures": "{{ failures }}"},
            ),
        )
        execution = await fire(rig, await rig.worker(), schedule)
        await told(rig, await rig.worker())
        (received,) = ops.received
    assert received.path == f"/{execution.execution_id}?why={quote('HTTP 400: no such report')}"
    assert received.headers["X-Key"] == "ops secret daily"
    assert received.json == {"text": f"execution.failed: {schedule.schedule_id} (daily)", "failures": 1}
    assert (await rig.schedules.get(CALLER, schedule.schedule_id)).status is ScheduleStatus.ACTIVE


async def test_a_report_of_failure_and_a_timeout_are_told_too(rig: Rig) -> None:
    worker = await rig.worker()
    async with Receiver() as ops:
        schedule = await rig.create(
            failure_target=target(ops.url), completion=Completion.CALLBACK, timeout_seconds=30, retry=ONCE
        )
        first = await fire(rig, worker, schedule)
        await rig.executions.complete(CALLER, first.execution_id, failed=True, result=None, error="no disk")
        # The same report again ends nothing, and tells nobody.
        await rig.executions.complete(CALLER, first.execution_id, failed=True, result=None, error="no disk")
        rig.clock.move(60)
        await told(rig, worker)
        rig.clock.move(31)
        await told(rig, worker)
        await told(rig, worker)
        said = [(one.json["event"], one.json["error"], one.json["engine_execution_id"]) for one in ops.received]
    assert said == [
        ("execution.failed", "no disk", "engine-1"),
        ("execution.timed_out", "no report of its end within timeout_seconds (30)", "engine-1"),
    ]


async def test_a_pause_by_a_410_is_told_and_so_is_the_failure(rig: Rig) -> None:
    async def gone(_request: Received) -> web.StreamResponse:
        return web.Response(status=410)

    rig.receiver.behaviour = gone
    worker = await rig.worker()
    async with Receiver() as ops:
        schedule = await rig.create(name="gone", failure_target=target(ops.url))
        execution = await fire(rig, worker, schedule)
        await told(rig, worker)
        said = {one.json["event"]: one.json for one in ops.received}
    assert set(said) == {"execution.failed", "schedule.paused"}
    paused = said["schedule.paused"]
    assert (paused["execution_id"], paused["schedule_name"]) == (str(execution.execution_id), "gone")
    assert "HTTP 410" in paused["reason_detail"]


async def test_a_run_by_hand_in_the_moment_of_a_pause_is_another_than_its_notice(rig: Rig) -> None:
    async def gone(_request: Received) -> web.StreamResponse:
        return web.Response(status=410)

    rig.receiver.behaviour = gone
    schedule = await rig.create(failure_target=target("http://127.0.0.1:1"))
    await fire(rig, await rig.worker(), schedule)
    paused = max(await notices(rig, schedule), key=lambda one: one.created_at)
    # Both are of the same millisecond, and both are the first of their kind.
    rig.clock.step_back((rig.clock.now() - paused.created_at).total_seconds())
    await rig.trigger(schedule)
    assert {one.trigger for one in await rig.history(schedule)} == {Trigger.SCHEDULE, Trigger.MANUAL}


async def test_a_dead_letter_that_fails_again_is_told_again(rig: Rig) -> None:
    rig.receiver.behaviour = refuses
    worker = await rig.worker()
    async with Receiver() as ops:
        schedule = await rig.create(failure_target=target(ops.url), retry=ONCE)
        execution = await fire(rig, worker, schedule)
        await told(rig, worker)
        answer = lambda _: Answer(202, {}, b"")  # noqa: E731
        await rig.executions.retry(CALLER, execution.execution_id, answer=answer, idempotency=None)
        await told(rig, worker)
        await told(rig, worker)
        assert [one.json["execution_id"] for one in ops.received] == [str(execution.execution_id)] * 2
        assert len(ops.deliveries()) == 2


async def test_a_notice_goes_where_the_execution_was_defined_to_tell(rig: Rig) -> None:
    rig.receiver.behaviour = refuses
    worker = await rig.worker()
    async with Receiver() as ops, Receiver() as others:
        schedule = await rig.create(failure_target=target(ops.url), retry=ONCE)
        await fire(rig, worker, schedule)

        def edit(current: Schedule) -> Definition:
            return replace(current.definition, failure_target=target(others.url))

        await rig.schedules.change(CALLER, schedule.schedule_id, edit, expected_revision=None)
        await rig.schedules.remove(CALLER, schedule.schedule_id)
        await told(rig, worker)
        assert (len(ops.received), len(others.received)) == (1, 0)


def cancellable(url: str, **fields: Any) -> Target:
    return target(f"{url}/run", cancel_url=url + "/cancel/{{ execution_id }}/{{ engine_execution_id }}", **fields)


@pytest.mark.parametrize("reported", [False, True])
async def test_a_target_is_told_that_its_run_was_cancelled(rig: Rig, reported: bool) -> None:
    worker = await rig.worker()
    own = cancellable(
        rig.receiver.url, headers={"X-Key": "secret of {{ coalesced_count }}.", "Content-Type": "a/b"}, body="x"
    )
    schedule = await rig.create(target=own, completion=Completion.CALLBACK)
    execution = await fire(rig, worker, schedule)
    assert execution.status is ExecutionStatus.RUNNING
    if reported:
        await rig.executions.complete(CALLER, execution.execution_id, failed=False, result=None, error=None)
        await told(rig, worker)
        assert len(rig.receiver.received) == 1
        return
    await rig.executions.cancel(CALLER, execution.execution_id, reason="not today")
    await rig.executions.cancel(CALLER, execution.execution_id, reason="again")
    await told(rig, worker)
    run, cancel = rig.receiver.received
    assert (run.path, run.headers["X-Key"]) == ("/run", "secret of 1.")
    assert (cancel.method, cancel.path) == ("POST", f"/cancel/{execution.execution_id}/engine-1")
    # What is asked of a delivery alone is empty here; the header is sent nevertheless, with the key in it.
    assert cancel.headers["X-Key"] == "secret of ."
    assert cancel.headers["Content-Type"] == "application/json"
    assert cancel.headers["webhook-id"] != run.headers["webhook-id"]
    assert cancel.json["event"] == "execution.cancelled"
    assert cancel.json["reason"] == "cancelled_by_caller"
    assert cancel.json["reason_detail"] == "by test: not today"


async def test_headers_are_sent_to_the_targets_own_host_alone(rig: Rig) -> None:
    worker = await rig.worker()
    async with Receiver() as elsewhere:
        own = target(rig.receiver.url, headers={"X-Key": "secret"}, cancel_url=f"{elsewhere.url}/cancel")
        schedule = await rig.create(target=own, completion=Completion.CALLBACK)
        execution = await fire(rig, worker, schedule)
        await rig.executions.cancel(CALLER, execution.execution_id, reason=None)
        await told(rig, worker)
        (cancel,) = elsewhere.received
    assert cancel.json["execution_id"] == str(execution.execution_id)
    assert "X-Key" not in cancel.headers


async def test_a_run_that_makes_way_is_told_so(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(
        target=cancellable(rig.receiver.url),
        completion=Completion.CALLBACK,
        max_instances=1,
        overlap_policy=OverlapPolicy.CANCEL_RUNNING,
    )
    first = await fire(rig, worker, schedule)
    rig.clock.move(60)
    await told(rig, worker)
    await told(rig, worker)
    paths = [one.path for one in rig.receiver.received]
    assert sorted(paths) == [f"/cancel/{first.execution_id}/engine-1", "/run", "/run"]
    await rig.trigger(schedule, overlap_policy=OverlapPolicy.CANCEL_RUNNING)
    await told(rig, worker)
    assert [one.path for one in rig.receiver.received].count("/run") == 3
    assert len([one for one in rig.receiver.received if one.path.startswith("/cancel/")]) == 2


async def test_what_was_never_sent_is_not_told(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create(target=cancellable(rig.receiver.url))
    await rig.trigger(schedule)
    (execution,) = await rig.history(schedule)
    await rig.executions.cancel(CALLER, execution.execution_id, reason=None)
    assert await notices(rig, schedule, Trigger.CANCEL) == []
    await look_again(rig, worker)
    assert rig.receiver.received == []


async def test_a_failure_and_its_notice_are_one_transaction(rig: Rig) -> None:
    rig.receiver.behaviour = refuses
    worker = await rig.worker()
    async with Receiver() as ops:
        schedule = await rig.create(failure_target=target(ops.url), retry=ONCE)
        # No notice can be recorded: then neither is the failure, and the attempt is not settled.
        await rig.execute("ALTER TABLE executions ADD CONSTRAINT none CHECK (trigger <> 'failure') NOT VALID")
        execution = await fire(rig, worker, schedule)
        assert execution.status is ExecutionStatus.PENDING
        await rig.execute("ALTER TABLE executions DROP CONSTRAINT none")
