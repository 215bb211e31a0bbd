"""New schedules: one, or up to a thousand at once."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.audit import AuditAction
from app.core.clock import MILLISECOND, in_turns, to_ms
from app.core.errors import FieldProblem, QuotaExceededException, ScheduleServiceException
from app.core.firing import Waiting, first_waiting
from app.core.ids import new_id
from app.core.occurrences import BusinessDays, ScheduleType
from app.core.schedule import Definition, Schedule, ScheduleStatus
from app.service.days import shared_calendars
from app.service.definitions import check_instant, instant_of, nothing_left, to_milliseconds
from app.service.transactions import Work
from app.store import calendar_uses, creating
from app.store.audit import Change
from app.store.calendar_uses import Use
from app.store.schedules import name_taken


async def create(work: Work, definition: Definition, *, quota: int, late: bool = True) -> Schedule:
    """Store a new schedule, active. A one-time that lies up to a minute past is taken where it may be `late`.

    Raises InvalidScheduleException when no occurrence is left, NameTakenException, and QuotaExceededException where the
    community has `quota` schedules (0: any number).
    """
    (schedule,) = await create_all(work, [definition], quota=quota, late=late)
    if isinstance(schedule, ScheduleServiceException):
        raise schedule
    return schedule


async def create_all(
    work: Work,
    definitions: Sequence[Definition | ScheduleServiceException],
    *,
    quota: int,
    late: bool = True,
) -> list[Schedule | ScheduleServiceException]:
    """Store new schedules. Answers one result for each, in order: the schedule, or why it was refused.

    A name is taken by a stored schedule or by an earlier one of the same call. Of what is more than the quota the first
    are stored.
    """
    room = await creating.room(work.connection, work.community_id, most=quota) if quota else len(definitions)
    now = work.now()
    # Sorted, so that the order of the ids, which is the order of lists, is the order in which they were asked for.
    ids = sorted((new_id(to_ms(now)) for _ in definitions), key=lambda schedule_id: schedule_id.int)
    uses = [one.calendars for one in definitions if isinstance(one, Definition)]
    calendars = await shared_calendars(work, uses)
    results: list[Schedule | ScheduleServiceException] = []
    async for schedule_id, definition in in_turns(zip(ids, definitions, strict=True)):
        if isinstance(definition, ScheduleServiceException):
            results.append(definition)
            continue
        try:
            results.append(_new(work, schedule_id, definition, calendars.days(definition.calendars), now, late=late))
        except ScheduleServiceException as refused:
            results.append(refused)
    stored, left = await _stored(work, [new for new in results if isinstance(new, Schedule)], room)
    created: list[Schedule] = []
    for place, result in enumerate(results):
        if not isinstance(result, Schedule):
            continue
        if result.schedule_id in stored:
            created.append(result)
            work.look_at(result)
        elif result.schedule_id in left:
            results[place] = _full(quota)
        else:
            results[place] = name_taken(result.definition)
    kept = [
        Use(calendar.calendar_id, new.schedule_id, calendar.revision)
        for new in created
        for calendar in calendars.named(new.definition.calendars)
    ]
    await calendar_uses.keep(work.connection, kept)
    if created:
        changes = [Change(schedule_id=new.schedule_id, after=new.definition) for new in created]
        await work.audit(AuditAction.SCHEDULE_CREATE, *changes, at=now)
    return results


async def _stored(work: Work, new: Sequence[Schedule], room: int) -> tuple[set[UUID], set[UUID]]:
    """Store as many as there is room for, the first ones. Returns the ids of those, and of what there is no room for.

    One whose name is taken is neither, and takes no room: who sends again what is there already means the others.
    """
    stored: set[UUID] = set()
    while new and (free := room - len(stored)) > 0:
        stored |= await creating.insert(work.connection, new[:free])
        new = new[free:]
    return stored, {one.schedule_id for one in new}


def _full(quota: int) -> QuotaExceededException:
    return QuotaExceededException(
        f"A community may have {quota} schedules, completed ones that are kept included: remove some first."
    )


def raise_first(results: Sequence[Definition | Schedule | ScheduleServiceException]) -> None:
    """Raise the first refusal of many, if there is one: of up to a thousand a caller has to know which is meant.

    Its fields begin with its place in the body: `schedules.3.name`.
    """
    for place, refused in enumerate(results):
        if isinstance(refused, ScheduleServiceException):
            named = [FieldProblem(f"schedules.{place}.{each.field}", each.message) for each in refused.errors]
            raise type(refused)(f"schedules.{place}: {refused.detail}", named)


def _new(
    work: Work, schedule_id: UUID, asked: Definition, days: BusinessDays | None, now: datetime, *, late: bool
) -> Schedule:
    definition = to_milliseconds(asked)
    timing = definition.timing(now, days)
    check_instant(timing, now, new=True, late=late)
    searched_to = now
    waiting = first_waiting(timing, schedule_id, now)
    if (
        waiting is None
        and timing.schedule_type is ScheduleType.ONE_TIME
        and (instant := instant_of(timing)) is not None
    ):
        # Accepted late: due at once, without jitter. Its own instant is not consumed before it is recorded.
        waiting = Waiting(instant, now)
        searched_to = instant - MILLISECOND
    if waiting is None:
        raise nothing_left(definition, timing, now)
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
        created_by=work.user,
        created_at=now,
        updated_at=now,
        revision=1,
        business_days=days,
    )
