"""The statement that says of the occurrence that a schedule waits for whether it is to be skipped."""

from datetime import datetime

import orjson

from app.core.schedule import Schedule, SkipNext
from app.store.database import Connection
from app.store.schedules import COLUMNS, schedule_of

_SKIP_NEXT = f"""
    UPDATE workflow_schedules SET skip_next = $3, updated_at = $4, revision = revision + 1
     WHERE schedule_id = $1 AND community_id = $2 RETURNING {COLUMNS}
"""


async def skip_next(connection: Connection, schedule: Schedule, skip: SkipNext | None, *, at: datetime) -> Schedule:
    """Write it into a locked schedule's row, under the next revision."""
    encoded = None if skip is None else orjson.dumps(skip).decode()
    row = await connection.fetchrow(_SKIP_NEXT, schedule.schedule_id, schedule.community_id, encoded, at)
    assert row is not None, "the row is locked"
    return schedule_of(row)
