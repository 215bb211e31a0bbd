"""Many creates in one call."""

from typing import Annotated, Any

from pydantic import Field

from app.api.wire.base import Shown, Wire
from app.api.wire.problems import Problem
from app.api.wire.schedules import MAX_BATCH, Schedule, ScheduleInput


class BatchShape(Wire):
    """The outer shape of a batch; each schedule is read by itself, so that each gets its own result."""

    schedules: Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH)]
    atomic: bool = True


class BatchInput(Wire):
    """Up to 1000 schedules to create."""

    schedules: Annotated[list[ScheduleInput], Field(min_length=1, max_length=MAX_BATCH)]
    atomic: bool = Field(True, description="All or nothing; false: one result each.")


class BatchResult(Shown):
    """What became of one schedule of a batch: it was created, or why it was refused."""

    status: int
    schedule: Schedule | None = None
    error: Problem | None = None


class BatchResults(Shown):
    """The results in the order asked."""

    results: list[BatchResult]
