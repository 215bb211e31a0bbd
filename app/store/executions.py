"""Statements about single executions as their callers see them; every one names the community.

An execution's id carries its `recorded_for`. Every statement binds it, so that Postgres opens the one partition that
can hold the row.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from app.core.execution import Attempt, Execution, ExecutionStatus, Reason, Trigger
from app.core.ids import recorded_for
from app.core.schedule import Schedule
from app.store.database import Connection
from app.store.reading import reading

COLUMNS = """
    execution_id, schedule_id, community_id, workflow_id, trigger, scheduled_for, due_at, covers_from,
    coalesced_count, status, reason, reason_detail, group_id, revision, attempts, wake_at, engine_execution_id,
    result, error, lateness_ms, created_at, started_at, finished_at
"""
ROW = "execution_id = $1 AND recorded_for = $2 AND community_id = $3"
_ONE = f"SELECT {COLUMNS} FROM executions WHERE {ROW}"
_LOCK = f"{_ONE} FOR NO KEY UPDATE"
# Of any community: the one statement here that is asked by who does not know the community yet.
_COMMUNITY = "SELECT community_id FROM executions WHERE execution_id = $1 AND recorded_for = $2"
_EXISTS = f"SELECT EXISTS (SELECT FROM executions WHERE {ROW})"
_INSERT = f"""
    INSERT INTO executions (
        execution_id, recorded_for, community_id, schedule_id, workflow_id, trigger, trigger_key, scheduled_for,
        due_at, covers_from, coalesced_count, last_scheduled_for, next_execution_at, status, reason, reason_detail,
        revision, context_override, wake_at, created_at, finished_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
        ON CONFLICT DO NOTHING
    RETURNING {COLUMNS}
"""
# idx_executions_history, in the partitions of days to come alone.
_REMOVE_AHEAD = """
    DELETE FROM executions
     WHERE schedule_id = $1 AND recorded_for > $2 AND trigger = 'schedule' AND status = 'skipped'
       AND reason = 'calendar' AND community_id = $3
"""


@dataclass(frozen=True, slots=True)
class CallerRecord:
    """An execution that a caller's request records, not a worker: nobody owns it, and `attempt` is 0.

    `recorded_for` is the instant that its id carries; `schedule` is locked.
    """

    execution_id: UUID
    recorded_for: datetime
    schedule: Schedule
    trigger: Trigger
    trigger_key: int
    scheduled_for: datetime
    due_at: datetime
    covers_from: datetime | None
    coalesced_count: int
    status: ExecutionStatus
    reason: Reason | None
    reason_detail: str | None
    context_override: str | None
    wake_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


async def get(connection: Connection, community_id: int, execution_id: UUID) -> Execution | None:
    """One execution; null when it is unknown, or another community's."""
    return await one(connection, _ONE, community_id, execution_id)


async def community_of(connection: Connection, execution_id: UUID) -> int | None:
    """Whose an execution is; null when there is none with this id."""
    at = recorded_for(execution_id)
    community_id: int | None = None if at is None else await connection.fetchval(_COMMUNITY, execution_id, at)
    return community_id


async def lock(connection: Connection, community_id: int, execution_id: UUID) -> Execution | None:
    """The same, locked until the transaction ends."""
    return await one(connection, _LOCK, community_id, execution_id)


async def exists(connection: Connection, community_id: int, execution_id: UUID) -> bool:
    """Whether an execution was recorded under this id."""
    found: bool = await connection.fetchval(_EXISTS, execution_id, recorded_for(execution_id), community_id)
    return found


async def insert(connection: Connection, record: CallerRecord) -> Execution | None:
    """Record an execution; null when it was recorded before."""
    row = await connection.fetchrow(
        _INSERT,
        record.execution_id,
        record.recorded_for,
        record.schedule.community_id,
        record.schedule.schedule_id,
        record.schedule.definition.workflow_id,
        record.trigger.value,
        record.trigger_key,
        record.scheduled_for,
        record.due_at,
        record.covers_from,
        record.coalesced_count,
        record.schedule.last_execution_at,
        record.schedule.next_execution_at,
        record.status.value,
        None if record.reason is None else record.reason.value,
        record.reason_detail,
        record.schedule.revision,
        record.context_override,
        record.wake_at,
        record.created_at,
        record.finished_at,
    )
    return None if row is None else execution_of(row)


async def remove_ahead(connection: Connection, schedule: Schedule, *, after: datetime) -> bool:
    """Remove what was recorded of a schedule, for instants after this one, as skipped on days off; whether there was.

    No other execution is ever removed one by one. These have not happened: their time is still to come.
    """
    tag = await connection.execute(_REMOVE_AHEAD, schedule.schedule_id, after, schedule.community_id)
    return tag != "DELETE 0"


def execution_of(row: "asyncpg.Record") -> Execution:
    """The value of a row of `COLUMNS`.

    Raises UnreadableRowException.
    """
    with reading("execution", row["execution_id"]):
        return _read(row)


def _read(row: "asyncpg.Record") -> Execution:
    return Execution(
        execution_id=row["execution_id"],
        schedule_id=row["schedule_id"],
        community_id=row["community_id"],
        workflow_id=row["workflow_id"],
        trigger=Trigger(row["trigger"]),
        scheduled_for=row["scheduled_for"],
        due_at=row["due_at"],
        covers_from=row["covers_from"],
        coalesced_count=row["coalesced_count"],
        status=ExecutionStatus(row["status"]),
        reason=row["reason"],
        reason_detail=row["reason_detail"],
        group_id=row["group_id"],
        revision=row["revision"],
        attempts=_attempts(row["attempts"]),
        wake_at=row["wake_at"],
        engine_execution_id=row["engine_execution_id"],
        result=None if row["result"] is None else orjson.loads(row["result"]),
        error=row["error"],
        lateness_ms=row["lateness_ms"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def _attempts(encoded: str) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            number=attempt["number"],
            started_at=datetime.fromisoformat(attempt["started_at"]),
            duration_ms=attempt["duration_ms"],
            status_code=attempt["status_code"],
            error=attempt["error"],
        )
        for attempt in orjson.loads(encoded)
    )


async def one(
    connection: Connection, statement: str, community_id: int, execution_id: UUID, *values: object
) -> Execution | None:
    """The execution that a statement on `ROW` answers with; null for none, and for an id that none can have."""
    instant = recorded_for(execution_id)
    if instant is None:
        return None
    row = await connection.fetchrow(statement, execution_id, instant, community_id, *values)
    return None if row is None else execution_of(row)
