"""When a worker has to stop, to hurry, and to be gone: what its end takes is bounded even while Postgres is silent."""

import asyncio
from collections.abc import Callable

import structlog

BEYOND_GRACE_SECONDS = 2.0
"""For Postgres, when the grace is over: what it did not take back by then, the others release as a dead worker's."""

log = structlog.get_logger()


class Stopping:
    """The events of an end, each with all that comes after it; `cut` ends every wait for Postgres."""

    def __init__(self, grace_seconds: float, cut: Callable[[], None]) -> None:
        self.begun = asyncio.Event()
        self.hurried = asyncio.Event()
        self.too_late = asyncio.Event()
        self._grace_seconds = grace_seconds
        self._cut = cut
        self._timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """Begin the end; a second call hurries it, and a further one changes nothing."""
        if not self.begun.is_set():
            self.begun.set()
            self._be_gone_in(self._grace_seconds + BEYOND_GRACE_SECONDS)
        elif not self.hurried.is_set():
            self.hurried.set()
            self._be_gone_in(BEYOND_GRACE_SECONDS)

    def close(self) -> None:
        """It has come to its end."""
        if self._timer is not None:
            self._timer.cancel()

    def _be_gone_in(self, seconds: float) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._be_gone)

    def _be_gone(self) -> None:
        log.warning("shutdown_cut", category="SYSTEM")
        # First: a cancelled statement would wait to hear of Postgres that it was cancelled.
        self._cut()
        self.hurried.set()
        self.too_late.set()
