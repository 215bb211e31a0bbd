"""Statements of the advance: lock the schedules that are due, record their executions, move them on."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import asyncpg
import orjson

from app.core.firing import Decision, DueSchedule, Recording, Standing, Waiting
from app.core.ids import execution_id
from app.core.occurrences import tzdata_version
from app.core.schedule import Completion, OverlapPolicy, RetryPolicy, ScheduleStatus, SkipNext
from app.core.target import Target
from app.core.values import value
from app.store.columns import columns_of
from app.store.database import Connection
from app.store.queueing import HEAD_LOOKS_AFTER
from app.store.target_columns import target_of
from app.store.timings import TIMING, timing_of

_LOCK_DUE = f"""
    SELECT schedule_id, community_id, workflow_id, {TIMING}, next_execution_at, next_due_at, searched_to,
           execution_count, max_executions, grace_period_seconds, coalesce, max_instances, overlap_policy, context_data,
           retry, completion, timeout_seconds, target, skip_next, last_execution_at, revision
      FROM workflow_schedules
     WHERE schedule_id = ANY($1::uuid[]) AND status = 'active'
     ORDER BY schedule_id
       FOR NO KEY UPDATE SKIP LOCKED
"""
_STILL_ACTIVE = "SELECT schedule_id FROM workflow_schedules WHERE schedule_id = ANY($1::uuid[]) AND status = 'active'"
# idx_executions_unfinished
_COUNT_STANDING = """
    SELECT schedule_id, count(*) FILTER (WHERE status <> 'queued'), count(*) FILTER (WHERE status = 'queued')
      FROM executions
     WHERE schedule_id = ANY($1::uuid[]) AND finished_at IS NULL AND group_id IS NULL
     GROUP BY schedule_id
"""
_RECORD = """
    INSERT INTO executions (
        execution_id, recorded_for, schedule_id, community_id, workflow_id, trigger, scheduled_for, due_at,
        covers_from, coalesced_count, last_scheduled_for, next_execution_at, status, reason, reason_detail, revision,
        owner, attempt, wake_at, created_at, finished_at)
    SELECT u.execution_id, u.scheduled_for, u.schedule_id, u.community_id, u.workflow_id, 'schedule', u.scheduled_for,
           u.due_at, u.covers_from, u.coalesced_count, u.last_scheduled_for, u.next_execution_at, u.status, u.reason,
           u.reason_detail, u.revision, CASE WHEN u.status = 'pending' THEN $15::uuid END,
           CASE WHEN u.status = 'pending' THEN 1 ELSE 0 END, CASE WHEN u.status = 'queued' THEN $17::timestamptz END,
           $16, CASE WHEN u.status NOT IN ('pending', 'queued') THEN $16::timestamptz END
      FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::timestamptz[], $6::timestamptz[],
                  $7::timestamptz[], $8::int[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::text[],
                  $13::text[], $14::int[])
        AS u(execution_id, schedule_id, community_id, workflow_id, scheduled_for, due_at, covers_from,
             coalesced_count, last_scheduled_for, next_execution_at, status, reason, reason_detail, revision)
        ON CONFLICT DO NOTHING
    RETURNING execution_id
"""
_MOVE_ON = """
    UPDATE workflow_schedules s
       SET next_execution_at = u.occurrence, next_due_at = u.due_at,
           searched_to = greatest(s.searched_to, u.searched_to),
           status = u.status, status_reason = coalesce(u.status_reason, s.status_reason),
           execution_count = s.execution_count + u.fired,
           last_execution_at = coalesce(u.last_at, s.last_execution_at),
           last_execution_id = coalesce(u.last_id, s.last_execution_id),
           skip_next = CASE WHEN u.occurrence IS NOT DISTINCT FROM s.next_execution_at THEN s.skip_next END,
           completed_at = CASE WHEN u.status = 'completed' THEN $10::timestamptz END, tzdata_version = $11
      FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::int[],
                  $7::timestamptz[], $8::uuid[], $9::text[])
        AS u(schedule_id, occurrence, due_at, searched_to, status, fired, last_at, last_id, status_reason)
     WHERE s.schedule_id = u.schedule_id
