"""The second stage: record what is due and move the schedules on, one transaction a batch, then ack."""

import logging
from collections.abc import Callable, Sequence

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.execution import ExecutionStatus
from app.metrics import Metrics
from app.store import firing, notices, queueing, taking
from app.store.database import Database, blames_the_row
from app.store.firing import NewExecution
from app.store.outage import Outage
from app.wheel.answers import Claimed
from app.wheel.connection import AWAY
from app.wheel.members import execution_in, row_in, schedule_in
from app.wheel.wheel import Wheel
from app.workers.locked import Locked
from app.workers.look import Look, reason_of
from app.workers.looker import Looker
from app.workers.presence import Presence
from app.workers.released import put_wakes
from app.workers.signals import Point, Signals

_RETRY_SECONDS = 0.25
_SET_BACK_MS = 5_000
"""When an entry that could not even be set aside is looked at again."""
_LOCKED_AGAIN_MS = 500
"""The same for one that waits for rows that another has locked."""
_LOCKS_SECONDS = 1.0
"""For all of a batch that wait for locks, one after the other: the rest of them are looked at the next time."""
_UNSENT = {
    ExecutionStatus.QUEUED: ("execution_queued", logging.INFO),
    ExecutionStatus.MISSED: ("schedule_missed", logging.WARNING),
    ExecutionStatus.SKIPPED: ("schedule_skipped", logging.WARNING),
    ExecutionStatus.CANCELLED: ("schedule_cancelled", logging.WARNING),
}
"""As what is logged that is recorded and not sent."""

log = structlog.get_logger()


