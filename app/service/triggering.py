"""Runs beside a schedule's timing: recorded by the caller's request, taken by any worker with room."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.audit import AuditAction
from app.core.execution import Execution, ExecutionStatus, Trigger
from app.core.firing import NOTHING_STANDS, Overlap, Recording
from app.core.ids import execution_id
from app.core.schedule import OverlapPolicy, Schedule
from app.service.changes import locked
from app.service.transactions import Work
from app.store import executions, notices, queueing, schedules
from app.store.audit import Change
from app.store.executions import CallerRecord
from app.store.firing import count_standing
from app.store.queueing import HEAD_LOOKS_AFTER, Group
from app.store.refusals import json_text


async def trigger(
    work: Work,
    schedule_id: UUID,
    context_override: Mapping[str, Any] | None,
    overlap_policy: OverlapPolicy | None,
    check: Callable[[Schedule], None],
) -> Execution:
    """Run a schedule once, now, whatever its status; neither its timing nor its revision changes.

    The run keeps what it was asked with (revision, override, the schedule's last and next occurrence), so that its
    body is the same at every attempt. Overlap counts only where the caller names a policy; the run then is treated as
    an occurrence would be. `check` refuses, by what it raises, a run that this schedule's target cannot be sent.

    Raises ScheduleNotFoundException.
    """
    schedule = await locked(work, schedule_id)
    check(schedule)
    trigger_key = await schedules.count_trigger(work.connection, schedule)
    now = work.now()
    standing = NOTHING_STANDS
    if overlap_policy is not None:
        # After the lock and in a statement of its own: only so does it see what others have recorded under the lock.
        standing = (await count_standing(work.connection, [schedule_id])).get(schedule_id, NOTHING_STANDS)
    overlap = Overlap(overlap_policy or OverlapPolicy.ALLOW, schedule.definition.max_instances, standing)
    overlap.place(Recording(now, now, None, 1, ExecutionStatus.PENDING, None))
    (run,) = overlap.recordings
    if overlap.older_kept is not None:
        cancelled = await queueing.make_way(work.connection, {schedule_id: overlap.older_kept}, now=now)
        work.wake(await notices.tell_of(work.connection, cancelled, now=now))
    execution = await executions.insert(
        work.connection,
        CallerRecord(
            execution_id=execution_id(schedule_id, now, now, trigger_key),
            recorded_for=now,
            schedule=schedule,
            trigger=Trigger.MANUAL,
            trigger_key=trigger_key,
            scheduled_for=now,
            due_at=now,
            covers_from=None,
            coalesced_count=1,
            status=run.status,
            reason=run.reason,
            reason_detail=None,
            context_override=None if context_override is None else json_text("context_data", context_override),
            wake_at=_wake_at(run, now),
            created_at=now,
            finished_at=None if run.fires else now,
        ),
    )
    assert execution is not None, "its trigger key is new"
    work.look_at(execution)
    if run.status is ExecutionStatus.QUEUED:
        await _await_room(work, schedule, now)
    after = {"status": execution.status, "overridden": context_override is not None}
    row = Change(schedule_id=schedule_id, execution_id=execution.execution_id, after=after)
    await work.audit(AuditAction.SCHEDULE_TRIGGERED, row, at=now)
    return execution


def _wake_at(run: Recording, now: datetime) -> datetime | None:
    if not run.fires:
        return None
    return now if run.delivers else now + HEAD_LOOKS_AFTER


async def _await_room(work: Work, schedule: Schedule, now: datetime) -> None:
    """Mark what the queued run waits for; where that has ended meanwhile, there is room already."""
    group = Group(schedule.schedule_id, None)
    standing = await queueing.await_room(work.connection, [group])
    if standing[group] < schedule.definition.max_instances:
        work.wake(await queueing.wake_oldest(work.connection, [group], now=now))