"""
_LOCK_FAILING = """
    SELECT schedule_id, community_id, workflow_id, next_execution_at, next_due_at, revision
      FROM workflow_schedules
     WHERE schedule_id = ANY($1::uuid[]) AND status = 'active' AND isfinite(next_execution_at) AND isfinite(next_due_at)
     ORDER BY schedule_id
       FOR NO KEY UPDATE
"""
_RECORD_FAILING = """
    INSERT INTO executions (
        execution_id, recorded_for, schedule_id, community_id, workflow_id, trigger, scheduled_for, due_at, status,
        reason, reason_detail, revision, created_at, finished_at)
    SELECT u.execution_id, u.scheduled_for, u.schedule_id, u.community_id, u.workflow_id, 'schedule', u.scheduled_for,
           u.due_at, 'skipped', 'not_computed', u.detail, u.revision, $9, $9
      FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::text[],
                  $8::int[])
        AS u(execution_id, schedule_id, community_id, workflow_id, scheduled_for, due_at, detail, revision)
        ON CONFLICT DO NOTHING
"""
_FAIL = """
    UPDATE workflow_schedules s
       SET status = 'failed', status_reason = u.reason, next_execution_at = NULL, next_due_at = NULL,
           searched_to = CASE WHEN isfinite(s.next_execution_at) THEN greatest(s.searched_to, s.next_execution_at)
                              ELSE s.searched_to END
      FROM unnest($1::uuid[], $2::text[]) AS u(schedule_id, reason)
     WHERE s.schedule_id = u.schedule_id AND s.status = 'active'
