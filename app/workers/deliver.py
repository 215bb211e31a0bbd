"""The fourth stage: hold what is recorded until its due time, then send it, so many at once and no more."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.delivery.sender import Delivered, Sender, Sending
from app.metrics import Metrics
from app.store.database import Database
from app.workers.lane import Due
from app.workers.lanes import Lanes
from app.workers.ownership import Ownership
from app.workers.presence import Presence
from app.workers.ready import Ready
from app.workers.room import HELD_AT_MOST, Room
from app.workers.signals import Point, Signals

_HOLD_SECONDS = 1.0
"""What waited longer than this behind a limit may have been cancelled, and is read again before it is sent."""
_RECHECK_BATCH = 100
_DISPATCHED_AT_ONCE = 50
"""Of a crowd that is due at one instant the first are sent before the last have been looked at."""
_FAR_MS = 3_600_000

_Begun = tuple[Due, Sending]

log = structlog.get_logger()


class Deliverer:
    """Holds, sends, and knows what this worker has in its hands."""

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
        settle: Callable[[Delivered], None],
        room_came: Callable[[], None],
        signals: Signals,
    ) -> None:
        self._ownership = Ownership(database, clock, presence)
        self._sender = sender
        self._clock = clock
        self._presence = presence
        self._metrics = metrics
        self._lanes = lanes
        lanes.enter = self.enter
        self._concurrency = concurrency
        self._settle = settle
        self._room_came = room_came
        self._signals = signals
        self._held: list[tuple[int, int, Assignment]] = []
        self._sequence = 0
        self._ready = Ready()
        self._changed = asyncio.Event()
        self._idle: deque[asyncio.Future[_Begun | None]] = deque()
        self._known: dict[UUID, int] = {}
        self._in_flight = 0
        self._room = Room(clock, concurrency=concurrency)
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        metrics.held.set_function(lambda: len(self._held) + len(self._ready))
        metrics.in_flight.set_function(lambda: self._in_flight)

    # What the other stages ask

    def room(self) -> int:
        """How many more executions could be delivered soon.

        Who waits behind the limits of a target does not count, unless giving them back takes longer than taking them.
        """
        if self._lanes.behind > HELD_AT_MOST:
            return 0
        return self._room.left(waiting=len(self._held) + len(self._ready), in_flight=self._in_flight)

    def batch(self) -> int:
        """How many entries to record at once."""
        return self._room.batch()

    def knows(self, execution_id: UUID) -> bool:
        """Whether an execution is in this worker's hands."""
        return execution_id in self._known

    def forget(self, execution_id: UUID) -> None:
        """An attempt was settled, or given back."""
        left = self._known.get(execution_id, 0) - 1
        if left > 0:
            self._known[execution_id] = left
        else:
            self._known.pop(execution_id, None)

    def hold(self, assignments: Sequence[Assignment]) -> None:
        """Send each at its due time."""
        for assignment in assignments:
            self._sequence += 1
            self._known[assignment.execution_id] = self._known.get(assignment.execution_id, 0) + 1
            heapq.heappush(self._held, (assignment.due_ms, self._sequence, assignment))
        if assignments:
            self._sender.prepare(len(assignments))
            self._changed.set()

    def enter(self, due: Due) -> None:
        """One that has a place in its lane is sent as soon as it is its turn."""
        self._ready.append(due)
        if self._idle:
            self._wake_one()

    # The stage

    async def run_forever(self) -> None:
        """Dispatch and send, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._dispatch_forever(), name="dispatch")
            for number in range(self._concurrency):
                tasks.create_task(self._send_forever(), name=f"send-{number}")

    def stop(self) -> list[Assignment]:
        """Send nothing more. Returns what was not sent; what is under way goes on."""
        self._stopping = True
        unsent = [held[2] for held in self._held] + [due.assignment for due in self._ready]
        self._held.clear()
        self._ready.clear()
        return unsent + self._lanes.clear()

    async def drained(self, patience_seconds: float) -> bool:
        """Wait until nothing is under way; false when it still is after `patience_seconds`."""
        until = self._clock.monotonic() + patience_seconds
        while (self._in_flight or self._lanes.busy) and self._clock.monotonic() < until:
            await self._clock.sleep(0.02)
        return not self._in_flight

    async def _dispatch_forever(self) -> None:
        with self._clock.alarm(self._changed, self._ring) as wait:
            while True:
                self._changed.clear()
                now = self._dispatch()
                await wait(self._held[0][0] if self._held else now + _FAR_MS)

    def _ring(self) -> None:
        """Something is due at this very instant."""
        # First: should the rest fail, whoever waits for it finds that out.
        self._changed.set()
        self._dispatch()

    def _dispatch(self) -> int:
        """Give what is due by now to its lane, and send the first of it. Returns the present, in ms since the epoch."""
        now = self._clock.now_ms()
        over: list[Assignment] = []
        placed = 0
        while self._held and self._held[0][0] <= now and len(over) < _DISPATCHED_AT_ONCE:
            over.append(heapq.heappop(self._held)[2])
        if len(over) > 1:
            # To see to what cannot be sent takes longer than to send: it comes last.
            over.sort(key=self._lanes.hinders)
        for assignment in over:
            try:
                due = self._lanes.add(assignment)
            except Exception:
                # As what could not be sent: it stays pending under this worker's id, and is released.
                self.forget(assignment.execution_id)
                log.exception("dispatch_failed", category="ERROR", execution_id=str(assignment.execution_id))
                continue
            if due is not None:
                self._ready.append(due)
                placed += 1
        for _ in range(placed - self._send_first() if placed else 0):
            self._wake_one()
        return now

    def _send_first(self) -> bool:
        """Send whose turn it is from here, where a sender is idle to wait for the answer. Returns whether one has left.

        Until a sender that is woken has its turn, whatever else this process is about is done before.
        """
        while self._idle and not self._stopping:
            waiter = self._idle.popleft()
            if waiter.done():
                continue
            due = self._ready.pop()
            if due.void or self._is_early(due) or not self._fit(due):
                # Whoever is woken sees to it.
                self._ready.put_back(due)
                self._idle.appendleft(waiter)
                return False
            waiter.set_result(self._begin(due))
            return True
        return False

    async def _send_forever(self) -> None:
        while True:
            begun = await self._next()
            if begun is not None:
                await self._finish(begun)

    def _begin(self, due: Due) -> "_Begun | None":
        """Begin to send it; null where that cannot be done."""
        self._in_flight += 1
        due.lane.sending += 1
        try:
            return due, self._sender.begin(due.assignment)
        except Exception as broken:
            self._gave_up(due, broken)
            return None

    async def _finish(self, begun: "_Begun") -> None:
        due, sending = begun
        delivered = None
        try:
            delivered = await self._sender.finish(sending)
            self._lanes.ended(due, delivered)
            await self._signals.reached(Point.ANSWERED)
            self._count(delivered)
            self._settle(delivered)
        except BaseException as broken:
            self._gave_up(due, broken, ended=delivered is not None)
            if not isinstance(broken, Exception):
                raise
        else:
            self._in_flight -= 1
            self._room_came()

    def _gave_up(self, due: Due, broken: BaseException, *, ended: bool = False) -> None:
        """Out of this worker's hands, also what was cancelled: it stays pending under its id, and is released."""
        self.forget(due.assignment.execution_id)
        if not ended:
            self._lanes.left(due, sending=True)
        if isinstance(broken, Exception):
            log.error(
                "delivery_failed", category="ERROR", execution_id=str(due.assignment.execution_id), exc_info=broken
            )
        self._in_flight -= 1
        self._room_came()

    async def _next(self) -> "_Begun | None":
        """The next one that is due, begun; null where what was next turned out not to be this worker's any more."""
        while True:
            if self._held and self._held[0][0] <= self._clock.now_ms():
                # Senders that a crowd has woken run one after the other: who is due meanwhile does not wait for all.
                self._dispatch()
            if not self._ready or self._stopping:
                begun = await self._idle_until_woken()
                if begun is not None:
                    return begun
                continue
            due = self._ready.pop()
            if due.void:
                self._lanes.back(due)
                self._room_came()
            elif self._is_early(due):
                self._hold_again(due)
            elif self._fit(due):
                return self._begin(due)
            else:
                await self._recheck(due)
                return None

    async def _idle_until_woken(self) -> "_Begun | None":
        """What this sender was given, already begun; null where it is to see for itself."""
        waiter: asyncio.Future[_Begun | None] = self._loop.create_future()
        self._idle.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError as cancelled:
            if waiter.done() and not waiter.cancelled() and (begun := waiter.result()) is not None:
                due, sending = begun
                self._sender.abandon(sending)
                self._gave_up(due, cancelled)
            raise

    def _is_early(self, due: Due) -> bool:
        """Whether the clock was set back since it was due."""
        return due.assignment.due_ms > self._clock.now_ms()

    def _hold_again(self, due: Due) -> None:
        self._lanes.left(due)
        self._sequence += 1
        heapq.heappush(self._held, (due.assignment.due_ms, self._sequence, due.assignment))
        self._changed.set()

    def _fit(self, due: Due) -> bool:
        return (
            self._presence.trusted
            and due.assignment.owner == self._presence.worker_id
            and self._clock.monotonic() - due.since <= _HOLD_SECONDS
        )

    async def _recheck(self, first: Due) -> None:
        """Read again what may have been cancelled, or taken from a worker that seemed dead; keep what is still ours."""
        doubtful = [first]
        while self._ready and len(doubtful) < _RECHECK_BATCH:
            following = self._ready.pop()
            if self._fit(following):
                self._ready.put_back(following)
                break
            doubtful.append(following)
        self._in_flight += 1
        try:
            owned = await self._ownership.still_owned([due.assignment for due in doubtful])
        except BaseException:
            for due in reversed(doubtful):
                self._ready.put_back(due)
            raise
        finally:
            self._in_flight -= 1
        now = self._clock.monotonic()
        for due in reversed(doubtful):
            if due.assignment.execution_id in owned:
                due.since = now
                self._ready.put_back(due)
                self._wake_one()
            else:
                self.forget(due.assignment.execution_id)
                self._lanes.left(due)
        self._room_came()

    def _wake_one(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _count(self, delivered: Delivered) -> None:
        self._room.delivered()
        if delivered.assignment.attempt == 1 and not delivered.assignment.is_notice:
            self._metrics.lateness_seconds.observe((delivered.started_ms - delivered.assignment.due_ms) / 1000)
        self._metrics.attempt_seconds.observe(delivered.duration_ms / 1000)
