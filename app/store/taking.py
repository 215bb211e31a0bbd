"""Statements for executions that wait for a time: lock those that are due, and take them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.assignment import Assignment
from app.core.clock import to_ms
from app.core.execution import ExecutionStatus, Trigger
from app.core.ids import recorded_between
from app.core.schedule import Completion
from app.store.database import Connection
from app.store.firing import retry_policy
from app.store.in_force import DEFINITION_IN_FORCE
from app.store.queueing import Group
from app.store.target_columns import target_of
from app.store.these import THESE, UNFINISHED

_SELECT = f"""
    SELECT e.execution_id, e.recorded_for, e.schedule_id, e.community_id, e.workflow_id, e.trigger, e.scheduled_for,
           e.due_at, e.coalesced_count, e.last_scheduled_for, e.next_execution_at, e.status, e.owner, e.attempt,
           e.failures, coalesce(e.retry_since, e.due_at) AS retry_since, e.wake_at, e.revision, e.group_id, e.awaited,
           d.timezone, d.retry, d.completion, d.timeout_seconds,
           CASE WHEN e.trigger = 'failure' THEN d.failure_target ELSE d.target END AS target,
           coalesce(e.context_override, d.context_data) AS context_data
      FROM executions e{DEFINITION_IN_FORCE}
     WHERE e.execution_id = ANY($1::uuid[]) AND e.recorded_for BETWEEN $2 AND $3 AND {UNFINISHED}
"""
_IN_ORDER = "ORDER BY e.execution_id FOR NO KEY UPDATE OF e"
# A queued run is started only with its schedule locked, and so not among these.
_LOCK_WAITING = f"{_SELECT} AND e.wake_at IS NOT NULL AND e.status <> 'queued' {_IN_ORDER} SKIP LOCKED"
# Waited for, not passed over: whoever has it locked is waking it, or asks what became of it, and the run behind it
# must not overtake it for that.
_LOCK_QUEUED = f"{_SELECT} AND e.status = 'queued' {_IN_ORDER}"
_STILL_WAITING = f"""
    SELECT e.execution_id FROM executions e
     WHERE e.execution_id = ANY($1::uuid[]) AND e.recorded_for BETWEEN $2 AND $3
       AND {UNFINISHED} AND wake_at IS NOT NULL AND status <> 'queued'
"""
_TAKE = f"""
    UPDATE executions e
       SET status = 'pending', owner = $4, attempt = e.attempt + 1, wake_at = NULL,
           retry_since = coalesce($5, e.retry_since), awaited = e.awaited OR $5::timestamptz IS NOT NULL
      FROM unnest($3::uuid[]) AS u(execution_id)
     WHERE {THESE}
       AND {UNFINISHED}
"""
_END = f"""
    UPDATE executions e
       SET status = $6, error = u.error, owner = NULL, wake_at = NULL, finished_at = $5
      FROM unnest($3::uuid[], $4::text[]) AS u(execution_id, error)
     WHERE {THESE}
       AND {UNFINISHED}
    RETURNING e.schedule_id, e.group_id, e.awaited
"""


@dataclass(frozen=True, slots=True)
class WaitingExecution:
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

    @property
    def overran(self) -> str | None:
        """Why it ends without a report of its target, if it runs; its `wake_at` is the deadline."""
        if self.row["status"] != "running":
            return None
        return f"no report of its end within timeout_seconds ({self.row['timeout_seconds']})"

    def taken_by(self, owner: UUID, *, started_at: datetime | None = None) -> Assignment:
        """The next attempt, as `take` records it, or as `start` does at `started_at`.

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
            # A notice has ended once it was taken.
            completion=Completion.RESPONSE if Trigger(row["trigger"]).is_notice else Completion(row["completion"]),
            timeout_seconds=row["timeout_seconds"],
            retry_since=started_at or row["retry_since"],
            revision=row["revision"],
            owner=owner,
            attempt=row["attempt"] + 1,
            failures=row["failures"],
            target=target_of(row["target"]),
        )


async def lock_waiting(connection: Connection, execution_ids: Sequence[UUID]) -> list[WaitingExecution]:
    """Lock those of the executions that wait for a time and are not locked by another, in the order of their ids."""
    low, high = recorded_between(execution_ids)
    return [WaitingExecution(row) for row in await connection.fetch(_LOCK_WAITING, execution_ids, low, high)]


async def lock_queued(connection: Connection, execution_ids: Sequence[UUID]) -> list[WaitingExecution]:
    """Lock those of the executions that are queued, in the order of their ids; their schedule is locked already."""
    low, high = recorded_between(execution_ids)
    return [WaitingExecution(row) for row in await connection.fetch(_LOCK_QUEUED, execution_ids, low, high)]


async def still_waiting(connection: Connection, execution_ids: Sequence[UUID]) -> set[UUID]:
    """Which of the executions that could not be locked still wait."""
    low, high = recorded_between(execution_ids)
    return {row[0] for row in await connection.fetch(_STILL_WAITING, execution_ids, low, high)}


async def take(connection: Connection, assignments: Sequence[Assignment], *, owner: UUID) -> None:
    """Make locked executions this worker's, each under a new attempt."""
    await _take(connection, assignments, owner, started_at=None)


async def start(connection: Connection, assignments: Sequence[Assignment], *, owner: UUID, now: datetime) -> None:
    """The same for queued ones: others may wait for them, and their retry budget begins with their turn."""
    await _take(connection, assignments, owner, started_at=now)


async def _take(
    connection: Connection, assignments: Sequence[Assignment], owner: UUID, *, started_at: datetime | None
) -> None:
    if not assignments:
        return
    ids = [assignment.execution_id for assignment in assignments]
    await connection.execute(_TAKE, *recorded_between(ids), ids, owner, started_at)


async def end(
    connection: Connection, reasons: dict[UUID, str], status: ExecutionStatus, *, now: datetime
) -> set[Group]:
    """Finish locked executions that cannot be attempted, or were not reported on in time, each with its reason.

    Answers the groups of runs in which one ended that a queued run waits for.
    """
    if not reasons:
        return set()
    named = list(reasons), list(reasons.values())
    rows = await connection.fetch(_END, *recorded_between(reasons), *named, now, status.value)
    return {Group(row["schedule_id"], row["group_id"]) for row in rows if row["awaited"]}
