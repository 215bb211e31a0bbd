"""Pausing the schedules whose targets are gone: beside the settling, which nothing that a target says may hold up."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.values import value
from app.delivery.answer import Meaning
from app.delivery.sender import Delivered
from app.service.schedules import ScheduleService
from app.store import schedules
from app.store.database import Database
from app.workers.underway import Underway

_WAIT_AT_MOST = 1_000
_LOOKED_AT_ONCE = 100
_FAR_MS = 3_600_000

log = structlog.get_logger()


@value
class _Gone:
    """A schedule that is to be paused: which of its executions was told, and what."""

    assignment: Assignment
    reason: str


class Pausing:
    """Pauses one schedule after the other, each in a transaction of its own, as a caller's pause is.

    What is lost on the way, by an outage or a crash or because too many wait, costs one more request: the schedule's
    next occurrence gets the same answer.
    """

    def __init__(self, database: Database, clock: Clock, service: ScheduleService) -> None:
        self._database = database
        self._clock = clock
        self._service = service
        self._waiting: dict[UUID, _Gone] = {}
        self._came = asyncio.Event()
        self.underway = Underway(clock)

    @property
    def busy(self) -> bool:
        """Whether a schedule is still to be paused."""
        return bool(self.underway) or bool(self._waiting)

    def add(self, delivered: Delivered) -> None:
        """An outcome was written: where its target is gone, pause its schedule soon. A notice pauses nothing."""
        assignment, verdict = delivered.assignment, delivered.verdict
        if verdict.meaning is not Meaning.GONE or assignment.is_notice:
            return
        before = self._waiting.get(assignment.schedule_id)
        if before is not None and before.assignment.revision >= assignment.revision:
            return
        if before is None and len(self._waiting) >= _WAIT_AT_MOST:
            log.warning("pause_left", category="ERROR", schedule_id=str(assignment.schedule_id), waiting=_WAIT_AT_MOST)
            return
        self._waiting[assignment.schedule_id] = _Gone(assignment, f"the target answered {verdict.error}")
        self._came.set()

    async def run_forever(self) -> None:
        """Pause until cancelled."""
        while True:
            await self._clock.wait(self._came, self._clock.now_ms() + _FAR_MS)
            self._came.clear()
            while self._waiting:
                await self.run_once()

    async def run_once(self) -> None:
        """Pause some of those that wait."""
        batch = [self._waiting.pop(key) for key in list(self._waiting)[:_LOOKED_AT_ONCE]]
        left: list[_Gone] = []
        with self.underway.this():
            try:
                active = await self._active(batch)
                left = [gone for gone in batch if gone.assignment.schedule_id in active]
                while left:
                    await self._pause(left.pop(0))
            except StoreUnavailableException as away:
                # One may be locked for long: the others have their turn, unless nothing answers at all.
                log.warning("pause_left", category="ERROR", error=away.detail, others=len(left))
                self._waiting = {gone.assignment.schedule_id: gone for gone in left} | self._waiting

    async def _active(self, batch: Sequence[_Gone]) -> set[UUID]:
        """Most of a crowd may fire no more, as a one-time does not: one look spares each a transaction."""
        keys = [(one.assignment.schedule_id, one.assignment.community_id, one.assignment.revision) for one in batch]
        async with self._database.connection() as connection:
            return await schedules.active_at(connection, keys)

    async def _pause(self, gone: _Gone) -> None:
        assignment = gone.assignment
        try:
            await self._service.pause_gone(
                assignment.community_id,
                assignment.schedule_id,
                revision=assignment.revision,
                execution_id=assignment.execution_id,
                reason=gone.reason,
            )
        except StoreUnavailableException:
            raise
        except Exception:
            # Whatever it is, the others are to be paused.
            log.exception("pause_failed", category="ERROR", schedule_id=str(assignment.schedule_id))
