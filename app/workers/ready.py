"""Who is sent next of those that are due and have a place in their lane."""

from collections import deque
from collections.abc import Iterator

from app.workers.lane import Due
from app.workers.turns import Turns

_OTHERS = ""
"""What is no host."""


class Ready:
    """Communities take turns, and in each its hosts: a crowd for one costs another one request.

    Only a host in good repute has a turn of its own. The others, however many, have one together,
    which they take in turn.
    """

    def __init__(self) -> None:
        # A dict keeps the order in which keys came: the first has its turn, and stands behind the others then.
        self._communities: dict[int, dict[str | None, deque[Due] | Turns[Due]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Due]:
        """Everybody, not in the order of their turns."""
        for hosts in self._communities.values():
            for line in hosts.values():
                yield from line

    def append(self, due: Due) -> None:
        """Stand in line."""
        line = self._line_of(due)
        if isinstance(line, Turns):
            line.append(due.lane.host, due)
        else:
            line.append(due)
        self._count += 1

    def put_back(self, due: Due) -> None:
        """Stand in front of the others for this host: it had its turn already."""
        line = self._line_of(due)
        if isinstance(line, Turns):
            line.put_back(due.lane.host, due)
        else:
            line.appendleft(due)
        self._count += 1

    def pop(self) -> Due:
        """Whose turn it is.

        Raises StopIteration when nobody stands in line.
        """
        community_id = next(iter(self._communities))
        hosts = self._communities[community_id]
        host = next(iter(hosts))
        line = hosts[host]
        due = line.pop() if isinstance(line, Turns) else line.popleft()
        if len(hosts) > 1 or not line:
            del hosts[host]
            if line:
                hosts[host] = line
        if len(self._communities) > 1 or not hosts:
            del self._communities[community_id]
            if hosts:
                self._communities[community_id] = hosts
        self._count -= 1
        return due

    def clear(self) -> None:
        """Send everybody away."""
        self._communities.clear()
        self._count = 0

    def _line_of(self, due: Due) -> deque[Due] | Turns[Due]:
        hosts = self._communities.get(due.assignment.community_id)
        if hosts is None:
            hosts = self._communities[due.assignment.community_id] = {}
        good = due.lane.in_good_repute
        host = due.lane.host if good else _OTHERS
        line = hosts.get(host)
        if line is None:
            line = hosts[host] = deque() if good else Turns()
        return line
