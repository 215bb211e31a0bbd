"""The audit trail as answers show it: for each action what `before` and `after` hold.

Both are shown as they were written, in the words of what is stored, and not in those of the API of today.
"""

import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from app.api.wire.base import Shown
from app.api.wire.schedules import CalendarUse, DstPolicy, RetryPolicy
from app.api.wire.targets import Target
from app.core.audit import AuditAction
from app.core.execution import ExecutionStatus
from app.core.occurrences import ScheduleType
from app.core.principal import Role
from app.core.schedule import AfterCompletion, Completion, OverlapPolicy, ScheduleStatus

WeekdayNumber = Annotated[int, Field(ge=0, le=6, description="As cron counts: 0 is Sunday.")]


class AuditedDefinition(Shown):
    """What a caller said of a schedule, with every default filled in."""

    workflow_id: UUID | None
    schedule_type: ScheduleType
    timezone: str
    cron_expression: str | None
    interval_seconds: int | None
    scheduled_time: datetime.datetime | None
    start_at: datetime.datetime | None
    end_at: datetime.datetime | None
    jitter_seconds: int
    name: str | None
    description: str | None
    max_executions: int | None
    grace_period_seconds: int
    coalesce: bool
    max_instances: int
    overlap_policy: OverlapPolicy
    completion: Completion
    timeout_seconds: int
    retry: RetryPolicy
    after_completion: AfterCompletion
    context_data: dict[str, Any]
    tags: list[str]
    dst_policy: DstPolicy
    calendars: CalendarUse | None
    target: Target | None
    failure_target: Target | None


class AuditedSchedule(Shown):
    """A schedule before or after a change."""

    revision: int
    status: ScheduleStatus
    status_reason: str | None
    next_execution_at: datetime.datetime | None
    definition: AuditedDefinition


class AuditedSkip(Shown):
    """Who wants an occurrence skipped, why, and since when."""

    by: str | None
    reason: str | None
    at: datetime.datetime


class AuditedSkipBefore(Shown):
    """Whether the next occurrence was to be skipped."""

    revision: int
    skip_next: AuditedSkip | None


class AuditedSkipAfter(AuditedSkipBefore):
    """Whether the next occurrence, for `scheduled_for`, is to be skipped."""

    scheduled_for: datetime.datetime | None


class AuditedRun(Shown):
    """The run that was recorded."""

    status: ExecutionStatus
    overridden: bool = Field(description="With a `context_data` of its own, which the trail does not hold.")


class AuditedBackfill(Shown):
    """The runs that were recorded."""

    backfill_id: UUID
    from_: datetime.datetime = Field(alias="from")
    to: datetime.datetime
    runs: int
    max_parallel: int


class AuditedExecutionBefore(Shown):
    """How an execution stood."""

    status: ExecutionStatus
    error: str | None


class AuditedExecutionAfter(Shown):
    """How it stands."""

    status: ExecutionStatus


class AuditedDays(Shown):
    """A range of days, both ends included."""

    first: datetime.date
    last: datetime.date
    label: str | None
    from_source: bool


class AuditedFill(Shown):
    """Whose public holidays were copied, and of which years, both included."""

    country: str
    region: str | None
    first_year: int
    last_year: int


class AuditedSource(Shown):
    """Where copied days are from."""

    fill: AuditedFill
    package_version: str
    filled_at: datetime.datetime


class AuditedCalendarBefore(Shown):
    """A calendar before it was changed."""

    name: str
    revision: int
    description: str | None
    weekend: list[WeekdayNumber]
    source: AuditedSource | None


class AuditedCalendar(AuditedCalendarBefore):
    """A whole calendar."""

    days_off: list[AuditedDays]
    days_worked: list[AuditedDays]


class AuditedDifference(Shown):
    """The days that a change of a calendar brought."""

    days_off_added: list[AuditedDays]
    days_off_removed: list[AuditedDays]
    days_worked_added: list[AuditedDays]
    days_worked_removed: list[AuditedDays]
    kept_own: int = Field(description="Ranges that the caller had given before.")


class AuditedCalendarAfter(AuditedCalendarBefore):
    """A calendar after it was changed, with the days that this brought."""

    changes: AuditedDifference
    schedules_affected: int


class AuditedKey(Shown):
    """An API key without its secret, which nothing holds."""

    key_id: UUID
    prefix: str = Field(description="The part of the key that may be shown.")


