"""A schedule: what a caller defines, and the life it leads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.core.occurrences import DEFAULT_POLICY, BusinessDays, DstPolicy, OnDayOff, ScheduleType, Timing
from app.core.target import Target
from app.core.values import value


class ScheduleStatus(StrEnum):
    """Whether a schedule fires; only an active one has a next due time."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"


class OverlapPolicy(StrEnum):
    """What happens to an occurrence while `max_instances` executions of its schedule are unfinished."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"
    CANCEL_RUNNING = "cancel_running"


class Completion(StrEnum):
    """What ends an execution: the target's 2xx, or its later report."""

    RESPONSE = "response"
    CALLBACK = "callback"


class AfterCompletion(StrEnum):
    """What becomes of a schedule that has completed."""

    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter; durations in seconds.

    Retrying ends after `max_retries` settled failures, or once `max_age_seconds` have passed since the execution was
    due.
    """

    max_retries: int = 3
    initial_backoff_seconds: float = 1
    max_backoff_seconds: float = 300
    multiplier: float = 2
    max_age_seconds: int = 86_400

    def backoff_ceiling_seconds(self, failures: int) -> float:
        """The longest wait after that many failures (1 or more); full jitter draws below it."""
        # The exponent is capped because a float overflows long before a caller's max_retries does.
        return min(self.max_backoff_seconds, self.initial_backoff_seconds * self.multiplier ** min(failures - 1, 64))


@dataclass(frozen=True, slots=True)
class CalendarUse:
    """The calendars that a schedule keeps, by name, and what becomes of an occurrence on a day that they have off."""

    names: tuple[str, ...]
    on_day_off: OnDayOff = OnDayOff.SKIP


@value
class Definition:
    """What a caller says of a schedule, validated and with every default filled in. Instants are UTC.

    Without a `target` the configured workflow engine is asked to execute `workflow_id`, which is null only with one.
    """

    workflow_id: UUID | None
    schedule_type: ScheduleType
    timezone: str
    cron_expression: str | None
    interval_seconds: int | None
    scheduled_time: datetime | None
    start_at: datetime | None
    end_at: datetime | None
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
    context_data: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    dst_policy: DstPolicy = DEFAULT_POLICY
    calendars: CalendarUse | None = None
    target: Target | None = None
    failure_target: Target | None = None

    def timing(self, created_at: datetime, days: BusinessDays | None) -> Timing:
        """When it fires; an interval without `start_at` is anchored at the schedule's creation.

        `days` are those of its calendars, which a definition knows by name alone.
        """
        return Timing(
            schedule_type=self.schedule_type,
            timezone=self.timezone,
            cron_expression=self.cron_expression,
            interval_seconds=self.interval_seconds,
            scheduled_time=self.scheduled_time,
            start_at=self.start_at,
            end_at=self.end_at,
            jitter_seconds=self.jitter_seconds,
            anchor=created_at,
            dst_policy=self.dst_policy,
            days=days,
        )

    def same_timing(self, other: "Definition") -> bool:
        """Whether both say the same of when to fire, whatever else differs; what their calendars hold is not asked."""
        mine, theirs = self.timing(_ANY_INSTANT, None), other.timing(_ANY_INSTANT, None)
        return mine == theirs and self.calendars == other.calendars


@dataclass(frozen=True, slots=True)
class SkipNext:
    """A caller's wish that the occurrence that a schedule waits for be skipped: who, why, and when it was said."""

    by: str | None
    reason: str | None
    at: datetime


@value
class Schedule:
    """A stored schedule. All instants are UTC, to the millisecond.

    `business_days` are the days of its calendars as they were when its row was written; null where it keeps none.
    """

    schedule_id: UUID
    community_id: int
    definition: Definition
    status: ScheduleStatus
    status_reason: str | None
    next_execution_at: datetime | None
    next_due_at: datetime | None
    searched_to: datetime
    last_execution_at: datetime | None
    last_execution_id: UUID | None
    execution_count: int
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    revision: int
    business_days: BusinessDays | None = None
    skip_next: SkipNext | None = None

    @property
    def timing(self) -> Timing:
        """When it fires."""
        return self.definition.timing(self.created_at, self.business_days)

    def keeps_timing(self, definition: Definition, days: BusinessDays | None) -> bool:
        """Whether it would go on firing at the same instants under this definition, with these days."""
        return self.definition.same_timing(definition) and self.business_days == days


_ANY_INSTANT = datetime.min.replace(tzinfo=UTC)
