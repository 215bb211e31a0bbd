"""When each shard of the wheel is looked at next, and in which more was due than their share when they were last.

A look costs a worker and Postgres a batch, however little it finds. A shard may be looked at as soon as its next entry
is within the claim-ahead, but has to be only when what is left of that is needed for recording. What comes within the
claim-ahead meanwhile is one batch with it, from this shard and from all that may be looked at by then.
"""

from app.core.clock import Clock
from app.wheel.answers import Claimed
from app.wheel.wheel import Wheel

CADENCE_MS = 20
"""How long a shard is let be that was looked at, where nothing names it."""
POLL_MS = 1_000
_LEAST_LEFT = 0.4
"""The part of the claim-ahead that is left at least when what is due next is claimed."""
_TIMES_RECORDING = 2
"""So many times as long as recording takes of late is left at least, as far as the claim-ahead goes."""
_FORGETS = 0.05


class Agenda:
    """A shard with nothing due is looked at when its next entry is nearly due, when a wake names it, or after a second;
    instants in milliseconds since the epoch.
    """

    def __init__(self, wheel: Wheel, clock: Clock) -> None:
        self._wheel = wheel
        self._clock = clock
        self._look_from = [0] * wheel.shards
        self._look_by = [0] * wheel.shards
        self._named: set[int] = set()
        self._backlogged: set[int] = set()
        self._first = 0
        self._recording_ms = 0.0

    @property
    def backlogged(self) -> bool:
        """Whether some shard had more due than its share when it was looked at last."""
        return bool(self._backlogged)

    def name(self, shard: int | None) -> None:
        """Look at a shard, or at all of them, at once."""
        for number in range(self._wheel.shards) if shard is None else (shard,):
            if 0 <= number < self._wheel.shards:
                self._look_by[number] = 0
                self._named.add(number)

    def due(self, *, few: bool) -> list[int]:
        """The shards to be looked at where one of them has to be, or of these, for the `few`, those that had no more
        than their share.
        """
        now = self._clock.now_ms()
        shards = [shard for shard in self._rotation() if not (few and shard in self._backlogged)]
        if not any(_has_come(self._look_by[shard], now) for shard in shards):
            return []
        return [
            shard for shard in shards if _has_come(self._look_from[shard], now) or _has_come(self._look_by[shard], now)
        ]

    def recorded(self, took_seconds: float) -> None:
        """A batch has been: the longer that takes, the earlier is what is due next claimed."""
        took_ms = min(took_seconds * 1000, self._wheel.claim_ahead_ms)
        self._recording_ms = max(took_ms, self._recording_ms + (took_ms - self._recording_ms) * _FORGETS)

    def asked(self, shards: list[int]) -> None:
        """These are being looked at: what named them before is about what is found now."""
        self._named.difference_update(shards)

    def answered(self, claim: Claimed, now: int, *, full: bool) -> None:
        """What a shard gave to a look that began at `now`; `full`: as much as its share of the room."""
        shard = claim.shard
        if full:
            self._backlogged.add(shard)
        else:
            self._backlogged.discard(shard)
        # A wake that came while the claim was under way is about what the claim did not see.
        if full or shard in self._named:
            self._look_from[shard] = self._look_by[shard] = 0
        else:
            self._look_from[shard], self._look_by[shard] = self._next_look(claim, now)

    def next(self) -> int:
        """When a shard has to be looked at next."""
        return min(self._look_by)

    def next_of_few(self) -> int:
        """When the next is of a shard that had no more than its share; once in a while where there is no other."""
        now = self._clock.now_ms()
        if not self._backlogged:
            return now + POLL_MS
        others = (at for shard, at in enumerate(self._look_by) if shard not in self._backlogged)
        return max(min(others, default=now + POLL_MS), now + CADENCE_MS)

    def _rotation(self) -> list[int]:
        # The first shard differs each time, so that none is always served last when room is short.
        count = self._wheel.shards
        self._first = (self._first + 1) % count
        return [(self._first + offset) % count for offset in range(count)]

    def _next_look(self, claim: Claimed, now: int) -> tuple[int, int]:
        """From when on, and by when."""
        if claim.next_ms is None:
            return now + POLL_MS, now + POLL_MS
        ahead_ms = self._wheel.reach_ms if self._backlogged else self._wheel.claim_ahead_ms
        look_from = look_by = claim.next_ms - ahead_ms
        if not claim.next_exactly and not self._backlogged:
            left_ms = max(ahead_ms * _LEAST_LEFT, self._recording_ms * _TIMES_RECORDING)
            look_by = claim.next_ms - min(round(left_ms), ahead_ms)
        return min(look_from, now + POLL_MS), max(min(look_by, now + POLL_MS), now + CADENCE_MS)


def _has_come(at: int, now: int) -> bool:
    # What is further ahead than any look is put off was set before the clock was set back.
    return not now < at <= now + POLL_MS
