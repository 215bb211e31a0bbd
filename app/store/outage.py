"""Telling of an outage of Postgres: once, and again now and then, however many wait for it."""

from math import inf

import structlog

from app.core.clock import Clock
from app.core.errors import StoreUnavailableException

_AGAIN_SECONDS = 10.0

log = structlog.get_logger()


class Outage:
    """What one stage, or a start, says while it waits, under the name of an event of its own."""

    def __init__(self, clock: Clock, event: str) -> None:
        self._clock = clock
        self._event = event
        self._said_at = -inf

    def waits(self, away: StoreUnavailableException, **what: int) -> None:
        """Postgres was found away, and is asked again; `what` waits meanwhile."""
        now = self._clock.monotonic()
        if now - self._said_at >= _AGAIN_SECONDS:
            self._said_at = now
            log.warning(self._event, category="ERROR", error=away.detail, **what)
