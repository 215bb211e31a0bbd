"""Runs beside a schedule's timing: recorded by the caller's request, taken by any worker with room."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.errors import InvalidScheduleException
from app.core.execution import Execution, ExecutionStatus, Reason, Trigger
from app.core.ids import execution_id
from app.core.schedule import OverlapPolicy
from app.service.changes import locked
from app.service.transactions import Work
from app.store import executions, schedules
from app.store.audit import Change
from app.store.executions import CallerRecord
from app.store.firing import count_unfinished
from app.store.refusals import json_text

_OFFERED = (OverlapPolicy.SKIP, OverlapPolicy.ALLOW)


async def trigger(
    work: Work,
    schedule_id: UUID,
    context_override: Mapping[str, Any] | None,
    overlap_policy: OverlapPolicy | None,
) -> Execution:
    """Run a schedule once, now, whatever its status; neither its timing nor its revision changes.

    The run keeps what it was asked with (revision, override, the schedule's last and next occurrence), so that its
    body is the same at every attempt. Overlap counts only where the caller names a policy: with `skip` the run is
    recorded as `skipped` while `max_instances` are unfinished.

    Raises ScheduleNotFoundException, InvalidScheduleException for a policy that is not offered.
    """
    if overlap_policy is not None and overlap_policy not in _OFFERED:
        raise InvalidScheduleException.of(
            "overlap_policy", f"overlap_policy '{overlap_policy}': a manual run takes 'skip' or 'allow' in this release"
        )
    schedule = await locked(work, schedule_id)
    trigger_key = await schedules.count_trigger(work.connection, schedule)
    now = work.now()
    skipped = False
    if overlap_policy is OverlapPolicy.SKIP:
        # After the lock and in a statement of its own: only so does it see what others have recorded under the lock.
        unfinished = await count_unfinished(work.connection, [schedule_id])
        skipped = unfinished.get(schedule_id, 0) >= schedule.definition.max_instances
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
            status=ExecutionStatus.SKIPPED if skipped else ExecutionStatus.PENDING,
            reason=Reason.OVERLAP if skipped else None,
            context_override=None if context_override is None else json_text("context_data", context_override),
            wake_at=None if skipped else now,
            created_at=now,
            finished_at=now if skipped else None,
        ),
    )
    assert execution is not None, "its trigger key is new"
    work.look_at(execution)
    after = {"status": execution.status, "overridden": context_override is not None}
    row = Change(schedule_id=schedule_id, execution_id=execution.execution_id, after=after)
    await work.audit("schedule_triggered", row, at=now)
    return execution
