"""Knowing that Redis is away: whoever finds out tells all, and one alone asks whether it is back.

Nothing that fires, settles or answers a caller waits for a Redis that is known to be away: it fails at once. "Away" is
every answer that is none: refused, cut, silent for too long, loading, read-only, out of memory, without rights. For
whoever needs the wheel they are the same.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context

import structlog

from app.core.clock import Clock
from app.core.tasks import end
from app.wheel.connection import AWAY

_ASK_EVERY_SECONDS = 0.2
_ASK_AT_LEAST_EVERY_SECONDS = 5.0
_PROBE_SECONDS = 2.0
_STEADY_SECONDS = 10.0
"""A Redis that goes away again sooner than this after it came back is believed more slowly each time."""
_STALLED_SECONDS = 0.05
_SAID_AGAIN_SECONDS = 10.0

log = structlog.get_logger()


class RedisAwayException(ConnectionError):
    """Redis is known to be away, and was not asked."""


class _Patience:
    """Ends a command that is not answered in time.

    Time in which this process itself stood still does not count: the answer may be there, and not be read yet.
    """

    def __init__(self, seconds: float) -> None:
        self.timeout = asyncio.timeout(None)
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._timer = self._wait()

    def end(self) -> None:
        """Wait no longer."""
        if not self.timeout.expired():
            self.timeout.reschedule(self._loop.time())

    def close(self) -> None:
        """The command has ended."""
        self._timer.cancel()

    def _wait(self) -> asyncio.TimerHandle:
        until = self._loop.time() + self._seconds
        return self._loop.call_at(until, self._ring, until)

    def _ring(self, until: float) -> None:
        if self._loop.time() - until > _STALLED_SECONDS:
            self._timer = self._wait()
        else:
            self.end()


class RedisCircuit:
    """Open while Redis is away; closed by `mend`, which does first what must be done before Redis is used again.

    `mend` raises one of `AWAY` while Redis is away, and answers false when it has to be done once more.
    """

    def __init__(self, clock: Clock, mend: Callable[[], Awaitable[bool]]) -> None:
        self._clock = clock
        self._mend = mend
        self._error: str | None = None
        self._said: str | None = None
        self._said_at = -float("inf")
        self._under_way: set[_Patience] = set()
        self._asking: asyncio.Task[None] | None = None
        self._pause_seconds = _ASK_EVERY_SECONDS
        self._back_at = -float("inf")

    @property
    def error(self) -> str | None:
        """Why Redis counts as away; null while it answers, as far as is known."""
        return self._error

    @asynccontextmanager
    async def command(self, seconds: float) -> AsyncIterator[None]:
        """One exchange with Redis, which may take so long.

        Raises RedisAwayException at once while Redis is away, and one of `AWAY` when it is found to be now.
        """
        if self._error is not None:
            raise RedisAwayException(self._error)
        patience = _Patience(seconds)
        try:
            async with patience.timeout:
                self._under_way.add(patience)
                try:
                    yield
                finally:
                    self._under_way.discard(patience)
                    patience.close()
        except AWAY as failure:
            self._open(str(failure) or type(failure).__name__)
            raise

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            await end(self._asking)

    def _open(self, error: str) -> None:
        if self._error is not None:
            return
        self._error = error
        self._say(error)
        # Whoever waits for an answer now would wait in vain for the rest of its time.
        for patience in self._under_way:
            patience.end()
        steady = self._clock.monotonic() - self._back_at > _STEADY_SECONDS
        self._pause_seconds = (
            _ASK_EVERY_SECONDS if steady else min(self._pause_seconds * 2, _ASK_AT_LEAST_EVERY_SECONDS)
        )
        # In a context of its own: the request or batch that found out is not what it goes on about.
        self._asking = asyncio.create_task(self._ask_until_back(), name="redis-back", context=Context())

    def _say(self, error: str) -> None:
        self._said, self._said_at = error, self._clock.monotonic()
        log.error("redis_away", category="ERROR", error=error)

    async def _ask_until_back(self) -> None:
        while True:
            await self._clock.sleep(self._pause_seconds)
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    mended = await self._mend()
            except Exception as failure:
                # Whatever it is: nobody else would ever ask again.
                if not isinstance(failure, AWAY):
                    log.exception("redis_probe_failed", category="ERROR")
                self._error = str(failure) or type(failure).__name__
                # It may have come back with another password, say: why it was away at first mends nothing then.
                if self._error != self._said and self._clock.monotonic() - self._said_at >= _SAID_AGAIN_SECONDS:
                    self._say(self._error)
                continue
            if mended:
                # No step between the mending and this: what fails in between would not be mended.
                self._error = None
                self._back_at = self._clock.monotonic()
                log.info("redis_back", category="SYSTEM")
                return
