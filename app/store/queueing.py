"""Statements about runs that wait for another run to end.

Runs wait in groups: a schedule's own and manual runs are one (`group_id` is null), each backfill is another. A run that
is queued marks the unfinished ones of its group as `awaited`, and whoever ends an awaited run wakes the oldest that is
queued. The mark is made on the very rows that the end is written to, so that one of the two always sees the other.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from app.core.execution import Wake
from app.core.ids import recorded_between
from app.store.database import Connection, on_behalf_of
from app.store.these import UNFINISHED

HEAD_LOOKS_AFTER = timedelta(seconds=5)
"""The oldest queued run of a group looks for room so often, also if nobody wakes it: none waits for ever."""
OTHERS_LOOK_AFTER = timedelta(seconds=60)
"""A queued run behind it: any look starts the group's oldest, so these are for safety alone."""

# idx_executions_unfinished, in each of them. Rows are locked in the order of their ids, as everywhere; one that ends
# meanwhile drops out when the lock is got, which is how the caller learns that there is room after all.
_AWAIT = """
    WITH standing AS MATERIALIZED (
        SELECT e.execution_id, e.recorded_for, e.schedule_id, e.group_id, e.awaited
          FROM unnest($1::uuid[], $2::uuid[]) AS g(schedule_id, group_id)
          JOIN executions e ON e.schedule_id = g.schedule_id AND e.group_id IS NOT DISTINCT FROM g.group_id
         WHERE e.finished_at IS NULL AND e.status <> 'queued'
         ORDER BY e.execution_id
           FOR NO KEY UPDATE OF e),
    marked AS (
        UPDATE executions e SET awaited = true
          FROM standing s
         WHERE e.execution_id = s.execution_id AND e.recorded_for = s.recorded_for AND NOT s.awaited)
    SELECT schedule_id, group_id, count(*) FROM standing GROUP BY schedule_id, group_id
"""
_WAKE = """
    WITH oldest AS MATERIALIZED (
        SELECT DISTINCT ON (e.schedule_id, e.group_id) e.execution_id, e.recorded_for
          FROM unnest($1::uuid[], $2::uuid[]) AS g(schedule_id, group_id)
          JOIN executions e ON e.schedule_id = g.schedule_id AND e.group_id IS NOT DISTINCT FROM g.group_id
         WHERE e.finished_at IS NULL AND e.status = 'queued'
         ORDER BY e.schedule_id, e.group_id, e.scheduled_for, e.execution_id),
    locked AS MATERIALIZED (
        SELECT e.execution_id, e.recorded_for FROM executions e JOIN oldest USING (execution_id, recorded_for)
         WHERE e.finished_at IS NULL AND e.status = 'queued' ORDER BY e.execution_id FOR NO KEY UPDATE OF e)
    UPDATE executions e SET wake_at = least(e.wake_at, $3)
      FROM locked l
     WHERE e.execution_id = l.execution_id AND e.recorded_for = l.recorded_for
    RETURNING e.community_id, e.execution_id, e.wake_at
"""
_QUEUED = f"""
    SELECT execution_id, schedule_id, group_id, max_parallel, wake_at FROM executions e
     WHERE execution_id = ANY($1::uuid[]) AND recorded_for BETWEEN $2 AND $3
       AND {UNFINISHED} AND status = 'queued'
"""
_LOCK_SCHEDULES = """
    SELECT schedule_id, max_instances FROM workflow_schedules WHERE schedule_id = ANY($1::uuid[])
     ORDER BY schedule_id
       FOR NO KEY UPDATE SKIP LOCKED
"""
_PRESENT = "SELECT schedule_id FROM workflow_schedules WHERE schedule_id = ANY($1::uuid[])"
_OLDEST = """
    SELECT e.execution_id, e.recorded_for FROM executions e
     WHERE e.schedule_id = $1 AND e.group_id IS NOT DISTINCT FROM $2 AND e.finished_at IS NULL AND e.status = 'queued'
     ORDER BY e.scheduled_for, e.execution_id LIMIT $3
"""
_LOOK_LATER = f"""
    WITH locked AS MATERIALIZED (
        SELECT execution_id FROM executions e
         WHERE execution_id = ANY($1::uuid[]) AND recorded_for BETWEEN $2 AND $3
           AND {UNFINISHED} AND status = 'queued'
         ORDER BY execution_id FOR NO KEY UPDATE)
    UPDATE executions e SET wake_at = $4
      FROM locked l
     WHERE e.execution_id = l.execution_id AND e.recorded_for BETWEEN $2 AND $3
    RETURNING e.community_id, e.execution_id, e.wake_at
"""
# idx_executions_unfinished. All that stand are locked, and counted once they are: what ends meanwhile drops out.
_MAKE_WAY = """
    WITH standing AS MATERIALIZED (
        SELECT e.execution_id, e.recorded_for, e.schedule_id, g.kept
          FROM unnest($1::uuid[], $2::int[]) AS g(schedule_id, kept)
          JOIN executions e ON e.schedule_id = g.schedule_id
         WHERE e.group_id IS NULL AND e.finished_at IS NULL AND e.status <> 'queued'
         ORDER BY e.execution_id
           FOR NO KEY UPDATE OF e),
    ranked AS (
        SELECT execution_id, recorded_for, kept,
               row_number() OVER (PARTITION BY schedule_id ORDER BY recorded_for DESC, execution_id DESC) AS place
          FROM standing)
    UPDATE executions e
       SET status = 'cancelled', reason = 'cancel_running', owner = NULL, wake_at = NULL, finished_at = $3
      FROM ranked r
     WHERE e.execution_id = r.execution_id AND e.recorded_for = r.recorded_for AND r.place > r.kept
       AND e.finished_at IS NULL
    RETURNING e.execution_id
"""


