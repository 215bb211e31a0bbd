"""What stands in Postgres, seen between two steps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.execution import ExecutionStatus
from app.store.database import Connection

_RUNS = """
    SELECT execution_id, schedule_id, group_id, max_parallel, trigger, scheduled_for, covers_from, coalesced_count,
           due_at, status, reason, revision, owner, attempt, failures, wake_at, created_at, finished_at, attempts,
           result, error, started_at
      FROM executions ORDER BY created_at, scheduled_for, execution_id
"""
_KEPT = """
    SELECT schedule_id, status, next_execution_at, next_due_at, searched_to, execution_count, skip_next IS NOT NULL,
           revision, last_execution_at, last_execution_id
      FROM workflow_schedules ORDER BY schedule_id
"""
Group = tuple[UUID, UUID | None]
"""The runs that wait for each other: those of a schedule, or those of one backfill."""


@dataclass(frozen=True, slots=True)
class Run:
    """An execution's row."""

    execution_id: UUID
    schedule_id: UUID
    group_id: UUID | None
    max_parallel: int | None
    trigger: str
    scheduled_for: datetime
    covers_from: datetime | None
    count: int
    due_at: datetime
    status: str
    reason: str | None
    revision: int
    owner: UUID | None
    attempt: int
    failures: int
    wake_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    attempts: str
    result: str | None
    error: str | None
    started_at: datetime | None

    @property
    def first(self) -> datetime:
        """The first of the instants that it stands for."""
        return self.covers_from or self.scheduled_for

    @property
    def own(self) -> bool:
        """Whether it stands for instants of the schedule."""
        return self.trigger == "schedule"

    @property
    def fires(self) -> bool:
        """Whether it is triggered, where this is how it was recorded."""
        return self.status in (ExecutionStatus.PENDING, ExecutionStatus.QUEUED)

    @property
    def queued(self) -> bool:
        """Whether it waits for another to end."""
        return self.status == ExecutionStatus.QUEUED

    @property
    def stands(self) -> bool:
        """Whether it takes a place: it has not ended, and is not queued."""
        return self.finished_at is None and not self.queued

    @property
    def group(self) -> Group:
        """The runs among which it waits its turn."""
        return self.schedule_id, self.group_id


@dataclass(frozen=True, slots=True)
class Kept:
    """A schedule's row, as far as its life goes."""

    schedule_id: UUID
    status: str
    next_execution_at: datetime | None
    next_due_at: datetime | None
    searched_to: datetime
    execution_count: int
    skips_next: bool
    revision: int
    last_execution_at: datetime | None
    last_execution_id: UUID | None


@dataclass(frozen=True, slots=True)
class Seen:
    """Every row at an instant."""

    at: datetime
    schedules: Mapping[UUID, Kept]
    runs: Mapping[UUID, Run]

    def own(self, schedule_id: UUID) -> list[Run]:
        """The runs that stand for a schedule's instants."""
        return [run for run in self.runs.values() if run.schedule_id == schedule_id and run.own]

    def standing(self, group: Group) -> list[Run]:
        """The runs of a group that take a place."""
        return [run for run in self.runs.values() if run.group == group and run.stands]

    def queue(self, group: Group) -> list[Run]:
        """The runs of a group that are queued, in their order."""
        queued = (run for run in self.runs.values() if run.group == group and run.queued)
        return sorted(queued, key=lambda run: (run.scheduled_for, run.execution_id))

    def groups(self) -> set[Group]:
        """Every group that has a queue."""
        return {run.group for run in self.runs.values() if run.queued}

    def unfinished(self) -> Iterable[Run]:
        """The runs that have not ended."""
        return (run for run in self.runs.values() if run.finished_at is None)

    def new_since(self, before: "Seen") -> list[Run]:
        """The runs that were not there before."""
        return [run for key, run in self.runs.items() if key not in before.runs]


async def look(connection: Connection, at: datetime) -> Seen:
    """What stands there now."""
    kept = [Kept(*row) for row in await connection.fetch(_KEPT)]
    runs = [Run(*row) for row in await connection.fetch(_RUNS)]
    return Seen(at, {one.schedule_id: one for one in kept}, {one.execution_id: one for one in runs})
