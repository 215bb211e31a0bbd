"""What one transaction does with a batch of claimed entries: everything is decided from the locked rows.

A wheel entry only says "look". So a batch that is looked at twice, by whomever, records each occurrence once.
Schedules come before executions, each in the order of their ids: two overlapping batches cannot deadlock.
"""

from collections.abc import Sequence
from uuid import UUID

from app.core.clock import Clock, to_ms
from app.core.execution import ExecutionStatus
from app.store import notices, queueing, taking
from app.store.database import Connection, on_behalf_of, wait_briefly
from app.wheel.members import execution_in, execution_member, schedule_in
from app.workers.look import Look, reason_of
from app.workers.queue import Queue
from app.workers.recorder import Recorder

_LOCKED_AGAIN_MS = 20
"""How long after the claim-ahead a row that another has locked is looked at again."""


class Looker:
    """Looks at claimed entries for one owner. Schedules that are due later than `reach_ms` from now are let be."""

    def __init__(self, clock: Clock, *, claim_ahead_ms: int, reach_ms: int | None = None) -> None:
        self._clock = clock
        self._back_after_ms = claim_ahead_ms + _LOCKED_AGAIN_MS
        reach_ms = claim_ahead_ms if reach_ms is None else reach_ms
        self._recorder = Recorder(
            clock, claim_ahead_ms=claim_ahead_ms, reach_ms=reach_ms, back_after_ms=self._back_after_ms
        )
        self._queue = Queue(clock, back_after_ms=self._back_after_ms)

    async def look(self, connection: Connection, members: Sequence[str], owner: UUID) -> Look:
        """Record what is due, take what waits, and say when each entry is due next; within the caller's transaction.

        Raises StoreUnavailableException, with whose they are, where another has runs locked that are to be waited for.
        """
        look = Look(next_due_ms=dict.fromkeys(members))
        schedules = [row_id for member in members if (row_id := schedule_in(member)) is not None]
        executions = [row_id for member in members if (row_id := execution_in(member)) is not None]
        look.in_vain += len(members) - len(schedules) - len(executions)
        if schedules:
            await self._recorder.look(connection, schedules, owner, look)
        if executions:
            await self._look_at_executions(connection, executions, owner, look)
        if look.made_room:
            await wait_briefly(connection)
            with on_behalf_of([*look.timed_out, *look.failed_executions, *(one.schedule_id for one in look.made_room)]):
                look.wakes += await queueing.wake_oldest(connection, look.made_room, now=self._clock.now())
        return look

    async def _look_at_executions(
        self, connection: Connection, execution_ids: list[UUID], owner: UUID, look: Look
    ) -> None:
        rows = await taking.lock_waiting(connection, execution_ids)
        now = self._clock.now()
        seen = {row.execution_id for row in rows}
        taken = []
        for row in rows:
            if row.wake_at > now:
                look.next_due_ms[execution_member(row.execution_id)] = to_ms(row.wake_at)
                look.in_vain += 1
            elif (overran := row.overran) is not None:
                look.timed_out[row.execution_id] = overran
            elif row.takeable:
                try:
                    taken.append(row.taken_by(owner))
                except Exception as poison:
                    look.failed_executions[row.execution_id] = reason_of(poison)
        await self._look_at_others(connection, [one for one in execution_ids if one not in seen], owner, look)
        await taking.take(connection, taken, owner=owner)
        look.assignments += taken
        ended = await taking.end(connection, look.timed_out, ExecutionStatus.TIMED_OUT, now=now)
        ended |= await taking.end(connection, look.failed_executions, ExecutionStatus.FAILED, now=now)
        look.made_room |= ended
        look.wakes += await notices.tell_of(connection, [*look.timed_out, *look.failed_executions], now=now)

    async def _look_at_others(self, connection: Connection, execution_ids: list[UUID], owner: UUID, look: Look) -> None:
        """What was not locked: queued, locked by another, or gone."""
        if not execution_ids:
            return
        again = self._clock.now_ms() + self._back_after_ms
        queued = await queueing.queued_among(connection, execution_ids)
        for waiting_id in await taking.still_waiting(connection, execution_ids):
            look.next_due_ms[execution_member(waiting_id)] = again
        look.in_vain += len(execution_ids) - len(queued)
        if queued:
            await self._queue.look(connection, queued, owner, look)
