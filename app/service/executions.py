"""What callers can ask of executions."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from app.core.audit import AuditAction
from app.core.clock import Clock
from app.core.errors import ExecutionNotFoundException, StateForbidsException
from app.core.execution import Execution, ExecutionStatus, Reason, said
from app.core.ids import recorded_for
from app.core.principal import Principal
from app.core.queries import Answer, ExecutionFilter, Idempotency, Page
from app.metrics import Metrics
from app.service.changes import not_found
from app.service.dead_letters import RetryRequest, RetryResult, change_of, reopen
from app.service.paging import Found, cursor_of, gather, id_of, invalid_cursor, read
from app.service.transactions import Transactions, Work, actor_of
from app.store import ending, executions, history, notices, queueing, schedules
from app.store.database import Connection, Database
from app.store.looks import Seen
from app.store.queueing import Group
from app.store.refusals import json_text, refused_values
from app.wheel.wheel import Wheel


class ExecutionService:
    """Executions, as far as a caller's community has them; those of removed schedules too, until retention.

    All methods raise StoreUnavailableException when Postgres is away.
    """

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._transactions = Transactions(database, wheel, clock)
        self._metrics = metrics

    async def get(self, principal: Principal, execution_id: UUID) -> Execution:
        """One execution. Raises ExecutionNotFoundException."""
        async with self._database.connection() as connection:
            execution = await executions.get(connection, principal.community_id, execution_id)
        if execution is None:
            raise _not_found(execution_id)
        return execution

    async def community_of(self, execution_id: UUID) -> int:
        """Whose an execution is, for a caller who is known by the execution alone.

        Raises ExecutionNotFoundException.
        """
        async with self._database.connection() as connection:
            community_id = await executions.community_of(connection, execution_id)
        if community_id is None:
            raise _not_found(execution_id)
        return community_id

    async def find(
        self,
        principal: Principal,
        filter: ExecutionFilter,  # noqa: A002  the API's word
        *,
        limit: int,
        cursor: str | None,
    ) -> Page[Execution]:
        """A page of the executions that match, newest first; see `paging.gather`.

        Raises InvalidScheduleException for a cursor that no page has named, ScheduleNotFoundException for a schedule
        that the community never had.
        """
        with refused_values():
            async with self._database.connection() as connection:
                found = await _matching(connection, principal.community_id, filter, limit=limit, cursor=cursor)
                return await read(found, partial(history.these, connection), cursor_of)

    async def cancel(self, principal: Principal, execution_id: UUID, *, reason: str | None) -> Execution:
        """Finish an unfinished execution as cancelled; a cancelled one stays as it is.

        One that a worker has sent, or already holds, may still arrive; its outcome is not written any more.

        Raises ExecutionNotFoundException, and StateForbidsException when it ended otherwise.
        """

        ended: list[Execution] = []

        async def work(unit: Work) -> Execution:
            current = await _locked(unit, execution_id)
            if current.status is ExecutionStatus.CANCELLED:
                return current
            now = unit.now()
            told = said(unit.user, reason)
            cancelled = await ending.cancel(unit.connection, current, Reason.CANCELLED_BY_CALLER, told, now=now)
            if cancelled is None:
                raise StateForbidsException(f"the execution has ended: it is {current.status}")
            await _wake_queued(unit, cancelled, now)
            unit.wake(await notices.tell_of(unit.connection, [execution_id], now=now))
            await _audit(unit, AuditAction.EXECUTION_CANCEL, current, cancelled, reason)
            ended.append(cancelled)
            return cancelled

        return self._counted(await self._transactions.run(actor_of(principal), work), ended)

    async def complete(
        self,
        principal: Principal,
        execution_id: UUID,
        *,
        failed: bool,
        result: Mapping[str, Any] | None,
        error: str | None,
    ) -> Execution:
        """Finish an execution as its target reports, whatever its schedule's `completion`; one that ended so stays.

        Valid from the moment it is recorded for delivery: a report may overtake the answer that took it.

        Raises ExecutionNotFoundException, and StateForbidsException when it ended otherwise, or waits in a queue.
        """
        status = ExecutionStatus.FAILED if failed else ExecutionStatus.SUCCEEDED
        encoded = None if result is None else json_text("result", result)
        ended: list[Execution] = []

        async def work(unit: Work) -> Execution:
            current = await _locked(unit, execution_id)
            if current.status is status:
                return current
            now = unit.now()
            reported = await ending.complete(unit.connection, current, status, result=encoded, error=error, now=now)
            if reported is None:
                raise StateForbidsException(_cannot_end(current))
            await _wake_queued(unit, reported, now)
            unit.wake(await notices.tell_of(unit.connection, [execution_id], now=now))
            await _audit(unit, AuditAction.EXECUTION_COMPLETE, current, reported, None)
            ended.append(reported)
            return reported

        return self._counted(await self._transactions.run(actor_of(principal), work), ended)

    async def heartbeat(self, principal: Principal, execution_id: UUID) -> Execution:
        """Let a running execution run for `timeout_seconds` from now on; any other stays as it is.

        The answer tells the target what became of the execution: one that was cancelled can be given up.

        Raises ExecutionNotFoundException.
        """

        async def work(unit: Work) -> Execution:
            current = await _locked(unit, execution_id)
            seconds = await ending.timeout_seconds(unit.connection, current)
            if seconds is None:
                return current
            extended = await ending.extend(unit.connection, current, unit.now() + timedelta(seconds=seconds))
            if extended is None:
                return current
            unit.look_at(extended)
            return extended

        return await self._transactions.run(actor_of(principal), work)

    def _counted(self, answered: Execution, ended: list[Execution]) -> Execution:
        """Count an execution that this call ended, once, however often its transaction was repeated."""
        if ended:
            self._metrics.executions.labels(answered.status.value).inc()
        return answered

    async def retry(
        self,
        principal: Principal,
        execution_id: UUID,
        *,
        answer: Callable[[Execution], Answer],
        idempotency: Idempotency | None,
    ) -> Answer:
        """Deliver a failed or timed-out execution again, under the same id and with a fresh retry budget.

        Raises ExecutionNotFoundException, StateForbidsException in any other state, IdempotencyKeyReusedException.
        """

        async def work(unit: Work) -> Answer:
            current = await _locked(unit, execution_id)
            reopened = await ending.reopen(unit.connection, current, now=unit.now())
            if reopened is None:
                raise StateForbidsException(
                    f"only a failed or timed-out execution can be delivered again: it is {current.status}"
                )
            unit.look_at(reopened)
            await _audit(unit, AuditAction.EXECUTION_RETRY, current, reopened, None)
            return answer(reopened)

        return await self._transactions.answer(actor_of(principal), idempotency, work)

    async def retry_matching(
        self,
        principal: Principal,
        request: RetryRequest,
        *,
        answer: Callable[[RetryResult], Answer],
        idempotency: Idempotency | None,
    ) -> Answer:
        """Deliver every failed or timed-out execution that matches again, a part at a time; none for a dry run.

        Raises as `find` does, and IdempotencyKeyReusedException.
        """

        async def work(unit: Work) -> Answer:
            found = await _matching(
                unit.connection, unit.community_id, request.filter, limit=request.limit, cursor=request.cursor
            )
            chosen = set(found.places) if request.dry_run else await reopen(unit, found.places)
            ids = tuple(one for one in found.places if one in chosen)
            return answer(RetryResult(request.dry_run, ids, found.next_cursor))

        return await self._transactions.answer(actor_of(principal), idempotency, work)


async def _matching(
    connection: Connection, community_id: int, filter_: ExecutionFilter, *, limit: int, cursor: str | None
) -> Found[UUID]:
    """The ids of a page of the executions that match, newest first; raises as `find` does."""
    start = None if cursor is None else id_of(cursor)
    if start is not None and recorded_for(start) is None:
        raise invalid_cursor()
    schedule_id = filter_.schedule_id
    # The executions of one schedule have an index by instant; no other filter has, nor has the community.
    filtered = schedule_id is None or replace(filter_, schedule_id=None, from_at=None) != ExecutionFilter()
    if schedule_id is not None and not await schedules.is_known(connection, community_id, schedule_id):
        raise not_found(schedule_id)

    async def look(before: UUID | None, wanted: int, window: int) -> Seen[UUID]:
        if filter_.backfill_id is not None:
            return await history.look_at_backfilled(connection, community_id, filter_, before=before, limit=wanted)
        return await history.look(connection, community_id, filter_, before=before, limit=wanted, window=window)

    return await gather(look, cursor_of, start=start, limit=limit, filtered=filtered)


async def _locked(unit: Work, execution_id: UUID) -> Execution:
    execution = await executions.lock(unit.connection, unit.community_id, execution_id)
    if execution is None:
        raise _not_found(execution_id)
    return execution


async def _wake_queued(unit: Work, ended: Execution, now: datetime) -> None:
    group = Group(ended.schedule_id, ended.group_id)
    unit.wake(await queueing.wake_oldest(unit.connection, [group], now=now))


def _cannot_end(execution: Execution) -> str:
    if execution.status is ExecutionStatus.QUEUED:
        return "the execution is queued: it has not begun, so that it cannot have ended"
    return f"the execution has ended: it is {execution.status}"


async def _audit(unit: Work, action: AuditAction, before: Execution, after: Execution, reason: str | None) -> None:
    await unit.audit(action, change_of(before, after), reason=reason, at=unit.now())


def _not_found(execution_id: UUID) -> ExecutionNotFoundException:
    return ExecutionNotFoundException(f"execution {execution_id} does not exist")
