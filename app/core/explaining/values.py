"""What an explanation is made of, and what it is made from. All instants are UTC, to the millisecond."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.calendars import Calendar
from app.core.execution import Execution
from app.core.occurrences import Timing
from app.core.schedule import CalendarUse, Schedule, ScheduleStatus


class Verdict(StrEnum):
    """What became, or will become, of an instant of a schedule."""

    FIRED = "fired"
    """Triggered, and its execution succeeded."""
    PENDING = "pending"
    """Recorded; its delivery is under way."""
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    FAILED_DELIVERY = "failed_delivery"
    """Triggered, and its execution failed for good."""
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    COALESCED = "coalesced"
    """Not triggered by itself: the run of a later instant stands for it."""
    MISSED = "missed"
    SKIPPED = "skipped"
    WILL_FIRE = "will_fire"
    WILL_BE_SKIPPED = "will_be_skipped"
    DUE = "due"
    """Its instant has come, and no worker has recorded it yet."""
    NOT_AN_OCCURRENCE = "not_an_occurrence"
    """The rule does not name this instant."""
    NOT_CREATED_YET = "not_created_yet"
    PAUSED = "paused"
    LIMIT_REACHED = "limit_reached"
    """`max_executions` leave no run for it."""
    COMPLETED = "completed"
    FAILED = "failed"
    """The schedule could not be computed."""
    REMOVED = "removed"
    RECORD_EXPIRED = "record_expired"
    """So long ago that its record is not kept any more."""
    CALENDAR_CHANGED = "calendar_changed"
    """By the days that its calendars have off today it should have a record; those of then are not kept."""
    UNEXPLAINED = "unexplained"
    """It should have a record, and has none."""


class FactKind(StrEnum):
    """What a fact is about."""

    RULE = "rule"
    ZONE = "zone"
    MISMATCH = "mismatch"
    DAYLIGHT = "daylight"
    CALENDAR = "calendar"
    BOUNDS = "bounds"
    CREATED = "created"
    CHANGED = "changed"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    REMOVED = "removed"
    LIMIT = "limit"
    SKIP_NEXT = "skip_next"
    DUE = "due"
    WAITING = "waiting"
    MISSED = "missed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    COALESCED = "coalesced"
    OVERLAP = "overlap"
    EXECUTION = "execution"
    ATTEMPT = "attempt"
    BESIDE = "beside"
    RETENTION = "retention"
    PREVIOUS = "previous"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that bears on the answer: as a sentence that can be read by itself, and as data.

    Texts tell the wall clock of the schedule's zone; the data holds numbers, texts, lists and UTC instants.
    """

    kind: FactKind
    text: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a schedule did, did not, will or will not fire at an instant.

    `summary` is one or a few sentences to be read aloud. `previous` and `next` are the rule's occurrences around `at`,
    null where there is none or the rule cannot be computed.
    """

    at: datetime
    verdict: Verdict
    summary: str
    facts: tuple[Fact, ...]
    execution: Execution | None
    previous: datetime | None
    next: datetime | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A definition as far as it says when to fire, and when it was in force: after `since`, up to and at `until`.

    `since` is null where that is not known any more, `until` where it still is.
    """

    timing: Timing
    calendars: CalendarUse | None
    revision: int
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """A change that the audit trail has: of a schedule, or of one of its executions.

    `automatic` ones are the service's own. `status_before` and `status_after` are null for what changes no status, and
    where there is none: before a creation, after a removal.
    """

    at: datetime
    action: str
    by: str | None
    automatic: bool
    reason: str | None
    status_before: ScheduleStatus | None
    status_after: ScheduleStatus | None
    revision: int | None
    execution_id: UUID | None = None
    backfilled: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of a schedule's life.

    `rules` are those that are kept, oldest first, at least one. `events` are those of the schedule itself, oldest
    first. `schedule` is its row, null once it is removed; `completed_at` is of that row. `calendars` are
    those that its rules name, as far as there are any today. Executions of before `records_from` are not kept.
    """

    schedule_id: UUID
    created_at: datetime
    created_by: str | None
    rules: tuple[Rule, ...]
    events: tuple[Event, ...]
    schedule: Schedule | None
    completed_at: datetime | None
    removed_at: datetime | None
    records_from: datetime
    calendars: tuple[Calendar, ...] = ()


@dataclass(frozen=True, slots=True)
class Records:
    """What was recorded around an instant.

    `own` are the schedule's first own executions at or after it, one of which may stand for it; `before` is the last
    one earlier. `beside` are runs for the very instant that callers asked for. `unfinished` are those that stood in the
    way of the one that stands for it. `events` are what was done to these executions.
    """

    own: tuple[Execution, ...] = ()
    before: Execution | None = None
    beside: tuple[Execution, ...] = ()
    unfinished: tuple[Execution, ...] = ()
    events: tuple[Event, ...] = ()
