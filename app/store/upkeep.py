"""What the keepers read: everything that waits for a time, from the two due columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from app.core.ids import recorded_between
from app.store.database import Connection

# idx_workflow_schedules_next_execution
_SCHEDULES_DUE = """
    SELECT community_id, schedule_id, next_due_at FROM workflow_schedules
     WHERE next_due_at IS NOT NULL AND next_due_at <= $2 AND (next_due_at, schedule_id) > ($1, $3)
     ORDER BY next_due_at, schedule_id LIMIT $4
"""
# idx_executions_wake
_EXECUTIONS_DUE = """
    SELECT community_id, execution_id, wake_at FROM executions
     WHERE wake_at IS NOT NULL AND wake_at <= $2 AND (wake_at, execution_id) > ($1, $3)
     ORDER BY wake_at, execution_id LIMIT $4
"""
_SCHEDULES_STILL_DUE = """
    SELECT schedule_id FROM workflow_schedules WHERE schedule_id = ANY($1::uuid[]) AND next_due_at <= $2
"""
_EXECUTIONS_STILL_DUE = """
    SELECT execution_id FROM executions
     WHERE execution_id = ANY($1::uuid[]) AND wake_at <= $2 AND recorded_for BETWEEN $3 AND $4
"""
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(7305613092000 + $1::bigint)"

FIRST_ID = UUID(int=0)


class Keeper(IntEnum):
    """Whose turn it is: of all workers one at a time makes a keeper's pass. The numbers are those of advisory locks."""

    WINDOW = 1
    SWEEP = 2
    BURY = 3
    RETENTION = 4
    ZONES = 5
    SCAN = 6


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A row that waits, and the time it waits for."""

    community_id: int
    row_id: UUID
    due_at: datetime


async def schedules_due(
    connection: Connection, after: tuple[datetime, UUID], until: datetime, limit: int
) -> Sequence[WaitingRow]:
    """Schedules by their due time, in (after, until], a page at a time: the next page starts after the last row."""
    return [WaitingRow(*row) for row in await connection.fetch(_SCHEDULES_DUE, after[0], until, after[1], limit)]


async def executions_due(
    connection: Connection, after: tuple[datetime, UUID], until: datetime, limit: int
) -> Sequence[WaitingRow]:
    """Executions by their `wake_at`, in (after, until], a page at a time: the next page starts after the last row."""
    return [WaitingRow(*row) for row in await connection.fetch(_EXECUTIONS_DUE, after[0], until, after[1], limit)]


async def schedules_still_due(connection: Connection, ids: Sequence[UUID], until: datetime) -> set[UUID]:
    """Which of the schedules are due by then."""
    return {row[0] for row in await connection.fetch(_SCHEDULES_STILL_DUE, ids, until)}


async def executions_still_due(connection: Connection, ids: Sequence[UUID], until: datetime) -> set[UUID]:
    """Which of the executions have their `wake_at` by then."""
    return {row[0] for row in await connection.fetch(_EXECUTIONS_STILL_DUE, ids, until, *recorded_between(ids))}


async def try_turn(connection: Connection, keeper: Keeper) -> bool:
    """Whether this transaction is the one that does a keeper's pass; held until it ends."""
    taken: bool = await connection.fetchval(_TRY_LOCK, keeper.value)
    return taken
