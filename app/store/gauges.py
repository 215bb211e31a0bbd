"""Statements behind the gauges: the whole service's figures, for metrics only."""

from dataclasses import dataclass

from app.store.database import Connection

# Both by idx_workflow_schedules_next_execution, without a look at the table.
_ACTIVE = "SELECT count(*) FROM workflow_schedules WHERE next_due_at IS NOT NULL"
_LAG = """
    SELECT coalesce(extract(epoch FROM clock_timestamp() - (
               SELECT min(next_due_at) FROM workflow_schedules WHERE next_due_at IS NOT NULL)), 0)::float8,
           (SELECT count(*) FROM (
               SELECT FROM workflow_schedules
                WHERE next_due_at < clock_timestamp() - interval '2 seconds' LIMIT 10000) o)
"""


@dataclass(frozen=True, slots=True)
class DueLag:
    """How long the longest overdue schedule has been due, and how many are overdue by more than two seconds.

    The number is counted up to 10 000.
    """

    seconds: float
    overdue: int


async def active_schedules(connection: Connection) -> int:
    """The active schedules of all communities."""
    found: int = await connection.fetchval(_ACTIVE)
    return found


async def due_lag(connection: Connection) -> DueLag:
    """The due lag: what workers are scaled by."""
    row = await connection.fetchrow(_LAG)
    assert row is not None
    return DueLag(max(row[0], 0.0), row[1])
