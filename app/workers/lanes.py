"""Limits per target host: who may be sent now, who waits a moment, and who comes again later.

Each host has a lane. What is due goes on to be sent where its lane has a place for it: its circuit is closed, fewer
than `TARGET_MAX_CONCURRENT` are on their way, its rate allows it, and the slow ones together do not hold their share of
the senders. Else it waits in the lane, for about a second, without an attempt and without a sender; what cannot be sent
by then is given back. So one dead target costs the others nothing, and this worker no memory.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.core.limits import Limits
from app.core.tasks import end
from app.delivery.answer import Meaning, without_excerpt
from app.delivery.sender import Delivered
from app.metrics import Metrics
from app.wheel.rate import Rates
from app.workers.giving import GiveBack
from app.workers.lane import SOON_SECONDS, WAIT_AT_MOST, Due, Lane
from app.workers.lane_book import LaneBook
from app.workers.later import later, too_late
from app.workers.shares import Repute, Shares

_TICK_MS = 20
_IDLE_MS = 60_000

log = structlog.get_logger()


class Lanes:
    """Gives places, and sees to those who have none yet."""

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        limits: Limits,
        rates: Rates,
        giving: GiveBack,
        *,
        concurrency: int,
        request_seconds: float,
        changed: Callable[[], None],
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`concurrency` is how many may be on their way to all hosts; `changed` is told that a circuit has opened or
        closed.
        """
        self._clock = clock
        self._metrics = metrics
        self._book = LaneBook(clock, metrics, limits, request_seconds=request_seconds, forgotten=rates.forget)
        self._rates = rates
        self._giving = giving
        self.enter: Callable[[Due], None] = _nowhere
        """Takes whoever gets a place later; the deliverer's."""
        self._changed = changed
        self._draw = draw
        self._lanes = self._book.lanes
        self._shares = Shares(concurrency, self._lanes.values())
        self._queued: dict[Lane, None] = {}
        """Those in which somebody waits, in the order of their turns."""
        self._waiting = 0
        self._looked_at = clock.monotonic()
        self._stopping = False
        self._came = asyncio.Event()
        self._asking: set[asyncio.Task[None]] = set()
        metrics.waiting_behind_limits.set_function(lambda: self._waiting + len(giving))

    # What the deliverer tells

    def add(self, assignment: Assignment) -> Due | None:
        """One is due. Returned with a place where there is one at once; else it waits, or is given back."""
        now = self._clock.monotonic()
        origin = assignment.origin
        lane = self._lanes.get(origin) or self._book.make(origin, assignment.host, now)
        due = Due(assignment, lane, now, lane.breaker.era)
        if lane.rate is None and lane.breaker.closed and not lane.waiting:
            if lane.host is None:
                # The engine's has no end of places.
                lane.taken += 1
                return due
            if self._has_place(lane, now):
                self._take_place(lane, now)
                return due
        # However many wait for others, one may in each lane: it is the probe, or asks for the rate.
        if lane.waiting and (self._waiting >= WAIT_AT_MOST or len(lane.waiting) >= lane.keeps(now)):
            self._give_back(due, now)
        else:
            self._stand(due)
            self._pump(lane, now)
            if not lane.breaker.closed:
                self._keep_a_probe(lane, now)
        return None

    def in_good_repute(self, assignment: Assignment) -> bool:
        """Whether its host was quick of late, took the last that it was sent, and said no more than is read."""
        return self._book.in_good_repute(assignment.origin)

    def order(self, assignment: Assignment) -> int:
        """Of those that are due together the lowest are seen to first: hosts in good repute, then others. Last those
        whose host fails, or has somebody waiting already: they will hardly be sent at once.
        """
        lane = self._lanes.get(assignment.origin)
        if lane is not None and (lane.waiting or not lane.breaker.closed):
            return 2
        return 0 if self.in_good_repute(assignment) else 1

    def back(self, due: Due) -> None:
        """The circuit opened before it was sent: its place is void, and it waits in front of the others."""
        lane, now = due.lane, self._clock.monotonic()
        self._shares.leave(lane, now)
        self._stand(due, first=True)
        self._pump(lane, now)
        if not lane.breaker.closed:
            self._keep_a_probe(lane, now)

    def left(self, due: Due, *, sending: bool = False) -> None:
        """It was not sent after all, or nobody knows how that went."""
        lane, now = due.lane, self._clock.monotonic()
        lane.sending -= sending
        lane.breaker.given_up(due.era)
        self._shares.leave(lane, now)
        self._came_free(lane, now)

    def ended(self, due: Due, delivered: Delivered) -> None:
        """An attempt has ended: no whole answer and a 5xx are failures, any other answer shows that the host works."""
        lane, now, status = due.lane, self._clock.monotonic(), delivered.status_code
        lane.sending -= 1
        took = delivered.verdict.meaning is Meaning.TAKEN and not delivered.cut
        lane.ended(now, delivered.duration_ms / 1000, took=took, asked=delivered.asked)
        self._shares.leave(lane, now)
        breaker = lane.breaker
        if status is not None and status < 500:
            if (breaker.failures or not breaker.closed) and breaker.answered():
                self._note_closed(lane)
        elif not delivered.asked:
            # Refused here, or never put together. It says nothing of a host that is others' as well.
            breaker.given_up(due.era)
        else:
            # Told to whoever waits for this host, of any community: what it said may have been for one alone.
            lane.last_error = without_excerpt(delivered.verdict.error or "")
            if breaker.failed(due.era, now, self._draw()):
                self._note_opened(lane)
            if not breaker.closed:
                self._keep_a_probe(lane, now)
        self._came_free(lane, now)

    def clear(self) -> list[Assignment]:
        """Nothing more is sent: returns who waits, in a lane or to be given back."""
        self._stopping = True
        waiting = [due.assignment for lane in self._queued for due in lane.waiting]
        for lane in self._queued:
            lane.waiting.clear()
        self._queued.clear()
        self._waiting = 0
        return waiting + self._giving.clear()

    def told(self) -> list[dict[str, Any]]:
        """What there is to tell of the hosts."""
        return self._book.told()

    @property
    def behind(self) -> int:
        """How many wait to be given back."""
        return len(self._giving)

    def stands_seconds(self) -> float:
        """For how long nobody has seen to those who wait; 0 while nobody waits."""
        return self._clock.monotonic() - self._looked_at if self._queued else 0.0

    @property
    def busy(self) -> bool:
        """Whether some are being given back at this moment."""
        return self._giving.busy

    # What time brings

    async def run_forever(self) -> None:
        """See to those who wait, until cancelled: probes, rates, and who has waited for long enough."""
        try:
            while True:
                self._came.clear()
                self.look(self._clock.monotonic())
                pause_ms = _TICK_MS if self._queued else _IDLE_MS
                await self._clock.wait(self._came, self._clock.now_ms() + pause_ms)
        finally:
            await end(*self._asking)

    def look(self, now: float) -> None:
        """One round."""
        for lane in list(self._queued):
            before = lane.taken
            self._pump(lane, now)
            if lane.taken > before and lane in self._queued:
                # Behind the others: what comes free of the places that they share is the next one's.
                del self._queued[lane]
                self._queued[lane] = None
            if lane.stuck(now):
                self._give_back_all(lane, now)
        self._book.sweep(now)
        self._looked_at = now

    # Within

    def _came_free(self, lane: Lane, now: float) -> None:
        if lane.waiting:
            # Where hosts share a place it is given in turn, at the next look.
            if lane.judged(now) is Repute.QUICK or len(self._queued) == 1:
                self._pump(lane, now)
        elif not lane.taken:
            self._book.close(lane, now)

    def _stand(self, due: Due, *, first: bool = False) -> None:
        stand = due.lane.waiting.put_back if first else due.lane.waiting.append
        stand(due.assignment.community_id, due)
        self._waiting += 1
        if due.lane not in self._queued:
            due.lane.waits_since = self._clock.monotonic()
            if not self._queued:
                self._looked_at = due.lane.waits_since
            self._queued[due.lane] = None
            self._came.set()

    def _call(self, lane: Lane) -> Due:
        due = lane.waiting.pop()
        self._waiting -= 1
        if not lane.waiting:
            del self._queued[lane]
        return due

    def _call_all(self, lane: Lane) -> list[Due]:
        return [self._call(lane) for _ in range(len(lane.waiting))]

    def _pump(self, lane: Lane, now: float) -> None:
        """Give places to those whose turn it is."""
        while lane.waiting and self._has_place(lane, now) and not self._stopping:
            if lane.rate is not None:
                self._ask(lane, now)
                return
            self._admit(lane, now)

    def _admit(self, lane: Lane, now: float) -> None:
        due = self._call(lane)
        due.era = lane.breaker.begin(now)
        self._take_place(lane, now)
        self.enter(due)

    def _has_place(self, lane: Lane, now: float) -> bool:
        return lane.has_place(now) and self._shares.lets(lane, now)

    def _take_place(self, lane: Lane, now: float) -> None:
        lane.began(now)
        self._shares.take(lane)

    def _ask(self, lane: Lane, now: float) -> None:
        """Ask the rate for those who wait, unless it is asked already, or has said when to ask again."""
        if lane.ask_at > now:
            self._shorten(lane, now)
        elif not lane.asking and (wanted := lane.wants()) > 0:
            lane.asking = True
            task = asyncio.create_task(self._take(lane, wanted), name="rate")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _take(self, lane: Lane, wanted: int) -> None:
        assert lane.rate is not None
        try:
            granted = await self._rates.take(lane.host, lane.rate, wanted)
        except Exception:
            log.exception("rate_failed", category="ERROR", host=lane.host)
            lane.ask_at = self._clock.monotonic() + SOON_SECONDS
            return
        finally:
            lane.asking = False
        now = self._clock.monotonic()
        for _ in range(granted.number):
            if lane.waiting and self._has_place(lane, now) and not self._stopping:
                self._admit(lane, now)
        lane.ask_at = now + granted.next_ms / 1000 if granted.number < wanted else now
        self._pump(lane, now)

    def _shorten(self, lane: Lane, now: float) -> None:
        """Give back who is so far behind in the line of a rate that its turn does not come within a moment."""
        assert lane.rate is not None
        left_seconds = SOON_SECONDS - (lane.ask_at - now)
        kept = 0 if left_seconds < 0 else int(left_seconds * lane.rate) + 1
        if len(lane.waiting) > kept:
            lane.free_at = max(lane.free_at, lane.ask_at + kept / lane.rate)
            self._give_back_all(lane, now, but=kept)

    def _keep_a_probe(self, lane: Lane, now: float) -> None:
        """Of a host that is not sent to, one stays here to be the next probe."""
        probe_at = self._clock.now() + timedelta(seconds=max(lane.breaker.open_until - now, 0.0))
        kept: list[Due] = []
        for due in self._call_all(lane):
            if kept or too_late(due.assignment, probe_at):
                self._give_back(due, now)
            else:
                kept.append(due)
        for due in kept:
            self._stand(due)

    def _give_back_all(self, lane: Lane, now: float, *, but: int = 0) -> None:
        for place, due in enumerate(self._call_all(lane)):
            if place < but:
                self._stand(due)
            else:
                self._give_back(due, now)

    def _give_back(self, due: Due, now: float) -> None:
        self._giving.add(later(due, now, self._clock.now(), self._draw))

    def _note_opened(self, lane: Lane) -> None:
        self._metrics.target_circuit_opened.inc()
        log.warning("circuit_opened", category="ERROR", host=lane.host, origin=lane.origin, error=lane.last_error)
        self._changed()

    def _note_closed(self, lane: Lane) -> None:
        lane.start_again(self._clock.monotonic())
        log.warning("circuit_closed", category="SYSTEM", host=lane.host, origin=lane.origin)
        self._changed()


def _nowhere(due: Due) -> None:
    raise RuntimeError(f"nobody sends {due.assignment.execution_id}")
