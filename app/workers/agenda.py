"""When each shard of the wheel is looked at next, and in which more was due than their share when they were last.

A look that finds something costs a worker and Postgres a batch, however little it is. So rounds that find something are
a moment apart, and each looks at every shard that may have something by then, not at the one whose turn it is alone.
"""

from math import inf

from app.core.clock import Clock
from app.wheel.answers import Claimed
from app.wheel.wheel import Wheel
from app.workers.gaps import PATIENCE_MS, Gaps

CADENCE_MS = 20
"""How far apart rounds are that find something, but where a shard is named, or has more."""
POLL_MS = 1_000
_TO_RECORD_MS = 30
"""What is found is to have so long to be recorded: where the claim-ahead is no longer, no look waits for a gap."""


class Agenda:
    """A shard with nothing due is looked at when its next entry is nearly due, when a wake names it, or after a second;
    instants in milliseconds since the epoch.
    """

    def __init__(self, wheel: Wheel, clock: Clock, gaps: Gaps) -> None:
        self._wheel = wheel
        self._clock = clock
        self._gaps = gaps
        self._look_at = [0] * wheel.shards
        self._within_reach_at: list[float] = [inf] * wheel.shards
        """When what was next in each comes within the claim-ahead; earlier than the look where that is put off."""
        self._named: set[int] = set()
        self._crowded: set[int] = set()
        self._first = 0
        self._found_at = 0

    @property
    def crowded(self) -> bool:
        """Whether some shard had more due than its share when it was looked at last."""
        return bool(self._crowded)

    def name(self, shard: int | None) -> None:
        """Look at a shard, or at all of them, at once."""
        for number in range(len(self._look_at)) if shard is None else (shard,):
            if 0 <= number < len(self._look_at):
                self._look_at[number] = 0
                self._named.add(number)

    def due(self, *, few: bool) -> list[int]:
        """The shards whose time has come, or of these, for the `few`, those that had no more than their share.

        None until a moment after the last find, and until there is a gap: what comes until then, in whichever shard, is
        one batch with them. A round takes along what has come within reach in a shard whose own look is put off.
        """
        now = self._clock.now_ms()
        if few:
            return [shard for shard in self._rotation() if self._has_come(shard, now) and shard not in self._crowded]
        if now < self._begins_at(now):
            return []
        return [
            shard for shard in self._rotation() if self._has_come(shard, now) or self._within_reach_at[shard] <= now
        ]

    def asked(self, shards: list[int]) -> None:
        """These are being looked at: what named them before is about what is found now."""
        self._named.difference_update(shards)

    def answered(self, claim: Claimed, now: int, *, full: bool) -> None:
        """What a shard gave to a look that began at `now`; `full`: as much as its share of the room."""
        if claim.members:
            self._found_at = now
        next_ms = inf if claim.next_ms is None else claim.next_ms
        self._within_reach_at[claim.shard] = next_ms - self._wheel.claim_ahead_ms
        # A wake that came while the claim was under way is about what the claim did not see.
        self._look_at[claim.shard] = 0 if claim.shard in self._named else self._next_look(claim, now, full=full)
        if full:
            self._crowded.add(claim.shard)
        else:
            self._crowded.discard(claim.shard)

    def next(self) -> int:
        """When the next look is."""
        return self._begins_at(self._clock.now_ms())

    def next_of_few(self) -> int:
        """When the next is of a shard that had no more than its share; once in a while where there is no other."""
        now = self._clock.now_ms()
        if not self._crowded:
            return now + POLL_MS
        others = (at for shard, at in enumerate(self._look_at) if shard not in self._crowded)
        return max(min((*others, now + POLL_MS)), now + CADENCE_MS)

    def _begins_at(self, now: int) -> int:
        """What the next look finds takes Postgres and this worker a moment, for which there is to be a gap.

        What comes alone may be found a little later. Where something waits already since the last find, or since its
        shard was looked at just before, it needs the time that is left to be recorded: that look is no later, and
        rather a little earlier, but not before there is something to be found.
        """
        soonest = min(self._look_at)
        if soonest <= 0:
            return soonest
        if soonest > now + POLL_MS:
            # So far no look is put off: the clock was set back while one was under way.
            return now
        rests_until = self._rests_until(now)
        if soonest <= rests_until:
            # Also in a shard that the last find was in, and that is looked at again only with the others.
            within_reach_at = int(min(*self._within_reach_at, rests_until))
            return max(self._gaps.before(rests_until), within_reach_at)
        latest = min(self._within_reach_at) + self._wheel.claim_ahead_ms - _TO_RECORD_MS
        return self._gaps.after(soonest, patience_ms=int(max(0, min(PATIENCE_MS, latest - soonest))))

    def _has_come(self, shard: int, now: int) -> bool:
        # One that is further ahead than any look is put off was set before the clock was set back.
        return not now < self._look_at[shard] <= now + POLL_MS

    def _rotation(self) -> list[int]:
        # The first shard differs each time, so that none is always served last when room is short.
        count = len(self._look_at)
        self._first = (self._first + 1) % count
        return [(self._first + offset) % count for offset in range(count)]

    def _rests_until(self, now: int) -> int:
        # A find that lies ahead was made before the clock was set back.
        return self._found_at + CADENCE_MS if self._found_at <= now else now

    def _next_look(self, claim: Claimed, now: int, *, full: bool) -> int:
        if full:
            return 0
        ahead_ms = self._wheel.reach_ms if self._crowded else self._wheel.claim_ahead_ms
        nearest = now + POLL_MS if claim.next_ms is None else claim.next_ms - ahead_ms
        return max(min(nearest, now + POLL_MS), now + CADENCE_MS)
