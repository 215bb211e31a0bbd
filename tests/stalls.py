"""How long this machine held a test up, measured beside it: an allowance for lateness is on top of that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core.tasks import end
from app.store.database import Database

_EVERY_SECONDS = 0.02
_A_COMMIT = "SELECT pg_logical_emit_message(true, 'stalls', '')"
"""One that has to reach the disk, and leaves nothing behind in the tables."""


class Stalls:
    """The longest time in which this process did nothing, or Postgres committed nothing.

    What runs in this event loop cannot be any earlier, whatever it does: a fork alone stops the loop of a large
    process for a tenth of a second, and of one on a busy machine for more than one.
    """

    def __init__(self) -> None:
        self.longest_ms = 0.0

    async def watch(self, database: Database) -> None:
        """Commit again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        async with database.connection() as connection:
            while True:
                began = loop.time()
                await asyncio.sleep(_EVERY_SECONDS)
                await connection.execute(_A_COMMIT)
                self.longest_ms = max(self.longest_ms, (loop.time() - began - _EVERY_SECONDS) * 1000)


@asynccontextmanager
async def stalls_of(database: Database) -> AsyncIterator[Stalls]:
    """Watch for the length of a block."""
    stalls = Stalls()
    watching = asyncio.create_task(stalls.watch(database), name="stalls")
    try:
        yield stalls
    finally:
        for error in await end(watching):
            raise error
