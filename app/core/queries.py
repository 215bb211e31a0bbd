"""What callers may ask for: filters, pages, and requests that are safe to repeat."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from app.core.audit import AuditAction
from app.core.execution import ExecutionStatus, Trigger
from app.core.occurrences import ScheduleType
from app.core.schedule import ScheduleStatus
from app.core.target import host_of, hosts_meant

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """Which schedules of a community; null means any. `due_before` is by `next_due_at`, exclusive.

    `target_hosts` are those whose own target is at one of these (`Target.host`), and with `of_engine` also those that
    have none: the workflow engine is at one of them.
    """

    status: ScheduleStatus | None = None
    schedule_type: ScheduleType | None = None
    workflow_id: UUID | None = None
    tag: str | None = None
    name_prefix: str | None = None
    due_before: datetime | None = None
    target_hosts: tuple[str, ...] | None = None
    of_engine: bool = False

    def calling(self, host: str, *, engine_url: str) -> "ScheduleFilter":
        """Only those that call a host, as somebody writes it; those of the workflow engine too, where it is there.

        Raises ValueError as `hosts_meant`.
        """
        hosts = hosts_meant(host)
        return replace(self, target_hosts=hosts, of_engine=host_of(engine_url) in hosts)


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions of a community; null means any. From `from_at` to before `to_at`, by `scheduled_for`.

    `backfill_id` goes with a schedule. Notices are found only where their `trigger` is asked for.
    """

    schedule_id: UUID | None = None
    status: ExecutionStatus | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    backfill_id: UUID | None = None
    trigger: Trigger | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries of a community's audit trail; null means any. From `from_at` to before `to_at`, by `at`."""

    schedule_id: UUID | None = None
    execution_id: UUID | None = None
    action: AuditAction | None = None
    user: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, and the opaque cursor of the next part; null at the end."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it was first given, so that a repeated request can be given it again."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A request's `Idempotency-Key`, and a SHA-256 of its method, path and body."""

    key: str
    fingerprint: bytes
