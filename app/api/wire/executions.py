"""Executions as answers show them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from app.api.wire.base import Shown, Wire
from app.api.wire.schedules import check_size
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
    next_attempt_at: datetime | None
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


class EmptyInput(Wire):
    """An object without fields."""
