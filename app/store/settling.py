"""Statements that end an attempt, and that give back what was not sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.core.assignment import Assignment
from app.core.execution import ExecutionStatus, Wake
from app.core.ids import recorded_between
from app.core.values import value
from app.store import notices
from app.store.columns import columns_of
from app.store.database import Connection
from app.store.queueing import Group
from app.store.these import THESE, UNFINISHED

# The fence: an outcome is written under the owner and the attempt that made it, and never over a final one. A 2xx of
# a former owner counts too while the execution is unfinished, because the target really took it; its failures do not.
# What was sent before an operator had it delivered again is no answer to that.
_SETTLE = f"""
    UPDATE executions e
       SET status = u.status, failures = e.failures + u.failed,
           owner = NULL, finished_at = u.finished_at, error = u.error,
           -- The same once more, where the answer to the first was lost: only what runs on passes the fence again.
           attempts = CASE WHEN e.status = 'running' AND e.attempts @> u.attempt::jsonb THEN e.attempts
                           ELSE e.attempts || u.attempt::jsonb END,
           -- A late answer of a former owner must not take back what a heartbeat gave.
           wake_at = CASE WHEN u.status = 'running' AND e.status = 'running' THEN greatest(e.wake_at, u.wake_at)
                          ELSE u.wake_at END,
           engine_execution_id = coalesce(u.engine_execution_id, e.engine_execution_id),
           started_at = coalesce(e.started_at, u.started_at), lateness_ms = coalesce(e.lateness_ms, u.lateness_ms)
      FROM unnest($3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::text[], $8::int[], $9::timestamptz[],
                  $10::timestamptz[], $11::text[], $12::text[], $13::timestamptz[], $14::bigint[])
        AS u(execution_id, owner, number, status, attempt, failed, wake_at, finished_at, error, engine_execution_id,
             started_at, lateness_ms)
     WHERE {THESE}
       AND {UNFINISHED}
       AND ((e.owner = u.owner AND e.attempt = u.number)
            OR (u.status IN ('succeeded', 'running') AND coalesce(u.started_at >= e.retry_since, true)))
    RETURNING e.execution_id, e.schedule_id, e.group_id, e.awaited AND e.finished_at IS NOT NULL AS makes_room
