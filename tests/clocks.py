"""A clock that stands still until a test moves it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from app.core.clock import WaitUntil, from_ms, to_ms

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class ManualClock:
    """A `Clock` by hand: instants and monotonic time move only by `move` and `move_to`, and wake who sleeps."""

    def __init__(self, now: datetime = START) -> None:
        self._now_ms = to_ms(now)
        self._monotonic = 1_000.0
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return from_ms(self._now_ms)

    def now_ms(self) -> int:
        return self._now_ms

    def surely(self) -> datetime:
        return self.now()

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        until = self._monotonic + seconds
        # One turn of the loop in any case, as a real sleep gives others.
        await asyncio.sleep(0)
        while self._monotonic < until:
            await self._moved.wait()

    async def wait(self, event: asyncio.Event, until_ms: int) -> None:
        # One turn of the loop in any case, as in `sleep`.
        await asyncio.sleep(0)
        woken = asyncio.ensure_future(event.wait())
        try:
            while self._now_ms < until_ms and not woken.done():
                moved = asyncio.ensure_future(self._moved.wait())
                try:
                    await asyncio.wait((woken, moved), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    moved.cancel()
        finally:
            woken.cancel()

    @contextmanager
    def alarm(self, event: asyncio.Event, ring: Callable[[], object]) -> Iterator[WaitUntil]:
        yield partial(self.wait, event)

    def move(self, seconds: float) -> datetime:
        """Let that much time pass, to the millisecond; answers the new instant."""
        milliseconds = round(seconds * 1000)
        self._now_ms += milliseconds
        self._monotonic += milliseconds / 1000
        self._wake()
        return self.now()

    def move_to(self, instant: datetime) -> datetime:
        """Let time pass until an instant that lies ahead."""
        return self.move((instant - self.now()) / timedelta(seconds=1))

    def step_back(self, seconds: float) -> None:
        """Set the instant back without monotonic time, as a stepped machine clock does."""
        self._now_ms -= round(seconds * 1000)

    def _wake(self) -> None:
        # A new event for those who go back to sleep; the old one wakes all who wait now.
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
