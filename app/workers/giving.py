"""Giving back what will not be sent soon: released in Postgres with the time of its next look, and put into the wheel.

It stays in this worker's hands until the release has committed. Any worker with room takes it up again at that time,
under a new attempt number; what no retry could reach any more ends instead, with the reason.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.execution import ExecutionStatus, Wake
from app.metrics import Metrics
from app.store import notices, queueing, settling, taking
from app.store.database import Connection, Database
from app.store.outage import Outage
from app.wheel.wheel import Wheel
from app.workers.gaps import Gaps
from app.workers.later import Later
from app.workers.released import put_wakes
from app.workers.underway import Underway

BATCH = 250
_GATHER_MS = 100
"""Nobody waits for it: who is given back comes again in a second or so. Each batch costs Postgres a commit."""
_RETRY_SECONDS = 0.25
_FAR_MS = 3_600_000

log = structlog.get_logger()


class GiveBack:
    """Gathers what is given back, and writes it in batches."""

    def __init__(
        self,
        database: Database,
        wheel: Wheel,
        clock: Clock,
        metrics: Metrics,
        *,
        forget: Callable[[UUID], None],
        room_came: Callable[[], None],
        gaps: Gaps,
    ) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self._forget = forget
        self._room_came = room_came
        self._gaps = gaps
        self._pending: list[Later] = []
        self._writing = 0
        self._came = asyncio.Event()
        self._full = asyncio.Event()
        """Set when there is a whole batch: while too much waits here, nothing is claimed."""
        self._outage = Outage(clock, "give_back_waits")
        self.underway = Underway(clock)

    def __len__(self) -> int:
        return len(self._pending) + self._writing

    @property
    def busy(self) -> bool:
        """Whether a batch is being written."""
        return self._writing > 0

    def add(self, one: Later) -> None:
        """Give one back until its time, or end it with its error, soon."""
        self._pending.append(one)
        if len(self._pending) >= BATCH:
            self._full.set()
        self._metrics.given_back.labels(one.behind.value).inc()
        self._came.set()

    def clear(self) -> list[Assignment]:
        """Give nothing more back: returns what is not being written yet."""
        unwritten, self._pending = self._pending, []
        return [one.assignment for one in unwritten]

    async def run_forever(self) -> None:
        """Write until cancelled."""
        while True:
            await self._clock.wait(self._came, self._clock.now_ms() + _FAR_MS)
            self._came.clear()
            if self._pending and len(self._pending) < BATCH:
                self._full.clear()
                await self._clock.wait(self._full, self._gaps.after(self._clock.now_ms() + _GATHER_MS))
            try:
                with self.underway.this():
                    await self.run_once()
            finally:
                if self._pending:
                    self._came.set()

    async def run_once(self) -> int:
        """Write one batch. Returns how many were still this worker's; an outage of Postgres is waited out."""
        batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
        # In the order of their ids, as everywhere.
        batch.sort(key=lambda one: one.assignment.execution_id)
        self._writing = len(batch)
        try:
            wakes = await self._until_written(self._release, [one for one in batch if one.error is None])
            made_room = await self._until_written(self._end, [one for one in batch if one.error is not None])
        except BaseException:
            # Nothing is out of its hands before it is written; what was written is not its own any more.
            self._pending = batch + self._pending
            raise
        finally:
            self._writing = 0
        for one in batch:
            self._forget(one.assignment.execution_id)
        self._room_came()
        await put_wakes(self._wheel, [*wakes, *made_room])
        return len(batch)

    async def _until_written(
        self, write: Callable[[Sequence[Later]], Awaitable[list[Wake]]], batch: Sequence[Later]
    ) -> list[Wake]:
        while batch:
            try:
                return await write(batch)
            except StoreUnavailableException as away:
                self._outage.waits(away, executions=len(batch))
                await self._clock.sleep(_RETRY_SECONDS)
            except Exception:
                log.exception("give_back_failed", category="ERROR", executions=len(batch))
                if len(batch) == 1:
                    # It stays pending under this worker's id, and is released as unknown to it.
                    return []
                # One poisoned row does not hold up the others.
                return [wake for one in batch for wake in await self._until_written(write, [one])]
        return []

    async def _release(self, batch: Sequence[Later]) -> list[Wake]:
        given = [(one.assignment, one.wake_at) for one in batch]
        return await self._database.run(lambda connection: settling.give_back(connection, given), one_statement=True)

    async def _end(self, batch: Sequence[Later]) -> list[Wake]:
        async def end(connection: Connection) -> tuple[dict[UUID, str], list[Wake]]:
            now = self._clock.now()
            owned = await settling.lock_owned(connection, [one.assignment for one in batch])
            errors = {
                one.assignment.execution_id: one.error
                for one in batch
                if one.error is not None and one.assignment.execution_id in owned
            }
            groups = await taking.end(connection, errors, ExecutionStatus.FAILED, now=now)
            told = await notices.tell_of(connection, errors, now=now)
            return errors, told + await queueing.wake_oldest(connection, groups, now=now)

        errors, wakes = await self._database.run(end)
        self._metrics.executions.labels(ExecutionStatus.FAILED.value).inc(len(errors))
        for execution_id, error in errors.items():
            log.error("execution_failed", category="ERROR", execution_id=str(execution_id), reason=error)
        return wakes
