"""The last stage: write what became of the attempts, a batch at a time, and put what waits for a retry."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from math import inf
from uuid import UUID

import structlog

from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.execution import ExecutionStatus, Wake
from app.delivery.sender import Delivered
from app.metrics import Metrics
from app.store import queueing, settling
from app.store.database import Database
from app.store.outage import Outage
from app.store.queueing import Group
from app.store.settling import Outcome, Settled
from app.wheel.wheel import Wheel
from app.workers.gaps import Gaps
from app.workers.outcomes import conclude, without_words
from app.workers.pausing import Pausing
from app.workers.released import put_wakes
from app.workers.signals import Point, Signals
from app.workers.underway import Underway

BATCH = 500
_GATHER_MS = 3
"""How long an outcome that comes alone waits for others."""
_CADENCE_MS = 10
"""How far apart batches are where outcomes keep coming: each costs Postgres and this worker half a millisecond."""
_RETRY_SECONDS = 0.25
_FAR_MS = 3_600_000

log = structlog.get_logger()


class Settler:
    """Gathers outcomes for a few milliseconds, and writes them under their fences."""

    def __init__(
        self,
        database: Database,
        wheel: Wheel,
        clock: Clock,
        metrics: Metrics,
        *,
        pausing: Pausing,
        forget: Callable[[UUID], None],
        gaps: Gaps,
        signals: Signals,
    ) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self._pausing = pausing
        self._forget = forget
        self._gaps = gaps
        self._signals = signals
        self._waiting: list[Delivered] = []
        self._unsettled = 0
        self._came = asyncio.Event()
        self._settled_at = -inf
        self._outage = Outage(clock, "settle_waits")
        self.underway = Underway(clock)

    def add(self, delivered: Delivered) -> None:
        """Settle an attempt soon."""
        self._waiting.append(delivered)
        self._unsettled += 1
        self._came.set()

    @property
    def busy(self) -> bool:
        """Whether an outcome is not written yet."""
        return self._unsettled > 0

    async def run_once(self) -> int:
        """Settle what waits. Returns how many outcomes passed their fence.

        An outage of Postgres is waited out: an outcome that is not written would be delivered again.
        """
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        if not batch:
            return 0
        try:
            outcomes = [conclude(delivered, self._clock.now()) for delivered in batch]
            settled = await self._write_each(outcomes)
            written = settled.executions
            wakes = [
                Wake(one.community_id, one.execution_id, one.wake_at)
                for one in outcomes
                if one.execution_id in written and one.wake_at is not None
            ]
            wakes += settled.notices
            wakes += await self._wake_queued(settled.made_room)
            await put_wakes(self._wheel, wakes)
            noted = await self._note([one for one in outcomes if one.execution_id not in written])
            for one in batch:
                if one.assignment.execution_id in written:
                    self._pausing.add(one)
        finally:
            self._unsettled -= len(batch)
            for delivered in batch:
                self._forget(delivered.assignment.execution_id)
        self._tell(outcomes, written, noted, {one.assignment.execution_id for one in batch if one.assignment.is_notice})
        await self._signals.reached(Point.SETTLED)
        return len(written)

    async def run_forever(self) -> None:
        """Settle until cancelled."""
        while True:
            await self._clock.wait(self._came, self._clock.now_ms() + _FAR_MS)
            self._came.clear()
            if self._waiting and len(self._waiting) < BATCH:
                await self._gaps.sleep(self._gathering_seconds())
            try:
                with self.underway.this():
                    await self.run_once()
            finally:
                self._settled_at = self._clock.monotonic()
                # What came meanwhile is gathered again, unless it is a whole batch already.
                if self._waiting:
                    self._came.set()

    def _gathering_seconds(self) -> float:
        return max(_GATHER_MS / 1000, self._settled_at + _CADENCE_MS / 1000 - self._clock.monotonic())

    async def _wake_queued(self, groups: Collection[Group]) -> list[Wake]:
        """Have the oldest queued run of each group look for room, after the commit of what made it.

        What this loses, by an outage or a crash, a queued run finds by itself within seconds.
        """
        if not groups:
            return []
        try:
            return await self._database.run(
                lambda connection: queueing.wake_oldest(connection, groups, now=self._clock.now())
            )
        except Exception as lost:
            # Whatever it is, the outcomes are written, and what follows from them must be done.
            log.warning("queue_wake_lost", category="ERROR", error=str(lost), groups=len(groups))
            return []

    async def _write_each(self, outcomes: Sequence[Outcome]) -> Settled:
        """Write what there is of each execution, as long as something of it is left and none has passed its fence."""
        settled = Settled()
        while outcomes:
            first, left = settling.first_of_each(outcomes)
            settled |= await self._write(first)
            outcomes = [outcome for outcome in left if outcome.execution_id not in settled.executions]
        return settled

    async def _write(self, outcomes: Sequence[Outcome], *, plain: bool = False) -> Settled:
        failures = 0
        while True:
            try:
                if any(outcome.status is ExecutionStatus.FAILED for outcome in outcomes):
                    return await self._database.run(
                        lambda connection: settling.settle_and_tell(connection, outcomes, now=self._clock.now())
                    )
                return await self._database.run(
                    lambda connection: settling.settle(connection, outcomes), one_statement=True
                )
            except StoreUnavailableException as away:
                self._outage.waits(away, outcomes=len(outcomes))
                await self._clock.sleep(_RETRY_SECONDS)
            except Exception:
                failures += 1
                if failures < 2:
                    continue
                log.exception("settle_failed", category="ERROR", outcomes=len(outcomes))
                if plain:
                    # It stays pending under this worker's id, and is released as unknown to it.
                    return Settled()
                if len(outcomes) == 1:
                    # One that is never written would be delivered again without end.
                    return await self._write([without_words(outcomes[0])], plain=True)
                whole = Settled()
                for one in outcomes:
                    whole |= await self._write([one])
                return whole

    async def _note(self, refused: Sequence[Outcome]) -> frozenset[UUID]:
        """Keep the attempts of what had ended before they did, by a report, a cancellation or its deadline.

        What this loses is a line of the record, and no outcome.
        """
        if not refused:
            return frozenset()
        try:
            return await self._database.run(lambda connection: settling.note(connection, refused))
        except Exception as lost:
            # Whatever it is, the outcomes are written, and what follows from them must be done.
            log.warning("note_lost", category="ERROR", error=str(lost), outcomes=len(refused))
            return frozenset()

    def _tell(
        self,
        outcomes: Sequence[Outcome],
        written: frozenset[UUID],
        noted: frozenset[UUID],
        notices: set[UUID],
    ) -> None:
        tally: dict[str, int] = {}
        for outcome in outcomes:
            if outcome.execution_id in written:
                if outcome.execution_id in notices:
                    self._metrics.notices.labels(outcome.status.value).inc()
                else:
                    tally[outcome.status.value] = tally.get(outcome.status.value, 0) + 1
                if outcome.failed:
                    log.warning(
                        "scheduler_job_error",
                        category="ERROR",
                        community=outcome.community_id,
                        result=outcome.status.value,
                        execution_id=str(outcome.execution_id),
                        attempt=outcome.number,
                        error=outcome.error,
                    )
        for status, number in tally.items():
            self._metrics.executions.labels(status).inc(number)
        # What was noted is no sign of a slow worker: a target may report before it answers.
        refused = len(outcomes) - len(written) - len(noted)
        if refused > 0:
            self._metrics.settles_refused.inc(refused)
