"""Which lanes there are: made when something is due for a host, forgotten when the host is idle and healthy."""

from collections.abc import Callable
from functools import partial
from typing import Any

from app.core.breaker import Circuit
from app.core.clock import Clock
from app.core.limits import Limits
from app.core.target import DEFAULT_PORTS
from app.metrics import Metrics
from app.workers.lane import UNBOUNDED, Lane
from app.workers.shares import Repute

_SWEEP_SECONDS = 60.0
_FORGOTTEN_AFTER_SECONDS = 300.0
"""A host that failed, and that nothing was sent to for so long, is a new one."""
_PROBE_MARGIN_SECONDS = 5.0
_TOLD_AT_MOST = 200
_GOOD_AT_MOST = 1_000


class LaneBook:
    """The lanes of one worker, by origin: a port that is closed says nothing of another, nor do words that it does not
    understand of those that it does.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        limits: Limits,
        *,
        request_seconds: float,
        forgotten: Callable[[str | None], None],
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._forgotten = forgotten
        self._probe_seconds = request_seconds + _PROBE_MARGIN_SECONDS
        self.lanes: dict[str | None, Lane] = {}
        self._good: dict[str, None] = {}
        self._swept_at = clock.monotonic()
        for state in (Circuit.OPEN, Circuit.HALF_OPEN):
            metrics.target_circuits.labels(state.value).set_function(partial(self._circuits, state))

    def make(self, origin: str | None, host: str | None, now: float) -> Lane:
        """A host's lane where it has none."""
        lane = self.lanes[origin] = Lane(
            origin,
            host,
            bound=UNBOUNDED if host is None else self._limits.max_concurrent,
            rate=self._limits.rate_of(host),
            probe_seconds=self._probe_seconds,
            now=now,
            repute=Repute.QUICK if self.in_good_repute(origin) else Repute.SLOW,
        )
        return lane

    def close(self, lane: Lane, now: float) -> None:
        """Its last attempt has ended: it is forgotten where there is nothing to remember. The engine's is kept.

        That it was in good repute is remembered, of those that were asked last.
        """
        if lane.origin is None or not lane.plain(now):
            return
        self._good.pop(lane.origin, None)
        if lane.in_good_repute:
            self._good[lane.origin] = None
            if len(self._good) > _GOOD_AT_MOST:
                del self._good[next(iter(self._good))]
        self._forget(lane)

    def in_good_repute(self, origin: str | None) -> bool:
        """Whether a host is quick, and takes what it is sent; by what is remembered of it while it has no lane."""
        lane = self.lanes.get(origin)
        return lane.in_good_repute if lane is not None else origin is None or origin in self._good

    def sweep(self, now: float) -> None:
        """Now and then: forget those that failed, and that nobody has asked for since."""
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        for lane in list(self.lanes.values()):
            if lane.plain(now) or (lane.idle(now) and now - lane.breaker.failed_at > _FORGOTTEN_AFTER_SECONDS):
                self._forget(lane)

    def told(self) -> list[dict[str, Any]]:
        """The hosts with which something is the matter, the worst first; at most 200 of them."""
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        told = [
            lane
            for lane in self.lanes.values()
            if lane.waiting or lane.breaker.failures or not lane.breaker.closed or lane.free_at > now
        ]
        told.sort(key=lambda lane: (lane.breaker.closed, -lane.breaker.failures, -len(lane.waiting)))
        return [lane.told(now, now_ms) for lane in told[:_TOLD_AT_MOST]]

    def _forget(self, lane: Lane) -> None:
        del self.lanes[lane.origin]
        # What is left of a rate is one host's, whatever is spoken to it.
        if not any(f"{scheme}://{lane.host}" in self.lanes for scheme in DEFAULT_PORTS):
            self._forgotten(lane.host)

    def _circuits(self, state: Circuit) -> int:
        now = self._clock.monotonic()
        return sum(lane.breaker.state(now) is state for lane in self.lanes.values())
