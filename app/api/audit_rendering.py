"""The audit trail as JSON."""

from typing import Any

import orjson

from app.core.audit import AuditEntry
from app.core.clock import utc


def audit_entry_json(entry: AuditEntry) -> dict[str, Any]:
    """An entry of the audit trail, with what it holds as it was written."""
    return {
        "audit_id": entry.audit_id,
        "at": utc(entry.at),
        "user": entry.user,
        "role": entry.role,
        "action": entry.action,
        "schedule_id": entry.schedule_id,
        "execution_id": entry.execution_id,
        "before": _as_written(entry.before),
        "after": _as_written(entry.after),
        "reason": entry.reason,
        "request_id": entry.request_id,
    }


def _as_written(stored: str | None) -> orjson.Fragment | None:
    # Not read and written again: numbers stay as they are, and a long page costs little.
    return None if stored is None else orjson.Fragment(stored)
