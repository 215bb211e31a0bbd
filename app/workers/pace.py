"""How many a worker delivers a second, of late."""

from app.core.clock import Clock

_FADES_WITHIN_SECONDS = 1.0


class Pace:
    """Deliveries a second, fading: half of what was a second ago counts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counted = 0.0
        self._counted_at = clock.monotonic()

    def count(self) -> None:
        """One was delivered."""
        self._counted = self.per_second() + 1 / _FADES_WITHIN_SECONDS
        self._counted_at = self._clock.monotonic()

    def per_second(self) -> float:
        """As of now."""
        faded: float = 0.5 ** ((self._clock.monotonic() - self._counted_at) / _FADES_WITHIN_SECONDS)
        return self._counted * faded
