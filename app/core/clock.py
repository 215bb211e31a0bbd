"""Time, as a parameter.

Nothing else in the service reads the machine's clock or sleeps: whoever needs time is handed a `Clock`. Instants are
aware UTC datetimes truncated to the millisecond, because the wheel's scores and the fences on rows compare them.

`DatabaseClock` is the one clock of the whole service: Postgres's. A process asks for it now and then and adds its own
monotonic time in between, so that workers on machines with differing clocks agree on what is due. Without a clock of
one machine's own, a stepped wall clock never moves it.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import inf
from typing import Any, Protocol, TypeVar

from app.core.alarms import alarm

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
_SLEW_LIMIT_SECONDS = 1.0
_PRECISION_SECONDS = 0.001
_TURN_SECONDS = 0.005

T = TypeVar("T")

WaitUntil = Callable[[int], Coroutine[Any, Any, None]]
"""Waits for an event, or until an instant in milliseconds since the epoch."""


def truncate_to_ms(instant: datetime) -> datetime:
    """The instant without its microseconds below the millisecond, in UTC."""
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def to_ms(instant: datetime) -> int:
    """Milliseconds since the epoch, rounded down."""
    return (instant - EPOCH) // MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The UTC instant that many milliseconds after the epoch."""
    return EPOCH + MILLISECOND * milliseconds


@lru_cache(maxsize=4096)
def utc(instant: datetime) -> str:
    """RFC 3339 with a `Z`; milliseconds only where they are not zero, as in the API."""
    text = instant.isoformat(timespec="milliseconds" if instant.microsecond else "seconds")
    return text.replace("+00:00", "Z")


@lru_cache(maxsize=64)
def utc_of_ms(milliseconds: int) -> str:
    """The same of milliseconds since the epoch; what is sent within one millisecond asks for the same."""
    return utc(from_ms(milliseconds))


async def give_way() -> None:
    """Let everybody else of this event loop have a turn who waits for one."""
    await asyncio.sleep(0)


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Items of which there may be a thousand: whenever some milliseconds have gone by, others have a turn."""
    began = time.monotonic()
    for item in items:
        yield item
        if time.monotonic() - began > _TURN_SECONDS:
            await give_way()
            began = time.monotonic()


class Clock(Protocol):
    """What the service knows of time."""

    def now(self) -> datetime:
        """The current instant, UTC, truncated to the millisecond."""
        ...

    def now_ms(self) -> int:
        """The current instant in milliseconds since the epoch."""
        ...

    def surely(self) -> datetime:
        """An instant that has come by every clock that this process knows: what is thrown away for good goes by it."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that only runs forward; for intervals, never for instants."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait at least that long."""
        ...

    async def wait(self, event: asyncio.Event, until_ms: int) -> None:
        """Wait until the event is set, or the instant has about come: whoever must not be early looks at the clock.

        The event may be left set by either; its owner clears it before looking at what it stands for.
        """
        ...

    def alarm(self, event: asyncio.Event, ring: Callable[[], object]) -> AbstractContextManager[WaitUntil]:
        """The same for whoever waits again and again, and must not be late either: as exactly as the machine can.

        Where it can, `ring` is called at the instant, before anybody else has a turn. It has to set the event.
        """
        ...


class SystemClock:
    """The machine's own clock: for the command line, and for a process that cannot ask Postgres yet."""

    def now(self) -> datetime:
        return from_ms(self.now_ms())

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def surely(self) -> datetime:
        return self.now()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, until_ms: int) -> None:
        if event.is_set():
            return
        left_ms = until_ms - self.now_ms()
        if left_ms <= 0:
            # Others must get their turn even where something is always due.
            await asyncio.sleep(0)
            return
        timer = asyncio.get_running_loop().call_later(left_ms / 1000, event.set)
        try:
            await event.wait()
        finally:
            timer.cancel()

    @contextmanager
    def alarm(self, event: asyncio.Event, ring: Callable[[], object]) -> Iterator[WaitUntil]:
        with alarm(ring) as set_alarm:

            async def wait(until_ms: int) -> None:
                if until_ms > self.now_ms() and set_alarm(until_ms / 1000 - self._exactly()):
                    await event.wait()
                else:
                    await self.wait(event, until_ms)

            yield wait

    def _exactly(self) -> float:
        """Seconds since the epoch, not cut off."""
        return time.time()


