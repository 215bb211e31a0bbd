"""Statements about schedules as their callers see them; every one names the community."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from app.core.errors import FieldProblem, NameTakenException
from app.core.firing import Waiting
from app.core.occurrences import BusinessDays, ScheduleType, tzdata_version
from app.core.schedule import (
    AfterCompletion,
    Completion,
    Definition,
    OverlapPolicy,
    Schedule,
    ScheduleStatus,
)
from app.store.columns import columns_of, parts_of
from app.store.database import Connection
from app.store.firing import retry_policy, skip_next_of
from app.store.reading import reading
from app.store.refusals import json_text
from app.store.target_columns import target_of, target_text
from app.store.timings import calendars_of, calendars_text, days_of, policy_of, policy_text

COLUMNS = """
    schedule_id, community_id, workflow_id, name, description, schedule_type, cron_expression, interval_seconds,
    scheduled_time, timezone, start_at, end_at, jitter_seconds, status, status_reason, next_execution_at, next_due_at,
    searched_to, last_execution_at, last_execution_id, max_executions, execution_count, grace_period_seconds, coalesce,
    max_instances, overlap_policy, completion, timeout_seconds, retry, after_completion, context_data, tags, dst_policy,
    calendars, target, failure_target, skip_next, created_by, created_at, updated_at, revision
"""
# The unique index on schedule_id finds the row, the community decides whether there is one for this caller.
_ONE = f"SELECT {COLUMNS} FROM workflow_schedules WHERE schedule_id = $1 AND community_id = $2"
_LOCK = f"{_ONE} FOR NO KEY UPDATE"
# workflow_schedules_name_key. Whoever waits for the lock looks again at what was committed: a schedule that was renamed
# meanwhile is not found.
_LOCK_NAMED = f"SELECT {COLUMNS} FROM workflow_schedules WHERE community_id = $1 AND name = $2 FOR NO KEY UPDATE"
# Never execution_count: that is the workers' to raise. searched_to is never lowered. What goes on waiting was not
# computed by the zone rules of whoever changes something else: marked with them, it would never be computed anew.
_LIFE = """
    status = {status}, status_reason = {reason}, next_execution_at = {occurrence}, next_due_at = {due_at},
    searched_to = greatest(searched_to, {searched_to}), updated_at = {at}, revision = revision + 1,
    tzdata_version = CASE WHEN next_execution_at IS NOT DISTINCT FROM {occurrence}
                           AND next_due_at IS NOT DISTINCT FROM {due_at}
                          THEN tzdata_version ELSE $2 END,
    skip_next = CASE WHEN next_execution_at IS NOT DISTINCT FROM {occurrence} THEN skip_next END,
    completed_at = CASE WHEN {status} = 'completed' THEN coalesce(completed_at, {at}) END
"""
_LIFE_OF_ONE = _LIFE.format(
    status="$4::text", reason="$5", occurrence="$6", due_at="$7", searched_to="$8", at="$9::timestamptz"
)
_LIFE_OF_MANY = _LIFE.format(
    status="u.to_status", reason="u.to_reason", occurrence="u.to_occurrence", due_at="u.to_due_at",
    searched_to="u.to_searched", at="u.to_at",
)  # fmt: skip
_MOVE = f"""
    UPDATE workflow_schedules SET {_LIFE_OF_MANY}
      FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
                  $9::timestamptz[])
        AS u(moved_id, to_status, to_reason, to_occurrence, to_due_at, to_searched, to_at)
     WHERE schedule_id = u.moved_id AND community_id = $1 RETURNING {COLUMNS}
"""
_REPLACE = f"""
    UPDATE workflow_schedules
       SET {_LIFE_OF_ONE},
           workflow_id = $10, name = $11, description = $12, schedule_type = $13, cron_expression = $14,
           interval_seconds = $15, scheduled_time = $16, timezone = $17, start_at = $18, end_at = $19,
           jitter_seconds = $20, max_executions = $21, grace_period_seconds = $22, coalesce = $23,
           max_instances = $24, overlap_policy = $25, completion = $26, timeout_seconds = $27, retry = $28,
           after_completion = $29, context_data = $30, dst_policy = $31, calendars = $32, target = $33,
           failure_target = $34, target_host = $35, tags = $36
     WHERE schedule_id = $3 AND community_id = $1 RETURNING {COLUMNS}
