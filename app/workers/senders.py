"""So many requests at once and no more: each is begun when it is its turn, and seen through to its answer."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.delivery.sender import BegunAttempt, Delivered, Sender
from app.metrics import Metrics
from app.workers.hold import Hold
from app.workers.lane import Due
from app.workers.lanes import Lanes
from app.workers.ownership import Ownership
from app.workers.presence import Presence
from app.workers.ready import Ready
from app.workers.signals import Point, Signals
from app.workers.underway import Underway

_HOLD_SECONDS = 1.0
"""What waited longer than this behind a limit may have been cancelled, and is read again before it is sent."""
_RECHECK_BATCH = 100

_Begun = tuple[Due, BegunAttempt]

log = structlog.get_logger()


class _Hindrance(Enum):
    """Why one whose turn it is may not leave."""

    VOID = auto()
    """The circuit has changed since it got its place."""
    EARLY = auto()
    """The clock was set back since it was due."""
    DOUBTFUL = auto()
    """It may have been cancelled, or be another worker's."""


class Senders:
    """Tasks that wait for what is due, or for a target's answer."""

    def __init__(
        self,
        sender: Sender,
        clock: Clock,
        presence: Presence,
        ownership: Ownership,
        metrics: Metrics,
        hold: Hold,
        lanes: Lanes,
        *,
        concurrency: int,
        request_seconds: float,
        ended: Callable[[Delivered], None],
        room_came: Callable[[], None],
        signals: Signals,
    ) -> None:
        self.sender = sender
        self._clock = clock
        self._presence = presence
        self._ownership = ownership
        self._metrics = metrics
        self._hold = hold
        hold.send = self.send
        self._lanes = lanes
        lanes.enter = self.enter
        self._concurrency = concurrency
        self._request_seconds = request_seconds
        self._ended = ended
        self._room_came = room_came
        self._signals = signals
        self._ready = Ready()
        self._idle: deque[asyncio.Future[_Begun | None]] = deque()
        self._left_at = clock.monotonic()
        """When one last left the line, or came to an empty one."""
        self._rechecks = Underway(clock)
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        self.in_flight = 0

    @property
    def waiting(self) -> int:
        """How many are due and have a place, and have not left."""
        return len(self._ready)

    def stands_seconds(self) -> float:
        """For how long nobody who is due and has a place has left; 0 where there is nobody.

        Where every sender waits for an answer that is no standing still, unless it takes longer than a request may.
        """
        still_seconds = 0.0
        if self._ready and not self._stopping:
            still_seconds = self._clock.monotonic() - self._left_at
            if self.in_flight >= self._concurrency:
                still_seconds = max(0.0, still_seconds - self._request_seconds)
        return max(still_seconds, self._rechecks.longest_seconds())

    def send(self, placed: Sequence[Due]) -> None:
        """Send these, each when it is its turn.

        The first from here: until a sender that is woken has its turn, whatever else this process is about is done
        before.
        """
        for due in placed:
            self._stand(due)
        for number in range(len(placed)):
            waiter = self._pop_idle()
            if waiter is None:
                return
            waiter.set_result(self._begin_next() if number == 0 else None)

    def enter(self, due: Due) -> None:
        """One that got its place only now is sent as soon as it is its turn."""
        self._stand(due)
        self._wake_one()

    def stop(self) -> list[Assignment]:
        """Send nothing more; what is under way goes on. Returns what has not left."""
        self._stopping = True
        unsent = [due.assignment for due in self._ready]
        self._ready.clear()
        return unsent

    async def run_forever(self) -> None:
        """Send, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._concurrency):
                tasks.create_task(self._send_forever(), name=f"send-{number}")

    async def _send_forever(self) -> None:
        while True:
            begun = await self._next()
            if begun is not None:
                await self._finish(begun)

    def _stand(self, due: Due) -> None:
        if not self._ready:
            self._left_at = self._clock.monotonic()
        self._ready.append(due)

    # Whose turn it is

    async def _next(self) -> _Begun | None:
        """The next one, begun; null where what was next turned out not to be this worker's any more."""
        while True:
            # Senders that a crowd has woken run one after the other: who is due meanwhile does not wait for all.
            self._hold.look()
            if not self._ready or self._stopping:
                begun = await self._idle_until_woken()
                if begun is not None:
                    return begun
                continue
            due = self._ready.pop()
            match self._hindrance(due):
                case None:
                    return self._begin(due)
                case _Hindrance.VOID:
                    self._left_at = self._clock.monotonic()
                    self._lanes.back(due)
                    self._room_came()
                case _Hindrance.EARLY:
                    self._left_at = self._clock.monotonic()
                    self._hold.again(due)
                case _Hindrance.DOUBTFUL:
                    await self._recheck(due)
                    return None

    def _begin_next(self) -> _Begun | None:
        """Begin it at once, on behalf of a sender; null where the sender is to see to it."""
        if self._stopping:
            return None
        due = self._ready.pop()
        if self._hindrance(due) is None:
            return self._begin(due)
        self._ready.put_back(due)
        return None

    def _hindrance(self, due: Due) -> _Hindrance | None:
        if due.void:
            return _Hindrance.VOID
        if due.assignment.due_ms > self._clock.now_ms():
            return _Hindrance.EARLY
        if (
            self._presence.trusted
            and due.assignment.owner == self._presence.worker_id
            and self._clock.monotonic() - due.since <= _HOLD_SECONDS
        ):
            return None
        return _Hindrance.DOUBTFUL

    async def _recheck(self, first: Due) -> None:
        """Read again what is doubtful, and keep what is still ours."""
        doubtful = [first]
        while self._ready and len(doubtful) < _RECHECK_BATCH:
            following = self._ready.pop()
            if self._hindrance(following) is not _Hindrance.DOUBTFUL:
                self._ready.put_back(following)
                break
            doubtful.append(following)
        self.in_flight += 1
        try:
            with self._rechecks.this():
                owned = await self._ownership.still_owned([due.assignment for due in doubtful])
        except BaseException:
            for due in reversed(doubtful):
                self._ready.put_back(due)
            raise
        finally:
            self.in_flight -= 1
        now = self._clock.monotonic()
        for due in reversed(doubtful):
            if due.assignment.execution_id in owned:
                due.since = now
                self._ready.put_back(due)
                self._wake_one()
            else:
                self._left_at = now
                self._hold.forget(due.assignment.execution_id)
                self._lanes.left(due)
        self._room_came()

    # Who is idle

    async def _idle_until_woken(self) -> _Begun | None:
        """What this sender was given, already begun; null where it is to see for itself."""
        waiter: asyncio.Future[_Begun | None] = self._loop.create_future()
        self._idle.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError as cancelled:
            if waiter.done() and not waiter.cancelled() and (begun := waiter.result()) is not None:
                due, attempt = begun
                self.sender.abandon(attempt)
                self._gave_up(due, cancelled)
            raise

    def _pop_idle(self) -> "asyncio.Future[_Begun | None] | None":
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                return waiter
        return None

    def _wake_one(self) -> None:
        waiter = self._pop_idle()
        if waiter is not None:
            waiter.set_result(None)

    # One attempt

    def _begin(self, due: Due) -> _Begun | None:
        """Begin to send it; null where that cannot be done."""
        self._left_at = self._clock.monotonic()
        self.in_flight += 1
        due.lane.sending += 1
        try:
            return due, self.sender.begin(due.assignment)
        except Exception as broken:
            self._gave_up(due, broken)
            return None

    async def _finish(self, begun: _Begun) -> None:
        due, attempt = begun
        delivered = None
        try:
            delivered = await self.sender.finish(attempt)
            self._lanes.ended(due, delivered)
            await self._signals.reached(Point.ANSWERED)
            self._count(delivered)
            self._ended(delivered)
        except BaseException as broken:
            self._gave_up(due, broken, ended=delivered is not None)
            if not isinstance(broken, Exception):
                raise
        else:
            self.in_flight -= 1
            self._room_came()

    def _gave_up(self, due: Due, broken: BaseException, *, ended: bool = False) -> None:
        """Out of this worker's hands, also what was cancelled: it stays pending under its id, and is released."""
        self._hold.forget(due.assignment.execution_id)
        if not ended:
            self._lanes.left(due, sending=True)
        if isinstance(broken, Exception):
            log.error(
                "delivery_failed", category="ERROR", execution_id=str(due.assignment.execution_id), exc_info=broken
            )
        self.in_flight -= 1
        self._room_came()

    def _count(self, delivered: Delivered) -> None:
        if delivered.assignment.attempt == 1 and not delivered.assignment.is_notice:
            self._metrics.lateness_seconds.observe((delivered.started_ms - delivered.assignment.due_ms) / 1000)
        self._metrics.attempt_seconds.observe(delivered.duration_ms / 1000)
