"""Schedules whose targets are gone are paused, and nothing that is to be settled waits for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from aiohttp import web

from app.core.execution import ExecutionStatus
from app.core.schedule import Schedule, ScheduleStatus
from app.core.tasks import end
from app.workers.loop import Worker
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.stages import delivering, look_again, settled, turn
from tests.receiver import Received


async def _gone(_request: Received) -> web.StreamResponse:
    return web.Response(status=410)


async def _told(rig: Rig, worker: Worker, *schedules: Schedule) -> None:
    """These are due, and their targets say that they are gone; that is settled, and nothing paused yet."""
    rig.receiver.behaviour = _gone
    rig.clock.move_to(max(next_of(one)[0] for one in schedules))
    assert len((await look_again(rig, worker)).assignments) == len(schedules)
    sending = asyncio.create_task(worker.deliverer.run_forever())
    async with asyncio.timeout(20):
        while len(worker.settler._waiting) < len(schedules):
            await turn()
        assert await worker.settler.run_once() == len(schedules)
    await end(sending)


async def _statuses(rig: Rig, schedules: Sequence[Schedule]) -> list[ScheduleStatus]:
    return [(await rig.schedules.get(CALLER, one.schedule_id)).status for one in schedules]


@asynccontextmanager
async def _locked(rig: Rig, schedule: Schedule) -> AsyncIterator[None]:
    """While another transaction holds the schedule's row."""
    async with rig.database.transaction() as connection:
        await connection.execute(
            "SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR UPDATE", schedule.schedule_id
        )
        yield


@pytest.mark.fault("18")
async def test_a_pause_that_waits_for_a_lock_holds_no_outcome_up(rig: Rig) -> None:
    worker = await rig.worker()
    gone = await rig.create()
    await _told(rig, worker, gone)
    rig.receiver.behaviour = None
    other = await rig.create(max_executions=1)
    async with delivering(worker):
        async with _locked(rig, gone):
            rig.clock.move_to(next_of(other)[0])
            look = await look_again(rig, worker)
            ids = [one.execution_id for one in look.assignments if one.schedule_id == other.schedule_id]
            async with asyncio.timeout(20):
                while any(worker.deliverer.knows(one) for one in ids):
                    rig.clock.move(0.001)
                    await turn()
            (told,) = await rig.history(other)
            assert told.status is ExecutionStatus.SUCCEEDED
            assert worker.pausing.busy
            assert await _statuses(rig, [gone]) == [ScheduleStatus.ACTIVE]
        await settled(rig, worker)
    assert await _statuses(rig, [gone]) == [ScheduleStatus.PAUSED]


@pytest.mark.fault("18")
async def test_a_pause_that_fails_keeps_no_other_from_being_paused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await rig.worker()
    pause = worker.pausing._service.pause_gone
    failed: list[Any] = []

    async def fails_once(*asked: Any, **how: Any) -> bool:
        if not failed:
            failed.append(asked[1])
            raise LookupError("its zone is not known any more")
        return await pause(*asked, **how)

    monkeypatch.setattr(worker.pausing._service, "pause_gone", fails_once)
    schedules = [await rig.create(), await rig.create()]
    await _told(rig, worker, *schedules)
    await worker.pausing.run_once()
    assert sorted(await _statuses(rig, schedules)) == [ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED]
    assert not worker.pausing.busy


@pytest.mark.fault("18")
async def test_one_that_is_locked_for_long_is_left_and_the_others_are_paused(rig: Rig) -> None:
    worker = await rig.worker()
    schedules = [await rig.create() for _ in range(3)]
    await _told(rig, worker, *schedules)
    locked = next(iter(worker.pausing._waiting))
    async with _locked(rig, next(one for one in schedules if one.schedule_id == locked)):
        while worker.pausing.busy:
            await worker.pausing.run_once()
    assert sorted(await _statuses(rig, schedules)) == [ScheduleStatus.ACTIVE, *2 * [ScheduleStatus.PAUSED]]


async def test_what_was_cancelled_before_its_target_said_that_it_is_gone_pauses_nothing(rig: Rig) -> None:
    rig.receiver.behaviour = _gone
    worker = await rig.worker()
    schedule = await rig.create()
    rig.clock.move_to(next_of(schedule)[0])
    (assignment,) = (await look_again(rig, worker)).assignments
    delivered = await worker.deliverer.senders.sender.send(assignment)
    await rig.executions.cancel(CALLER, assignment.execution_id, reason=None)
    worker.settler.add(delivered)
    assert await worker.settler.run_once() == 0
    assert not worker.pausing.busy
    await worker.pausing.run_once()
    assert await _statuses(rig, [schedule]) == [ScheduleStatus.ACTIVE]


async def test_of_what_a_schedule_was_told_the_newest_revision_counts(rig: Rig) -> None:
    worker = await rig.worker()
    schedule = await rig.create()
    await _told(rig, worker, schedule)
    older = dict(worker.pausing._waiting)
    await rig.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    await _told(rig, worker, await rig.schedules.resume(CALLER, schedule.schedule_id, reason=None))
    ((_, newer),) = worker.pausing._waiting.items()
    assert newer.assignment.revision == older[schedule.schedule_id].assignment.revision + 2
    await worker.pausing.run_once()
    assert await _statuses(rig, [schedule]) == [ScheduleStatus.PAUSED]


async def test_more_than_a_thousand_that_wait_are_left_to_their_next_occurrence(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.workers.pausing._WAIT_AT_MOST", 2)
    worker = await rig.worker()
    with structlog.testing.capture_logs() as logged:
        schedules = [await rig.create() for _ in range(3)]
        await _told(rig, worker, *schedules)
    assert [line["event"] for line in logged if line["event"] == "pause_left"] == ["pause_left"]
    await worker.pausing.run_once()
    assert sorted(await _statuses(rig, schedules)) == [
        ScheduleStatus.ACTIVE,
        ScheduleStatus.PAUSED,
        ScheduleStatus.PAUSED,
    ]


async def test_one_that_fires_no_more_costs_no_transaction(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await rig.worker()
    asked: list[Any] = []

    async def noted(*_asked: Any, **how: Any) -> bool:
        asked.append(how["revision"])
        return True

    monkeypatch.setattr(worker.pausing._service, "pause_gone", noted)
    await _told(rig, worker, await rig.create(max_executions=1), await rig.create())
    await worker.pausing.run_once()
    assert len(asked) == 1
