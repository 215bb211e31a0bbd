"""How many attempts a second a target host gets: a token bucket in Redis, and each worker its share without Redis."""

from collections.abc import Callable
from math import floor

from app.core.clock import Clock
from app.core.limits import burst_of
from app.core.values import value
from app.wheel.connection import AWAY
from app.wheel.script import Script
from app.wheel.wheel import Wheel

_SECONDS = 0.5
_LOCAL_BURST_SECONDS = 0.1
_TURN_AT_LEAST_MS = 50


@value
class Granted:
    """How many may be sent now, and when the next one may, in milliseconds from now."""

    number: int
    next_ms: int


@value
class Sharing:
    """How many workers live, and which of them this one is, counted from 0 in an order that is the same for all."""

    workers: int
    place: int


class Rates:
    """Asks for permission to send. Never raises because Redis is away."""

    def __init__(self, wheel: Wheel, clock: Clock, sharing: Callable[[], Sharing]) -> None:
        self._wheel = wheel
        self._clock = clock
        self._sharing = sharing
        self._script = Script(wheel.client, "rate")
        self._shares: dict[str | None, Share] = {}

    async def take(self, host: str | None, per_second: float, wanted: int) -> Granted:
        """Permission for up to `wanted` attempts."""
        # Every key in a slot of its own: no call names two.
        key = "{ss:rate}" if host is None else f"{{ss:rate:{host}}}"
        arguments = (repr(per_second), repr(burst_of(per_second)), wanted)
        try:
            async with self._wheel.command(_SECONDS):
                ((number, next_ms),) = await self._script.run([((key,), arguments)])
        except AWAY:
            return self._share_of(host).take(per_second, wanted, self._sharing(), self._clock.now_ms())
        self._shares.pop(host, None)
        return Granted(number, next_ms)

    def forget(self, host: str | None) -> None:
        """A host that nothing waits for."""
        self._shares.pop(host, None)

    def _share_of(self, host: str | None) -> "Share":
        share = self._shares.get(host)
        if share is None:
            share = self._shares[host] = Share(self._clock.now_ms())
        return share


class Share:
    """One worker's part of a host's rate. It begins empty: what Redis has granted last is on its way.

    Where there is less than one a second for each worker, buckets of one token each would let all of them send in the
    same moment. There time is dealt out instead: the workers take turns, by the clock that they have in common, each as
    long as it takes until one more may be sent.
    """

    def __init__(self, now_ms: int) -> None:
        self._tokens = 0.0
        self._filled_ms = now_ms
        # The turn in which Redis may still have granted something is not used.
        self._turn: int | None = None

    def take(self, per_second: float, wanted: int, sharing: Sharing, now_ms: int) -> Granted:
        """Permission for up to `wanted` attempts."""
        if per_second < sharing.workers:
            return self._take_turn(per_second, sharing, now_ms)
        share = per_second / sharing.workers
        elapsed_ms = max(now_ms - self._filled_ms, 0)
        self._filled_ms = now_ms
        self._tokens = min(self._tokens + share * elapsed_ms / 1000, share, 1 + share * _LOCAL_BURST_SECONDS)
        number = min(wanted, floor(self._tokens))
        self._tokens -= number
        return Granted(number, round(max(0.0, 1 - self._tokens) / share * 1000) + 1)

    def _take_turn(self, per_second: float, sharing: Sharing, now_ms: int) -> Granted:
        turn_ms = 1000 / per_second
        within_ms = turn_ms
        if per_second < 1:
            # Between what is sent late in a turn and early in the next lies a second, too.
            turn_ms = max(turn_ms, 1000 + _TURN_AT_LEAST_MS)
            within_ms = turn_ms - 1000
        turn = int(now_ms // turn_ms)
        if self._turn is None:
            self._turn = turn
        number = 0
        mine = turn % sharing.workers == sharing.place and now_ms - turn * turn_ms < within_ms
        if mine and turn > self._turn:
            self._turn, number = turn, 1
        ahead = (sharing.place - turn) % sharing.workers or sharing.workers
        return Granted(number, max(1, int((turn + ahead) * turn_ms) + 1 - now_ms))
