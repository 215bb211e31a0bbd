"""The audit trail: what can be done, by name."""

from enum import StrEnum


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
