"""Being known to be alive: the worker's row, its beat, and when the worker must distrust itself."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import orjson
import structlog

from app import __version__
from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.liveness import BEAT_SECONDS, DEAD_AFTER_SECONDS, DISTRUST_SECONDS
from app.store import workers
from app.store.database import Connection, Database
from app.wheel.rate import Sharing

log = structlog.get_logger()


class Presence:
    """This worker's id, as the others know it.

    A worker that was frozen or cut off keeps its id where its row still stands when Postgres answers again; only where
    it was buried does it take a new one. What it holds under the old id is then no longer its own.

    With the beat it tells what it knows of its targets, and learns, where it shares rates, with how many it does.
    """

    def __init__(self, database: Database, clock: Clock, *, shares: bool = False) -> None:
        self._database = database
        self._clock = clock
        self._beaten_at = -float("inf")
        self._shares = shares
        self._soon = asyncio.Event()
        self._told = False
        self.worker_id: UUID = uuid4()
        self.sharing = Sharing(workers=1, place=0)
        self.targets: Callable[[], list[dict[str, Any]]] = list
        """What there is to tell of targets; `app.store.targets` has the fields."""

    async def register(self) -> None:
        """Commit the row under a new id: before the first claim.

        Raises StoreUnavailableException.
        """
        worker_id = uuid4()
        beaten_at = self._clock.monotonic()
        async with self._database.transaction() as connection:
            await workers.register(
                connection, worker_id, host=socket.gethostname(), pid=os.getpid(), version=__version__
            )
        self.worker_id, self._beaten_at = worker_id, beaten_at

    async def run_once(self) -> bool:
        """Beat; false when the row was gone and a new id was taken.

        Raises StoreUnavailableException.
        """
        # The time before the question: an answer that was long under way says nothing about now.
        asked_at = self._clock.monotonic()
        targets = self.targets()
        async with self._database.transaction() as connection:
            lives = await self._beat(connection, targets)
            if lives and self._shares:
                self.sharing = Sharing(
                    *await workers.sharing(connection, self.worker_id, silence_seconds=DEAD_AFTER_SECONDS)
                )
        # Where the row is gone, the new one says nothing.
        self._told = bool(targets) and lives
        if lives:
            self._beaten_at = asked_at
            return True
        former = self.worker_id
        await self.register()
        log.warning("worker_id_renewed", category="SYSTEM", worker_id=str(self.worker_id), former_id=str(former))
        return False

    async def _beat(self, connection: Connection, targets: list[dict[str, Any]]) -> bool:
        if not targets and not self._told:
            return await workers.beat(connection, self.worker_id)
        said = orjson.dumps(targets).decode() if targets else None
        return await workers.beat_and_tell(connection, self.worker_id, said)

    def beat_soon(self) -> None:
        """There is something to tell that others wait for."""
        self._soon.set()

    async def run_forever(self) -> None:
        """Beat until cancelled; an outage of Postgres is waited out."""
        while True:
            self._soon.clear()
            try:
                await self.run_once()
            except StoreUnavailableException:
                await self._clock.sleep(BEAT_SECONDS / 6)
            else:
                await self._clock.wait(self._soon, self._clock.now_ms() + round(BEAT_SECONDS * 1000))

    async def leave(self) -> None:
        """Remove the row: the last thing a worker does."""
        try:
            # By one statement, which is a transaction by itself: there may be little time left.
            async with self._database.connection() as connection:
                await workers.leave(connection, self.worker_id)
        except StoreUnavailableException:
            # The others bury it instead.
            log.warning("worker_row_left", category="SYSTEM", worker_id=str(self.worker_id))

    @property
    def trusted(self) -> bool:
        """Whether this worker may send: its last beat is recent on its own monotonic clock."""
        return self.age_seconds <= DISTRUST_SECONDS

    @property
    def age_seconds(self) -> float:
        """Seconds since the last beat that Postgres confirmed."""
        return self._clock.monotonic() - self._beaten_at
