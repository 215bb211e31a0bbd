"""Statements that end an execution, or let it go on, on behalf of a caller or a target.

Every one that finishes an execution asks that it is unfinished: only `reopen` goes the other way.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.execution import Execution, ExecutionStatus, Reason
from app.core.ids import recorded_between, recorded_for
from app.store.database import Connection, lock_most
from app.store.executions import COLUMNS, ROW, execution_of, one
from app.store.in_force import DEFINITION_IN_FORCE
from app.store.these import NO_NOTICE

_CANCEL = f"""
    UPDATE executions
       SET status = 'cancelled', reason = $4, reason_detail = $6, owner = NULL, wake_at = NULL, finished_at = $5
     WHERE {ROW} AND finished_at IS NULL
    RETURNING {COLUMNS}
"""
# Only what was sent, or may have been, can have ended: a queued one has not begun.
_COMPLETE = f"""
    UPDATE executions
       SET status = $4, result = coalesce($5::jsonb, result), error = $6, owner = NULL, wake_at = NULL, finished_at = $7
     WHERE {ROW} AND finished_at IS NULL AND status IN ('pending', 'running', 'retrying')
    RETURNING {COLUMNS}
"""
_EXTEND = f"""
    UPDATE executions SET wake_at = greatest(wake_at, $4)
     WHERE {ROW} AND finished_at IS NULL AND status = 'running'
    RETURNING {COLUMNS}
"""
_TIMEOUT = f"""
    SELECT d.timeout_seconds
      FROM executions e{DEFINITION_IN_FORCE}
     WHERE e.execution_id = $1 AND e.recorded_for = $2 AND e.community_id = $3
"""
_IS_DEAD = "status IN ('failed', 'timed_out')"
# A fresh budget: failures count from nothing, and the age from now. `attempt` goes on, so that numbers stay unique.
_ANEW = """
    status = 'pending', owner = NULL, wake_at = {now}, finished_at = NULL, failures = 0, retry_since = {now},
    error = NULL, result = NULL
"""
_REOPEN = f"""
    UPDATE executions SET {_ANEW.format(now="$4")} WHERE {ROW} AND {_IS_DEAD}
    RETURNING {COLUMNS}
"""
_DEAD_AMONG = f"""
    execution_id = ANY($1::uuid[]) AND recorded_for BETWEEN $2 AND $3 AND community_id = $4 AND {_IS_DEAD}
"""
_LOCK_DEAD = f"SELECT {COLUMNS} FROM executions WHERE {_DEAD_AMONG} ORDER BY execution_id FOR NO KEY UPDATE"
_REOPEN_ALL = f"UPDATE executions SET {_ANEW.format(now='$5')} WHERE {_DEAD_AMONG} RETURNING {COLUMNS}"
# idx_executions_unfinished, in every partition: a run may be as old as retention allows. Locked in the order of their
# ids first, because an UPDATE alone locks in whatever order it finds them.
_WAITS = f"""
    schedule_id = ANY($1::uuid[]) AND community_id = $2 AND finished_at IS NULL AND status IN ('queued', 'retrying')
    AND {NO_NOTICE}
"""
_COUNT_WAITING = f"SELECT schedule_id, count(*) FROM executions WHERE {_WAITS} GROUP BY schedule_id"
_LOCK_WAITING = f"SELECT execution_id FROM executions WHERE {_WAITS} ORDER BY execution_id FOR NO KEY UPDATE"
_WAITING = f"SELECT execution_id, schedule_id FROM executions WHERE {_WAITS}"
_CANCEL_WAITING = f"""
    WITH waiting AS MATERIALIZED (
        SELECT execution_id, recorded_for FROM executions
         WHERE {_WAITS}
         ORDER BY execution_id
           FOR NO KEY UPDATE)
    UPDATE executions e
       SET status = 'cancelled', reason = $3, owner = NULL, wake_at = NULL, finished_at = $4
      FROM waiting w
     WHERE e.execution_id = w.execution_id AND e.recorded_for = w.recorded_for AND e.finished_at IS NULL
    RETURNING e.execution_id
"""


async def cancel(
    connection: Connection, locked: Execution, reason: Reason, detail: str | None, *, now: datetime
) -> Execution | None:
    """Finish a locked execution as cancelled; null when it is finished already."""
    return await one(connection, _CANCEL, locked.community_id, locked.execution_id, reason.value, now, detail)


async def complete(
    connection: Connection,
    locked: Execution,
    status: ExecutionStatus,
    *,
    result: str | None,
    error: str | None,
    now: datetime,
) -> Execution | None:
    """Finish a locked execution as its target reports; null when it is finished already, or has not begun.

    `result` is a JSON object, encoded.
    """
    return await one(connection, _COMPLETE, locked.community_id, locked.execution_id, status.value, result, error, now)


async def extend(connection: Connection, locked: Execution, until: datetime) -> Execution | None:
    """Move the deadline of a locked, running execution on; null when it does not run."""
    return await one(connection, _EXTEND, locked.community_id, locked.execution_id, until)


async def timeout_seconds(connection: Connection, execution: Execution) -> int | None:
    """How long an execution may run, by the definition it was recorded under; null when that is gone."""
    found: int | None = await connection.fetchval(
        _TIMEOUT, execution.execution_id, recorded_for(execution.execution_id), execution.community_id
    )
    return found


async def cancel_waiting(
    connection: Connection, community_id: int, schedule_ids: Sequence[UUID], reason: Reason, *, now: datetime
) -> int:
    """Finish schedules' queued and retrying executions as cancelled, but no notice. Returns how many there were."""
    return len(await connection.fetch(_CANCEL_WAITING, schedule_ids, community_id, reason.value, now))


async def count_waiting(connection: Connection, community_id: int, schedule_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many executions of each schedule a removal would cancel; those that have none are left out."""
    return {row[0]: row[1] for row in await connection.fetch(_COUNT_WAITING, schedule_ids, community_id)}


async def lock_waiting(connection: Connection, community_id: int, schedule_ids: Sequence[UUID]) -> set[UUID]:
    """Lock the executions that a removal of locked schedules would cancel, in the order of their ids.

    Those that another has locked are waited for briefly. Answers the schedules for whose executions that was in vain.
    """
    locked, whole = await lock_most(connection, _LOCK_WAITING, schedule_ids, community_id)
    if whole:
        return set()
    free = {row[0] for row in locked}
    waiting = await connection.fetch(_WAITING, schedule_ids, community_id)
    return {row["schedule_id"] for row in waiting if row["execution_id"] not in free}


async def reopen(connection: Connection, locked: Execution, *, now: datetime) -> Execution | None:
    """Have a locked, failed or timed-out execution delivered again; null in any other state."""
    return await one(connection, _REOPEN, locked.community_id, locked.execution_id, now)


async def lock_dead(connection: Connection, community_id: int, execution_ids: Sequence[UUID]) -> list[Execution]:
    """Lock those of the executions that have failed or timed out, in the order of their ids."""
    if not execution_ids:
        return []
    rows = await connection.fetch(_LOCK_DEAD, execution_ids, *recorded_between(execution_ids), community_id)
    return [execution_of(row) for row in rows]


async def reopen_all(
    connection: Connection, community_id: int, locked: Sequence[UUID], *, now: datetime
) -> list[Execution]:
    """Have locked, failed or timed-out executions delivered again."""
    if not locked:
        return []
    rows = await connection.fetch(_REOPEN_ALL, locked, *recorded_between(locked), community_id, now)
    return [execution_of(row) for row in rows]
