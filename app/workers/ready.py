"""Who is sent next of those that are due and have a place in their lane."""

from collections.abc import Iterator

from app.workers.lane import Due
from app.workers.turns import Turns

_OTHERS = ""
"""What is no host."""


class Ready:
    """Communities take turns, and in each its hosts: a crowd for one costs another one request.

    Only who is quick and took the last it was sent has a turn of its own. The others, however many, have one together.
    """

    def __init__(self) -> None:
        self._turns: Turns[Due] = Turns()

    def __len__(self) -> int:
        return len(self._turns)

    def __iter__(self) -> Iterator[Due]:
        """Everybody, not in the order of their turns."""
        return iter(self._turns)

    def append(self, due: Due) -> None:
        """Stand in line."""
        self._turns.append(due, *_turn_of(due))

    def put_back(self, due: Due) -> None:
        """Stand in front of the others for this host: it had its turn already."""
        self._turns.put_back(due, *_turn_of(due))

    def pop(self) -> Due:
        """Whose turn it is.

        Raises StopIteration when nobody stands in line.
        """
        return self._turns.pop()

    def clear(self) -> None:
        """Send everybody away."""
        self._turns.clear()


def _turn_of(due: Due) -> tuple[int, str | None, str | None]:
    host = due.lane.host
    return due.assignment.community_id, host if due.lane.in_good_standing else _OTHERS, host