"""
# What was sent belongs to the record, also where a report, a cancellation or a deadline ended it before the answer was
# written, or an operator has had it delivered again since. Of the last attempt only: an earlier one was another's to
# end, and a repeated settle finds its own.
_NOTE = f"""
    UPDATE executions e
       SET attempts = e.attempts || u.attempt::jsonb,
           engine_execution_id = coalesce(e.engine_execution_id, u.engine_execution_id),
           started_at = coalesce(e.started_at, u.started_at), lateness_ms = coalesce(e.lateness_ms, u.lateness_ms)
      FROM unnest($3::uuid[], $4::int[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[])
        AS u(execution_id, number, attempt, engine_execution_id, started_at, lateness_ms)
     WHERE {THESE}
       AND e.attempt = u.number AND (e.finished_at IS NOT NULL OR u.started_at < e.retry_since)
       AND NOT e.attempts @> jsonb_build_array(jsonb_build_object('number', u.number))
    RETURNING e.execution_id
"""
_RELEASE = f"""
    UPDATE executions e
       SET owner = NULL, wake_at = greatest(e.due_at, $5)
      FROM unnest($3::uuid[]) AS u(execution_id)
     WHERE {THESE}
       AND e.owner = $4 AND e.status = 'pending' AND {UNFINISHED}
    RETURNING e.community_id, e.execution_id, e.wake_at
"""
# The fence: what another has taken since, or whoever ended, is left alone.
_GIVE_BACK = f"""
    UPDATE executions e
       SET owner = NULL, wake_at = u.wake_at
      FROM unnest($3::uuid[], $4::uuid[], $5::int[], $6::timestamptz[]) AS u(execution_id, owner, attempt, wake_at)
     WHERE {THESE}
       AND e.owner = u.owner AND e.attempt = u.attempt AND e.status = 'pending' AND {UNFINISHED}
    RETURNING e.community_id, e.execution_id, e.wake_at
"""
_LOCK_OWNED = f"""
    SELECT e.execution_id
      FROM unnest($3::uuid[], $4::uuid[], $5::int[]) AS u(execution_id, owner, attempt)
      JOIN executions e USING (execution_id, owner, attempt)
     WHERE e.recorded_for BETWEEN $1 AND $2 AND e.status = 'pending' AND {UNFINISHED}
     ORDER BY e.execution_id
       FOR NO KEY UPDATE OF e
"""
_STILL_OWNED = f"""
    SELECT e.execution_id
      FROM unnest($1::uuid[], $2::int[]) AS u(execution_id, attempt)
      JOIN executions e USING (execution_id, attempt)
     WHERE e.recorded_for BETWEEN $4 AND $5 AND e.owner = $3 AND e.status = 'pending' AND {UNFINISHED}
"""


_TAKEN = (ExecutionStatus.SUCCEEDED, ExecutionStatus.RUNNING)


@value
class Outcome:
    """What became of one attempt, as it is to be written. `attempt_json` is a JSON array of the one attempt."""

    execution_id: UUID
    community_id: int
    owner: UUID
    number: int
    status: ExecutionStatus
    attempt_json: str
    failed: bool
    wake_at: datetime | None
    finished_at: datetime | None
    error: str | None
    engine_execution_id: str | None
    started_at: datetime
    lateness_ms: int


@dataclass(frozen=True, slots=True)
class Settled:
    """Which outcomes passed their fence, the groups of runs in which one ended that a queued run waits for, and the
    notices of those that failed."""

    executions: frozenset[UUID] = frozenset()
    made_room: frozenset[Group] = frozenset()
    notices: tuple[Wake, ...] = ()

    def __or__(self, other: "Settled") -> "Settled":
        return Settled(
            self.executions | other.executions, self.made_room | other.made_room, self.notices + other.notices
        )


async def settle(connection: Connection, outcomes: Sequence[Outcome]) -> Settled:
    """Write outcomes, in the order of their ids; of each execution one, as `first_of_each` picks them."""
    rows = [
        (
            outcome.execution_id,
            outcome.owner,
            outcome.number,
            outcome.status.value,
            outcome.attempt_json,
            int(outcome.failed),
            outcome.wake_at,
            outcome.finished_at,
            outcome.error,
            outcome.engine_execution_id,
            outcome.started_at,
            outcome.lateness_ms,
        )
        for outcome in sorted(outcomes, key=lambda outcome: outcome.execution_id)
    ]
    between = recorded_between([row[0] for row in rows])
    written = await connection.fetch(_SETTLE, *between, *columns_of(rows))
    return Settled(
        frozenset(row["execution_id"] for row in written),
        frozenset(Group(row["schedule_id"], row["group_id"]) for row in written if row["makes_room"]),
    )


async def settle_and_tell(connection: Connection, outcomes: Sequence[Outcome], *, now: datetime) -> Settled:
    """The same, and record who is to be told of what has failed; within the caller's transaction."""
    settled = await settle(connection, outcomes)
    failed = {outcome.execution_id for outcome in outcomes if outcome.status is ExecutionStatus.FAILED}
    told = await notices.tell_of(connection, failed & settled.executions, now=now)
    return replace(settled, notices=tuple(told))


async def note(connection: Connection, outcomes: Sequence[Outcome]) -> frozenset[UUID]:
    """Add attempts to executions that had ended when their outcomes came, and change nothing else of them.

    Answers which these are.
    """
    if not outcomes:
        return frozenset()
    rows = [
        (one.execution_id, one.number, one.attempt_json, one.engine_execution_id, one.started_at, one.lateness_ms)
        for one in sorted(outcomes, key=lambda outcome: outcome.execution_id)
    ]
    between = recorded_between([row[0] for row in rows])
    return frozenset(row[0] for row in await connection.fetch(_NOTE, *between, *columns_of(rows)))


async def release(connection: Connection, executions: Sequence[UUID], *, owner: UUID, now: datetime) -> list[Wake]:
    """Give back executions that this worker owns and has not sent.

    Each wants a look at its due time, or now where that has passed.
    """
    if not executions:
        return []
    rows = await connection.fetch(_RELEASE, *recorded_between(executions), executions, owner, now)
    return [Wake(*row) for row in rows]


async def give_back(connection: Connection, given: Sequence[tuple[Assignment, datetime]]) -> list[Wake]:
    """Give back attempts that were not sent, each until a time of its own; sorted by their ids."""
    rows = [(one.execution_id, one.owner, one.attempt, wake_at) for one, wake_at in given]
    between = recorded_between([row[0] for row in rows])
    return [Wake(*row) for row in await connection.fetch(_GIVE_BACK, *between, *columns_of(rows))]


async def lock_owned(connection: Connection, assignments: Sequence[Assignment]) -> set[UUID]:
    """Lock the executions of attempts that are still their owner's to send. Answers which these are."""
    rows = [(one.execution_id, one.owner, one.attempt) for one in assignments]
    between = recorded_between([row[0] for row in rows])
    return {row[0] for row in await connection.fetch(_LOCK_OWNED, *between, *columns_of(rows))}


async def still_owned(
    connection: Connection, executions: Sequence[tuple[UUID, datetime, int]], *, owner: UUID
) -> set[UUID]:
    """Which of these executions (id, recorded_for, attempt) are still this worker's to send."""
    if not executions:
        return set()
    ids, instants, attempts = (list(column) for column in zip(*executions, strict=True))
    rows = await connection.fetch(_STILL_OWNED, ids, attempts, owner, min(instants), max(instants))
    return {row[0] for row in rows}


def first_of_each(outcomes: Sequence[Outcome]) -> tuple[Sequence[Outcome], Sequence[Outcome]]:
    """One outcome of each execution, a 2xx before all others; and those that are left.

    A statement writes a row once, with any one of its outcomes: a former owner's late success would be lost. Those that
    are left are to be written after, where the fence refused the first: the last attempt's, then.
    """
    if len({outcome.execution_id for outcome in outcomes}) == len(outcomes):
        return outcomes, ()
    first: dict[UUID, Outcome] = {}
    taken_first = sorted(outcomes, key=lambda outcome: outcome.status not in _TAKEN)
    left = [outcome for outcome in taken_first if first.setdefault(outcome.execution_id, outcome) is not outcome]
    return list(first.values()), left
