"""What the scan counts: rows that no rule of the firing protocol can leave behind, a bounded number at a time."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.store.database import Connection

COUNTED_AT_MOST = 10_000

# idx_executions_unfinished. All of the last schedule's rows belong to a window, so that none falls between two.
_UNFINISHED = """
    WITH looked_at AS MATERIALIZED (
        SELECT schedule_id, status, owner, wake_at FROM executions
         WHERE finished_at IS NULL AND schedule_id > $1
         ORDER BY schedule_id FETCH FIRST $2 ROWS WITH TIES)
    SELECT count(*) FILTER (WHERE status = 'pending' AND owner IS NOT NULL AND wake_at IS NULL
                              AND NOT EXISTS (SELECT FROM workers w WHERE w.worker_id = owner)),
           count(*) FILTER (WHERE (owner IS NULL) = (wake_at IS NULL) OR (owner IS NOT NULL AND status <> 'pending')),
           count(*),
           (SELECT schedule_id FROM looked_at ORDER BY schedule_id DESC LIMIT 1)
      FROM looked_at
"""
# The primary key: no index can be on what the table's own constraint says cannot be.
_SCHEDULES = """
    WITH looked_at AS MATERIALIZED (
        SELECT id, status, next_execution_at, next_due_at FROM workflow_schedules WHERE id > $1 ORDER BY id LIMIT $2)
    SELECT count(*) FILTER (WHERE status = 'active' AND (next_due_at IS NULL OR next_execution_at IS NULL)),
           count(*), max(id)
      FROM looked_at
"""
# idx_executions_wake
_WAKE_OVERDUE = "SELECT count(*) FROM (SELECT FROM executions WHERE wake_at < $1 LIMIT $2) AS overdue"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A window of unfinished executions.

    `ownerless` are pending under an owner without a row. `unwatched` have neither an owner nor a `wake_at`, or both, or
    an owner in a state that has none: nothing will look at them, or two will. `reached` is the last schedule looked at;
    null at the end.
    """

    ownerless: int
    unwatched: int
    reached: UUID | None


@dataclass(frozen=True, slots=True)
class Schedules:
    """A window of schedules: how many are active without a next occurrence, and the last one; null at the end."""

    without_next: int
    reached: int | None


async def unfinished(connection: Connection, after: UUID, *, window: int) -> Unfinished:
    """Look at about `window` unfinished executions, by their schedules, from the one after `after` on."""
    (row,) = await connection.fetch(_UNFINISHED, after, window)
    return Unfinished(row[0], row[1], row[3] if row[2] >= window else None)


async def schedules(connection: Connection, after: int, *, window: int) -> Schedules:
    """Look at `window` schedules, in the order of their creation, from the one after `after` on."""
    (row,) = await connection.fetch(_SCHEDULES, after, window)
    return Schedules(row[0], row[2] if row[1] >= window else None)


async def wake_overdue(connection: Connection, *, before: datetime) -> int:
    """How many executions wanted a look before an instant and still wait; counted up to 10 000."""
    (row,) = await connection.fetch(_WAKE_OVERDUE, before, COUNTED_AT_MOST)
    count: int = row[0]
    return count