"""
_REMOVE = "DELETE FROM workflow_schedules WHERE schedule_id = ANY($1::uuid[]) AND community_id = $2"
_COUNT_TRIGGER = """
    UPDATE workflow_schedules SET trigger_seq = trigger_seq + 1
     WHERE schedule_id = $1 AND community_id = $2 RETURNING trigger_seq
"""
# schedule_revisions keeps the last definition of every removed schedule, so a removed one is known by its key.
_KNOWN = """
    SELECT EXISTS (SELECT FROM workflow_schedules WHERE schedule_id = $1 AND community_id = $2)
        OR EXISTS (SELECT FROM schedule_revisions WHERE schedule_id = $1 AND community_id = $2)
"""

_ACTIVE_AT = """
    SELECT s.schedule_id
      FROM workflow_schedules s
      JOIN unnest($1::uuid[], $2::bigint[], $3::int[]) AS u(schedule_id, community_id, revision)
     USING (schedule_id, community_id, revision)
     WHERE s.status = 'active'
"""


@dataclass(frozen=True, slots=True)
class Life:
    """How a schedule goes on after a caller's change; `waiting` is null unless it is active. `at` is the change's."""

    status: ScheduleStatus
    reason: str | None
    waiting: Waiting | None
    searched_to: datetime
    at: datetime


async def get(connection: Connection, community_id: int, schedule_id: UUID) -> Schedule | None:
    """One schedule; null when it is unknown, removed, or another community's."""
    row = await connection.fetchrow(_ONE, schedule_id, community_id)
    return None if row is None else schedule_of(row)


async def lock(connection: Connection, community_id: int, schedule_id: UUID) -> Schedule | None:
    """The same, locked until the transaction ends: whatever a change computes is to be computed from this."""
    row = await connection.fetchrow(_LOCK, schedule_id, community_id)
    return None if row is None else schedule_of(row)


async def lock_named(connection: Connection, community_id: int, name: str) -> Schedule | None:
    """The schedule of that name, locked until the transaction ends; null when the community has none."""
    row = await connection.fetchrow(_LOCK_NAMED, community_id, name)
    return None if row is None else schedule_of(row)


async def active_at(connection: Connection, keys: Sequence[tuple[UUID, int, int]]) -> set[UUID]:
    """Which of the schedules (id, community, revision) are active, and still at this revision."""
    rows = await connection.fetch(_ACTIVE_AT, *columns_of(keys)) if keys else ()
    return {row[0] for row in rows}


async def move(connection: Connection, community_id: int, lives: Sequence[tuple[Schedule, Life]]) -> list[Schedule]:
    """Write locked schedules' new lives, each under its next revision; their definitions stay. Answers in order."""
    moved: dict[UUID, Schedule] = {}
    for part in parts_of(lives):
        rows = [(schedule.schedule_id, *_life(life)) for schedule, life in part]
        for row in await connection.fetch(_MOVE, community_id, tzdata_version(), *columns_of(rows)):
            moved[row["schedule_id"]] = schedule_of(row)
    return [moved[schedule.schedule_id] for schedule, _ in lives]


async def replace(
    connection: Connection, schedule: Schedule, definition: Definition, days: BusinessDays | None, life: Life
) -> Schedule:
    """Write a locked schedule's new definition and life under the next revision; `days` are those of its calendars.

    Raises NameTakenException.
    """
    try:
        row = await connection.fetchrow(
            _REPLACE,
            schedule.community_id,
            tzdata_version(),
            schedule.schedule_id,
            *_life(life),
            *definition_columns(definition, days),
            list(definition.tags),
        )
    except asyncpg.UniqueViolationError:
        raise name_taken(definition) from None
    assert row is not None, "the row is locked"
    return schedule_of(row)


async def remove(connection: Connection, community_id: int, schedule_ids: Sequence[UUID]) -> None:
    """Delete locked schedules' rows."""
    await connection.execute(_REMOVE, schedule_ids, community_id)


