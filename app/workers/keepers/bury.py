"""Burying the dead: a worker whose beat stands still is declared dead, and what has no living owner is released."""

from uuid import UUID

import structlog

from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.liveness import DEAD_AFTER_SECONDS
from app.metrics import Metrics
from app.store import upkeep, workers
from app.store.database import Database
from app.store.upkeep import Keeper
from app.wheel.wheel import Wheel
from app.workers.released import put_wakes

PASS_SECONDS = 1.0
_BLIND_AFTER_SECONDS = 3.0
_LIMIT = 500

log = structlog.get_logger()


class Bury:
    """Watches the others' beats with this process's own monotonic time, and only while Postgres answers.

    An outage of Postgres kills nobody: a pause in watching starts every watch anew.
    """

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self._seen: dict[UUID, tuple[int, float]] = {}
        self._watched_at = -float("inf")

    async def run_once(self) -> int:
        """Declare the silent dead, and release what has no living owner. Returns how many executions were released.

        Raises StoreUnavailableException.
        """
        try:
            async with self._database.connection() as connection:
                beats = await workers.beats(connection)
        except StoreUnavailableException:
            self._seen.clear()
            raise
        silent = self._watch(beats)
        released = []
        async with self._database.transaction() as connection:
            if not await upkeep.try_turn(connection, Keeper.BURY):
                return 0
            dead = await workers.declare_dead(connection, silent) if silent else []
            released = list(await workers.release_ownerless(connection, now=self._clock.now(), limit=_LIMIT))
        for worker_id in dead:
            self._metrics.buried.inc()
            log.warning("worker_buried", category="SYSTEM", worker_id=str(worker_id))
        if released:
            self._metrics.released.inc(len(released))
            log.warning("executions_released", category="SYSTEM", executions=len(released))
        await put_wakes(self._wheel, released)
        return len(released)

    def _watch(self, beats: dict[UUID, int]) -> dict[UUID, int]:
        """The workers whose counter was seen unchanged for long enough, with that counter."""
        now = self._clock.monotonic()
        if now - self._watched_at > _BLIND_AFTER_SECONDS:
            # This process itself was frozen, or cut off: it has seen nothing meanwhile.
            self._seen.clear()
        self._watched_at = now
        self._seen = {
            worker_id: seen if (seen := self._seen.get(worker_id)) is not None and seen[0] == beat else (beat, now)
            for worker_id, beat in beats.items()
        }
        return {worker_id: beat for worker_id, (beat, since) in self._seen.items() if now - since >= DEAD_AFTER_SECONDS}
