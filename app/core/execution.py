"""An execution: the one record of an occurrence, or of a run that a caller asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.core.values import value


class ExecutionStatus(StrEnum):
    """Where an execution stands."""

    PENDING = "pending"
    """Recorded, not delivered yet."""
    QUEUED = "queued"
    """Waits for a run of the same schedule to end."""
    RUNNING = "running"
    """The target took it and will report back."""
    RETRYING = "retrying"
    """An attempt failed; the next one waits for `wake_at`."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Out of retries, or refused by the target: a dead letter."""
    MISSED = "missed"
    """Later than its grace period; never triggered."""
    SKIPPED = "skipped"
    """Not triggered, for the reason that the record names."""
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    """What asked for an execution."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    BACKFILL = "backfill"
    FAILURE = "failure"
    """A notice to the schedule's `failure_target`."""
    CANCEL = "cancel"
    """A notice to its target's `cancel_url`."""

    @property
    def is_notice(self) -> bool:
        """Whether it is no run of the schedule, but tells of one."""
        return self in (Trigger.FAILURE, Trigger.CANCEL)


class Reason(StrEnum):
    """Why an execution was missed, skipped or cancelled."""

    GRACE = "grace"
    CATCH_UP_LIMIT = "catch_up_limit"
    OVERLAP = "overlap"
    QUEUE_FULL = "queue_full"
    PAUSED = "paused"
    REPLACED = "replaced"
    REMOVED = "removed"
    SKIP_NEXT = "skip_next"
    CALENDAR = "calendar"
    NOT_COMPUTED = "not_computed"
    CANCELLED_BY_CALLER = "cancelled_by_caller"
    CANCEL_RUNNING = "cancel_running"


@value
class Wake:
    """An execution that waits, and when it wants to be looked at."""

    community_id: int
    execution_id: UUID
    wake_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One settled delivery attempt; `status_code` is null when no answer came."""

    number: int
    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None


@value
class Execution:
    """A stored execution. All instants are UTC, to the millisecond.

    `covers_from` is the first instant of the run of occurrences that this record stands for, null when it stands for
    one. `lateness_ms` is the first request's sending, less `due_at`. `group_id` is its backfill's, else null.
    """

    execution_id: UUID
    schedule_id: UUID
    community_id: int
    workflow_id: UUID | None
    trigger: Trigger
    scheduled_for: datetime
    due_at: datetime
    covers_from: datetime | None
    coalesced_count: int
    status: ExecutionStatus
    reason: str | None
    reason_detail: str | None
    group_id: UUID | None
    revision: int
    attempts: tuple[Attempt, ...]
    wake_at: datetime | None
    engine_execution_id: str | None
    result: Mapping[str, Any] | None
    error: str | None
    lateness_ms: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def said(by: str | None, reason: str | None) -> str:
    """Who wanted something so, and why, in words for `reason_detail`."""
    who = "by a caller without a name" if by is None else f"by {by}"
    return who if reason is None else f"{who}: {reason}"