async def count_trigger(connection: Connection, schedule: Schedule) -> int:
    """The key of a run beside a locked schedule's timing: 1, 2, …; not a change of its revision."""
    key: int = await connection.fetchval(_COUNT_TRIGGER, schedule.schedule_id, schedule.community_id)
    return key


async def is_known(connection: Connection, community_id: int, schedule_id: UUID) -> bool:
    """Whether the community has, or once had, this schedule."""
    known: bool = await connection.fetchval(_KNOWN, schedule_id, community_id)
    return known


def definition_columns(definition: Definition, days: BusinessDays | None) -> tuple[object, ...]:
    """A definition and the days of its calendars as columns, in the order of the statements here.

    Its tags are each statement's own matter.

    Raises InvalidScheduleException for `context_data` that cannot be stored.
    """
    return (
        definition.workflow_id,
        definition.name,
        definition.description,
        definition.schedule_type.value,
        definition.cron_expression,
        definition.interval_seconds,
        definition.scheduled_time,
        definition.timezone,
        definition.start_at,
        definition.end_at,
        definition.jitter_seconds,
        definition.max_executions,
        definition.grace_period_seconds,
        definition.coalesce,
        definition.max_instances,
        definition.overlap_policy.value,
        definition.completion.value,
        definition.timeout_seconds,
        orjson.dumps(definition.retry).decode(),
        definition.after_completion.value,
        json_text("context_data", definition.context_data),
        policy_text(definition.dst_policy),
        calendars_text(definition.calendars, days),
        target_text("target", definition.target),
        target_text("failure_target", definition.failure_target),
        None if definition.target is None else definition.target.host,
    )


def name_taken(definition: Definition) -> NameTakenException:
    """The refusal of a name that another schedule of the community has."""
    message = f"name '{definition.name}' is taken by another schedule"
    return NameTakenException(message, [FieldProblem("name", message)])


def _life(life: Life) -> tuple[object, ...]:
    waiting = life.waiting
    return (
        life.status.value,
        life.reason,
        None if waiting is None else waiting.occurrence,
        None if waiting is None else waiting.due_at,
        life.searched_to,
        life.at,
    )


def schedule_of(row: "asyncpg.Record") -> Schedule:
    """The value of a row of `COLUMNS`.

    Raises UnreadableRowException.
    """
    with reading("schedule", row["schedule_id"]):
        return _read(row)


def _read(row: "asyncpg.Record") -> Schedule:
    return Schedule(
        schedule_id=row["schedule_id"],
        community_id=row["community_id"],
        definition=Definition(
            workflow_id=row["workflow_id"],
            schedule_type=ScheduleType(row["schedule_type"]),
            timezone=row["timezone"],
            cron_expression=row["cron_expression"],
            interval_seconds=row["interval_seconds"],
            scheduled_time=row["scheduled_time"],
            start_at=row["start_at"],
            end_at=row["end_at"],
            jitter_seconds=row["jitter_seconds"],
            name=row["name"],
            description=row["description"],
            max_executions=row["max_executions"],
            grace_period_seconds=row["grace_period_seconds"],
            coalesce=row["coalesce"],
            max_instances=row["max_instances"],
            overlap_policy=OverlapPolicy(row["overlap_policy"]),
            completion=Completion(row["completion"]),
            timeout_seconds=row["timeout_seconds"],
            retry=retry_policy(row["retry"]),
            after_completion=AfterCompletion(row["after_completion"]),
            context_data=orjson.loads(row["context_data"]),
            tags=tuple(row["tags"]),
            dst_policy=policy_of(row["dst_policy"]),
            calendars=calendars_of(row["calendars"]),
            target=target_of(row["target"]),
            failure_target=target_of(row["failure_target"]),
        ),
        status=ScheduleStatus(row["status"]),
        status_reason=row["status_reason"],
        next_execution_at=row["next_execution_at"],
        next_due_at=row["next_due_at"],
        searched_to=row["searched_to"],
        last_execution_at=row["last_execution_at"],
        last_execution_id=row["last_execution_id"],
        execution_count=row["execution_count"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        revision=row["revision"],
        business_days=days_of(row["calendars"]),
        skip_next=None if row["skip_next"] is None else skip_next_of(row["skip_next"]),
    )
