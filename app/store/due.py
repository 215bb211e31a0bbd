"""Claiming straight from the two due columns, while the wheel cannot be relied on.

Whoever claims locks what it claims, in the transaction that records it, and passes over what another has locked: so
several workers share what is due, and none looks at a row in vain. Of what is due, a community's oldest come in turn
with those of the others, among the oldest `_CONSIDERED`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.store.database import Connection
from app.store.these import UNFINISHED

_CONSIDERED = 2_000
_PEEKED = 100

# A schedule whose overlap policy counts runs is claimed no earlier than from the wheel: what ends in between would be
# taken for an overlap.
_DUE = "next_due_at <= CASE overlap_policy WHEN 'allow' THEN $2::timestamptz ELSE $1::timestamptz END"
# idx_workflow_schedules_next_execution. The array, and a condition that no index has, keep the join to the key.
_SCHEDULES = f"""
    WITH oldest AS MATERIALIZED (
        SELECT schedule_id, community_id, next_due_at FROM workflow_schedules
         WHERE next_due_at IS NOT NULL AND next_due_at <= $2 AND {_DUE} AND schedule_id <> ALL($3::uuid[])
         ORDER BY next_due_at LIMIT {_CONSIDERED}),
    turns AS MATERIALIZED (
        SELECT *, row_number() OVER (PARTITION BY community_id ORDER BY next_due_at) AS turn FROM oldest)
    SELECT s.schedule_id, s.community_id
      FROM unnest(ARRAY(SELECT schedule_id FROM turns ORDER BY turn, next_due_at))
           WITH ORDINALITY AS t(schedule_id, place)
      JOIN workflow_schedules s USING (schedule_id)
     WHERE s.status = 'active' AND coalesce(s.{_DUE}, false)
     ORDER BY t.place LIMIT $4
       FOR NO KEY UPDATE OF s SKIP LOCKED
"""
# idx_executions_wake
_EXECUTIONS = f"""
    WITH oldest AS MATERIALIZED (
        SELECT execution_id, recorded_for, community_id, wake_at FROM executions
         WHERE wake_at IS NOT NULL AND wake_at <= $1 AND status <> 'queued' AND execution_id <> ALL($2::uuid[])
         ORDER BY wake_at LIMIT {_CONSIDERED}),
    turns AS MATERIALIZED (
        SELECT *, row_number() OVER (PARTITION BY community_id ORDER BY wake_at) AS turn FROM oldest),
    offered AS MATERIALIZED (SELECT * FROM turns ORDER BY turn, wake_at)
    SELECT e.execution_id, e.community_id
      FROM unnest(ARRAY(SELECT execution_id FROM offered), ARRAY(SELECT recorded_for FROM offered))
           WITH ORDINALITY AS t(execution_id, recorded_for, place)
      JOIN executions e ON e.execution_id = t.execution_id AND e.recorded_for = t.recorded_for
     WHERE {UNFINISHED} AND coalesce(e.wake_at <= $1, false) AND e.status <> 'queued'
     ORDER BY t.place LIMIT $3
       FOR NO KEY UPDATE OF e SKIP LOCKED
"""
# Not locked: a queued run is started only with its schedule locked, which comes first.
_QUEUED = """
    SELECT execution_id, community_id FROM executions
     WHERE wake_at IS NOT NULL AND wake_at <= $1 AND status = 'queued' AND execution_id <> ALL($2::uuid[])
     ORDER BY wake_at LIMIT $3
"""
_EARLIEST = f"""
    SELECT (SELECT min(next_due_at - CASE overlap_policy WHEN 'allow' THEN $2::interval ELSE $1::interval END)
              FROM (SELECT next_due_at, overlap_policy FROM workflow_schedules
                     WHERE next_due_at IS NOT NULL ORDER BY next_due_at LIMIT {_PEEKED}) earliest),
           (SELECT wake_at FROM executions WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Claimable:
    """A row that was claimed, and whose it is."""

    row_id: UUID
    community_id: int


@dataclass(frozen=True, slots=True)
class Earliest:
    """From when on there is something to claim: a schedule, and an execution; null where none waits."""

    schedule_at: datetime | None
    execution_at: datetime | None


async def lock_schedules(
    connection: Connection, *, until: datetime, ahead_until: datetime, without: Collection[UUID], limit: int
) -> list[Claimable]:
    """Lock up to `limit` schedules that are due by `until`, or by `ahead_until` where nothing depends on their runs.

    `without` are passed over, as is what another has locked.
    """
    rows = await connection.fetch(_SCHEDULES, until, ahead_until, list(without), limit)
    return [Claimable(*row) for row in rows]


async def lock_executions(
    connection: Connection, *, until: datetime, without: Collection[UUID], limit: int
) -> list[Claimable]:
    """Lock up to `limit` executions whose `wake_at` has come by `until`; queued ones among them are not locked."""
    locked = await connection.fetch(_EXECUTIONS, until, list(without), limit)
    queued = await connection.fetch(_QUEUED, until, list(without), limit - len(locked)) if len(locked) < limit else []
    return [Claimable(*row) for row in (*locked, *queued)]


async def earliest(connection: Connection, *, ahead: timedelta, far_ahead: timedelta) -> Earliest:
    """From when on `lock_schedules` and `lock_executions` find something, each schedule so long before it is due."""
    (row,) = await connection.fetch(_EARLIEST, ahead, far_ahead)
    return Earliest(*row)