"""


@value
class LockedSchedule:
    """A schedule's row under this transaction's lock, as its delivery needs it beside the decision."""

    due: DueSchedule
    community_id: int
    workflow_id: UUID | None
    context_json: str
    retry: RetryPolicy
    completion: Completion
    timeout_seconds: int
    last_execution_at: datetime | None
    revision: int
    target: Target | None


@value
class NewExecution:
    """A recording on its way into the table."""

    execution_id: UUID
    schedule: LockedSchedule
    recording: Recording
    last_scheduled_for: datetime | None
    next_execution_at: datetime | None


@value
class Moved:
    """How a schedule goes on after its recordings; `fired` are those that were really inserted and triggered."""

    schedule_id: UUID
    decision: Decision
    status: ScheduleStatus
    fired: int
    last_at: datetime | None
    last_id: UUID | None


async def lock_due(connection: Connection, schedule_ids: Sequence[UUID]) -> list["asyncpg.Record"]:
    """Lock those of the schedules that are active and not locked by another, in the order of their ids."""
    return await connection.fetch(_LOCK_DUE, schedule_ids)


async def still_active(connection: Connection, schedule_ids: Sequence[UUID]) -> set[UUID]:
    """Which of the schedules that could not be locked are there: the others are gone, or wait for nothing."""
    return {row[0] for row in await connection.fetch(_STILL_ACTIVE, schedule_ids)}


async def count_standing(connection: Connection, schedule_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """How many executions of each schedule are unfinished; those that have none are left out.

    A statement of its own, after the lock: a count within the locking statement reads an older snapshot.
    """
    return {row[0]: Standing(row[1], row[2]) for row in await connection.fetch(_COUNT_STANDING, schedule_ids)}


async def record(
    connection: Connection, executions: Sequence[NewExecution], *, owner: UUID, now: datetime
) -> dict[UUID, UUID]:
    """Insert executions: those to be delivered owned by this worker, queued ones to look for room in a few seconds.

    Returns the ids that were inserted: only these may be counted and delivered. Each is mapped to itself as asyncpg
    made it, whose UUIDs are written as text, as a delivery does several times, at a tenth of the cost of Python's.
    """
    if not executions:
        return {}
    rows = [
        (
            new.execution_id,
            new.schedule.due.schedule_id,
            new.schedule.community_id,
            new.schedule.workflow_id,
            new.recording.scheduled_for,
            new.recording.due_at,
            new.recording.covers_from,
            new.recording.coalesced_count,
            new.last_scheduled_for,
            new.next_execution_at,
            new.recording.status.value,
            None if new.recording.reason is None else new.recording.reason.value,
            new.recording.detail,
            new.schedule.revision,
        )
        for new in executions
    ]
    inserted = await connection.fetch(_RECORD, *columns_of(rows), owner, now, now + HEAD_LOOKS_AFTER)
    return {row[0]: row[0] for row in inserted}


async def move_on(connection: Connection, moves: Sequence[Moved], *, now: datetime) -> None:
    """Write what each schedule waits for next, and how often it has fired."""
    if not moves:
        return
    rows = [
        (
            move.schedule_id,
            None if move.decision.waiting is None else move.decision.waiting.occurrence,
            None if move.decision.waiting is None else move.decision.waiting.due_at,
            move.decision.searched_to,
            move.status.value,
            move.fired,
            move.last_at,
            move.last_id,
            move.decision.status_reason,
        )
        for move in moves
    ]
    await connection.execute(_MOVE_ON, *columns_of(rows), now, tzdata_version())


async def fail(connection: Connection, reasons: dict[UUID, str], *, now: datetime) -> None:
    """Take schedules out that are due and cannot be computed any more, each with its reason.

    What each waited for is recorded as skipped: that much is known without computing.
    """
    if not reasons:
        return
    waiting = await connection.fetch(_LOCK_FAILING, list(reasons))
    rows = [
        (
            execution_id(row["schedule_id"], row["next_execution_at"], row["next_execution_at"]),
            row["schedule_id"],
            row["community_id"],
            row["workflow_id"],
            row["next_execution_at"],
            row["next_due_at"],
            reasons[row["schedule_id"]],
            row["revision"],
        )
        for row in waiting
    ]
    if rows:
        await connection.execute(_RECORD_FAILING, *columns_of(rows), now)
    await connection.execute(_FAIL, list(reasons), list(reasons.values()))


def locked_schedule(row: "asyncpg.Record") -> LockedSchedule:
    """The value of a locked row.

    Raises an error of any kind when the row cannot be decoded.
    """
    due = DueSchedule(
        schedule_id=row["schedule_id"],
        timing=timing_of(row),
        waiting=Waiting(row["next_execution_at"], row["next_due_at"]),
        searched_to=row["searched_to"],
        execution_count=row["execution_count"],
        max_executions=row["max_executions"],
        grace_period_seconds=row["grace_period_seconds"],
        coalesce=row["coalesce"],
        max_instances=row["max_instances"],
        overlap_policy=_POLICIES[row["overlap_policy"]],
        skip_next=None if row["skip_next"] is None else skip_next_of(row["skip_next"]),
    )
    return LockedSchedule(
        due=due,
        community_id=row["community_id"],
        workflow_id=row["workflow_id"],
        context_json=row["context_data"],
        retry=retry_policy(row["retry"]),
        completion=_COMPLETIONS[row["completion"]],
        timeout_seconds=row["timeout_seconds"],
        last_execution_at=row["last_execution_at"],
        revision=row["revision"],
        target=target_of(row["target"]),
    )


@lru_cache(maxsize=4096)
def retry_policy(encoded: str) -> RetryPolicy:
    """A stored retry policy; cached, because most schedules share a few."""
    return RetryPolicy(**orjson.loads(encoded))


def skip_next_of(encoded: str) -> SkipNext:
    """A stored wish to skip the next occurrence."""
    said = orjson.loads(encoded)
    return SkipNext(said["by"], said["reason"], datetime.fromisoformat(said["at"]))


_POLICIES = {policy.value: policy for policy in OverlapPolicy}
_COMPLETIONS = {completion.value: completion for completion in Completion}
