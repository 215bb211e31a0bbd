"""Skipping exactly the next occurrence of a schedule, and thinking better of it.

Nothing is recorded yet when it is asked for: until the occurrence is due it can be undone. Whatever changes when the
schedule fires next (a pause, a new timing) undoes it too.
"""

from uuid import UUID

from app.core.audit import AuditAction
from app.core.errors import InvalidScheduleException, StateForbidsException
from app.core.firing import Waiting, first_waiting
from app.core.schedule import Schedule, ScheduleStatus, SkipNext
from app.service.changes import locked
from app.service.restarting import waiting_of
from app.service.transactions import Work
from app.store import revisions, skipping
from app.store.audit import Change


def waits_for(schedule: Schedule) -> Waiting | None:
    """What a schedule fires next: what it waits for, or where that is to be skipped what follows it.

    Null where there is nothing, or where it cannot be computed: its zone has vanished since.
    """
    if schedule.skip_next is None or schedule.next_execution_at is None:
        return waiting_of(schedule)
    try:
        return first_waiting(schedule.timing, schedule.schedule_id, schedule.next_execution_at)
    except InvalidScheduleException:
        return None


async def skip_next(work: Work, schedule_id: UUID, reason: str | None, expected_revision: int | None) -> Schedule:
    """Have the occurrence that a schedule waits for recorded as skipped when it is due; twice changes nothing.

    Raises what `locked` raises, and StateForbidsException where the schedule waits for none.
    """
    current = await locked(work, schedule_id, expected_revision)
    if current.status is not ScheduleStatus.ACTIVE:
        raise StateForbidsException(f"a {current.status} schedule has no next occurrence that could be skipped")
    if current.skip_next is not None:
        work.look_at(current)
        return current
    return await _write(work, AuditAction.SCHEDULE_SKIP_NEXT, current, SkipNext(work.user, reason, work.now()), reason)


async def undo(work: Work, schedule_id: UUID, expected_revision: int | None) -> Schedule:
    """Have the next occurrence fire after all.

    Raises what `locked` raises, and StateForbidsException where none is to be skipped: it may be recorded already.
    """
    current = await locked(work, schedule_id, expected_revision)
    if current.skip_next is None:
        raise StateForbidsException("no occurrence is to be skipped: the one that was may be recorded already")
    return await _write(work, AuditAction.SCHEDULE_SKIP_NEXT_UNDO, current, None, None)


async def _write(
    work: Work, action: AuditAction, current: Schedule, skip: SkipNext | None, reason: str | None
) -> Schedule:
    now = work.now()
    await revisions.keep(work.connection, work.community_id, [current.schedule_id], now=now)
    changed = await skipping.skip_next(work.connection, current, skip, at=now)
    work.look_at(changed)
    row = Change(
        schedule_id=current.schedule_id,
        before={"revision": current.revision, "skip_next": current.skip_next},
        after={"revision": changed.revision, "skip_next": skip, "scheduled_for": current.next_execution_at},
    )
    await work.audit(action, row, reason=reason, at=now)
    return changed
