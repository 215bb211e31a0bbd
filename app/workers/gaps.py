"""Gaps between the instants at which something is to be sent: what has no instant of its own is begun in one.

Claiming, recording, settling and giving back take a worker and Postgres some milliseconds a batch. Where those fall on
an instant, the request, or its receiver on the same machine, waits for a core. A few milliseconds earlier or later they
cost nobody anything.
"""

from collections.abc import Callable, Iterable
from math import ceil, inf

from app.core.clock import Clock

WIDE_MS = 8
"""A gap is so wide: what is begun in it is mostly done before the next instant."""
PATIENCE_MS = 10
"""So much later something is begun at most."""


class Gaps:
    """When to begin; in milliseconds since the epoch."""

    def __init__(self, clock: Clock, instants: Callable[[int], Iterable[int]]) -> None:
        """`instants` gives those up to a time, in their order, at which something is to be sent."""
        self._clock = clock
        self._instants = instants

    def after(self, at_ms: int, *, patience_ms: int = PATIENCE_MS) -> int:
        """Where the first gap from `at_ms` on begins; where none does soon, the widest of what there is between."""
        begin = found = at_ms
        widest = 0.0
        for instant in (*self._instants(at_ms + patience_ms + WIDE_MS), inf):
            width = instant - begin
            if width >= WIDE_MS:
                return begin
            if width > widest:
                found, widest = begin, width
            # In its millisecond it is sent.
            begin = max(begin, int(instant) + 1)
            if begin > at_ms + patience_ms:
                break
        return found

    def before(self, at_ms: int) -> int:
        """For what may not be later: as much earlier as it takes to be done before the next instant.

        `at_ms` where no instant is near, or where something is to be sent earlier, too.
        """
        instants = list(self._instants(at_ms + WIDE_MS - 1))
        following = next((instant for instant in instants if instant >= at_ms), None)
        if following is None or any(following - WIDE_MS <= instant < at_ms for instant in instants):
            return at_ms
        return following - WIDE_MS

    async def sleep(self, seconds: float) -> None:
        """Wait at least that long, and until there is a gap."""
        now_ms = self._clock.now_ms()
        # In whole milliseconds: a gap begins where the one ends in which something is sent.
        await self._clock.sleep((self.after(now_ms + ceil(seconds * 1000)) - now_ms) / 1000)
