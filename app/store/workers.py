"""Statements about workers: the row that says one lives, and what is released when one does not."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.execution import Wake
from app.store.database import Connection

_REGISTER = """
    INSERT INTO workers (worker_id, host, pid, version, started_at, beat_at)
    VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
"""
_BEAT = "UPDATE workers SET beat = beat + 1, beat_at = clock_timestamp() WHERE worker_id = $1 RETURNING beat"
_BEAT_AND_TELL = """
    UPDATE workers SET beat = beat + 1, beat_at = clock_timestamp(), targets = $2::jsonb
     WHERE worker_id = $1 RETURNING beat
"""
# By Postgres's own clock, which stamps the beats. The order is the same for whoever asks.
_SHARING = """
    SELECT count(*), count(*) FILTER (WHERE worker_id < $1) FROM workers
     WHERE worker_id = $1 OR beat_at > clock_timestamp() - make_interval(secs => $2)
"""
_BEATS = "SELECT worker_id, beat FROM workers"
_LEAVE = "DELETE FROM workers WHERE worker_id = $1"
# Only a row whose counter is still the one that was watched: one that beat meanwhile lives.
_DECLARE_DEAD = """
    DELETE FROM workers w USING unnest($1::uuid[], $2::bigint[]) AS u(worker_id, beat)
     WHERE w.worker_id = u.worker_id AND w.beat = u.beat RETURNING w.worker_id
"""
# idx_executions_unfinished. At every pass, not only when a death is found: a worker that was frozen in its commit may
# record under an id that was buried already.
_RELEASE_OWNERLESS = """
    UPDATE executions e SET owner = NULL, wake_at = $1
      FROM (SELECT execution_id, recorded_for FROM executions
             WHERE finished_at IS NULL AND status = 'pending' AND owner IS NOT NULL
               AND NOT EXISTS (SELECT FROM workers w WHERE w.worker_id = owner)
             ORDER BY execution_id LIMIT $2
               FOR NO KEY UPDATE SKIP LOCKED) u
     WHERE e.execution_id = u.execution_id AND e.recorded_for = u.recorded_for
    RETURNING e.community_id, e.execution_id, e.wake_at
"""
# idx_executions_unfinished
_PENDING_OF = """
    SELECT execution_id, recorded_for FROM executions
     WHERE finished_at IS NULL AND status = 'pending' AND owner = $1
"""


async def register(connection: Connection, worker_id: UUID, *, host: str, pid: int, version: str) -> None:
    """Write the row of a worker; to be committed before its first claim."""
    await connection.execute(_REGISTER, worker_id, host, pid, version)


async def beat(connection: Connection, worker_id: UUID) -> bool:
    """Count a worker's beat up; false when its row is gone, because it was declared dead."""
    return await connection.fetchval(_BEAT, worker_id) is not None


async def beat_and_tell(connection: Connection, worker_id: UUID, targets_json: str | None) -> bool:
    """The same, with what this worker has to say of its targets (a JSON array); null takes back what it said."""
    return await connection.fetchval(_BEAT_AND_TELL, worker_id, targets_json) is not None


async def sharing(connection: Connection, worker_id: UUID, *, silence_seconds: float) -> tuple[int, int]:
    """How many workers have beaten within that time, this one included, and its place among them from 0."""
    row = await connection.fetchrow(_SHARING, worker_id, silence_seconds)
    assert row is not None
    return row[0], row[1]


async def beats(connection: Connection) -> dict[UUID, int]:
    """Every worker's counter."""
    return {row[0]: row[1] for row in await connection.fetch(_BEATS)}


async def leave(connection: Connection, worker_id: UUID) -> None:
    """Remove the row of a worker that exits; the last thing it does."""
    await connection.execute(_LEAVE, worker_id)


async def declare_dead(connection: Connection, silent: dict[UUID, int]) -> list[UUID]:
    """Remove the rows of workers whose counter has stood still. Returns those that were really removed."""
    rows = await connection.fetch(_DECLARE_DEAD, list(silent), list(silent.values()))
    return [row[0] for row in rows]


async def release_ownerless(connection: Connection, *, now: datetime, limit: int) -> Sequence[Wake]:
    """Release pending executions whose owner has no row, so that any worker with room takes them."""
    return [Wake(*row) for row in await connection.fetch(_RELEASE_OWNERLESS, now, limit)]


async def pending_of(connection: Connection, worker_id: UUID) -> list[tuple[UUID, datetime]]:
    """What is pending under a worker's id: (execution, recorded_for)."""
    return [(row[0], row[1]) for row in await connection.fetch(_PENDING_OF, worker_id)]