class AuditedNewKey(AuditedKey):
    """A new API key, of which nothing but its prefix is shown."""

    community_id: int
    role: Role
    user: str | None
    name: str | None
    created_at: datetime.datetime
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None


class AuditedChange(Shown):
    """What every entry holds."""

    audit_id: int
    at: datetime.datetime
    user: str | None = Field(
        description="Whose key it was; `target` with a callback token, `command line` for keys, and "
        "`schedule-service` for what the service does by itself."
    )
    role: Role | None = Field(description="Null for the command line, and for what the service does by itself.")
    reason: str | None
    request_id: str | None = Field(description="The `X-Request-Id` of the request.")


class _OfSchedule(AuditedChange):
    schedule_id: UUID
    execution_id: None


class _OfExecution(AuditedChange):
    schedule_id: UUID
    execution_id: UUID


class _OfNeither(AuditedChange):
    schedule_id: None
    execution_id: None


class ScheduleCreated(_OfSchedule):
    """A schedule was created, alone or in a batch."""

    action: Literal[AuditAction.SCHEDULE_CREATE]
    before: None
    after: AuditedDefinition


class ScheduleChanged(_OfSchedule):
    """A schedule was changed, paused or resumed."""

    action: Literal[AuditAction.SCHEDULE_UPDATE, AuditAction.SCHEDULE_PAUSE, AuditAction.SCHEDULE_RESUME]
    before: AuditedSchedule
    after: AuditedSchedule


class ScheduleRemoved(_OfSchedule):
    """A schedule was removed."""

    action: Literal[AuditAction.SCHEDULE_REMOVE]
    before: AuditedSchedule
    after: None


class NextSkipped(_OfSchedule):
    """The next occurrence was to be skipped, or after all not."""

    action: Literal[AuditAction.SCHEDULE_SKIP_NEXT, AuditAction.SCHEDULE_SKIP_NEXT_UNDO]
    before: AuditedSkipBefore
    after: AuditedSkipAfter


class ScheduleTriggered(_OfExecution):
    """A schedule was run by hand."""

    action: Literal[AuditAction.SCHEDULE_TRIGGERED]
    before: None
    after: AuditedRun


class ScheduleBackfilled(_OfSchedule):
    """A schedule was run for the instants of a time span."""

    action: Literal[AuditAction.SCHEDULE_BACKFILL]
    before: None
    after: AuditedBackfill


class ExecutionChanged(_OfExecution):
    """An execution was cancelled, reported as ended, or delivered again."""

    action: Literal[AuditAction.EXECUTION_CANCEL, AuditAction.EXECUTION_COMPLETE, AuditAction.EXECUTION_RETRY]
    before: AuditedExecutionBefore
    after: AuditedExecutionAfter


class CalendarCreated(_OfNeither):
    """A calendar was created."""

    action: Literal[AuditAction.CALENDAR_CREATE]
    before: None
    after: AuditedCalendar


class CalendarChanged(_OfNeither):
    """A calendar was changed, or its holidays were copied again."""

    action: Literal[AuditAction.CALENDAR_UPDATE, AuditAction.CALENDAR_REFRESH]
    before: AuditedCalendarBefore
    after: AuditedCalendarAfter


class CalendarRemoved(_OfNeither):
    """A calendar was removed."""

    action: Literal[AuditAction.CALENDAR_REMOVE]
    before: AuditedCalendar
    after: None


class KeyCreated(_OfNeither):
    """An API key was created."""

    action: Literal[AuditAction.KEY_CREATE]
    before: None
    after: AuditedNewKey


class KeyRevoked(_OfNeither):
    """An API key was revoked."""

    action: Literal[AuditAction.KEY_REVOKE]
    before: AuditedKey
    after: None


AuditEntry = Annotated[
    ScheduleCreated
    | ScheduleChanged
    | ScheduleRemoved
    | NextSkipped
    | ScheduleTriggered
    | ScheduleBackfilled
    | ExecutionChanged
    | CalendarCreated
    | CalendarChanged
    | CalendarRemoved
    | KeyCreated
    | KeyRevoked,
    Field(discriminator="action"),
]


class AuditPage(Shown):
    """A part of the audit trail, newest first."""

    items: list[AuditEntry]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next part; null at the end.")
