"""What is read to explain an instant: a schedule's life, and what was recorded around it.

All of it is read by the indexes that are there for other ends, and none of it without a bound: however long a
schedule's history is, one question reads a limited part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import orjson

from app.core.audit import AuditAction
from app.core.execution import Execution
from app.core.explaining import Event
from app.core.occurrences import ScheduleType, Timing
from app.core.schedule import CalendarUse, Schedule, ScheduleStatus
from app.store.database import Connection
from app.store.executions import COLUMNS as EXECUTION_COLUMNS
from app.store.executions import execution_of
from app.store.schedules import COLUMNS, schedule_of
from app.store.timings import calendars_of, days_of, policy_of

MOST_REVISIONS = 500
MOST_CHANGES = 1000
_CHANGES_LOOKED_AT = 5000
_RUNS_LOOKED_AT = 500

_SCHEDULE = f"""
    SELECT {COLUMNS}, completed_at FROM workflow_schedules WHERE schedule_id = $1 AND community_id = $2
"""
# The primary key, backwards.
_REVISIONS = """
    SELECT revision, superseded_at, definition - 'context_data' - 'target' - 'failure_target' AS definition
      FROM schedule_revisions
     WHERE schedule_id = $1 AND community_id = $2
     ORDER BY revision DESC LIMIT $3
"""
# idx_audit_log_schedule_at, backwards. Manual runs are audited under their schedule too, as many as there may be, so
# only so many rows are looked at; what a row says is taken out of it only where it is wanted.
_EVENTS = f"""
    WITH looked_at AS MATERIALIZED (
        SELECT audit_id, at, user_id, role, action, execution_id, before, after, reason FROM audit_log
         WHERE schedule_id = $1 AND community_id = $2
         ORDER BY at DESC, audit_id DESC LIMIT {_CHANGES_LOOKED_AT})
    SELECT at, user_id, role, action, execution_id, reason, before ->> 'status' AS status_before,
           CASE WHEN action = '{AuditAction.SCHEDULE_CREATE}' THEN 'active' ELSE after ->> 'status' END AS status_after,
           CASE WHEN action = '{AuditAction.SCHEDULE_CREATE}' THEN 1 ELSE (after ->> 'revision')::int END AS revision,
           CASE WHEN action = '{AuditAction.SCHEDULE_BACKFILL}' THEN after ->> 'from' END AS start,
           CASE WHEN action = '{AuditAction.SCHEDULE_BACKFILL}' THEN after ->> 'to' END AS stop
      FROM looked_at
     WHERE {{wanted}}
     ORDER BY audit_id DESC LIMIT {MOST_CHANGES}
"""
_LIFE = _EVENTS.format(wanted="execution_id IS NULL")
_DONE_TO = _EVENTS.format(wanted="execution_id = ANY($3::uuid[])")
# idx_executions_history, for all of the following. An own execution is recorded for the instant it is scheduled for.
_OWN_FROM = f"""
    SELECT {EXECUTION_COLUMNS} FROM executions
     WHERE schedule_id = $1 AND community_id = $2 AND recorded_for >= $3 AND trigger = 'schedule'
     ORDER BY recorded_for LIMIT $4
"""
_OWN_BEFORE = f"""
    SELECT {EXECUTION_COLUMNS} FROM executions
     WHERE schedule_id = $1 AND community_id = $2 AND recorded_for < $3 AND trigger = 'schedule'
     ORDER BY recorded_for DESC LIMIT 1
"""
# A manual run is recorded for its own instant, a backfilled one for that of the request.
_BESIDE = f"""
    SELECT {EXECUTION_COLUMNS} FROM executions
     WHERE schedule_id = $1 AND community_id = $2 AND recorded_for = ANY($3::timestamptz[]) AND scheduled_for = $4
       AND trigger IN ('manual', 'backfill')
     ORDER BY recorded_for, execution_id LIMIT 10
"""
_UNFINISHED = f"""
    WITH looked_at AS MATERIALIZED (
        SELECT {EXECUTION_COLUMNS} FROM executions
         WHERE schedule_id = $1 AND community_id = $2 AND recorded_for < $3
         ORDER BY recorded_for DESC LIMIT {_RUNS_LOOKED_AT})
    SELECT * FROM looked_at
     WHERE created_at <= $4 AND (finished_at IS NULL OR finished_at > $4) AND group_id IS NULL
     ORDER BY scheduled_for LIMIT 10
