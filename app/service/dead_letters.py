"""Delivering again what has failed: every execution that matches, a part at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.audit import AuditAction
from app.core.execution import Execution
from app.core.queries import ExecutionFilter
from app.service.transactions import Work
from app.store import ending
from app.store.audit import Change


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """What a caller asks for: up to `limit` of the executions that match, from the place that a cursor names on."""

    filter: ExecutionFilter
    limit: int
    cursor: str | None
    dry_run: bool


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What is delivered again, or for a dry run would be, newest first, and where the rest begins."""

    dry_run: bool
    execution_ids: tuple[UUID, ...]
    next_cursor: str | None


async def reopen(work: Work, execution_ids: Sequence[UUID]) -> set[UUID]:
    """Have executions delivered again under their own ids, each with a fresh retry budget.

    Returns those that were: one that somebody else has delivered again, or that has ended otherwise, is left alone.
    """
    dead = await ending.lock_dead(work.connection, work.community_id, execution_ids)
    now = work.now()
    reopened = await ending.reopen_all(work.connection, work.community_id, [one.execution_id for one in dead], now=now)
    for execution in reopened:
        work.look_at(execution)
    if reopened:
        before = {one.execution_id: one for one in dead}
        await work.audit(
            AuditAction.EXECUTION_RETRY, *(change_of(before[one.execution_id], one) for one in reopened), at=now
        )
    return {one.execution_id for one in reopened}


def change_of(before: Execution, after: Execution) -> Change:
    """What the audit says of an execution that was changed."""
    return Change(
        schedule_id=before.schedule_id,
        execution_id=before.execution_id,
        before={"status": before.status, "error": before.error},
        after={"status": after.status},
    )