@dataclass(frozen=True, slots=True)
class Group:
    """The runs among which a queued one waits its turn: a schedule's (`group_id` is null), or one backfill's."""

    schedule_id: UUID
    group_id: UUID | None


@dataclass(frozen=True, slots=True)
class Queued:
    """A queued run, not locked. `max_parallel` is its backfill's, null for a schedule's group."""

    execution_id: UUID
    group: Group
    max_parallel: int | None
    wake_at: datetime


async def await_room(connection: Connection, groups: Collection[Group]) -> dict[Group, int]:
    """Mark every unfinished run of the groups as awaited. Answers how many each has: those that ended are not among
    them, so that fewer than its limit means room.

    The schedules are locked, so that no run is added meanwhile. Raises StoreUnavailableException where a run is locked
    for too long.
    """
    with on_behalf_of(group.schedule_id for group in groups):
        standing = {_group(row): row["count"] for row in await connection.fetch(_AWAIT, *_columns(groups))}
    return {group: standing.get(group, 0) for group in groups}


async def wake_oldest(connection: Connection, groups: Collection[Group], *, now: datetime) -> list[Wake]:
    """Have the oldest queued run of each group look for room now; to be called where a run of the group has ended."""
    if not groups:
        return []
    return [Wake(*row) for row in await connection.fetch(_WAKE, *_columns(groups), now)]


async def queued_among(connection: Connection, execution_ids: Sequence[UUID]) -> list[Queued]:
    """Which of the executions are queued."""
    rows = await connection.fetch(_QUEUED, execution_ids, *recorded_between(execution_ids))
    return [Queued(row["execution_id"], _group(row), row["max_parallel"], row["wake_at"]) for row in rows]


async def lock_schedules(connection: Connection, schedule_ids: Collection[UUID]) -> dict[UUID, int]:
    """Lock those of the schedules that no other has locked. Answers each one's `max_instances`."""
    return {row[0]: row[1] for row in await connection.fetch(_LOCK_SCHEDULES, list(schedule_ids))}


async def present(connection: Connection, schedule_ids: Collection[UUID]) -> set[UUID]:
    """Which of the schedules exist."""
    return {row[0] for row in await connection.fetch(_PRESENT, list(schedule_ids))}


async def oldest_queued(connection: Connection, group: Group, limit: int) -> list[UUID]:
    """The queued runs of a group whose turn comes first, at most so many, in their order."""
    return [row[0] for row in await connection.fetch(_OLDEST, group.schedule_id, group.group_id, limit)]


async def look_later(connection: Connection, execution_ids: Sequence[UUID], *, at: datetime) -> list[Wake]:
    """Have queued runs look for room again at an instant."""
    if not execution_ids:
        return []
    rows = await connection.fetch(_LOOK_LATER, execution_ids, *recorded_between(execution_ids), at)
    return [Wake(*row) for row in rows]


async def make_way(connection: Connection, kept: dict[UUID, int], *, now: datetime) -> list[UUID]:
    """Cancel each locked schedule's unfinished runs but so many, the newest. Answers which they were.

    Raises StoreUnavailableException where a run is locked for too long.
    """
    with on_behalf_of(kept):
        rows = await connection.fetch(_MAKE_WAY, list(kept), list(kept.values()), now)
    return [row[0] for row in rows]


def _columns(groups: Collection[Group]) -> tuple[list[UUID], list[UUID | None]]:
    return [group.schedule_id for group in groups], [group.group_id for group in groups]


def _group(row: "asyncpg.Record") -> Group:
    return Group(row["schedule_id"], row["group_id"])
