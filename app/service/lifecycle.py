"""What a pause, a resume and a removal make of schedules whose rows are locked: of one, or of many at once.

Pause and removal first record what has passed and has no record, so that no instant vanishes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.core.audit import AuditAction
from app.core.clock import in_turns
from app.core.errors import InvalidScheduleException, StateForbidsException
from app.core.execution import Reason
from app.core.firing import Waiting
from app.core.schedule import Schedule, ScheduleStatus
from app.service.restarting import begin, end_on_days_off, limit_reached, record_superseded
from app.service.transactions import Work
from app.store import calendar_uses, ending, revisions, schedules
from app.store.audit import Change
from app.store.schedules import Life


def can_be_paused(current: Schedule) -> bool:
    """False for one that is paused already. Raises StateForbidsException for a completed or failed one."""
    if current.status is ScheduleStatus.PAUSED:
        return False
    if current.status is not ScheduleStatus.ACTIVE:
        raise StateForbidsException(f"a {current.status} schedule cannot be paused")
    return True


def can_be_resumed(current: Schedule) -> bool:
    """False for one that is active already. Raises StateForbidsException for a completed one."""
    if current.status is ScheduleStatus.COMPLETED:
        raise StateForbidsException("a completed schedule cannot be resumed: change it so that a run is left")
    return current.status is not ScheduleStatus.ACTIVE


async def paused(work: Work, current: Schedule, reason: str | None, now: datetime) -> Life:
    """How an active schedule goes on that is paused now; what has passed is recorded."""
    searched_to = await record_superseded(work, current, Reason.PAUSED, now)
    return Life(ScheduleStatus.PAUSED, reason, None, searched_to, now)


async def resumed(work: Work, current: Schedule, now: datetime) -> Life:
    """How a paused or failed schedule goes on that is resumed now.

    Raises StateForbidsException where it still cannot be computed; nothing is recorded then.
    """
    because: str | None = None
    timing, waiting, searched_to = current.timing, None, current.searched_to
    if not limit_reached(current, current.definition):
        try:
            waiting, searched_to = await begin(
                work, current, timing, searched_to, now, passed=Reason.PAUSED, late=False
            )
            if waiting is None:
                because = await end_on_days_off(work.connection, current, timing, searched_to, now)
        except InvalidScheduleException as refused:
            raise StateForbidsException(f"the schedule cannot be computed: {refused.detail}") from refused
    return started(waiting, searched_to, now, because)


async def move(
    work: Work, action: AuditAction, lives: Sequence[tuple[Schedule, Life]], reason: str | None
) -> Sequence[Schedule]:
    """Write how schedules go on, at least one and all since one instant, with the audit of the action."""
    at = lives[0][1].at
    await revisions.keep(work.connection, work.community_id, [current.schedule_id for current, _ in lives], now=at)
    moved = await schedules.move(work.connection, work.community_id, lives)
    for after in moved:
        work.look_at(after)
    changes = [change_of(before, after) for (before, _), after in zip(lives, moved, strict=True)]
    await work.audit(action, *changes, reason=reason, at=at)
    return moved


async def remove(work: Work, removed: Sequence[Schedule], reason: str | None, now: datetime) -> None:
    """Remove schedules, at least one; their executions stay readable.

    Queued and retrying executions are cancelled. A pending one is not, also where nobody has taken it yet: it was
    recorded, and a manual one acknowledged, before the removal, and what was recorded is delivered as it was defined
    then. So "trigger, then remove" runs.
    """
    connection, ids = work.connection, [current.schedule_id for current in removed]
    async for current in in_turns(removed):
        await record_superseded(work, current, Reason.REMOVED, now)
    await revisions.keep(connection, work.community_id, ids, now=now)
    # Of all of them at once: executions are locked in the order of their ids, whosesoever they are.
    await ending.cancel_waiting(connection, work.community_id, ids, Reason.REMOVED, now=now)
    await schedules.remove(connection, work.community_id, ids)
    keeping = [current.schedule_id for current in removed if current.definition.calendars is not None]
    if keeping:
        await calendar_uses.drop(connection, keeping)
    changes = [Change(schedule_id=current.schedule_id, before=_shown(current)) for current in removed]
    await work.audit(AuditAction.SCHEDULE_REMOVE, *changes, reason=reason, at=now)


def started(waiting: Waiting | None, searched_to: datetime, now: datetime, because: str | None = None) -> Life:
    """Active, or completed where nothing is left, `because` of something that a caller should know."""
    status = ScheduleStatus.COMPLETED if waiting is None else ScheduleStatus.ACTIVE
    return Life(status, because, waiting, searched_to, now)


def change_of(before: Schedule, after: Schedule) -> Change:
    """What the audit says of a schedule that was changed."""
    return Change(schedule_id=before.schedule_id, before=_shown(before), after=_shown(after))


def _shown(schedule: Schedule) -> dict[str, Any]:
    return {
        "revision": schedule.revision,
        "status": schedule.status,
        "status_reason": schedule.status_reason,
        "next_execution_at": schedule.next_execution_at,
        "definition": schedule.definition,
    }
