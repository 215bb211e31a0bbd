"""Which of the executions in a worker's hands are still its own: others may have taken or ended them meanwhile."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.store import settling
from app.store.database import Database
from app.workers.presence import Presence

_DISTRUST_POLL_SECONDS = 0.1
_AFTER_FAILURE_SECONDS = 1.0

log = structlog.get_logger()


class Ownership:
    """Asks Postgres on behalf of one worker."""

    def __init__(self, database: Database, clock: Clock, presence: Presence) -> None:
        self._database = database
        self._clock = clock
        self._presence = presence

    async def still_owned(self, assignments: Sequence[Assignment]) -> set[UUID]:
        """Those that are neither cancelled nor another's. Waits until this worker knows that it is alive itself, and
        an outage of Postgres out.
        """
        while True:
            while not self._presence.trusted:
                await self._clock.sleep(_DISTRUST_POLL_SECONDS)
            owner = self._presence.worker_id
            mine = [(one.execution_id, one.recorded_for, one.attempt) for one in assignments if one.owner == owner]
            if not mine:
                return set()
            try:
                async with self._database.connection() as connection:
                    return await settling.still_owned(connection, mine, owner=owner)
            except StoreUnavailableException:
                await self._clock.sleep(_DISTRUST_POLL_SECONDS)
            except Exception:
                log.exception("recheck_failed", category="ERROR", executions=len(mine))
                await self._clock.sleep(_AFTER_FAILURE_SECONDS)
