"""Changes of a stored schedule: replace, pause, resume, remove.

Each locks the row before it reads what it computes from, keeps the superseded definition, and never writes
`execution_count`. Pause, removal and a change of timing first record what has passed and has no record, so that no
instant vanishes.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.errors import (
    InvalidScheduleException,
    ScheduleNotFoundException,
    StaleRevisionException,
    StateForbidsException,
)
from app.core.execution import ExecutionStatus, Reason, Trigger
from app.core.firing import Recording, Waiting, first_waiting, superseded
from app.core.ids import execution_id
from app.core.occurrences import due_at
from app.core.schedule import Definition, Schedule, ScheduleStatus
from app.service.definitions import LATE_ACCEPTANCE, check_instant, same, to_milliseconds
from app.service.transactions import Work
from app.store import executions, revisions, schedules
from app.store.audit import Change
from app.store.executions import CallerRecord
from app.store.schedules import Life

_MILLISECOND = timedelta(milliseconds=1)


async def locked(work: Work, schedule_id: UUID, expected_revision: int | None = None) -> Schedule:
    """The schedule, locked until the transaction ends.

    Raises ScheduleNotFoundException, and StaleRevisionException when it is not at the expected revision.
    """
    schedule = await schedules.lock(work.connection, work.community_id, schedule_id)
    if schedule is None:
        raise not_found(schedule_id)
    if expected_revision is not None and schedule.revision != expected_revision:
        raise StaleRevisionException(f"the schedule is at revision {schedule.revision}, not {expected_revision}")
    return schedule


def not_found(schedule_id: UUID) -> ScheduleNotFoundException:
    """Unknown, removed, or another community's: the three cannot be told apart."""
    return ScheduleNotFoundException(f"schedule {schedule_id} does not exist")


async def change(
    work: Work, schedule_id: UUID, edit: Callable[[Schedule], Definition], expected_revision: int | None
) -> Schedule:
    """Give a schedule the definition that `edit` makes of it.

    A definition that is equal to the stored one changes nothing, not even the revision. A paused schedule stays
    paused, whatever changes.

    Raises what `locked` and `edit` raise, InvalidScheduleException for an instant in the past, NameTakenException.
    """
    current = await locked(work, schedule_id, expected_revision)
    definition = to_milliseconds(edit(current))
    if same(current.definition, definition):
        work.look_at(current)
        return current
    now = work.now()
    check_instant(definition, now, before=current.definition)
    life = await _life_after_change(work, current, definition, now)
    await revisions.keep(work.connection, current, now=now)
    changed = await schedules.replace(work.connection, current, definition, life)
    work.look_at(changed)
    await _audit(work, "schedule_update", current, changed, reason=None, at=now)
    return changed


async def pause(work: Work, schedule_id: UUID, reason: str | None) -> Schedule:
    """Stop recording occurrences until `resume`; a paused one stays as it is.

    Raises ScheduleNotFoundException, and StateForbidsException for a completed or failed one.
    """
    current = await locked(work, schedule_id)
    if current.status is ScheduleStatus.PAUSED:
        return current
    if current.status is not ScheduleStatus.ACTIVE:
        raise StateForbidsException(f"a {current.status} schedule cannot be paused")
    now = work.now()
    searched_to = await _record_superseded(work, current, Reason.PAUSED, now)
    life = Life(ScheduleStatus.PAUSED, reason, None, searched_to, now)
    return await _move(work, "schedule_pause", current, life, reason)


async def pause_gone(work: Work, schedule_id: UUID, revision: int, reason: str) -> bool:
    """Pause a schedule whose target said that it is gone; false where it was changed meanwhile, or fires no more.

    Only the revision that got the answer is to blame: a caller may have repaired the schedule since.
    """
    try:
        current = await locked(work, schedule_id)
    except ScheduleNotFoundException:
        return False
    if current.status is not ScheduleStatus.ACTIVE or current.revision != revision:
        return False
    await pause(work, schedule_id, reason)
    return True


