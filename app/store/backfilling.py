"""The statement that records the runs of a backfill."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.execution import Wake
from app.core.schedule import Schedule
from app.store.database import Connection
from app.store.queueing import OTHERS_LOOK_AFTER

_RECORD = """
    INSERT INTO executions (
        execution_id, recorded_for, community_id, schedule_id, workflow_id, trigger, trigger_key, scheduled_for, due_at,
        last_scheduled_for, next_execution_at, status, revision, context_override, group_id, max_parallel, wake_at,
        created_at)
    SELECT u.execution_id, $3, $4, $5, $6, 'backfill', $7, u.scheduled_for, $3, lag(u.scheduled_for) OVER runs,
           coalesce(lead(u.scheduled_for) OVER runs, $8), 'queued', $9, $10, $11, $12,
           CASE WHEN u.place = 1 THEN $3::timestamptz ELSE $13 END, $3
      FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS u(execution_id, scheduled_for, place)
    WINDOW runs AS (ORDER BY u.place)
    RETURNING community_id, execution_id, wake_at
"""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Runs that a caller asked for: `runs` are (execution id, scheduled for), in order, recorded at `at`.

    `following` is the schedule's occurrence after the last of them; null where there is none.
    """

    backfill_id: UUID
    runs: Sequence[tuple[UUID, datetime]]
    following: datetime | None
    trigger_key: int
    max_parallel: int
    context_override: str | None
    at: datetime


async def record(connection: Connection, schedule: Schedule, backfill: Backfill) -> list[Wake]:
    """Record every run as queued, the first to be looked at now: a look starts as many as may run at once."""
    at = backfill.at
    rows = await connection.fetch(
        _RECORD,
        [execution_id for execution_id, _ in backfill.runs],
        [scheduled_for for _, scheduled_for in backfill.runs],
        at,
        schedule.community_id,
        schedule.schedule_id,
        schedule.definition.workflow_id,
        backfill.trigger_key,
        backfill.following,
        schedule.revision,
        backfill.context_override,
        backfill.backfill_id,
        backfill.max_parallel,
        at + OTHERS_LOOK_AFTER,
    )
    return [Wake(*row) for row in rows]
