"""Since when a stage is at what it does, so that one which stands still can be seen."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.core.clock import Clock


class Underway:
    """What a stage has begun and not ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: dict[object, float] = {}

    @contextmanager
    def this(self) -> Iterator[None]:
        """One is under way for as long as the block lasts."""
        key = object()
        self._began[key] = self._clock.monotonic()
        try:
            yield
        finally:
            del self._began[key]

    def __bool__(self) -> bool:
        """Whether anything is."""
        return bool(self._began)

    def longest_seconds(self) -> float:
        """How long ago the one began that is under way longest; 0 where none is."""
        now = self._clock.monotonic()
        return now - min(self._began.values(), default=now)
