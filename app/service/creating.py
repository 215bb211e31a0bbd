"""New schedules: one, or up to a thousand at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from app.core.clock import to_ms
from app.core.errors import ScheduleServiceException
from app.core.firing import Waiting, first_waiting
from app.core.ids import new_id
from app.core.occurrences import ScheduleType
from app.core.schedule import Definition, Schedule, ScheduleStatus
from app.service.definitions import check_instant, nothing_left, to_milliseconds
from app.service.transactions import Work
from app.store import creating
from app.store.audit import Change
from app.store.schedules import name_taken

_MILLISECOND = timedelta(milliseconds=1)


async def create(work: Work, definition: Definition) -> Schedule:
    """Store a new schedule, active.

    Raises InvalidScheduleException when no occurrence is left, NameTakenException.
    """
    (schedule,) = await create_all(work, [definition])
    if isinstance(schedule, ScheduleServiceException):
        raise schedule
    return schedule


async def create_all(
    work: Work, definitions: Sequence[Definition | ScheduleServiceException]
) -> list[Schedule | ScheduleServiceException]:
    """Store new schedules. Answers one result for each, in order: the schedule, or why it was refused.

    A name is taken by a stored schedule or by an earlier one of the same call.
    """
    now = work.now()
    # Sorted, so that the order of the ids, which is the order of lists, is the order in which they were asked for.
    ids = sorted((new_id(to_ms(now)) for _ in definitions), key=lambda schedule_id: schedule_id.int)
    results: list[Schedule | ScheduleServiceException] = []
    for schedule_id, definition in zip(ids, definitions, strict=True):
        if isinstance(definition, ScheduleServiceException):
            results.append(definition)
            continue
        try:
            results.append(_new(work, schedule_id, definition, now))
        except ScheduleServiceException as refused:
            results.append(refused)
    stored = await creating.insert(work.connection, [new for new in results if isinstance(new, Schedule)])
    created: list[Schedule] = []
    for place, new in enumerate(results):
        if not isinstance(new, Schedule):
            continue
        if new.schedule_id in stored:
            created.append(new)
            work.look_at(new)
        else:
            results[place] = name_taken(new.definition)
    if created:
        changes = [Change(schedule_id=new.schedule_id, after=new.definition) for new in created]
        await work.audit("schedule_create", *changes, at=now)
    return results


def _new(work: Work, schedule_id: UUID, asked: Definition, now: datetime) -> Schedule:
    definition = to_milliseconds(asked)
    check_instant(definition, now)
    searched_to = now
    if definition.schedule_type is ScheduleType.ONE_TIME and (instant := definition.scheduled_time) is not None:
        if instant <= now:
            # Accepted late: due at once, without jitter. Its own instant is not consumed before it is recorded.
            waiting: Waiting | None = Waiting(instant, now)
            searched_to = instant - _MILLISECOND
        else:
            waiting = first_waiting(definition.timing(now), schedule_id, now)
    else:
        waiting = first_waiting(definition.timing(now), schedule_id, now)
    if waiting is None:
        raise nothing_left(definition)
    return Schedule(
        schedule_id=schedule_id,
        community_id=work.community_id,
        definition=definition,
        status=ScheduleStatus.ACTIVE,
        status_reason=None,
        next_execution_at=waiting.occurrence,
        next_due_at=waiting.due_at,
        searched_to=searched_to,
        last_execution_at=None,
        last_execution_id=None,
        execution_count=0,
        trigger_seq=0,
        created_by=work.user,
        created_at=now,
        updated_at=now,
        revision=1,
    )
