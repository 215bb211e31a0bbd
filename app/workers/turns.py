"""A line in which communities, or hosts, take turns: a crowd waits for itself, and nobody else for it."""

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Items in line by a key: first in, first out within one, one after the other among them."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[T]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        """Every item, not in the order of their turns."""
        for line in self._lines.values():
            yield from line

    def append(self, key: Hashable, item: T) -> None:
        """Stand in line."""
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = deque()
        line.append(item)
        self._count += 1

    def put_back(self, key: Hashable, item: T) -> None:
        """Stand in front of the others with its key: it had its turn already."""
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = deque()
        line.appendleft(item)
        self._count += 1

    def pop(self) -> T:
        """Whose turn it is.

        Raises StopIteration when nobody stands in line.
        """
        key = next(iter(self._lines))
        line = self._lines.pop(key)
        item = line.popleft()
        if line:
            # Behind the others now: a dict keeps the order in which keys came.
            self._lines[key] = line
        self._count -= 1
        return item

    def clear(self) -> None:
        """Send everybody away."""
        self._lines.clear()
        self._count = 0
