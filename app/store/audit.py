"""The audit trail: who changed what, from what to what, and why; written in the transaction of the change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.core.audit import AuditAction
from app.core.sealing import MASK, Sealed
from app.core.values import value
from app.store.columns import parts_of
from app.store.database import Connection

_RECORD = """
    INSERT INTO audit_log (at, community_id, user_id, role, action, schedule_id, execution_id, before, after, reason,
                           request_id)
    SELECT $1, $2, $3, $4, $5, u.schedule_id, u.execution_id, u.before::jsonb, u.after::jsonb, $6, $7
      FROM unnest($8::uuid[], $9::uuid[], $10::text[], $11::text[]) AS u(schedule_id, execution_id, before, after)
"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change, and in which request."""

    community_id: int
    user: str | None
    role: str | None
    request_id: str | None


@value
class Change:
    """What was changed. `before` and `after` are anything that orjson encodes; null where there is nothing.

    `calendar` is the name of one, for the log.
    """

    schedule_id: UUID | None = None
    execution_id: UUID | None = None
    calendar: str | None = None
    before: Any = None
    after: Any = None


async def record(
    connection: Connection,
    actor: Actor,
    action: AuditAction,
    changes: Sequence[Change],
    *,
    reason: str | None,
    at: datetime,
) -> None:
    """Write one row for each change of one action."""
    for part in parts_of(changes):
        await connection.execute(
            _RECORD,
            at,
            actor.community_id,
            actor.user,
            actor.role,
            action.value,
            reason,
            actor.request_id,
            [change.schedule_id for change in part],
            [change.execution_id for change in part],
            [_text(change.before) for change in part],
            [_text(change.after) for change in part],
        )


def _text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value, default=_shown, option=orjson.OPT_UTC_Z).decode()


def _shown(value: object) -> str:
    # asyncpg's own subclass of UUID, which orjson does not know.
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Sealed):
        return MASK
    raise TypeError(f"{type(value).__name__} is not for the audit")
