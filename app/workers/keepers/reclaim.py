"""Releasing what this worker owns and does not know of: a commit whose answer was lost may have happened."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from app.core.clock import Clock
from app.metrics import Metrics
from app.store import settling, workers
from app.store.database import Database
from app.wheel.wheel import Wheel
from app.workers.presence import Presence
from app.workers.released import put_wakes

PASS_SECONDS = 3.0
UNKNOWN_AFTER_SECONDS = 10.0
"""Longer than a statement may run and its answer be waited for: an open transaction is not taken for a lost one."""

log = structlog.get_logger()


class Reclaim:
    """Compares what is pending under this worker's id with what it has in its hands."""

    def __init__(
        self,
        database: Database,
        wheel: Wheel,
        clock: Clock,
        presence: Presence,
        metrics: Metrics,
        *,
        knows: Callable[[UUID], bool],
    ) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._presence = presence
        self._metrics = metrics
        self._knows = knows
        self._unknown_since: dict[tuple[UUID, datetime], float] = {}

    async def run_once(self) -> int:
        """Release what has been pending and unknown for long enough. Returns how many were.

        Raises StoreUnavailableException.
        """
        owner = self._presence.worker_id
        async with self._database.connection() as connection:
            pending = await workers.pending_of(connection, owner)
        now = self._clock.monotonic()
        self._unknown_since = {
            execution: self._unknown_since.get(execution, now) for execution in pending if not self._knows(execution[0])
        }
        lost = [
            execution[0] for execution, since in self._unknown_since.items() if now - since >= UNKNOWN_AFTER_SECONDS
        ]
        if not lost:
            return 0
        released = await self._database.run(
            lambda connection: settling.release(connection, lost, owner=owner, now=self._clock.now())
        )
        await put_wakes(self._wheel, released)
        self._metrics.released.inc(len(released))
        log.warning("executions_reclaimed", category="SYSTEM", executions=len(released))
        return len(released)