class DatabaseClock(SystemClock):
    """Postgres's clock, kept by an offset to this process's monotonic time.

    `observe` is fed with measurements; the best (shortest) round trip of the last six counts. A correction backwards
    of less than a second is slewed: the clock stands still until it is made up for, so that time seen by one process
    never runs backwards by jitter of the measurement. A larger one is a step, returned so that it can be logged.
    """

    def __init__(self) -> None:
        self._measurements: deque[tuple[float, float]] = deque(maxlen=6)
        self._offset: float | None = None
        self._best_round_trip = 0.0
        self._last_ms = 0
        self._waiting: list[asyncio.Event] = []
        self._measured_at = -inf

    @property
    def age_seconds(self) -> float:
        """Seconds since the last measurement: an outage of Postgres lets it grow."""
        return time.monotonic() - self._measured_at

    @property
    def ready(self) -> bool:
        """Whether a first measurement was made: nothing may be claimed before."""
        return self._offset is not None

    @property
    def skew_seconds(self) -> float:
        """How far this machine's wall clock is ahead of Postgres's."""
        return 0.0 if self._offset is None else time.time() - (time.monotonic() + self._offset)

    def observe(self, database_now: datetime, asked_at: float, answered_at: float) -> float:
        """Take in a measurement: Postgres's instant, and `monotonic()` before and after the question.

        Returns the seconds by which Postgres's clock was set, negative for back; 0.0 when it was not, or by no more
        than a second, as far as can be told.
        """
        # Postgres looked at its clock no later than it answered: by this bound, unlike by the middle of the round
        # trip, this clock is never ahead of Postgres's, and nothing is sent early by the error of a measurement.
        offset = database_now.timestamp() - answered_at
        highest = database_now.timestamp() - asked_at
        before = self._offset
        # By so much at least it was set, however long the ways took.
        back, forward = (0.0, 0.0) if before is None else (before - highest, offset - before - self._best_round_trip)
        if max(back, forward) > _PRECISION_SECONDS:
            # No clock that ran on answers both: what was measured before is past.
            self._measurements.clear()
            # Whoever waits for an instant now has to wait for longer, or not at all.
            for event in self._waiting:
                event.set()
        self._measurements.append((answered_at - asked_at, offset))
        self._measured_at = answered_at
        self._best_round_trip, self._offset = min(self._measurements)
        if before is None or max(back, forward) <= _SLEW_LIMIT_SECONDS:
            return 0.0
        if back > 0:
            self._last_ms = 0
        return offset - before

    def now_ms(self) -> int:
        if self._offset is None:
            return super().now_ms()
        self._last_ms = max(self._last_ms, int((time.monotonic() + self._offset) * 1000))
        return self._last_ms

    def surely(self) -> datetime:
        """The earlier of Postgres's time and this machine's: either may have been set weeks ahead."""
        return from_ms(min(self.now_ms(), super().now_ms()))

    async def wait(self, event: asyncio.Event, until_ms: int) -> None:
        """As `Clock` has it; ends also when the clock is set, because the instant is then another time away."""
        self._waiting.append(event)
        try:
            await super().wait(event, until_ms)
        finally:
            self._waiting.remove(event)

    @contextmanager
    def alarm(self, event: asyncio.Event, ring: Callable[[], object]) -> Iterator[WaitUntil]:
        self._waiting.append(event)
        try:
            with super().alarm(event, ring) as wait:
                yield wait
        finally:
            self._waiting.remove(event)

    def _exactly(self) -> float:
        return super()._exactly() if self._offset is None else time.monotonic() + self._offset
