"""The audit trail: what can be done, by name, and an entry that says what was."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AuditAction(StrEnum):
    """What was done. A change on a caller's behalf writes one of these, and logs an event of its name.

    They are stored for ever: one may be added, and none renamed.
    """

    SCHEDULE_CREATE = "schedule_create"
    SCHEDULE_UPDATE = "schedule_update"
    SCHEDULE_PAUSE = "schedule_pause"
    SCHEDULE_RESUME = "schedule_resume"
    SCHEDULE_REMOVE = "schedule_remove"
    SCHEDULE_SKIP_NEXT = "schedule_skip_next"
    SCHEDULE_SKIP_NEXT_UNDO = "schedule_skip_next_undo"
    SCHEDULE_TRIGGERED = "schedule_triggered"
    SCHEDULE_BACKFILL = "schedule_backfill"
    EXECUTION_CANCEL = "execution_cancel"
    EXECUTION_COMPLETE = "execution_complete"
    EXECUTION_RETRY = "execution_retry"
    CALENDAR_CREATE = "calendar_create"
    CALENDAR_UPDATE = "calendar_update"
    CALENDAR_REFRESH = "calendar_refresh"
    CALENDAR_REMOVE = "calendar_remove"
    KEY_CREATE = "key_create"
    KEY_REVOKE = "key_revoke"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change. `at` is UTC; `role` is null for the command line and for what the service does by itself.

    `action` is a text: a later release, from which one went back, may have written one that this release does not know.
    `before` and `after` are JSON as it was written; null where there was nothing, or is nothing left.
    """

    audit_id: int
    at: datetime
    user: str | None
    role: str | None
    action: str
    schedule_id: UUID | None
    execution_id: UUID | None
    before: str | None
    after: str | None
    reason: str | None
    request_id: str | None
