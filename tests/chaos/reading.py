"""From Postgres at the end of a run to the checker's values."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from app.core.occurrences import ScheduleType, Timing
from tests.chaos.history import Era, Life, Record

# In the order of the changes: whoever writes one of these rows holds the lock of the schedule.
_CHANGES = """
    SELECT schedule_id, at, action, before, after FROM audit_log
     WHERE action IN ('schedule_create', 'schedule_update', 'schedule_pause', 'schedule_resume', 'schedule_skip_next',
                      'schedule_remove')
     ORDER BY audit_id
"""
_RECORDS = """
    SELECT execution_id, schedule_id, trigger, revision, scheduled_for, due_at, covers_from, coalesced_count, status,
           reason, created_at, finished_at, lateness_ms
      FROM executions WHERE schedule_id = ANY($1::uuid[]) ORDER BY schedule_id, scheduled_for
"""
_AT_ONCE = 50


async def read_lives(connection: "asyncpg.Connection[asyncpg.Record]", until: datetime) -> list[Life]:
    """Every schedule of the run, from its audit trail; `until` ends those that were not removed."""
    changes: dict[UUID, list[asyncpg.Record]] = {}
    for row in await connection.fetch(_CHANGES):
        changes.setdefault(row["schedule_id"], []).append(row)
    return [_life(schedule_id, rows, until) for schedule_id, rows in changes.items()]


def _life(schedule_id: UUID, rows: Sequence[asyncpg.Record], until: datetime) -> Life:
    created_at = rows[0]["at"]
    eras: list[Era] = []
    for row in rows:
        if row["action"] == "schedule_remove":
            until = row["at"]
            continue
        after = orjson.loads(row["after"])
        if row["action"] == "schedule_create":
            after = {"revision": 1, "status": "active", "definition": after}
        if row["action"] == "schedule_skip_next":
            skips = datetime.fromisoformat(after["scheduled_for"])
            eras.append(replace(eras[-1], revision=after["revision"], at=row["at"], skips=skips))
            continue
        eras.append(_era(after, row["at"], created_at))
    return Life(schedule_id, tuple(eras), until, removed=rows[-1]["action"] == "schedule_remove")


def _era(after: Mapping[str, Any], at: datetime, created_at: datetime) -> Era:
    definition = after["definition"]
    return Era(
        revision=after["revision"],
        at=at,
        active=after["status"] == "active",
        timing=_timing(definition, created_at),
        coalesce=definition["coalesce"],
        grace_seconds=definition["grace_period_seconds"],
        mark=definition["context_data"]["mark"],
    )


def _timing(definition: Mapping[str, Any], created_at: datetime) -> Timing:
    at = definition["scheduled_time"]
    return Timing(
        schedule_type=ScheduleType(definition["schedule_type"]),
        timezone=definition["timezone"],
        cron_expression=definition["cron_expression"],
        interval_seconds=definition["interval_seconds"],
        scheduled_time=None if at is None else datetime.fromisoformat(at),
        jitter_seconds=definition["jitter_seconds"],
        anchor=created_at,
    )


async def read_records(
    connection: "asyncpg.Connection[asyncpg.Record]", lives: Sequence[Life]
) -> AsyncIterator[list[tuple[Life, list[Record]]]]:
    """Each schedule's executions, some schedules at a time: a long run has more than one wants in memory at once."""
    for start in range(0, len(lives), _AT_ONCE):
        some = lives[start : start + _AT_ONCE]
        found: dict[UUID, list[Record]] = {life.schedule_id: [] for life in some}
        for row in await connection.fetch(_RECORDS, [life.schedule_id for life in some]):
            found[row["schedule_id"]].append(Record(str(row["execution_id"]), *list(row.values())[1:]))
        yield [(life, found[life.schedule_id]) for life in some]
