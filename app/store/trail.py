"""Reading the audit trail, newest first.

Its order is that of `at`, and among changes of one instant that of their ids: neither ever changes, so that new entries
move none that is there. An entry's place in the list is the two together.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

import asyncpg

from app.core.audit import AuditEntry
from app.core.queries import AuditFilter
from app.store.database import Connection
from app.store.looks import Items, Question, Seen

Place: TypeAlias = tuple[datetime, int]

_THESE = """
    SELECT audit_id, at, user_id, role, action, schedule_id, execution_id, before, after, reason, request_id
      FROM audit_log
     WHERE audit_id = ANY($1::bigint[]) AND community_id = $2
     ORDER BY at DESC, audit_id DESC
"""


async def look(
    connection: Connection,
    community_id: int,
    filter_: AuditFilter,
    *,
    before: Place | None,
    limit: int,
    window: int,
) -> Seen[Place]:
    """Look through up to `window` entries older than `before` for up to `limit` that are wanted.

    idx_audit_log_execution_at or _schedule_at, the first of these that is asked for, and idx_audit_log_at where neither
    is: each gives the entries in the list's order, from any instant on. What is asked for besides is looked for among
    those: every change and every report of a target writes each index, and given two conditions that indexes answer,
    Postgres may choose the one that finds nothing for a million entries.
    """
    question = Question[Place](
        table="audit_log",
        key="(at, audit_id)",
        columns="at, audit_id, schedule_id, user_id, action",
        descending=True,
        order="at DESC, audit_id DESC",
    )
    scope, bind = question.scope, question.bind
    scope.append(f"community_id = {bind(community_id)}")
    indexed, others = _parted(filter_)
    # The condition of idx_audit_log_at: without it no other question can be answered by that.
    scope += [f"{column} = {bind(value)}" for column, value in indexed] or ["audit_id > 0"]
    question.wanted += [f"{column} = {bind(value)}" for column, value in others]
    if filter_.from_at is not None:
        scope.append(f"at >= {bind(filter_.from_at)}")
    if filter_.to_at is not None:
        scope.append(f"at < {bind(filter_.to_at)}")
    if before is not None:
        at, audit_id = before
        scope.append(f"(at, audit_id) < ({bind(at)}, {bind(audit_id)})")
    return await question.look(connection, limit=limit, window=window)


def is_looked_for(filter_: AuditFilter) -> bool:
    """Whether something is asked for that no index answers."""
    return bool(_parted(filter_)[1])


async def these(connection: Connection, community_id: int, places: Sequence[Place]) -> Items[AuditEntry]:
    """Entries that a look found, in its order."""
    rows = await connection.fetch(_THESE, [audit_id for _, audit_id in places], community_id)
    return Items.of(rows, _entry)


def _parted(filter_: AuditFilter) -> tuple[list[tuple[str, object]], list[tuple[str, object]]]:
    """What is asked for, by column: what an index answers, of which one is, and what is to be looked for."""
    asked: list[tuple[str, object]] = [("execution_id", filter_.execution_id), ("schedule_id", filter_.schedule_id)]
    others: list[tuple[str, object]] = [("user_id", filter_.user), ("action", filter_.action)]
    indexed = [(column, value) for column, value in asked if value is not None]
    return indexed[:1], indexed[1:] + [(column, value) for column, value in others if value is not None]


def _entry(row: "asyncpg.Record") -> AuditEntry:
    return AuditEntry(
        audit_id=row["audit_id"],
        at=row["at"],
        user=row["user_id"],
        role=row["role"],
        action=row["action"],
        schedule_id=row["schedule_id"],
        execution_id=row["execution_id"],
        before=row["before"],
        after=row["after"],
        reason=row["reason"],
        request_id=row["request_id"],
    )
