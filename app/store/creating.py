"""The statement that stores new schedules: one, or a part of a thousand."""

from collections.abc import Sequence
from uuid import UUID

from app.core.occurrences import tzdata_version
from app.core.schedule import Schedule
from app.store.columns import columns_of, parts_of
from app.store.database import Connection
from app.store.schedules import definition_columns

# A name that is taken, by a stored schedule or by an earlier one of the same call, passes its row over and leaves
# the transaction usable. Tags come as array literals, because unnest() would flatten an array of arrays.
_INSERT = """
    INSERT INTO workflow_schedules (
        schedule_id, community_id, created_by, created_at, updated_at, searched_to, tzdata_version, status,
        next_execution_at, next_due_at, workflow_id, name, description, schedule_type, cron_expression,
        interval_seconds, scheduled_time, timezone, start_at, end_at, jitter_seconds, max_executions,
        grace_period_seconds, coalesce, max_instances, overlap_policy, completion, timeout_seconds, retry,
        after_completion, context_data, dst_policy, calendars, target, failure_target, target_host, tags)
    SELECT u.schedule_id, u.community_id, u.created_by, u.created_at, u.created_at, u.searched_to, $1, 'active',
           u.next_execution_at, u.next_due_at, u.workflow_id, u.name, u.description, u.schedule_type,
           u.cron_expression, u.interval_seconds, u.scheduled_time, u.timezone, u.start_at, u.end_at,
           u.jitter_seconds, u.max_executions, u.grace_period_seconds, u.coalesce, u.max_instances, u.overlap_policy,
           u.completion, u.timeout_seconds, u.retry::jsonb, u.after_completion, u.context_data::jsonb,
           u.dst_policy::jsonb, u.calendars::jsonb, u.target::jsonb, u.failure_target::jsonb, u.target_host,
           u.tags::text[]
      FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
                  $8::timestamptz[], $9::uuid[], $10::text[], $11::text[], $12::text[], $13::text[], $14::int[],
                  $15::timestamptz[], $16::text[], $17::timestamptz[], $18::timestamptz[], $19::int[], $20::int[],
                  $21::int[], $22::bool[], $23::int[], $24::text[], $25::text[], $26::int[], $27::text[],
                  $28::text[], $29::text[], $30::text[], $31::text[], $32::text[], $33::text[], $34::text[],
                  $35::text[])
        AS u(schedule_id, community_id, created_by, created_at, searched_to, next_execution_at, next_due_at,
             workflow_id, name, description, schedule_type, cron_expression, interval_seconds, scheduled_time,
             timezone, start_at, end_at, jitter_seconds, max_executions, grace_period_seconds, coalesce,
             max_instances, overlap_policy, completion, timeout_seconds, retry, after_completion, context_data,
             dst_policy, calendars, target, failure_target, target_host, tags)
        ON CONFLICT (community_id, name) DO NOTHING
    RETURNING schedule_id
"""
# One after the other of a community: what one sees, no other adds to until its transaction ends.
_TURN = "SELECT pg_advisory_xact_lock(730562, hashtext($1::bigint::text))"
# idx_workflow_schedules_community, as far as it matters.
_ROOM = """
    SELECT $2 - count(*) FROM (SELECT FROM workflow_schedules WHERE community_id = $1 LIMIT $2) stored
"""


async def room(connection: Connection, community_id: int, *, most: int) -> int:
    """How many schedules a community may still have, which stays so until the transaction ends."""
    await connection.execute(_TURN, community_id)
    left: int = await connection.fetchval(_ROOM, community_id, most)
    return left


async def insert(connection: Connection, schedules: Sequence[Schedule]) -> set[UUID]:
    """Store new, active schedules at revision 1. Returns the ids of those whose name was free.

    Raises InvalidScheduleException for `context_data` that cannot be stored.
    """
    stored: set[UUID] = set()
    # In the order of their names (stable: of two that are alike the first one gets it), so that two batches wait for
    # each other's names in one order and do not deadlock.
    for part in parts_of(sorted(schedules, key=_name)):
        rows = [_row(schedule) for schedule in part]
        stored |= {row[0] for row in await connection.fetch(_INSERT, tzdata_version(), *columns_of(rows))}
    return stored


def _name(schedule: Schedule) -> str:
    return schedule.definition.name or ""


def _row(schedule: Schedule) -> tuple[object, ...]:
    return (
        schedule.schedule_id,
        schedule.community_id,
        schedule.created_by,
        schedule.created_at,
        schedule.searched_to,
        schedule.next_execution_at,
        schedule.next_due_at,
        *definition_columns(schedule.definition, schedule.business_days),
        _array_literal(schedule.definition.tags),
    )


def _array_literal(texts: Sequence[str]) -> str:
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"
