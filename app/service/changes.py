"""Changes of one stored schedule: replace, pause, resume, remove.

Each locks the row before it reads what it computes from, keeps the superseded definition, and never writes
`execution_count`. Pause, removal and a change of timing first record what has passed and has no record, so that no
instant vanishes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.audit import AuditAction
from app.core.errors import ScheduleNotFoundException, StaleRevisionException
from app.core.execution import Reason
from app.core.notices import of_pause
from app.core.occurrences import BusinessDays, never_occurs
from app.core.schedule import Definition, Schedule, ScheduleStatus
from app.service import lifecycle
from app.service.days import shared_calendars
from app.service.definitions import check_instant, same, to_milliseconds
from app.service.lifecycle import change_of, started
from app.service.restarting import begin, end_on_days_off, limit_reached, record_superseded, take_back, waiting_of
from app.service.transactions import Work
from app.store import calendar_uses, notices, revisions, schedules
from app.store.refusals import json_text
from app.store.schedules import Life


@dataclass(frozen=True, slots=True)
class Changed:
    """A schedule as its definition was written, and its revision before; 0 where it is a new one."""

    schedule: Schedule
    revision_before: int

    @property
    def created(self) -> bool:
        """Whether there was none before."""
        return self.revision_before == 0


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
) -> Changed:
    """Give a schedule the definition that `edit` makes of it. See `redefine`.

    Raises what `locked`, `edit` and `redefine` raise.
    """
    current = await locked(work, schedule_id, expected_revision)
    changed = await redefine(work, current, edit(current))
    work.look_at(changed)
    return Changed(changed, current.revision)


async def redefine(work: Work, current: Schedule, asked: Definition) -> Schedule:
    """Give a locked schedule another definition; putting it into the wheel is the caller's.

    A definition that is equal to the stored one changes nothing, not even the revision. A paused schedule stays
    paused, whatever changes.

    Raises InvalidScheduleException for an instant in the past, for an expression that never occurs and for a calendar
    that there is not, NameTakenException.
    """
    definition = to_milliseconds(asked)
    if same(current.definition, definition):
        return current
    calendars = await shared_calendars(work, [definition.calendars])
    days = calendars.days(definition.calendars)
    timing, now = definition.timing(current.created_at, days), work.now()
    new_instant = definition.scheduled_time != current.definition.scheduled_time
    if new_instant or definition.calendars != current.definition.calendars:
        check_instant(timing, now, new=new_instant)
    if _named(definition) != _named(current.definition) and (never := never_occurs(timing, now)) is not None:
        raise never
    life = await _life_after_change(work, current, definition, days, now)
    await revisions.keep(work.connection, work.community_id, [current.schedule_id], now=now)
    changed = await schedules.replace(work.connection, current, definition, days, life)
    if definition.calendars is not None or current.definition.calendars is not None:
        await calendar_uses.replace(work.connection, current.schedule_id, calendars.named(definition.calendars))
    await work.audit(AuditAction.SCHEDULE_UPDATE, change_of(current, changed), at=now)
    return changed


def _named(definition: Definition) -> tuple[object, ...]:
    """What decides whether an expression occurs at all."""
    return definition.cron_expression, definition.timezone, definition.dst_policy


async def pause(work: Work, schedule_id: UUID, reason: str | None, expected_revision: int | None = None) -> Schedule:
    """Stop recording occurrences until `resume`; a paused one stays as it is.

    Raises what `locked` raises, and StateForbidsException for a completed or failed one.
    """
    current = await locked(work, schedule_id, expected_revision)
    if not lifecycle.can_be_paused(current):
        return current
    life = await lifecycle.paused(work, current, reason, work.now())
    (moved,) = await lifecycle.move(work, AuditAction.SCHEDULE_PAUSE, [(current, life)], reason)
    return moved


async def pause_gone(work: Work, schedule_id: UUID, revision: int, execution_id: UUID, reason: str) -> bool:
    """Pause a schedule whose target said, to this execution, that it is gone, and tell its `failure_target`.

    False where it was changed meanwhile, or fires no more. Only the revision that got the answer is to blame: a caller
    may have repaired the schedule since.
    """
    try:
        current = await locked(work, schedule_id)
    except ScheduleNotFoundException:
        return False
    if current.status is not ScheduleStatus.ACTIVE or current.revision != revision:
        return False
    await pause(work, schedule_id, reason)
    if current.definition.failure_target is not None:
        context_json = json_text("context_data", current.definition.context_data)
        notice = of_pause(current, context_json, execution_id, reason, work.now())
        work.wake(await notices.record(work.connection, [notice]))
    return True


async def resume(work: Work, schedule_id: UUID, reason: str | None, expected_revision: int | None) -> Schedule:
    """Let a paused schedule go on from now, or compute a failed one anew; an active one stays as it is.

    A one-time whose instant passed meanwhile is recorded as one `skipped` and completed. One that days off leave
    nothing of is completed too, and says so in its `status_reason`.

    Raises what `locked` raises, and StateForbidsException for a completed one and one that still cannot be computed.
    """
    current = await locked(work, schedule_id, expected_revision)
    if not lifecycle.can_be_resumed(current):
        work.look_at(current)
        return current
    life = await lifecycle.resumed(work, current, work.now())
    (moved,) = await lifecycle.move(work, AuditAction.SCHEDULE_RESUME, [(current, life)], reason)
    return moved


async def remove(work: Work, schedule_id: UUID, expected_revision: int | None) -> None:
    """Remove a schedule; its executions stay readable. See `lifecycle.remove`.

    Raises ScheduleNotFoundException, StaleRevisionException.
    """
    current = await locked(work, schedule_id, expected_revision)
    await lifecycle.remove(work, [current], None, work.now())


async def _life_after_change(
    work: Work, current: Schedule, definition: Definition, days: BusinessDays | None, now: datetime
) -> Life:
    status, searched_to = current.status, current.searched_to
    timing = definition.timing(current.created_at, days)
    retimed = not current.keeps_timing(definition, days)
    ended = limit_reached(current, definition)
    if status is ScheduleStatus.PAUSED:
        if retimed:
            _, searched_to = await begin(work, current, timing, searched_to, now, passed=Reason.PAUSED, late=False)
        return Life(status, current.status_reason, None, searched_to, now)
    if status is ScheduleStatus.FAILED and not retimed:
        return Life(status, current.status_reason, None, searched_to, now)
    if status is ScheduleStatus.ACTIVE:
        if not retimed and not ended:
            # What waits is recorded under the new revision.
            return Life(status, current.status_reason, waiting_of(current), searched_to, now)
        searched_to = await record_superseded(work, current, Reason.REPLACED, now)
    searched_to = max(searched_to, await take_back(work, current, now))
    if ended:
        return started(None, max(now, searched_to) if retimed else searched_to, now)
    waiting, searched_to = await begin(work, current, timing, searched_to, now, passed=Reason.REPLACED, late=True)
    because = None if waiting is not None else await end_on_days_off(work.connection, current, timing, searched_to, now)
    return started(waiting, searched_to, now, because)
