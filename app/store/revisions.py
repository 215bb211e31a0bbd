"""Definitions that were superseded, for the executions that were recorded under them.

An execution names the revision that was in force when it was recorded, and every attempt sends that definition. So
whoever raises a schedule's revision, or removes it, keeps the old one first, in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.store.database import Connection

# What an attempt needs, under the names of the columns.
_KEEP = """
    INSERT INTO schedule_revisions (schedule_id, revision, community_id, definition, superseded_at)
    SELECT s.schedule_id, s.revision, s.community_id,
           (SELECT to_jsonb(d) FROM (SELECT s.workflow_id, s.name, s.schedule_type, s.cron_expression,
                                            s.interval_seconds, s.scheduled_time, s.timezone, s.start_at, s.end_at,
                                            s.jitter_seconds, s.dst_policy, s.calendars, s.target,
                                            s.failure_target, s.completion, s.timeout_seconds, s.retry,
                                            s.context_data) AS d),
           $3
      FROM workflow_schedules s
     WHERE s.schedule_id = ANY($1::uuid[]) AND s.community_id = $2
        ON CONFLICT DO NOTHING
"""


async def keep(connection: Connection, community_id: int, schedule_ids: Sequence[UUID], *, now: datetime) -> None:
    """Keep locked schedules' definitions as they are stored now, before they are changed or removed."""
    await connection.execute(_KEEP, schedule_ids, community_id, now)
