"""The third stage: hold what is recorded until its due time, then send it, so many at once and no more."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.delivery.sender import Delivered, Sender
from app.metrics import Metrics
from app.store.database import Database
from app.workers.hold import Hold
from app.workers.lanes import Lanes
from app.workers.ownership import Ownership
from app.workers.presence import Presence
from app.workers.room import HELD_AT_MOST, Room
from app.workers.senders import Senders
from app.workers.signals import Signals


class Deliverer:
    """Knows what this worker has in its hands, and how much more it can take."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        clock: Clock,
        presence: Presence,
        metrics: Metrics,
        lanes: Lanes,
        *,
        concurrency: int,
        request_seconds: float,
        settle: Callable[[Delivered], None],
        room_came: Callable[[], None],
        signals: Signals,
    ) -> None:
        self._clock = clock
        self._lanes = lanes
        self._settle = settle
        self._room = Room(clock, concurrency=concurrency)
        self.hold = Hold(clock, lanes)
        self.senders = Senders(
            sender,
            clock,
            presence,
            Ownership(database, clock, presence),
            metrics,
            self.hold,
            lanes,
            concurrency=concurrency,
            request_seconds=request_seconds,
            ended=self._ended,
            room_came=room_came,
            signals=signals,
        )
        metrics.held.set_function(self._waiting)
        metrics.in_flight.set_function(lambda: self.senders.in_flight)

    def room(self) -> int:
        """How many more executions could be delivered soon.

        Who waits behind the limits of a target does not count, unless giving them back takes longer than taking them.
        """
        if self._lanes.behind > HELD_AT_MOST:
            return 0
        return self._room.left(waiting=self._waiting(), in_flight=self.senders.in_flight)

    def room_for_few(self) -> int:
        """The same for what little is due beside a crowd."""
        if self._lanes.behind > HELD_AT_MOST:
            return 0
        return self._room.left_for_few(waiting=self._waiting(), in_flight=self.senders.in_flight)

    def has_plenty_of_room(self) -> bool:
        """Whether it may be taken by what is due only later."""
        return self._room.has_plenty(waiting=self._waiting())

    def batch(self) -> int:
        """How many entries to record at once."""
        return self._room.batch()

    def stands_seconds(self) -> float:
        """For how long what is due and has a place in its lane has not been sent; 0 while all of it is."""
        return max(self.hold.stands_seconds(), self.senders.stands_seconds())

    def knows(self, execution_id: UUID) -> bool:
        """Whether an execution is in this worker's hands."""
        return self.hold.knows(execution_id)

    def forget(self, execution_id: UUID) -> None:
        """An attempt was settled, or given back."""
        self.hold.forget(execution_id)

    def take(self, assignments: Sequence[Assignment]) -> None:
        """Send each at its due time."""
        if assignments:
            self.senders.sender.prepare(len(assignments))
            self.hold.add(assignments)

    async def run_forever(self) -> None:
        """Hold and send, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.hold.run_forever(), name="hold")
            tasks.create_task(self.senders.run_forever(), name="senders")

    def stop(self) -> list[Assignment]:
        """Send nothing more. Returns what was not sent; what is under way goes on."""
        return self.hold.clear() + self.senders.stop() + self._lanes.clear()

    async def drained(self, patience_seconds: float) -> bool:
        """Wait until nothing is under way; false when it still is after `patience_seconds`."""
        until = self._clock.monotonic() + patience_seconds
        while (self.senders.in_flight or self._lanes.busy) and self._clock.monotonic() < until:
            await self._clock.sleep(0.02)
        return not self.senders.in_flight

    def _waiting(self) -> int:
        return len(self.hold) + self.senders.waiting

    def _ended(self, delivered: Delivered) -> None:
        self._room.delivered()
        self._settle(delivered)
