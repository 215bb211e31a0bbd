"""Statements for executions that wait for a time: lock those that are due, and take them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.assignment import Assignment
from app.core.clock import to_ms
from app.core.ids import recorded_for
from app.store.database import Connection
from app.store.firing import retry_policy

# The definition is the one in force when the execution was recorded. Whoever raises a schedule's revision keeps the
# superseded definition in the same transaction, so one of the two is there in any snapshot.
_LOCK_WAITING = """
    SELECT e.execution_id, e.recorded_for, e.schedule_id, e.community_id, e.workflow_id, e.trigger, e.scheduled_for,
           e.due_at, e.coalesced_count, e.last_scheduled_for, e.next_execution_at, e.status, e.owner, e.attempt,
           e.failures, coalesce(e.retry_since, e.due_at) AS retry_since, e.wake_at, e.revision,
           CASE WHEN s.revision = e.revision THEN s.timezone ELSE r.definition ->> 'timezone' END AS timezone,
           CASE WHEN s.revision = e.revision THEN s.retry ELSE r.definition -> 'retry' END AS retry,
           coalesce(e.context_override,
                    CASE WHEN s.revision = e.revision THEN s.context_data ELSE r.definition -> 'context_data' END
           ) AS context_data
      FROM executions e
      LEFT JOIN workflow_schedules s ON s.schedule_id = e.schedule_id
      LEFT JOIN schedule_revisions r ON r.schedule_id = e.schedule_id AND r.revision = e.revision
     WHERE e.execution_id = ANY($1::uuid[]) AND e.recorded_for BETWEEN $2 AND $3
       AND e.finished_at IS NULL AND e.wake_at IS NOT NULL
     ORDER BY e.execution_id
       FOR NO KEY UPDATE OF e SKIP LOCKED
"""
_STILL_WAITING = """
    SELECT execution_id FROM executions
     WHERE execution_id = ANY($1::uuid[]) AND recorded_for BETWEEN $2 AND $3
       AND finished_at IS NULL AND wake_at IS NOT NULL
"""
_TAKE = """
    UPDATE executions e
       SET status = 'pending', owner = $3, attempt = e.attempt + 1, wake_at = NULL
      FROM unnest($1::uuid[], $2::timestamptz[]) AS u(execution_id, recorded_for)
     WHERE e.execution_id = u.execution_id AND e.recorded_for = u.recorded_for AND e.recorded_for BETWEEN $4 AND $5
       AND e.finished_at IS NULL
"""
_FAIL = """
    UPDATE executions e
       SET status = 'failed', error = u.error, owner = NULL, wake_at = NULL, finished_at = $4
      FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS u(execution_id, recorded_for, error)
     WHERE e.execution_id = u.execution_id AND e.recorded_for = u.recorded_for AND e.recorded_for BETWEEN $5 AND $6
       AND e.finished_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A locked execution that waits for its `wake_at`; decoded no further than the decision whether to take it."""

    row: "asyncpg.Record"

    @property
    def execution_id(self) -> UUID:
        """The execution."""
        value: UUID = self.row["execution_id"]
        return value

    @property
    def wake_at(self) -> datetime:
        """When it wants a look."""
        value: datetime = self.row["wake_at"]
        return value

    @property
    def takeable(self) -> bool:
        """Whether an attempt may be made of it: a retry, or a run without an owner."""
        return self.row["status"] == "retrying" or (self.row["status"] == "pending" and self.row["owner"] is None)

    def taken_by(self, owner: UUID) -> Assignment:
        """The next attempt, as `take` records it.

        Raises LookupError when the definition it was recorded under is gone.
        """
        row = self.row
        if row["context_data"] is None or row["retry"] is None:
            raise LookupError("the definition that it was recorded under is gone")
        return Assignment(
            execution_id=row["execution_id"],
            recorded_for=row["recorded_for"],
            schedule_id=row["schedule_id"],
            community_id=row["community_id"],
            workflow_id=row["workflow_id"],
            trigger=row["trigger"],
            scheduled_for=row["scheduled_for"],
            due_ms=to_ms(row["due_at"]),
            coalesced_count=row["coalesced_count"],
            last_scheduled_for=row["last_scheduled_for"],
            next_execution_at=row["next_execution_at"],
            timezone=row["timezone"],
            context_json=row["context_data"],
            retry=retry_policy(row["retry"]),
            retry_since=row["retry_since"],
            revision=row["revision"],
            owner=owner,
            attempt=row["attempt"] + 1,
            failures=row["failures"],
        )


async def lock_waiting(connection: Connection, execution_ids: Sequence[UUID]) -> list[Waiting]:
    """Lock those of the executions that wait for a time and are not locked by another, in the order of their ids."""
    low, high = _bounds(execution_ids)
    return [Waiting(row) for row in await connection.fetch(_LOCK_WAITING, execution_ids, low, high)]


async def still_waiting(connection: Connection, execution_ids: Sequence[UUID]) -> set[UUID]:
    """Which of the executions that could not be locked still wait."""
    low, high = _bounds(execution_ids)
    return {row[0] for row in await connection.fetch(_STILL_WAITING, execution_ids, low, high)}


async def take(connection: Connection, assignments: Sequence[Assignment], *, owner: UUID) -> None:
    """Make locked executions this worker's, each under a new attempt."""
    if not assignments:
        return
    instants = [assignment.recorded_for for assignment in assignments]
    ids = [assignment.execution_id for assignment in assignments]
    await connection.execute(_TAKE, ids, instants, owner, min(instants), max(instants))


async def fail(connection: Connection, reasons: dict[UUID, str], *, now: datetime) -> None:
    """Finish locked executions that cannot be attempted, each with its reason."""
    if not reasons:
        return
    instants = [_instant(execution_id) for execution_id in reasons]
    await connection.execute(_FAIL, list(reasons), instants, list(reasons.values()), now, min(instants), max(instants))


def _bounds(execution_ids: Sequence[UUID]) -> tuple[datetime, datetime]:
    # Without bounds on recorded_for the statement opens every partition.
    instants = [_instant(execution_id) for execution_id in execution_ids]
    return min(instants), max(instants)


def _instant(execution_id: UUID) -> datetime:
    instant = recorded_for(execution_id)
    if instant is None:
        raise ValueError(f"{execution_id} is not the id of an execution")
    return instant
