"""Lists of executions, newest first.

An execution's id begins with the milliseconds of its `recorded_for`, so the order of the ids is the order of
recording and one id is a place in the list.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.execution import Execution, ExecutionStatus, Trigger
from app.core.ids import recorded_for
from app.core.queries import ExecutionFilter
from app.store.database import Connection
from app.store.executions import COLUMNS, execution_of
from app.store.looks import Look, Question
from app.store.these import NO_NOTICE

_THESE = f"""
    SELECT {COLUMNS} FROM executions
     WHERE execution_id = ANY($1::uuid[]) AND recorded_for BETWEEN $2 AND $3
     ORDER BY execution_id DESC
"""


async def look(
    connection: Connection,
    community_id: int,
    filter_: ExecutionFilter,
    *,
    before: UUID | None,
    limit: int,
    window: int,
) -> Look:
    """Look through up to `window` executions older than `before` for up to `limit` that are wanted.

    With a schedule: idx_executions_history. Across schedules: idx_executions_failed for the failed ones; for others no
    index leads with the community, and the primary keys are read from the newest on. There `to_at` bounds
    `recorded_for` too, so that the way to what is old is short. Backfilled runs are recorded after the instant that
    they are for, and all of them are found where they, or the failed ones, are asked for.
    """
    question = Question(
        table="executions",
        key="execution_id",
        columns="execution_id, community_id, status, scheduled_for, group_id, trigger",
        descending=True,
        order="execution_id DESC",
    )
    scope, wanted, bind = question.scope, question.wanted, question.bind
    community = f"community_id = {bind(community_id)}"
    wanted.append(community)
    if filter_.schedule_id is not None:
        scope.append(f"schedule_id = {bind(filter_.schedule_id)}")
        question.order = "recorded_for DESC, execution_id DESC"
    elif filter_.status is ExecutionStatus.FAILED:
        scope += [community, "status = 'failed'"]
        question.order = "recorded_for DESC, execution_id DESC"
    if before is not None:
        # The first condition is what lets Postgres pass over partitions, the second is exact.
        scope += [f"recorded_for <= {bind(recorded_for(before))}", f"execution_id < {bind(before)}"]
    if filter_.trigger is None:
        scope.append(NO_NOTICE)
    else:
        wanted.append(f"trigger = {bind(filter_.trigger.value)}")
    if filter_.status is not None:
        wanted.append(f"status = {bind(filter_.status.value)}")
    if filter_.backfill_id is not None:
        wanted.append(f"group_id = {bind(filter_.backfill_id)}")
    if filter_.from_at is not None:
        at = bind(filter_.from_at)
        # Nothing is recorded for an instant before the one it was scheduled for.
        scope.append(f"recorded_for >= {at}")
        wanted.append(f"scheduled_for >= {at}")
    if filter_.to_at is not None:
        at = bind(filter_.to_at)
        wanted.append(f"scheduled_for < {at}")
        has_backfilled = filter_.trigger is Trigger.BACKFILL or filter_.status is ExecutionStatus.FAILED
        if filter_.schedule_id is None and not has_backfilled:
            scope.append(f"recorded_for < {at}")
    return await question.look(connection, limit=limit, window=window)


async def these(connection: Connection, execution_ids: Sequence[UUID]) -> list[Execution]:
    """Executions that `look` found, newest first."""
    if not execution_ids:
        return []
    instants: list[datetime] = [instant for one in execution_ids if (instant := recorded_for(one)) is not None]
    rows = await connection.fetch(_THESE, execution_ids, min(instants), max(instants))
    return [execution_of(row) for row in rows]
