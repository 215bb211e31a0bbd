"""What of active schedules says when they fire, without what they send."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from app.core.clock import in_turns
from app.core.forecasting import Coming
from app.store.columns import parts_of
from app.store.database import Connection
from app.store.reading import reading
from app.store.timings import TIMING, timing_of

_COMING = f"""
    SELECT schedule_id, {TIMING}, next_execution_at, skip_next IS NOT NULL AS skips_next,
           max_executions - execution_count AS runs_left
      FROM workflow_schedules
     WHERE schedule_id = ANY($1::uuid[]) AND community_id = $2 AND status = 'active' ORDER BY schedule_id
"""


async def coming(connection: Connection, community_id: int, schedule_ids: Sequence[UUID]) -> list[Coming]:
    """Those of the schedules that are still active, in the order of their ids, in which they are given.

    Raises UnreadableRowException.
    """
    found: list[Coming] = []
    for part in parts_of(schedule_ids):
        # Each row has all days of its calendars with it, thousands where there are many, and reading them takes its
        # time; once read, equal ones are one value.
        rows = await connection.fetch(_COMING, part, community_id)
        found += [_coming_of(row) async for row in in_turns(rows)]
    return found


def _coming_of(row: "asyncpg.Record") -> Coming:
    with reading("schedule", row["schedule_id"]):
        return Coming(
            schedule_id=row["schedule_id"],
            timing=timing_of(row),
            waits_for=row["next_execution_at"],
            skips_next=row["skips_next"],
            runs_left=row["runs_left"],
        )
