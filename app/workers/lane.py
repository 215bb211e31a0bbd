"""One target host as one worker sees it: how many are on their way to it, who waits, and what its limits leave."""

import sys
from dataclasses import dataclass
from typing import Any

from app.core.assignment import Assignment
from app.core.breaker import Breaker
from app.workers.shares import QUICK_SECONDS, Repute
from app.workers.turns import Turns

SOON_SECONDS = 1.0
"""Who will not be sent within about this long does not wait in memory."""
STUCK_SECONDS = 2.0
"""A lane in which nothing has moved for this long gives back who waits in it."""
WAIT_AT_MOST = 1_000
_WAIT_AT_LEAST = 20
_BATCH_SECONDS = 0.1
_FIRST_GUESS_SECONDS = 0.1
_SMOOTHING = 0.125
UNBOUNDED = sys.maxsize


class Lane:
    """A host's places, its circuit, and its line. `taken` counts a place from when it is given until the attempt ends,
    `sending` those of them whose request is under way. http and https of a host are two origins, with a lane each.
    """

    __slots__ = ("_ended_at", "_moved_at", "_seconds", "_trusted", "ask_at", "asking", "bound", "breaker", "free_at",
                 "host", "last_error", "origin", "rate", "repute", "sending", "taken", "took",
                 "waiting", "waits_since")  # fmt: skip

    def __init__(
        self,
        origin: str | None,
        host: str | None,
        *,
        bound: int,
        rate: float | None,
        probe_seconds: float,
        now: float,
        repute: Repute = Repute.SLOW,
    ) -> None:
        self.origin = origin
        self.host = host
        self.repute = repute
        self.took = repute is Repute.QUICK
        """Whether the host took the last that it answered, and said no more of it than is read."""
        self.bound = bound
        self.rate = rate
        self.breaker = Breaker(probe_seconds=probe_seconds)
        self.waiting: Turns[Due] = Turns()
        self.taken = 0
        self.sending = 0
        self.asking = False
        self.ask_at = now
        self.free_at = now
        """When whoever is given back next would have its turn, behind those that were given back before."""
        self.last_error: str | None = None
        self.waits_since = now
        self._moved_at = now
        self._ended_at = now
        self._trusted = repute is Repute.QUICK
        self._seconds = _FIRST_GUESS_SECONDS

    def has_place(self, now: float) -> bool:
        """Whether one more may be on its way."""
        return self.taken < self.bound and self.breaker.lets(now)

    def began(self, now: float) -> None:
        """One gets a place."""
        self._moved_at = now
        if not self.taken:
            # Nobody was asked before: the host was not silent.
            self._ended_at = now

    def ended(self, now: float, seconds: float, *, took: bool, asked: bool) -> None:
        """One ended, after that many seconds. Where the host was not asked, that says of it at most that it holds its
        places for long, as one does whose name is not found.
        """
        self._moved_at = now
        if asked:
            self._ended_at = now
            self._trusted = True
            self.took = took
        if asked or seconds > QUICK_SECONDS:
            self._seconds += (seconds - self._seconds) * _SMOOTHING

    @property
    def in_good_repute(self) -> bool:
        """Whether it is quick, and takes what it is sent."""
        return self.repute is Repute.QUICK and (self.took or self.host is None)

    def judged(self, now: float) -> Repute:
        """What the host has shown of itself by now: how quick it was of late, and for how long it is silent."""
        if self.host is None:
            return Repute.QUICK
        if not self.breaker.closed:
            return Repute.FAILING
        silent_seconds = now - self._ended_at if self.taken else 0.0
        quick = self._trusted and max(self._seconds, silent_seconds) <= QUICK_SECONDS
        return Repute.QUICK if quick else Repute.SLOW

    def start_again(self, now: float) -> None:
        """The host is back: how slow it was while it was not says nothing any more."""
        self._seconds = _FIRST_GUESS_SECONDS
        self.free_at = now

    def stuck(self, now: float) -> bool:
        """Whether who waits for a place does so in vain: every one of its own is taken and none came free for a while,
        or other hosts hold those that it shares with them.
        """
        if self.taken >= self.bound:
            return now - self._moved_at > STUCK_SECONDS
        waits = bool(self.waiting) and self.breaker.closed and self.rate is None
        return waits and now - max(self.waits_since, self._moved_at) > STUCK_SECONDS

    def pace(self, now: float) -> float:
        """How many it takes a second, as far as is known."""
        pace = float("inf") if self.rate is None else self.rate
        if self.bound < UNBOUNDED:
            # While all places are taken, what they hold takes at least as long as nothing has moved.
            seconds = max(self._seconds, now - self._moved_at if self.taken >= self.bound else 0.0, 0.001)
            pace = min(pace, self.bound / seconds)
        return pace

    def keeps(self, now: float) -> int:
        """How many may wait here: what is sent within a moment. Where the circuit is not closed, the next probe."""
        if not self.breaker.closed:
            return 1
        least = _WAIT_AT_LEAST if self.rate is None else 1
        return int(min(max(self.pace(now) * SOON_SECONDS, least), WAIT_AT_MOST))

    def wants(self) -> int:
        """For how many to ask the rate at once: a tenth of a second's worth, less what was granted and not sent yet."""
        if not self.breaker.closed:
            return 1
        most = max(1, int((self.rate or 0) * _BATCH_SECONDS)) - (self.taken - self.sending)
        return min(len(self.waiting), most, self.bound - self.taken)

    def gives_turn(self, now: float) -> float:
        """When one that is given back now may come again, in the order in which they are given back."""
        each = 1 / self.pace(now)
        at = max(self.free_at, now + SOON_SECONDS, now + len(self.waiting) * each)
        self.free_at = at + each
        return at

    def idle(self, now: float) -> bool:
        """Whether nobody is on the way or waits, here or for a turn that was given."""
        return not self.taken and not self.waiting and not self.asking and max(self.free_at, self.ask_at) <= now

    def plain(self, now: float) -> bool:
        """Whether it is idle, and there is nothing to remember of the host."""
        return self.idle(now) and self.breaker.closed and not self.breaker.failures

    def told(self, now: float, now_ms: int) -> dict[str, Any]:
        """What the worker tells of the host; `app.store.targets` reads it."""
        breaker = self.breaker
        return {
            "host": self.host,
            "circuit": breaker.state(now).value,
            "failures": breaker.failures,
            "open_until": None if breaker.closed else now_ms + round((breaker.open_until - now) * 1000),
            "last_error": self.last_error if breaker.failures else None,
            "waiting": len(self.waiting),
            "in_flight": self.sending,
        }


@dataclass(slots=True, eq=False)
class Due:
    """An execution whose time has come, since when it waits, and, with a place, the era of the circuit it has it in."""

    assignment: Assignment
    lane: Lane
    since: float
    era: int = 0

    @property
    def void(self) -> bool:
        """Whether the circuit has opened, or closed, since its place was given."""
        return self.era != self.lane.breaker.era
