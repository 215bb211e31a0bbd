"""How many places a worker gives to hosts that are slow, or fail: whoever holds a place for long leaves some to others.

A request that hangs holds its sender until its time is over, so a handful of hosts that hang could hold all of them,
and the quick ones would wait for as long. So a quarter of the places is kept for hosts that answer quickly, and another
is not given to probes of hosts that fail. A host has to show that it is quick; the workflow engine is the operator's
own, and always is.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Protocol

QUICK_SECONDS = 0.25
"""Who answers within this, on average of late, is quick; and who has not answered for so long, is not."""
_JUDGE_SECONDS = 0.02


class Repute(IntEnum):
    """What a host has shown of itself. One that is new is slow."""

    QUICK = 0
    SLOW = 1
    FAILING = 2


class Holder(Protocol):
    """A host, as far as it matters here."""

    host: str | None
    repute: Repute
    taken: int

    def judged(self, now: float) -> Repute:
        """Its repute by all that is known now."""
        ...


class Shares:
    """The places of one worker."""

    def __init__(self, places: int, holders: Iterable[Holder]) -> None:
        """`holders` are all that there are, at any time."""
        # Of few places none can be kept back: whoever has one sender gives it to whoever comes.
        self._bounds = (0, places - places // 4, places - places // 2)
        self._taken = [0, 0, 0]
        self._holders = holders
        self._judged_at = -1.0

    def lets(self, holder: Holder, now: float) -> bool:
        """Whether one more may have a place as far as its repute goes; the quick may always."""
        if holder.host is None:
            return True
        self._judge(holder, now)
        if holder.repute is Repute.QUICK:
            return True
        if now - self._judged_at > _JUDGE_SECONDS:
            # Those that were quick, and hang together since, are not told apart by themselves: nothing of them ends.
            self._judged_at = now
            for one in self._holders:
                if one.taken:
                    self._judge(one, now)
        slow, failing = self._taken[Repute.SLOW], self._taken[Repute.FAILING]
        if holder.repute is Repute.FAILING and failing >= self._bounds[Repute.FAILING]:
            return False
        return slow + failing < self._bounds[Repute.SLOW]

    def take(self, holder: Holder) -> None:
        """A place is given. The workflow engine's are not counted."""
        holder.taken += 1
        if holder.host is not None:
            self._taken[holder.repute] += 1

    def leave(self, holder: Holder, now: float) -> None:
        """A place came free."""
        holder.taken -= 1
        if holder.host is not None:
            self._taken[holder.repute] -= 1
            self._judge(holder, now)

    def _judge(self, holder: Holder, now: float) -> None:
        repute = holder.judged(now)
        if repute is not holder.repute:
            self._taken[holder.repute] -= holder.taken
            self._taken[repute] += holder.taken
            holder.repute = repute
