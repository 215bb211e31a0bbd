"""A line in which everybody takes turns: a crowd waits for itself, and nobody else for it."""

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Items in line by keys, the first of them first: first in, first out within one, one after the other among them.

    With a community and a host, communities take turns, and within one its hosts. All items need as many keys.
    """

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[T] | Turns[T]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        """Every item, not in the order of their turns."""
        for line in self._lines.values():
            yield from line

    def append(self, item: T, key: Hashable, *others: Hashable) -> None:
        """Stand in line."""
        line = self._line(key, nested=bool(others))
        if isinstance(line, Turns):
            line.append(item, *others)
        else:
            line.append(item)
        self._count += 1

    def put_back(self, item: T, key: Hashable, *others: Hashable) -> None:
        """Stand in front of the others with the same keys: it had its turn already."""
        line = self._line(key, nested=bool(others))
        if isinstance(line, Turns):
            line.put_back(item, *others)
        else:
            line.appendleft(item)
        self._count += 1

    def pop(self) -> T:
        """Whose turn it is.

        Raises StopIteration when nobody stands in line.
        """
        key = next(iter(self._lines))
        line = self._lines.pop(key)
        item = line.pop() if isinstance(line, Turns) else line.popleft()
        if line:
            # Behind the others now: a dict keeps the order in which keys came.
            self._lines[key] = line
        self._count -= 1
        return item

    def clear(self) -> None:
        """Send everybody away."""
        self._lines.clear()
        self._count = 0

    def _line(self, key: Hashable, *, nested: bool) -> "deque[T] | Turns[T]":
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Turns() if nested else deque()
        return line
