"""Statements that say how the service does; each reads a bounded number of index entries."""

from datetime import datetime

from app.store.database import Connection

# By Postgres's own clock, which stamps the beats.
_LIVE_WORKERS = "SELECT count(*) FROM workers WHERE beat_at > clock_timestamp() - make_interval(secs => $1)"
# idx_workflow_schedules_next_execution
_OVERDUE = "SELECT count(*) FROM (SELECT FROM workflow_schedules WHERE next_due_at < $1 LIMIT $2) AS overdue"
# idx_workflow_schedules_is_active
_ACTIVE = """
    SELECT count(*) FROM (SELECT FROM workflow_schedules WHERE community_id = $1 AND is_active LIMIT $2) AS active
"""


async def live_workers(connection: Connection, *, silence_seconds: float) -> int:
    """How many workers have beaten within that time."""
    count: int = await connection.fetchval(_LIVE_WORKERS, silence_seconds)
    return count


async def overdue(connection: Connection, *, before: datetime, at_most: int) -> int:
    """How many schedules were due before an instant and are still waiting; counted no further than `at_most`."""
    count: int = await connection.fetchval(_OVERDUE, before, at_most)
    return count


async def active_schedules(connection: Connection, community_id: int, *, at_most: int | None) -> int:
    """How many schedules of a community are active; counted no further than `at_most`, where that is given."""
    count: int = await connection.fetchval(_ACTIVE, community_id, at_most)
    return count
