"""Schedules, their lives and their records for tests of explanations: on weekdays at noon in Berlin, since November."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.calendars import Calendar, Contents
from app.core.execution import Attempt, Execution, ExecutionStatus, Trigger
from app.core.explaining import Case, Event, Overview, Rule, Span
from app.core.schedule import Definition, Schedule, ScheduleStatus
from tests.integration.definitions import WORKFLOW, cron

SCHEDULE = UUID("01973c5e-7a10-7cc3-98b1-3f6d2c0a9e51")
RUN = UUID("019ab1d0-9e40-8a7b-9c1d-52f4b1f0c6aa")
MILLISECOND = timedelta(milliseconds=1)
WEEKDAYS = cron("0 12 * * MON-FRI", timezone="Europe/Berlin")


def berlin(text: str) -> datetime:
    """An instant of the winter 2026 in Berlin, such as "11-25 12:00"."""
    return datetime.fromisoformat(f"2026-{text}+01:00").astimezone(UTC)


CREATED = berlin("11-20 09:30:00.250")
NOON = berlin("11-25 12:00")
"""A Wednesday's."""
NOW = berlin("11-25 15:00")


def schedule(definition: Definition = WEEKDAYS, **fields: Any) -> Schedule:
    """An active schedule that waits for Thursday; `fields` are laid over it."""
    made = Schedule(
        schedule_id=SCHEDULE,
        community_id=1,
        definition=definition,
        status=ScheduleStatus.ACTIVE,
        status_reason=None,
        next_execution_at=berlin("11-26 12:00"),
        next_due_at=berlin("11-26 12:00"),
        searched_to=NOON,
        last_execution_at=None,
        last_execution_id=None,
        execution_count=3,
        created_by="anna",
        created_at=CREATED,
        updated_at=CREATED,
        revision=1,
    )
    return replace(made, **fields)


def resting(status: ScheduleStatus, definition: Definition = WEEKDAYS, **fields: Any) -> Schedule:
    """One that waits for nothing."""
    return schedule(definition, status=status, next_execution_at=None, next_due_at=None, **fields)


def case(row: Schedule | None = None, *events: Event, **fields: Any) -> Case:
    """What is known of a schedule, which was never changed unless `rules` are given."""
    row = row or schedule()
    made = Case(
        schedule_id=SCHEDULE,
        created_at=CREATED,
        created_by="anna",
        rules=(Rule(row.timing, row.definition.calendars, row.revision, CREATED, None),),
        events=(change(CREATED, "schedule_create", None, ScheduleStatus.ACTIVE, revision=1), *events),
        schedule=row,
        completed_at=None,
        removed_at=None,
        records_from=berlin("10-26 01:00"),
    )
    return replace(made, **fields)


def calendar(**fields: Any) -> Calendar:
    """The calendar "firm", whose days are those that it was created with a year ago."""
    created = CREATED - timedelta(days=365)
    made = Calendar(
        calendar_id=RUN,
        community_id=1,
        name="firm",
        description=None,
        contents=Contents((), (), None, None),
        created_by="anna",
        created_at=created,
        updated_at=created,
        revision=1,
        days_revision=1,
        recomputed_revision=1,
    )
    return replace(made, **fields)


def change(
    at: datetime, action: str, before: ScheduleStatus | None, after: ScheduleStatus | None, **fields: Any
) -> Event:
    """An audited change of Anna's."""
    made = Event(
        at=at,
        action=action,
        by="anna",
        automatic=False,
        reason=None,
        status_before=before,
        status_after=after,
        revision=None,
    )
    return replace(made, **fields)


def run(at: datetime = NOON, status: ExecutionStatus = ExecutionStatus.SUCCEEDED, **fields: Any) -> Execution:
    """An own execution, sent three milliseconds late and answered with 202."""
    sent = at + 3 * MILLISECOND
    made = Execution(
        execution_id=RUN,
        schedule_id=SCHEDULE,
        community_id=1,
        workflow_id=WORKFLOW,
        trigger=Trigger.SCHEDULE,
        scheduled_for=at,
        due_at=at,
        covers_from=None,
        coalesced_count=1,
        status=status,
        reason=None,
        reason_detail=None,
        group_id=None,
        revision=1,
        attempts=(Attempt(1, sent, 12, 202, None),),
        wake_at=None,
        engine_execution_id=None,
        result=None,
        error=None,
        lateness_ms=3,
        created_at=at - 45 * MILLISECOND,
        started_at=sent,
        finished_at=sent + 12 * MILLISECOND,
    )
    return replace(made, **fields)


def refused(number: int, status: int | None = 503, error: str = "HTTP 503: not today") -> Attempt:
    """An attempt that failed, so many seconds after noon."""
    return Attempt(number, NOON + timedelta(seconds=number), 40, status, error)


def overview(case: Case, own: Sequence[Execution], start: datetime, end: datetime, now: datetime) -> Overview:
    """What became of the occurrences of a time span, all of them at once."""
    span = Span.of(case, own, start, end, now)
    return span.overview([span.judged(at) for at in span.instants])
