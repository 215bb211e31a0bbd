"""Statements that write when schedules fire next without any caller having changed them.

A calendar they keep was changed, or the rules of their zone are newer than those they were computed by. Neither raises
their revision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.firing import Waiting
from app.core.occurrences import BusinessDays, tzdata_version
from app.core.recomputing import is_older
from app.core.schedule import Schedule, ScheduleStatus
from app.store.columns import columns_of
from app.store.database import Connection
from app.store.schedules import COLUMNS, schedule_of
from app.store.timings import calendars_text

_LOCK = f"""
    SELECT {COLUMNS}, tzdata_version FROM workflow_schedules WHERE schedule_id = ANY($1::uuid[]) ORDER BY schedule_id
       FOR NO KEY UPDATE
"""
# Never execution_count, revision or updated_at: no caller changed the schedule. searched_to is never lowered.
_WRITE = """
    UPDATE workflow_schedules s
       SET calendars = u.calendars::jsonb, status = u.status, status_reason = u.reason,
           next_execution_at = u.occurrence, next_due_at = u.due_at,
           searched_to = greatest(s.searched_to, u.searched_to), tzdata_version = $9,
           skip_next = CASE WHEN u.occurrence IS NOT DISTINCT FROM s.next_execution_at THEN s.skip_next END,
           completed_at = CASE WHEN u.status = 'completed' THEN coalesce(s.completed_at, $8) END
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
                  $7::timestamptz[])
        AS u(schedule_id, calendars, status, reason, occurrence, due_at, searched_to)
     WHERE s.schedule_id = u.schedule_id
"""
# A page of the primary key, in which nearly all rows are at one version.
_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT id, schedule_id, tzdata_version, next_due_at FROM workflow_schedules
         WHERE id > $1 ORDER BY id LIMIT $2)
    SELECT max(id), array_agg(schedule_id) FILTER (WHERE tzdata_version <> $3 AND next_due_at IS NOT NULL),
           array_agg(tzdata_version) FILTER (WHERE tzdata_version <> $3 AND next_due_at IS NOT NULL)
      FROM page
"""
# Passed over where another has it locked: whoever that is computes it by the rules that he has.
_LOCK_AT = f"""
    SELECT {COLUMNS} FROM workflow_schedules
     WHERE schedule_id = ANY($1::uuid[]) AND status = 'active' AND tzdata_version = ANY($2::text[])
     ORDER BY schedule_id
       FOR NO KEY UPDATE SKIP LOCKED
"""
# A wish to skip the next occurrence stays: it is the same one, at another instant.
_REZONE = """
    UPDATE workflow_schedules s
       SET next_execution_at = u.occurrence, next_due_at = u.due_at, tzdata_version = $6,
           status = CASE WHEN u.due_at IS NULL THEN 'completed' ELSE s.status END,
           status_reason = CASE WHEN u.due_at IS NULL THEN u.reason ELSE s.status_reason END,
           completed_at = CASE WHEN u.due_at IS NULL THEN $5::timestamptz ELSE s.completed_at END,
           skip_next = CASE WHEN u.due_at IS NOT NULL THEN s.skip_next END
      FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[])
        AS u(schedule_id, occurrence, due_at, reason)
     WHERE s.schedule_id = u.schedule_id
"""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """How a locked schedule goes on with other days of its calendars; `waiting` is null unless it is active."""

    schedule: Schedule
    days: BusinessDays
    status: ScheduleStatus
    status_reason: str | None
    waiting: Waiting | None
    searched_to: datetime


@dataclass(frozen=True, slots=True)
class Locked:
    """Schedules that were locked; those that this process cannot read, each with why; and those left to a newer one."""

    schedules: list[Schedule]
    unreadable: dict[UUID, Exception]
    newer: set[UUID]


@dataclass(frozen=True, slots=True)
class RulesPage:
    """Active schedules that were computed by other zone rules, by version; `reached` is null at the table's end."""

    reached: int | None
    by_version: dict[str, list[UUID]]


async def lock(connection: Connection, schedule_ids: Sequence[UUID]) -> Locked:
    """Lock those of the schedules that there are, in the order of their ids.

    Active ones that newer zone rules have computed are left to a process that has these.
    """
    rows = await connection.fetch(_LOCK, schedule_ids)
    newer = {row["schedule_id"] for row in rows if row["status"] == "active" and _is_newer(row["tzdata_version"])}
    return _read([row for row in rows if row["schedule_id"] not in newer], newer)


async def write(connection: Connection, recomputed: Sequence[Recomputed], *, now: datetime) -> None:
    """Write locked schedules' new days, and what they wait for."""
    if not recomputed:
        return
    rows = [
        (
            one.schedule.schedule_id,
            calendars_text(one.schedule.definition.calendars, one.days),
            one.status.value,
            one.status_reason,
            None if one.waiting is None else one.waiting.occurrence,
            None if one.waiting is None else one.waiting.due_at,
            one.searched_to,
        )
        for one in recomputed
    ]
    await connection.execute(_WRITE, *columns_of(rows), now, tzdata_version())


async def page_of_other_rules(connection: Connection, after: int, size: int) -> RulesPage:
    """Look through a page of all schedules for those that were computed by other zone rules than this process has."""
    row = await connection.fetchrow(_PAGE, after, size, tzdata_version())
    assert row is not None, "it always answers one row"
    by_version: dict[str, list[UUID]] = {}
    for schedule_id, version in zip(row[1] or (), row[2] or (), strict=True):
        by_version.setdefault(version, []).append(schedule_id)
    return RulesPage(row[0], by_version)


async def lock_at(connection: Connection, schedule_ids: Sequence[UUID], versions: Sequence[str]) -> Locked:
    """Lock those of the schedules that are active, still at these versions, and not locked by another."""
    return _read(await connection.fetch(_LOCK_AT, schedule_ids, versions), set())


async def rezone(
    connection: Connection, waiting: Sequence[tuple[UUID, Waiting | None, str | None]], *, now: datetime
) -> None:
    """Write what locked schedules wait for under this process's zone rules.

    Those that wait for nothing any more are completed, each for its reason.
    """
    if waiting:
        rows = [
            (schedule_id, None if one is None else one.occurrence, None if one is None else one.due_at, reason)
            for schedule_id, one, reason in waiting
        ]
        await connection.execute(_REZONE, *columns_of(rows), now, tzdata_version())


def _read(rows: Sequence["asyncpg.Record"], newer: set[UUID]) -> Locked:
    # Row by row: one that cannot be read must not keep the others from being computed.
    schedules: list[Schedule] = []
    unreadable: dict[UUID, Exception] = {}
    for row in rows:
        try:
            schedules.append(schedule_of(row))
        except Exception as poison:
            unreadable[row["schedule_id"]] = poison
    return Locked(schedules, unreadable, newer)


def _is_newer(version: str) -> bool:
    return is_older(tzdata_version(), version)
