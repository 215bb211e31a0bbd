"""How a schedule goes on under a timing that is new to it: what has passed is recorded, and what it waits for then.

Everything here is called under the lock of the schedule's row.
"""

from dataclasses import replace
from datetime import datetime

from app.core.clock import MILLISECOND
from app.core.errors import InvalidScheduleException
from app.core.execution import ExecutionStatus, Reason, Trigger
from app.core.firing import (
    ENDED_BY_DAYS,
    Recording,
    Waiting,
    ended_by_days,
    first_waiting,
    left_on_days_off,
    record,
    superseded,
)
from app.core.ids import execution_id
from app.core.occurrences import ScheduleType, Timing, due_at
from app.core.schedule import Definition, Schedule, ScheduleStatus
from app.service.definitions import LATE_ACCEPTANCE, instant_of
from app.service.transactions import Work
from app.store import executions
from app.store.database import Connection
from app.store.executions import CallerRecord


async def begin(
    work: Work,
    schedule: Schedule,
    timing: Timing,
    searched_to: datetime,
    now: datetime,
    *,
    passed: Reason,
    late: bool,
) -> tuple[Waiting | None, datetime]:
    """What a schedule waits for that (re)starts now under a timing, and how far that is consumed then.

    The search starts strictly after `searched_to`, also where that lies ahead of now: what was recorded ahead is not
    found again. A one-time's instant is not searched for: it is due at once where it lies at most a minute past and
    `late` allows it, and is else recorded as skipped, with the reason `passed`.
    """
    start = max(now, searched_to)
    if timing.schedule_type is not ScheduleType.ONE_TIME:
        return first_waiting(timing, schedule.schedule_id, start), start
    instant = instant_of(timing)
    if instant is None or instant > start:
        return first_waiting(timing, schedule.schedule_id, start), start
    if instant <= searched_to and await _recorded(work, schedule, instant, now):
        return None, start
    if instant > now:
        return Waiting(instant, due_at(timing, schedule.schedule_id, instant)), start
    if late and instant >= now - LATE_ACCEPTANCE:
        return Waiting(instant, now), max(searched_to, instant - MILLISECOND)
    await _record(work.connection, schedule, Recording(instant, instant, None, 1, ExecutionStatus.SKIPPED, passed), now)
    return None, start


async def record_superseded(work: Work, schedule: Schedule, reason: Reason, now: datetime) -> datetime:
    """Record what has passed and has no record; answers how far the timing is consumed then."""
    waiting, searched_to = waiting_of(schedule), schedule.searched_to
    recordings: tuple[Recording, ...] = ()
    try:
        recordings = superseded(schedule.timing, schedule.schedule_id, waiting, searched_to, now, reason)
    except InvalidScheduleException:
        # Its zone vanished: it can be paused and removed nevertheless, and what it waited for is known.
        if waiting is not None and waiting.occurrence <= now:
            recordings = (record(waiting, waiting, 1, ExecutionStatus.SKIPPED, reason),)
    for recording in recordings:
        await _record(work.connection, schedule, recording, now)
        searched_to = max(searched_to, recording.scheduled_for)
    return searched_to


async def end_on_days_off(
    connection: Connection, schedule: Schedule, timing: Timing, searched_to: datetime, now: datetime
) -> str | None:
    """Say whether a timing for which nothing is left would have fired but for its days off: its reason to be completed.

    What it would have fired is then recorded, ahead of its time, as one `skipped`, because nothing comes by any more
    that would. Where the days are taken back before that time, so is the record: see `take_back`. `searched_to` is how
    far the timing is consumed, as it will be stored.
    """
    if timing.schedule_type is ScheduleType.ONE_TIME:
        # Its instant may have passed during a pause, which consumes what a recurring one has.
        searched_to = min(searched_to, schedule.searched_to)
    ended = ended_by_days(timing, searched_to)
    if ended is None:
        return None
    if ended.recording is not None:
        await _record(connection, schedule, ended.recording, now)
    return ENDED_BY_DAYS


async def take_back(work: Work, schedule: Schedule, now: datetime) -> datetime:
    """Make a schedule that its days off completed able to begin again; answers how far its timing is consumed.

    The record of what it would not have fired is removed where it stands for instants to come, and what of them has
    passed is recorded by itself. Any other schedule stays as it is.
    """
    searched_to = schedule.searched_to
    if schedule.status is not ScheduleStatus.COMPLETED or schedule.status_reason != ENDED_BY_DAYS:
        return searched_to
    passed = left_on_days_off(replace(schedule.timing, end_at=now), searched_to) if _recurs(schedule) else None
    if await executions.remove_ahead(work.connection, schedule, after=max(now, searched_to)) and passed is not None:
        await _record(work.connection, schedule, passed, now)
    return max(now, searched_to)


def _recurs(schedule: Schedule) -> bool:
    return schedule.definition.schedule_type is not ScheduleType.ONE_TIME


def waiting_of(schedule: Schedule) -> Waiting | None:
    """What a schedule waits for; null unless it is active."""
    if schedule.next_execution_at is None or schedule.next_due_at is None:
        return None
    return Waiting(schedule.next_execution_at, schedule.next_due_at)


def limit_reached(schedule: Schedule, definition: Definition) -> bool:
    """Whether a schedule has fired as often as a definition allows."""
    return definition.max_executions is not None and schedule.execution_count >= definition.max_executions


async def _recorded(work: Work, schedule: Schedule, instant: datetime, now: datetime) -> bool:
    """Whether a one-time's instant that the schedule's timing has been consumed past has its record.

    It has, unless a recurring schedule was just turned into a one-time for an instant that was not among its own.
    Long ago the record itself may have expired, so only what could be accepted at all is looked up.
    """
    if instant < now - LATE_ACCEPTANCE:
        return True
    own = execution_id(schedule.schedule_id, instant, instant)
    return await executions.exists(work.connection, work.community_id, own)


async def _record(connection: Connection, schedule: Schedule, recording: Recording, now: datetime) -> None:
    await executions.insert(
        connection,
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
            reason_detail=recording.detail,
            context_override=None,
            wake_at=None,
            created_at=now,
            finished_at=now,
        ),
    )
