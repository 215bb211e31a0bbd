"""What a worker has recorded waits here for its due time, and is in its hands until its outcome is on record."""

import asyncio
import heapq
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.workers.lane import Due
from app.workers.lanes import Lanes

_DISPATCHED_AT_ONCE = 50
"""Of a crowd that is due at one instant the first are sent before the last have been looked at."""
_GAPLESS = 50
"""So many held are one a millisecond, at the usual claim-ahead."""
_FAR_MS = 3_600_000

log = structlog.get_logger()


class Hold:
    """Gives each its place in a lane when it is due, and hands on who has one."""

    def __init__(self, clock: Clock, lanes: Lanes) -> None:
        self._clock = clock
        self._lanes = lanes
        self._held: list[tuple[int, int, Assignment]] = []
        self._sequence = 0
        self._known: dict[UUID, int] = {}
        self._changed = asyncio.Event()
        self._moved_at = clock.monotonic()
        self.send: Callable[[Sequence[Due]], None] = _nowhere
        """Takes who is due and has a place; the senders'."""

    def __len__(self) -> int:
        """How many are not due yet."""
        return len(self._held)

    def add(self, assignments: Sequence[Assignment]) -> None:
        """Take these into this worker's hands."""
        if not self._held or self._held[0][0] > self._clock.now_ms():
            # What is late by now has not waited here.
            self._moved_at = self._clock.monotonic()
        for assignment in assignments:
            self._known[assignment.execution_id] = self._known.get(assignment.execution_id, 0) + 1
            self._push(assignment)

    def again(self, due: Due) -> None:
        """It leaves its place, and waits for its due time once more: the clock was set back."""
        self._lanes.left(due)
        self._push(due.assignment)

    def knows(self, execution_id: UUID) -> bool:
        """Whether an execution is in this worker's hands."""
        return execution_id in self._known

    def forget(self, execution_id: UUID) -> None:
        """An attempt was settled, or given back, or is somebody else's now."""
        left = self._known.get(execution_id, 0) - 1
        if left > 0:
            self._known[execution_id] = left
        else:
            self._known.pop(execution_id, None)

    def instants(self, until_ms: int) -> list[int]:
        """The instants until then, in their order, at which something is to be sent to a host in good repute. Nothing
        where so much is held that there are no gaps between them.
        """
        if len(self._held) > _GAPLESS:
            return []
        held = ((due_ms, one) for due_ms, _, one in self._held if due_ms <= until_ms)
        return sorted({due_ms for due_ms, one in held if self._lanes.in_good_repute(one)})

    def stands_seconds(self) -> float:
        """For how long something has been due here and nothing was handed on; 0 while nothing is due."""
        if not self._held:
            return 0.0
        past_due_seconds = (self._clock.now_ms() - self._held[0][0]) / 1000
        return max(0.0, min(past_due_seconds, self._clock.monotonic() - self._moved_at))

    def clear(self) -> list[Assignment]:
        """Hold nothing any more. Returns what was held."""
        held = [assignment for _, _, assignment in self._held]
        self._held.clear()
        return held

    async def run_forever(self) -> None:
        """See to each at its due time, until cancelled."""
        with self._clock.alarm(self._changed, self.ring) as wait:
            while True:
                self._changed.clear()
                self.look()
                await wait(self._held[0][0] if self._held else self._clock.now_ms() + _FAR_MS)

    def ring(self) -> None:
        """Something is due at this very instant."""
        # First: should the rest fail, whoever waits for it finds that out.
        self._changed.set()
        self.look()

    def look(self) -> None:
        """Hand on what is due by now."""
        if not self._held or self._held[0][0] > (now_ms := self._clock.now_ms()):
            return
        over: list[Assignment] = []
        while self._held and self._held[0][0] <= now_ms and len(over) < _DISPATCHED_AT_ONCE:
            over.append(heapq.heappop(self._held)[2])
        if len(over) > 1:
            # What is sent first has the other core to itself; what cannot be sent takes longer than what can.
            over.sort(key=self._lanes.order)
        placed = [due for assignment in over if (due := self._place(assignment)) is not None]
        if placed:
            self.send(placed)
        self._moved_at = self._clock.monotonic()

    def _place(self, assignment: Assignment) -> Due | None:
        try:
            return self._lanes.add(assignment)
        except Exception:
            # As what could not be sent: it stays pending under this worker's id, and is released.
            self.forget(assignment.execution_id)
            log.exception("dispatch_failed", category="ERROR", execution_id=str(assignment.execution_id))
            return None

    def _push(self, assignment: Assignment) -> None:
        self._sequence += 1
        heapq.heappush(self._held, (assignment.due_ms, self._sequence, assignment))
        self._changed.set()


def _nowhere(placed: Sequence[Due]) -> None:
    raise RuntimeError(f"nobody sends {len(placed)} that are due")
