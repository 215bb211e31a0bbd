"""Backfills: runs for instants that a schedule had, or would have had."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.api.wire.base import InstantText, Shown, Wire
from app.api.wire.schedules import Context


class BackfillInput(Wire):
    """Which occurrences to run."""

    from_: Annotated[InstantText, Field(alias="from", description="From this instant on, inclusive.")]
    to: Annotated[InstantText, Field(description="Up to this instant, exclusive.")]
    max_parallel: Annotated[int, Field(ge=1, le=100, description="Runs that may be unfinished at once.")] = 1
    dry_run: Annotated[bool, Field(description="Say what would be run, and store nothing.")] = False
    context_data: Context | None = Field(None, description="Instead of the schedule's own.")


class BackfillRun(Shown):
    """One run of a backfill."""

    scheduled_for: datetime
    execution_id: UUID | None = Field(description="Null for a dry run.")


class Backfill(Shown):
    """A backfill as it was recorded, or would be."""

    backfill_id: UUID | None = Field(description="Find its executions by it; null for a dry run.")
    schedule_id: UUID
    from_: datetime = Field(alias="from")
    to: datetime
    max_parallel: int
    dry_run: bool
    count: int
    runs: list[BackfillRun]
