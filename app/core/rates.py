"""How many requests a second callers have: a rate by community, kept in the memory of one process."""

from math import ceil

from app.core.clock import Clock
from app.core.errors import RateExceededException
from app.core.limits import burst_of

_KEPT = 10_000
_ROUNDING = 1e-6
"""Of a request: who waits as long as was said is not refused again for the last digit of a float."""


class CallerRates:
    """What each community has asked lately, as a bucket that drains steadily and takes a second's worth.

    What is refused is not poured into it, so whoever asks all the time is answered at the rate. Processes do not tell
    each other: a request must not wait for Redis, nor fail with it.
    """

    def __init__(self, per_second: float, clock: Clock) -> None:
        """`per_second` 0: any number."""
        self._per_second = per_second
        self._clock = clock
        # How full a community's bucket was, and when, by the monotonic clock.
        self._filled: dict[int, tuple[float, float]] = {}
        self._most = _KEPT

    def take(self, community_id: int) -> None:
        """Count a request. Raises RateExceededException, which says how long to wait for the next."""
        if not self._per_second:
            return
        now = self._clock.monotonic()
        level = self._level(community_id, now) + 1
        over = level - burst_of(self._per_second)
        if over > _ROUNDING:
            wait = over / self._per_second
            raise RateExceededException.until(
                f"One process answers {self._per_second:g} requests a second of a community: wait for {ceil(wait)} s, "
                "or send fewer.",
                wait,
            )
        self._filled[community_id] = level, now
        if len(self._filled) > self._most:
            self._filled = {one: self._filled[one] for one in self._filled if self._level(one, now) > 0}
            # As many may have asked just now: each request after this one would look through all of them.
            self._most = max(_KEPT, 2 * len(self._filled))

    def _level(self, community_id: int, now: float) -> float:
        level, at = self._filled.get(community_id, (0.0, now))
        return max(level - (now - at) * self._per_second, 0.0)
