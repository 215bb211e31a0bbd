"""What callers can ask about why a schedule did, did not, will or will not fire."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from app.core.audit import AuditAction
from app.core.clock import EPOCH, Clock, from_ms, in_turns
from app.core.errors import InvalidScheduleException
from app.core.execution import Execution, ExecutionStatus, Reason, Trigger
from app.core.explaining import (
    RECORDS_NEEDED,
    STAND_IN,
    Case,
    Event,
    Explanation,
    Overview,
    Records,
    Rule,
    Span,
    explain,
    spans,
)
from app.core.principal import Principal
from app.core.schedule import Schedule
from app.service.changes import not_found
from app.store import calendars, explaining
from app.store.database import Connection, Database
from app.store.explaining import KeptRevision

LONGEST_SPAN = timedelta(days=366)
"""Of what one answer explains: a leap year."""
_OVERLAPPED = frozenset({Reason.OVERLAP, Reason.QUEUE_FULL})


class ExplainingService:
    """Explains schedules as far as the caller's community has them, removed ones too while something is kept of them.

    All methods raise ScheduleNotFoundException for a schedule that the community never had, and
    StoreUnavailableException when Postgres is away.
    """

    def __init__(self, database: Database, clock: Clock, *, execution_days: int) -> None:
        self._database = database
        self._clock = clock
        self._execution_days = execution_days

    async def at(self, principal: Principal, schedule_id: UUID, at: datetime) -> tuple[Explanation, datetime]:
        """Why it did or did not fire at an instant of the past, or will or will not at one to come; and when asked."""
        async with self._database.connection() as connection:
            # The schedule before its records: what a worker records in between is then told by its record, and not
            # found missing.
            case = await self._case(connection, principal, schedule_id)
            records = await _records(connection, principal.community_id, case, at)
        now = self._clock.now()
        return explain(case, records, at, now), now

    async def between(
        self, principal: Principal, schedule_id: UUID, start: datetime, end: datetime
    ) -> tuple[Overview, datetime]:
        """The same for each occurrence from `start` to before `end`, at most a hundred; and when that was asked.

        Raises InvalidScheduleException for an empty time span, and for one of more than 366 days.
        """
        if end <= start:
            raise InvalidScheduleException.of("to", "to must be later than from")
        if end - start > LONGEST_SPAN:
            raise InvalidScheduleException.of("to", f"to must be at most {LONGEST_SPAN.days} days later than from")
        async with self._database.connection() as connection:
            case = await self._case(connection, principal, schedule_id)
            own = await explaining.own_from(connection, principal.community_id, schedule_id, start, RECORDS_NEEDED)
        now = self._clock.now()
        span = Span.of(case, own, start, end, now)
        judged = [span.judged(at) async for at in in_turns(span.instants)]
        return span.overview(judged), now

    async def _case(self, connection: Connection, principal: Principal, schedule_id: UUID) -> Case:
        community_id = principal.community_id
        row = await explaining.schedule(connection, community_id, schedule_id)
        kept = await explaining.kept_revisions(connection, community_id, schedule_id)
        if row is None and not kept:
            raise not_found(schedule_id)
        events = await explaining.life(connection, community_id, schedule_id)
        schedule, completed_at = (None, kept[-1].completed_at) if row is None else row
        created = next((event for event in events if event.action == AuditAction.SCHEDULE_CREATE), None)
        created_at = _created_at(schedule_id, schedule, kept, created)
        rules = _rules(schedule, kept, events, created_at)
        names = sorted({name for rule in rules if rule.calendars is not None for name in rule.calendars.names})
        today = self._clock.now().date()
        return Case(
            schedule_id=schedule_id,
            created_at=created_at,
            created_by=created.by if created is not None else None if schedule is None else schedule.created_by,
            rules=rules,
            events=tuple(events),
            schedule=schedule,
            completed_at=completed_at,
            removed_at=kept[-1].superseded_at if schedule is None else None,
            records_from=datetime.combine(today - timedelta(days=self._execution_days), time(), UTC),
            calendars=tuple(await calendars.named(connection, community_id, names)) if names else (),
        )


def _created_at(
    schedule_id: UUID, schedule: Schedule | None, kept: list[KeptRevision], created: Event | None
) -> datetime:
    """When a schedule was created; of a removed one its audit, its last definition or its id may know it."""
    if schedule is not None:
        return schedule.created_at
    if created is not None:
        return created.at
    known = next((revision.created_at for revision in reversed(kept) if revision.created_at is not None), None)
    if known is not None:
        return known
    return from_ms(schedule_id.int >> 80) if schedule_id.version == 7 else EPOCH


def _rules(
    schedule: Schedule | None, kept: list[KeptRevision], events: list[Event], created_at: datetime
) -> tuple[Rule, ...]:
    """Every definition that is known, each with the time that it was in force."""
    since = {event.revision: event.at for event in events if event.revision is not None}
    since |= {revision.revision + 1: revision.superseded_at for revision in kept}
    since[1] = created_at
    rules = [
        Rule(
            timing=replace(revision.timing, anchor=created_at),
            calendars=revision.calendars,
            revision=revision.revision,
            since=since.get(revision.revision),
            until=revision.superseded_at,
        )
        for revision in kept
    ]
    if schedule is not None:
        number = schedule.revision
        rules.append(Rule(schedule.timing, schedule.definition.calendars, number, since.get(number), None))
    return tuple(rules)


async def _records(connection: Connection, community_id: int, case: Case, at: datetime) -> Records:
    schedule_id = case.schedule_id
    own = await explaining.own_from(connection, community_id, schedule_id, at, STAND_IN)
    asked_at = [
        event.at for event in case.events if event.backfilled and event.backfilled[0] <= at < event.backfilled[1]
    ]
    beside = await explaining.beside(connection, community_id, schedule_id, at, asked_at)
    before = await explaining.own_before(connection, community_id, schedule_id, at)
    standing = [run for run in own if (run.covers_from or run.scheduled_for) <= at <= run.scheduled_for]
    if not standing and before is not None and spans(before, at):
        standing.append(before)
    unfinished: list[Execution] = []
    held_up = next((run for run in (*standing, *beside) if _is_held_up(run)), None)
    if held_up is not None:
        unfinished = await explaining.unfinished(
            connection, community_id, schedule_id, held_up.scheduled_for, held_up.created_at
        )
    return Records(
        own=tuple(own),
        before=before,
        beside=tuple(beside),
        unfinished=tuple(unfinished),
        events=tuple(await explaining.done_to(connection, community_id, schedule_id, [*standing, *beside])),
    )


def _is_held_up(run: Execution) -> bool:
    """Whether other runs of the schedule stood in its way; those of a backfill are a group of their own."""
    queued = run.status is ExecutionStatus.QUEUED and run.trigger is not Trigger.BACKFILL
    return queued or run.reason in _OVERLAPPED
