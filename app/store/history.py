"""Lists of executions, newest first, at a bounded cost however rare what is looked for is.

An execution's id begins with the milliseconds of its `recorded_for`, so the order of the ids is the order of
recording and one id is a place in the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.execution import Execution, ExecutionStatus
from app.core.ids import recorded_for
from app.core.queries import ExecutionFilter
from app.store.database import Connection
from app.store.executions import COLUMNS, execution

# One look reads at most $1 rows of the scope, newest first, and answers which of them are wanted and how far it came.
_LOOK = """
    WITH looked_at AS MATERIALIZED (
        SELECT execution_id, community_id, status, scheduled_for FROM executions
         WHERE {scope}
         ORDER BY {order} LIMIT $1)
    SELECT ARRAY(SELECT execution_id FROM looked_at WHERE {wanted} ORDER BY execution_id DESC LIMIT $2),
           (SELECT count(*) FROM looked_at),
           (SELECT execution_id FROM looked_at ORDER BY execution_id LIMIT 1)
"""
_THESE = f"""
    SELECT {COLUMNS} FROM executions
     WHERE execution_id = ANY($1::uuid[]) AND recorded_for BETWEEN $2 AND $3
     ORDER BY execution_id DESC
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found. `reached` is the last execution looked at; null when nothing older is left."""

    found: tuple[UUID, ...]
    reached: UUID | None


async def look(
    connection: Connection,
    community_id: int,
    wanted: ExecutionFilter,
    *,
    before: UUID | None,
    limit: int,
    window: int,
) -> Look:
    """Look through up to `window` executions older than `before` for up to `limit` that are wanted.

    With a schedule: idx_executions_history. Across schedules: idx_executions_failed for the failed ones; for others no
    index leads with the community (each one costs every firing), and the primary keys are read from the newest on.
    There `from_at` and `to_at` bound `recorded_for`, which is `scheduled_for` but for backfilled runs.
    """
    values: list[object] = [window, limit]

    def bound(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    community = f"community_id = {bound(community_id)}"
    scope, conditions, order = [], [community], "execution_id DESC"
    if wanted.schedule_id is not None:
        scope.append(f"schedule_id = {bound(wanted.schedule_id)}")
        order = "recorded_for DESC, execution_id DESC"
    elif wanted.status is ExecutionStatus.FAILED:
        scope += [community, "status = 'failed'"]
        order = "recorded_for DESC, execution_id DESC"
    if before is not None:
        # The first condition is what lets Postgres pass over partitions, the second is exact.
        scope += [f"recorded_for <= {bound(recorded_for(before))}", f"execution_id < {bound(before)}"]
    if wanted.status is not None:
        conditions.append(f"status = {bound(wanted.status.value)}")
    if wanted.from_at is not None:
        at = bound(wanted.from_at)
        # Nothing is recorded for an instant before the one it was scheduled for.
        scope.append(f"recorded_for >= {at}")
        conditions.append(f"scheduled_for >= {at}")
    if wanted.to_at is not None:
        at = bound(wanted.to_at)
        conditions.append(f"scheduled_for < {at}")
        if wanted.schedule_id is None:
            scope.append(f"recorded_for < {at}")
    statement = _LOOK.format(scope=" AND ".join(scope) or "true", order=order, wanted=" AND ".join(conditions))
    row = await connection.fetchrow(statement, *values)
    assert row is not None, "it selects no columns from a table"
    found: tuple[UUID, ...] = tuple(row[0])
    if len(found) == limit:
        return Look(found, found[-1])
    return Look(found, row[2] if row[1] == window else None)


async def these(connection: Connection, execution_ids: Sequence[UUID]) -> list[Execution]:
    """Executions that `look` found, newest first."""
    if not execution_ids:
        return []
    instants: list[datetime] = [instant for one in execution_ids if (instant := recorded_for(one)) is not None]
    rows = await connection.fetch(_THESE, execution_ids, min(instants), max(instants))
    return [execution(row) for row in rows]
