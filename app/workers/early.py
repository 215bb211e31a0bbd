"""What was claimed before it may be decided waits here, under its lease, and is looked at again."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from app.core.clock import Clock
from app.core.tasks import end
from app.wheel.answers import Claimed
from app.workers.lines import Batch, Line


class Early:
    """Puts it into `line` once more in time.

    Beside a crowd a schedule is claimed further ahead than its runs may be counted: one that runs now may have ended by
    then. To give the entry back would have it claimed again at once. Should this worker die, the leases run out.
    """

    def __init__(self, clock: Clock, line: Line, *, again: Callable[[Batch], None]) -> None:
        """`again` is told what stands in the line once more."""
        self._clock = clock
        self._line = line
        self._again = again
        self._waiting: set[asyncio.Task[None]] = set()

    def add(self, batch: Batch, early: Mapping[str, int]) -> None:
        """Have the early ones of a batch looked at again when the first of them may be decided; in ms."""
        if not early:
            return
        parts = [(claim, tuple(member for member in claim.members if member in early)) for claim in batch]
        again = [replace(claim, members=members, passing=0) for claim, members in parts if members]
        task = asyncio.create_task(self._put(again, min(early.values())), name="early")
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def join(self) -> None:
        """Wait until all of it stands in the line."""
        if self._waiting:
            await asyncio.wait(set(self._waiting))

    async def close(self) -> None:
        """Let it be: the leases run out."""
        await end(*self._waiting)

    async def _put(self, batch: list[Claimed], at_ms: int) -> None:
        await self._clock.sleep(max(at_ms - self._clock.now_ms(), 0) / 1000)
        self._again(batch)
        self._line.put_at_once(batch)