class Advancer:
    """Takes claimed batches through their transaction, and hands what is to be delivered on."""

    def __init__(
        self,
        database: Database,
        wheel: Wheel,
        clock: Clock,
        presence: Presence,
        metrics: Metrics,
        *,
        deliver: Callable[[Sequence[Assignment]], None],
        signals: Signals,
    ) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._presence = presence
        self._metrics = metrics
        self._deliver = deliver
        self._signals = signals
        self._outage = Outage(clock, "advance_waits")
        self._locked = Locked(clock)
        self._looker = Looker(clock, claim_ahead_ms=wheel.claim_ahead_ms, reach_ms=wheel.reach_ms)

    async def run_once(self, claims: Sequence[Claimed]) -> Look:
        """Record, hand over for delivery, ack.

        An outage of Postgres is waited out: the leases may expire meanwhile, and the rows then say what is to be done.
        Who has to wait for rows that another has locked is looked at by itself, after all others.
        """
        members = list(dict.fromkeys(member for claim in claims for member in claim.members))
        together, apart = self._locked.parted(members)
        whole = Look()
        while together:
            try:
                whole.add(await self._advance(_among(claims, together) if apart else claims, together))
                break
            except StoreUnavailableException as locked:
                waits = {one for one in together if row_in(one) in locked.waited_for} or set(together)
                apart += [one for one in together if one in waits]
                together = [one for one in together if one not in waits]
        until = self._clock.monotonic() + _LOCKS_SECONDS
        for member in apart:
            whole.add(await self._advance_alone(claims, member, until))
        return whole

    async def _advance(self, claims: Sequence[Claimed], members: list[str]) -> Look:
        began = self._clock.monotonic()
        look = await self._look_until_done(members)
        self._metrics.advance_seconds.observe(self._clock.monotonic() - began)
        self._metrics.advance_batch.observe(len(members))
        await self.carry_out(claims, look)
        return look

    async def _advance_alone(self, claims: Sequence[Claimed], member: str, until: float) -> Look:
        """The same for one that waits for rows that another has locked; where it does so in vain, it is handed back."""
        look, claims = Look(), _among(claims, [member])
        try:
            if self._clock.monotonic() < until:
                look = await self._advance(claims, [member])
                self._locked.remove(member)
                return look
        except StoreUnavailableException as locked:
            if self._locked.add(member):
                log.warning("advance_locked", category="ERROR", entry=member, error=locked.detail)
        look.in_vain += 1
        self._set_back(member, look, _LOCKED_AGAIN_MS)
        await self.carry_out(claims, look)
        return look

    async def carry_out(self, claims: Sequence[Claimed], look: Look) -> None:
        """Hand over for delivery, and ack, what a committed look has recorded."""
        await self._signals.reached(Point.RECORDED)
        # Before the ack: what is recorded must not wait for Redis.
        self._deliver(look.assignments)
        await put_wakes(self._wheel, look.wakes)
        await self._ack(claims, look)
        await self._signals.reached(Point.ACKED)
        self._note(look)

    async def _look_until_done(self, members: list[str]) -> Look:
        """Raises StoreUnavailableException for no outage, but where some wait for rows that another has locked."""
        failures = 0
        while True:
            try:
                return await self._look(members)
            except StoreUnavailableException as away:
                if away.waited_for:
                    raise
                self._outage.waits(away, entries=len(members))
                await self._clock.sleep(_RETRY_SECONDS)
            except Exception:
                failures += 1
                if failures == 2:
                    log.exception("advance_failed", category="ERROR", entries=len(members))
                    return await self.take_apart(members)

    async def _look(self, members: Sequence[str]) -> Look:
        owner = self._presence.worker_id
        return await self._database.run(lambda connection: self._looker.look(connection, members, owner))

    async def take_apart(self, members: Sequence[str]) -> Look:
        """Look at each entry of a batch that failed twice by itself: one poisoned row does not stop the others."""
        whole = Look()
        for member in members:
            try:
                whole.add(await self._look([member]))
            except Exception as poison:
                log.exception("advance_poison", category="ERROR", entry=member)
                if blames_the_row(poison):
                    await self._set_aside(member, reason_of(poison), whole)
                else:
                    self._set_back(member, whole)
        return whole

    async def _set_aside(self, member: str, reason: str, look: Look) -> None:
        schedule_id, execution_id = schedule_in(member), execution_in(member)
        try:
            async with self._database.transaction() as connection:
                now = self._clock.now()
                if schedule_id is not None:
                    await firing.fail(connection, {schedule_id: reason}, now=now)
                    look.failed_schedules[schedule_id] = reason
                elif execution_id is not None:
                    made_room = await taking.end(connection, {execution_id: reason}, ExecutionStatus.FAILED, now=now)
                    look.wakes += await notices.tell_of(connection, [execution_id], now=now)
                    look.wakes += await queueing.wake_oldest(connection, made_room, now=now)
                    look.failed_executions[execution_id] = reason
        except Exception:
            self._set_back(member, look)
            log.exception("set_aside_failed", category="ERROR", entry=member)

    def _set_back(self, member: str, look: Look, by_ms: int = _SET_BACK_MS) -> None:
        look.set_back.add(member)
        look.next_due_ms[member] = self._clock.now_ms() + by_ms

    async def _ack(self, claims: Sequence[Claimed], look: Look) -> None:
        done = [
            (
                claim.shard,
                claim.token,
                [(member, look.next_due_ms.get(member)) for member in claim.members if member not in look.early],
            )
            for claim in claims
        ]
        try:
            await self._wheel.ack(done)
        except AWAY as away:
            # The leases expire, and the rows say what is true.
            log.warning("ack_failed", category="ERROR", shards=[claim.shard for claim in claims], error=str(away))

    def _note(self, look: Look) -> None:
        self._metrics.claimed_in_vain.inc(look.in_vain)
        for execution in look.unsent:
            self._metrics.executions.labels(execution.recording.status.value).inc()
            _log_unsent(execution)
        for status, ended in ((ExecutionStatus.CANCELLED, look.cancelled), (ExecutionStatus.TIMED_OUT, look.timed_out)):
            self._metrics.executions.labels(status.value).inc(len(ended))
        for execution_id in look.cancelled:
            log.info("execution_cancelled", category="SYSTEM", execution_id=str(execution_id), reason="cancel_running")
        for execution_id, reason in look.timed_out.items():
            log.warning("execution_timed_out", category="ERROR", execution_id=str(execution_id), reason=reason)
        self._metrics.failed_schedules.inc(len(look.failed_schedules))
        for schedule_id, reason in look.failed_schedules.items():
            log.error("schedule_failed", category="ERROR", schedule_id=str(schedule_id), reason=reason)
        for execution_id, reason in look.failed_executions.items():
            self._metrics.executions.labels(ExecutionStatus.FAILED.value).inc()
            log.error("execution_failed", category="ERROR", execution_id=str(execution_id), reason=reason)


def _among(claims: Sequence[Claimed], members: Sequence[str]) -> list[Claimed]:
    wanted = set(members)
    return [part for claim in claims if (part := claim.among(wanted)).members]


def _log_unsent(execution: NewExecution) -> None:
    recording = execution.recording
    event, level = _UNSENT[recording.status]
    log.log(
        level,
        event,
        category="SYSTEM",
        community=execution.schedule.community_id,
        result=recording.status.value,
        reason=recording.reason,
        schedule_id=str(execution.schedule.due.schedule_id),
        execution_id=str(execution.execution_id),
        coalesced_count=recording.coalesced_count,
    )