"""


@dataclass(frozen=True, slots=True)
class KeptRevision:
    """A superseded definition as far as it says when to fire.

    The last one of a schedule that was let go once it had completed was kept with its whole row, and knows when that
    was created and completed; of others these are null.
    """

    revision: int
    superseded_at: datetime
    timing: Timing
    calendars: CalendarUse | None
    created_at: datetime | None
    completed_at: datetime | None


async def schedule(
    connection: Connection, community_id: int, schedule_id: UUID
) -> tuple[Schedule, datetime | None] | None:
    """A schedule and when it completed; null when it is unknown, removed, or another community's."""
    row = await connection.fetchrow(_SCHEDULE, schedule_id, community_id)
    return None if row is None else (schedule_of(row), row["completed_at"])


async def kept_revisions(connection: Connection, community_id: int, schedule_id: UUID) -> list[KeptRevision]:
    """The newest superseded definitions, oldest first; a removed schedule has at least its last one."""
    rows = await connection.fetch(_REVISIONS, schedule_id, community_id, MOST_REVISIONS)
    return [_revision(row) for row in reversed(rows)]


async def life(connection: Connection, community_id: int, schedule_id: UUID) -> list[Event]:
    """The newest audited changes of the schedule itself, oldest first."""
    rows = await connection.fetch(_LIFE, schedule_id, community_id)
    return [_event(row) for row in reversed(rows)]


async def done_to(
    connection: Connection, community_id: int, schedule_id: UUID, executions: Sequence[Execution]
) -> list[Event]:
    """What callers did to executions of a schedule, oldest first."""
    ids = [execution.execution_id for execution in executions]
    rows = await connection.fetch(_DONE_TO, schedule_id, community_id, ids) if ids else []
    return [_event(row) for row in reversed(rows)]


async def own_from(
    connection: Connection, community_id: int, schedule_id: UUID, at: datetime, limit: int
) -> list[Execution]:
    """The first own executions of a schedule at or after an instant, oldest first."""
    return [execution_of(row) for row in await connection.fetch(_OWN_FROM, schedule_id, community_id, at, limit)]


async def own_before(connection: Connection, community_id: int, schedule_id: UUID, at: datetime) -> Execution | None:
    """The last own execution of a schedule before an instant."""
    row = await connection.fetchrow(_OWN_BEFORE, schedule_id, community_id, at)
    return None if row is None else execution_of(row)


async def beside(
    connection: Connection, community_id: int, schedule_id: UUID, at: datetime, asked_at: Sequence[datetime]
) -> list[Execution]:
    """Runs for an instant that callers asked for: by hand at that instant, or by the backfills of `asked_at`."""
    rows = await connection.fetch(_BESIDE, schedule_id, community_id, [at, *asked_at], at)
    return [execution_of(row) for row in rows]


async def unfinished(
    connection: Connection, community_id: int, schedule_id: UUID, before: datetime, at: datetime
) -> list[Execution]:
    """Which of a schedule's last executions before an instant had not ended at another, oldest first."""
    rows = await connection.fetch(_UNFINISHED, schedule_id, community_id, before, at)
    return [execution_of(row) for row in rows]


def _event(row: "asyncpg.Record") -> Event:
    start, stop = _instant(row["start"]), _instant(row["stop"])
    return Event(
        at=row["at"],
        action=row["action"],
        by=row["user_id"],
        # Only what the service does on its own behalf has no role.
        automatic=row["role"] is None,
        reason=row["reason"],
        status_before=_status(row["status_before"]),
        status_after=_status(row["status_after"]),
        revision=row["revision"],
        execution_id=row["execution_id"],
        backfilled=None if start is None or stop is None else (start, stop),
    )


def _status(stored: str | None) -> ScheduleStatus | None:
    return _STATUSES.get(stored or "")


def _revision(row: "asyncpg.Record") -> KeptRevision:
    stored = orjson.loads(row["definition"])
    calendars = _text(stored.get("calendars"))
    timing = Timing(
        schedule_type=ScheduleType(stored["schedule_type"]),
        timezone=stored["timezone"],
        cron_expression=stored["cron_expression"],
        interval_seconds=stored["interval_seconds"],
        scheduled_time=_instant(stored["scheduled_time"]),
        start_at=_instant(stored["start_at"]),
        end_at=_instant(stored["end_at"]),
        jitter_seconds=stored["jitter_seconds"],
        dst_policy=policy_of(_text(stored.get("dst_policy"))),
        days=days_of(calendars),
    )
    return KeptRevision(
        revision=row["revision"],
        superseded_at=row["superseded_at"],
        timing=timing,
        calendars=calendars_of(calendars),
        created_at=_instant(stored.get("created_at")),
        completed_at=_instant(stored.get("completed_at")),
    )


def _instant(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored).astimezone(UTC)


def _text(stored: object) -> str | None:
    return None if stored is None else orjson.dumps(stored).decode()


_STATUSES = {status.value: status for status in ScheduleStatus}