async def resume(work: Work, schedule_id: UUID, reason: str | None) -> Schedule:
    """Let a paused schedule go on from now, or compute a failed one anew; an active one stays as it is.

    A one-time whose instant passed meanwhile is recorded as one `skipped` and completed.

    Raises ScheduleNotFoundException, and StateForbidsException for a completed one and for one that still cannot be
    computed.
    """
    current = await locked(work, schedule_id)
    if current.status is ScheduleStatus.ACTIVE:
        work.look_at(current)
        return current
    if current.status is ScheduleStatus.COMPLETED:
        raise StateForbidsException("a completed schedule cannot be resumed: change it so that a run is left")
    now = work.now()
    waiting, searched_to = None, current.searched_to
    if not _limit_reached(current, current.definition):
        try:
            waiting, searched_to = await _begin(
                work, current, current.definition, current.searched_to, now, passed=Reason.PAUSED, late=False
            )
        except InvalidScheduleException as refused:
            raise StateForbidsException(f"the schedule cannot be computed: {refused.detail}") from refused
    return await _move(work, "schedule_resume", current, _started(waiting, searched_to, now), reason)


async def remove(work: Work, schedule_id: UUID, expected_revision: int | None) -> None:
    """Remove a schedule; its executions stay readable.

    Queued and retrying executions are cancelled. A pending one is not, also where nobody has taken it yet: it was
    recorded, and a manual one acknowledged, before the removal, and what was recorded is delivered as it was defined
    then. So "trigger, then remove" runs.

    Raises ScheduleNotFoundException, StaleRevisionException.
    """
    current = await locked(work, schedule_id, expected_revision)
    now = work.now()
    await _record_superseded(work, current, Reason.REMOVED, now)
    await revisions.keep(work.connection, current, now=now)
    await executions.cancel_waiting(work.connection, current.community_id, current.schedule_id, Reason.REMOVED, now=now)
    await schedules.remove(work.connection, current)
    await work.audit("schedule_remove", Change(schedule_id=schedule_id, before=_shown(current)), at=now)


async def _life_after_change(work: Work, current: Schedule, definition: Definition, now: datetime) -> Life:
    status, searched_to = current.status, current.searched_to
    retimed = not current.definition.same_timing(definition)
    ended = _limit_reached(current, definition)
    if status is ScheduleStatus.PAUSED:
        if retimed:
            _, searched_to = await _begin(work, current, definition, searched_to, now, passed=Reason.PAUSED, late=False)
        return Life(status, current.status_reason, None, searched_to, now)
    if status is ScheduleStatus.FAILED and not retimed:
        return Life(status, current.status_reason, None, searched_to, now)
    if status is ScheduleStatus.ACTIVE:
        if not retimed and not ended:
            # What waits is recorded under the new revision.
            return Life(status, current.status_reason, _waiting(current), searched_to, now)
        searched_to = await _record_superseded(work, current, Reason.REPLACED, now)
    if ended:
        return _started(None, max(now, searched_to) if retimed else searched_to, now)
    waiting, searched_to = await _begin(work, current, definition, searched_to, now, passed=Reason.REPLACED, late=True)
    return _started(waiting, searched_to, now)


async def _begin(
    work: Work,
    schedule: Schedule,
    definition: Definition,
    searched_to: datetime,
    now: datetime,
    *,
    passed: Reason,
    late: bool,
) -> tuple[Waiting | None, datetime]:
    """What a schedule waits for that (re)starts now, and how far its timing is consumed then.

    The search starts strictly after `searched_to`, also where that lies ahead of now: what was recorded ahead is not
    found again. A one-time's instant is not searched for: it is due at once where it lies at most a minute past and
    `late` allows it, and is else recorded as skipped, with the reason `passed`.
    """
    timing = definition.timing(schedule.created_at)
    start = max(now, searched_to)
    instant = definition.scheduled_time
    if instant is None or instant > start:
        return first_waiting(timing, schedule.schedule_id, start), start
    if instant <= searched_to and await _recorded(work, schedule, instant, now):
        return None, start
    if instant > now:
        return Waiting(instant, due_at(timing, schedule.schedule_id, instant)), start
    if late and instant >= now - LATE_ACCEPTANCE:
        return Waiting(instant, now), max(searched_to, instant - _MILLISECOND)
    await _record(work, schedule, Recording(instant, instant, None, 1, ExecutionStatus.SKIPPED, passed), now)
    return None, start


