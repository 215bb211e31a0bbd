"""Lists of executions, newest first.

An execution's id begins with the milliseconds of its `recorded_for`, so the order of the ids is the order of
recording and one id is a place in the list. The runs of a backfill are recorded all at once: their order is that of the
instants that they are for.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.execution import Execution, ExecutionStatus, Trigger
from app.core.ids import made_at, recorded_for
from app.core.queries import ExecutionFilter
from app.store.database import Connection
from app.store.executions import COLUMNS, execution_of
from app.store.looks import Items, Question, Seen
from app.store.these import NO_NOTICE

_THESE = f"""
    SELECT {COLUMNS} FROM executions
     WHERE execution_id = ANY($1::uuid[]) AND recorded_for BETWEEN $2 AND $3
"""
# At most a thousand, by idx_executions_history where a schedule is named; that of the cursor by the primary key.
_BACKFILLED = """
    SELECT execution_id FROM executions
     WHERE group_id = $1 AND recorded_for = $2 AND community_id = $3 AND trigger = $4 AND {wanted}
     ORDER BY scheduled_for DESC LIMIT $5
"""


async def look(
    connection: Connection,
    community_id: int,
    filter_: ExecutionFilter,
    *,
    before: UUID | None,
    limit: int,
    window: int,
) -> Seen[UUID]:
    """Look through up to `window` executions older than `before` for up to `limit` that are wanted.

    With a schedule: idx_executions_history. Across schedules: idx_executions_failed for the failed ones; for others no
    index leads with the community, and the primary keys are read from the newest on. There `to_at` bounds
    `recorded_for` too, so that the way to what is old is short. Backfilled runs are recorded after the instant that
    they are for, and all of them are found where they, or the failed ones, are asked for.
    """
    question = Question[UUID](
        table="executions",
        key="execution_id",
        columns="execution_id, community_id, status, scheduled_for, trigger",
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


async def look_at_backfilled(
    connection: Connection, community_id: int, filter_: ExecutionFilter, *, before: UUID | None, limit: int
) -> Seen[UUID]:
    """Look for up to `limit` runs of a backfill that are wanted, those for the latest instants first."""
    backfill_id = filter_.backfill_id
    at = None if backfill_id is None else made_at(backfill_id)
    if at is None or filter_.trigger not in (None, Trigger.BACKFILL):
        return Seen((), None)
    values: list[object] = [backfill_id, at, community_id, Trigger.BACKFILL.value, limit]
    wanted = ["true"]

    def bind(condition: str, value: object) -> None:
        if value is not None:
            values.append(value)
            wanted.append(condition.format(f"${len(values)}"))

    bind("schedule_id = {}", filter_.schedule_id)
    bind("status = {}", None if filter_.status is None else filter_.status.value)
    bind("scheduled_for >= {}", filter_.from_at)
    bind("scheduled_for < {}", filter_.to_at)
    bind("scheduled_for < (SELECT scheduled_for FROM executions WHERE execution_id = {} AND recorded_for = $2)", before)
    rows = await connection.fetch(_BACKFILLED.format(wanted=" AND ".join(wanted)), *values)
    found = tuple(row[0] for row in rows)
    return Seen(found, found[-1] if len(found) == limit else None)


async def these(connection: Connection, execution_ids: Sequence[UUID]) -> Items[Execution]:
    """Executions that a look found, in its order."""
    instants: list[datetime] = [instant for one in execution_ids if (instant := recorded_for(one)) is not None]
    rows = await connection.fetch(_THESE, execution_ids, min(instants), max(instants))
    found = {row["execution_id"]: row for row in rows}
    return Items.of([found[one] for one in execution_ids if one in found], execution_of)
