"""Statements that let go of what has served its time: completed schedules, old definitions, repeated requests."""

from datetime import datetime

from app.store import idempotency
from app.store.database import Connection

# `after_completion: delete` waits until the last execution is finished: its attempts need the definition.
_LOCK_COMPLETED = """
    SELECT schedule_id FROM workflow_schedules s
     WHERE s.status = 'completed' AND (s.after_completion = 'delete' OR s.completed_at < $1)
       AND NOT EXISTS (SELECT FROM executions e WHERE e.schedule_id = s.schedule_id AND e.finished_at IS NULL)
     ORDER BY schedule_id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
# Asked once more, now that the rows are locked: a run may have been recorded between the first statement's snapshot
# and its lock.
_REMOVE_COMPLETED = """
    WITH gone AS MATERIALIZED (
        SELECT schedule_id FROM workflow_schedules s
         WHERE s.schedule_id = ANY($1::uuid[]) AND s.status = 'completed'
           AND NOT EXISTS (SELECT FROM executions e WHERE e.schedule_id = s.schedule_id AND e.finished_at IS NULL)),
    kept AS (
        INSERT INTO schedule_revisions (schedule_id, revision, community_id, definition, superseded_at)
        SELECT s.schedule_id, s.revision, s.community_id, to_jsonb(s), $2
          FROM workflow_schedules s JOIN gone USING (schedule_id)
            ON CONFLICT DO NOTHING),
    unused AS (DELETE FROM calendar_uses u USING gone WHERE u.schedule_id = gone.schedule_id)
    DELETE FROM workflow_schedules s USING gone WHERE s.schedule_id = gone.schedule_id
"""
_REVISIONS = """
    DELETE FROM schedule_revisions r
     WHERE (r.schedule_id, r.revision) IN (
           SELECT o.schedule_id, o.revision FROM schedule_revisions o
            WHERE o.superseded_at < $1
              AND NOT EXISTS (SELECT FROM executions e
                               WHERE e.schedule_id = o.schedule_id AND e.revision = o.revision
                                 AND (e.finished_at IS NULL OR e.status IN ('failed', 'timed_out')))
            ORDER BY o.superseded_at LIMIT $2)
"""
_IDEMPOTENCY_KEYS = "DELETE FROM idempotency_keys WHERE created_at < $1"


async def remove_completed(connection: Connection, *, completed_before: datetime, now: datetime, limit: int) -> int:
    """Remove completed schedules that ask for it, or that completed long ago; their executions stay readable.

    Returns how many were looked at, which is the limit where there may be more.
    """
    locked = [row[0] for row in await connection.fetch(_LOCK_COMPLETED, completed_before, limit)]
    if locked:
        await connection.execute(_REMOVE_COMPLETED, locked, now)
    return len(locked)


async def forget_revisions(connection: Connection, *, superseded_before: datetime, limit: int) -> None:
    """Forget definitions that no kept execution can name any more."""
    await connection.execute(_REVISIONS, superseded_before, limit)


async def forget_idempotency_keys(connection: Connection, *, now: datetime) -> None:
    """Forget requests that are too old to be repeated."""
    await connection.execute(_IDEMPOTENCY_KEYS, now - idempotency.KEPT)