async def _recorded(work: Work, schedule: Schedule, instant: datetime, now: datetime) -> bool:
    """Whether a one-time's instant that the schedule's timing has been consumed past has its record.

    It has, unless a recurring schedule was just turned into a one-time for an instant that was not among its own.
    Long ago the record itself may have expired, so only what could be accepted at all is looked up.
    """
    if instant < now - LATE_ACCEPTANCE:
        return True
    own = execution_id(schedule.schedule_id, instant, instant)
    return await executions.exists(work.connection, work.community_id, own)


async def _record_superseded(work: Work, schedule: Schedule, reason: Reason, now: datetime) -> datetime:
    """Record what has passed and has no record; answers how far the timing is consumed then."""
    waiting = _waiting(schedule)
    try:
        recording = superseded(schedule.timing, schedule.schedule_id, waiting, now, reason)
    except InvalidScheduleException:
        # Its zone vanished: it can be paused and removed nevertheless, and what it waited for is known.
        if waiting is None or waiting.occurrence > now:
            return schedule.searched_to
        recording = Recording(waiting.occurrence, waiting.due_at, None, 1, ExecutionStatus.SKIPPED, reason)
    if recording is None:
        return schedule.searched_to
    await _record(work, schedule, recording, now)
    return max(schedule.searched_to, recording.scheduled_for)


async def _record(work: Work, schedule: Schedule, recording: Recording, now: datetime) -> None:
    await executions.insert(
        work.connection,
        CallerRecord(
            execution_id=execution_id(schedule.schedule_id, recording.scheduled_for, recording.scheduled_for),
            recorded_for=recording.scheduled_for,
            schedule=schedule,
            trigger=Trigger.SCHEDULE,
            trigger_key=0,
            scheduled_for=recording.scheduled_for,
            due_at=recording.due_at,
            covers_from=recording.covers_from,
            coalesced_count=recording.coalesced_count,
            status=recording.status,
            reason=recording.reason,
            context_override=None,
            wake_at=None,
            created_at=now,
            finished_at=now,
        ),
    )


async def _move(work: Work, action: str, current: Schedule, life: Life, reason: str | None) -> Schedule:
    await revisions.keep(work.connection, current, now=life.at)
    moved = await schedules.move(work.connection, current, life)
    work.look_at(moved)
    await _audit(work, action, current, moved, reason=reason, at=life.at)
    return moved


async def _audit(
    work: Work, action: str, before: Schedule, after: Schedule, *, reason: str | None, at: datetime
) -> None:
    row = Change(schedule_id=before.schedule_id, before=_shown(before), after=_shown(after))
    await work.audit(action, row, reason=reason, at=at)


def _shown(schedule: Schedule) -> dict[str, Any]:
    return {
        "revision": schedule.revision,
        "status": schedule.status,
        "status_reason": schedule.status_reason,
        "next_execution_at": schedule.next_execution_at,
        "definition": schedule.definition,
    }


def _started(waiting: Waiting | None, searched_to: datetime, now: datetime) -> Life:
    status = ScheduleStatus.COMPLETED if waiting is None else ScheduleStatus.ACTIVE
    return Life(status, None, waiting, searched_to, now)


def _waiting(schedule: Schedule) -> Waiting | None:
    if schedule.next_execution_at is None or schedule.next_due_at is None:
        return None
    return Waiting(schedule.next_execution_at, schedule.next_due_at)


def _limit_reached(schedule: Schedule, definition: Definition) -> bool:
    return definition.max_executions is not None and schedule.execution_count >= definition.max_executions
