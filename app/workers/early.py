"""What was claimed before it may be decided waits here, under its lease, and is looked at again."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from app.core.clock import Clock
from app.core.tasks import end
from app.wheel.connection import AWAY
from app.wheel.wheel import Wheel
from app.workers.lines import Batch, Line

log = structlog.get_logger()


class Early:
    """Puts it into `line` once more in time.

    Beside a crowd a schedule is claimed further ahead than its runs may be counted: one that runs now may have ended by
    then. To give the entry back would have it claimed again at once. Should this worker die, the leases run out.

    A worker that stops gives it back nevertheless, as it came: another records it ahead of its instant, which this one
    could do only to release it then.
    """

    def __init__(self, clock: Clock, wheel: Wheel, line: Line, *, again: Callable[[Batch], None]) -> None:
        """`again` is told what stands in the line once more."""
        self._clock = clock
        self._wheel = wheel
        self._line = line
        self._again = again
        self._stopping = False
        self._waiting: dict[asyncio.Task[None], asyncio.Event] = {}

    def add(self, batch: Batch, early: Mapping[str, int]) -> None:
        """Have the early ones of a batch looked at again when the first of them may be decided; in ms."""
        if not early:
            return
        again = [part for claim in batch if (part := claim.among(early)).members]
        stopped = asyncio.Event()
        task = asyncio.create_task(self._wait(again, early, stopped), name="early")
        self._waiting[task] = stopped
        task.add_done_callback(self._waiting.pop)

    def stop(self) -> None:
        """Give back what waits, and from here on what comes."""
        self._stopping = True
        for stopped in self._waiting.values():
            stopped.set()

    async def join(self) -> None:
        """Wait until nothing waits here."""
        if self._waiting:
            await asyncio.wait(self._waiting.keys())

    async def close(self) -> None:
        """Let it be: the leases run out."""
        await end(*self._waiting)

    async def _wait(self, batch: Batch, early: Mapping[str, int], stopped: asyncio.Event) -> None:
        if not self._stopping:
            await self._clock.wait(stopped, min(early.values()))
        if self._stopping:
            await self._give_back(batch, early)
        else:
            self._again(batch)
            self._line.put_at_once(batch)

    async def _give_back(self, batch: Batch, early: Mapping[str, int]) -> None:
        ahead_ms = self._wheel.claim_ahead_ms
        done = [(claim.shard, claim.token, [(one, early[one] + ahead_ms) for one in claim.members]) for claim in batch]
        try:
            await self._wheel.ack(done)
        except AWAY as away:
            # Whoever does without Redis asks Postgres, where no lease is in the way; else it runs out.
            log.warning("early_kept", category="ERROR", entries=len(early), error=str(away))
