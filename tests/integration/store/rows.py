"""Rows for the tests of the statements, written as plainly as possible, and read back whole."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg

from app.core.ids import execution_id, new_id
from app.store.database import Connection
from tests.clocks import START
from tests.integration.definitions import WORKFLOW

_numbers = count(1)
_SCHEDULE: dict[str, Any] = {
    "community_id": 1,
    "workflow_id": WORKFLOW,
    "schedule_type": "interval",
    "interval_seconds": 60,
    "timezone": "UTC",
    "status": "active",
    "next_execution_at": START,
    "next_due_at": START,
    "searched_to": START - timedelta(seconds=60),
    "tzdata_version": "2026a",
    "grace_period_seconds": 900,
    "coalesce": True,
    "max_instances": 3,
    "overlap_policy": "skip",
    "completion": "response",
    "timeout_seconds": 60,
    "retry": '{"max_retries": 3}',
    "after_completion": "keep",
    "context_data": '{"report": "daily"}',
    "created_at": START - timedelta(days=1),
    "updated_at": START - timedelta(days=1),
    "revision": 1,
}


async def add_schedule(connection: Connection, **fields: Any) -> UUID:
    """A schedule that is due at START, unless told otherwise."""
    schedule_id: UUID = fields.pop("schedule_id", None) or new_id(next(_numbers))
    if fields.get("status", "active") != "active":
        fields = {"next_execution_at": None, "next_due_at": None, **fields}
    await _insert(connection, "workflow_schedules", {"schedule_id": schedule_id, **_SCHEDULE, **fields})
    return schedule_id


async def add_execution(connection: Connection, *, at: datetime = START, **fields: Any) -> UUID:
    """A pending execution without an owner, recorded for `at`, of a schedule of its own unless told otherwise."""
    schedule_id: UUID = fields.pop("schedule_id", None) or new_id(next(_numbers))
    key = next(_numbers)
    row = {
        "execution_id": execution_id(schedule_id, at, at, key),
        "recorded_for": at,
        "schedule_id": schedule_id,
        "community_id": 1,
        "workflow_id": WORKFLOW,
        "trigger": "schedule",
        "trigger_key": key,
        "scheduled_for": at,
        "due_at": at,
        "status": "pending",
        "revision": 1,
        "created_at": at,
        **fields,
    }
    await _insert(connection, "executions", row)
    found: UUID = row["execution_id"]
    return found


async def execution(connection: Connection, wanted: UUID) -> "asyncpg.Record":
    """An execution's whole row."""
    row = await connection.fetchrow("SELECT * FROM executions WHERE execution_id = $1", wanted)
    assert row is not None
    return row


async def schedule(connection: Connection, wanted: UUID) -> "asyncpg.Record":
    """A schedule's whole row."""
    row = await connection.fetchrow("SELECT * FROM workflow_schedules WHERE schedule_id = $1", wanted)
    assert row is not None
    return row


async def _insert(connection: Connection, table: str, row: dict[str, Any]) -> None:
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())
