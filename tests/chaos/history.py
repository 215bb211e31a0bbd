"""What was defined, recorded, delivered and broken in a run: values, for the checker.

Instants are aware and in UTC by the one clock, Postgres's; `…_ms` are milliseconds of this machine's, which the notes
of the target and of the faults have in common.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.occurrences import Timing


@dataclass(frozen=True, slots=True)
class Era:
    """One revision of a schedule: from when it was in force, and what it said.

    `skips` is the occurrence that a caller wished to be skipped, where that wish made the revision.
    """

    revision: int
    at: datetime
    active: bool
    timing: Timing
    coalesce: bool
    grace_seconds: int
    mark: str
    skips: datetime | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """All that callers made of a schedule; `until` is its removal, or when the run was over."""

    schedule_id: UUID
    eras: tuple[Era, ...]
    until: datetime
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """An execution as Postgres has it at the end."""

    execution_id: str
    schedule_id: UUID
    trigger: str
    revision: int
    scheduled_for: datetime
    due_at: datetime
    covers_from: datetime | None
    coalesced_count: int
    status: str
    reason: str | None
    created_at: datetime
    finished_at: datetime | None
    lateness_ms: int | None


@dataclass(frozen=True, slots=True)
class Note:
    """One delivery, as the target saw it.

    `worker` is the life of the worker process that sent it; `answered_ms` is null where no answer was written.
    """

    worker: str
    at_ms: float
    answered_ms: float | None
    status: int | None
    mark: str


class Harm(StrEnum):
    """What may cost a worker the answer to a delivery."""

    KILLED = "killed"
    FROZEN = "frozen"
    CUT_OFF = "cut off from Postgres"
    STOPPED = "stopped with its grace over"


@dataclass(frozen=True, slots=True)
class Suffering:
    """A harm that came over one life of a worker; `until_ms` is null where it did not end."""

    worker: str
    harm: Harm
    from_ms: float
    until_ms: float | None


@dataclass(frozen=True, slots=True)
class Stall:
    """The target itself did not get on: what came meanwhile it took, and noted, only afterwards."""

    from_ms: float
    until_ms: float


@dataclass(frozen=True, slots=True)
class Jump:
    """From `at_ms` on Postgres's clock is ahead of this machine's by `ahead_ms`."""

    at_ms: float
    ahead_ms: float


@dataclass(slots=True)
class Acknowledged:
    """What the API has said yes to."""

    created: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    revisions: list[tuple[str, int]] = field(default_factory=list)
    executions: list[str] = field(default_factory=list)
    requests: dict[int, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Verdict:
    """What the checker found. `violations` says each in words; all else is counted."""

    occurrences: int = 0
    records: int = 0
    deliveries: int = 0
    lost: int = 0
    recorded_twice: int = 0
    unfinished: int = 0
    early: int = 0
    delivered_again: int = 0
    unexplained: int = 0
    explained: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def broken(self, what: str) -> None:
        """Note a promise that was not kept."""
        self.violations.append(what)
