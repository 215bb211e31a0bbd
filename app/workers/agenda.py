"""When each shard of the wheel is looked at next, and in which more was due than their share when they were last.

A look that finds something costs a worker and Postgres a batch, however little it is. So rounds that find something are
a moment apart, and each looks at every shard that may have something by then, not at the one whose turn it is alone.
"""

from app.core.clock import Clock
from app.wheel.answers import Claimed
from app.wheel.wheel import Wheel
from app.workers.gaps import Gaps

CADENCE_MS = 20
"""How far apart rounds are that find something, but where a shard is named, or has more."""
POLL_MS = 1_000


class Agenda:
    """A shard with nothing due is looked at when its next entry is nearly due, when a wake names it, or after a second;
    instants in milliseconds since the epoch.
    """

    def __init__(self, wheel: Wheel, clock: Clock, gaps: Gaps) -> None:
        self._wheel = wheel
        self._clock = clock
        self._gaps = gaps
        self._early_ms = 0
        """By how much the next look comes before its time."""
        self._look_at = [0] * wheel.shards
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

        None until a moment after the last find: what comes until then, in whichever shard, is one batch with them.
        """
        now = self._clock.now_ms() + self._early_ms
        if not few and now < self._rests_until(now) and min(self._look_at) > 0:
            return []
        # One that is further ahead than any look is put off was set before the clock was set back.
        shards = [shard for shard in self._rotation() if not now < self._look_at[shard] <= now + POLL_MS]
        return [shard for shard in shards if shard not in self._crowded] if few else shards

    def asked(self, shards: list[int]) -> None:
        """These are being looked at: what named them before is about what is found now."""
        self._named.difference_update(shards)

    def answered(self, claim: Claimed, now: int, *, full: bool) -> None:
        """What a shard gave to a look that began at `now`; `full`: as much as its share of the room."""
        if claim.members:
            self._found_at = now
        # A wake that came while the claim was under way is about what the claim did not see.
        self._look_at[claim.shard] = 0 if claim.shard in self._named else self._next_look(claim, now, full=full)
        if full:
            self._crowded.add(claim.shard)
        else:
            self._crowded.discard(claim.shard)

    def next(self) -> int:
        """When the next look is: what it finds takes Postgres and this worker a moment, for which there is to be a gap.

        What comes alone may be found a little later. What waits already since the last find is found a little earlier,
        because it needs the time that is left to be recorded.
        """
        soonest, now = min(self._look_at), self._clock.now_ms()
        if soonest <= 0:
            return soonest
        if soonest > now + POLL_MS:
            # So far no look is put off: the clock was set back while one was under way.
            return now
        rests_until = self._rests_until(now)
        begin = self._gaps.after(soonest) if soonest > rests_until else self._gaps.before(rests_until)
        self._early_ms = max(0, rests_until - begin)
        return begin

    def next_of_few(self) -> int:
        """When the next is of a shard that had no more than its share; once in a while where there is no other."""
        now = self._clock.now_ms()
        if not self._crowded:
            return now + POLL_MS
        others = (at for shard, at in enumerate(self._look_at) if shard not in self._crowded)
        return max(min((*others, now + POLL_MS)), now + CADENCE_MS)

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
