"""Executions as answers show them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from app.api.wire.base import InstantText, Shown, UuidText, Wire
from app.api.wire.limits import check_size
from app.api.wire.optional import NeverNull
from app.core.execution import ExecutionStatus, Trigger


class Ended(StrEnum):
    """How a target says that its work ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Attempt(Shown):
    """One delivery attempt."""

    number: int
    started_at: datetime
    duration_ms: int
    status_code: int | None = Field(description="Null when no answer came.")
    error: str | None


class Execution(Shown):
    """An execution: the one record of an occurrence, or of a run that a caller asked for. All times are UTC."""

    execution_id: UUID
    schedule_id: UUID
    workflow_id: UUID | None
    community_id: int
    trigger: Trigger
    scheduled_for: datetime
    due_at: datetime
    covers_from: datetime | None = Field(description="The first instant of the run that this record stands for.")
    status: ExecutionStatus
    reason: str | None = Field(description="Why it was missed, skipped or cancelled.")
    reason_detail: str | None = Field(description="Who wanted it so, and why, where somebody did.")
    backfill_id: UUID | None = Field(description="The backfill that it belongs to.")
    revision: int = Field(description="The schedule's revision that is sent.")
    attempts: list[Attempt]
    coalesced_count: int
    lateness_ms: int | None = Field(description="The first request's sending, less `due_at`.")
    engine_execution_id: str | None
    next_attempt_at: datetime | None = Field(
        description="When a worker takes it up: after a failure, or where the limits of its target let it wait."
    )
    result: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None


class ExecutionPage(Shown):
    """A part of a list of executions, newest first."""

    items: list[Execution]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next part; null at the end.")


class CancelInput(Wire):
    """Why an execution is stopped."""

    reason: Annotated[str, StringConstraints(max_length=500)] | None = None


class CompleteInput(Wire):
    """How asynchronous work ended."""

    status: Annotated[Ended, Field(strict=False, description="How it ended.")]
    result: Annotated[dict[str, Any], AfterValidator(check_size)] | None = Field(
        None, description="What came of it; at most 64 KiB encoded and 32 deep."
    )
    error: Annotated[str, StringConstraints(max_length=4000)] | None = Field(None, description="What went wrong.")


class Dead(StrEnum):
    """What can be delivered again."""

    FAILED = "failed"
    TIMED_OUT = "timed_out"


class RetryInput(Wire):
    """Which executions to deliver again; each condition narrows the others, and none is null."""

    status: Annotated[Dead, Field(strict=False, description="How they ended.")] = Dead.FAILED
    schedule_id: NeverNull[UuidText] = Field(None, description="Only those of this schedule, removed or not.")
    from_: NeverNull[InstantText] = Field(
        None, alias="from", description="Only those scheduled for this instant or later."
    )
    to: NeverNull[InstantText] = Field(None, description="Only those scheduled for before this instant.")
    limit: Annotated[int, Field(ge=1, le=500, description="At most so many in this call.")] = 500
    cursor: str | None = Field(None, description="The `next_cursor` of the call before.")
    dry_run: Annotated[bool, Field(description="Say what would be delivered again, and change nothing.")] = False


class Retried(Shown):
    """What is delivered again, or would be."""

    dry_run: bool
    count: int
    execution_ids: list[UUID] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="Give it as `cursor` for those that are left; null where none is.")


class EmptyInput(Wire):
    """An object without fields."""
