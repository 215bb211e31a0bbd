"""The first stage: take from the wheel what is due within the claim-ahead, by room."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from app.core.clock import Clock
from app.metrics import Metrics
from app.wheel.connection import AWAY
from app.wheel.wheel import Claimed, Wheel
from app.workers.signals import Point, Signals

BATCH = 100
"""Entries in one batch at most: a larger one holds Redis and Postgres for longer than it saves."""
_CADENCE_MS = 20
_POLL_MS = 1_000
_RETRY_SECONDS = 0.2

log = structlog.get_logger()


class Claimer:
    """Claims from one shard after the other, so that a community with a hundred thousand due delays its own shard only.

    A claim reaches `CLAIM_AHEAD_MS` ahead and comes about every 20 ms: batches form without waiting, and the database's
    latency is paid before the instant. A shard with nothing due is looked at when its next entry is nearly due, when a
    wake names it, or after a second.
    """

    def __init__(
        self,
        wheel: Wheel,
        clock: Clock,
        metrics: Metrics,
        *,
        lease_ms: int,
        room: Callable[[], int],
        shard_lost: Callable[[], None],
        signals: Signals,
    ) -> None:
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self._lease_ms = lease_ms
        self._room = room
        self._shard_lost = shard_lost
        self._signals = signals
        self._look_at = [0] * wheel.shards
        self._named: set[int] = set()
        self._first = 0
        self._woken = asyncio.Event()
        self._on_the_way = 0
        self._full = False
        self.stopping = False
        self._redis_away = False

    def wake(self, shard: int | None) -> None:
        """Look at a shard, or at all of them, at once."""
        for number in range(len(self._look_at)) if shard is None else (shard,):
            if 0 <= number < len(self._look_at):
                self._look_at[number] = 0
                self._named.add(number)
        self._woken.set()

    def room_came(self) -> None:
        """Something was delivered: whoever waits for room looks whether it is enough."""
        if self._full and self._room() > self._on_the_way:
            self._full = False
            self._woken.set()

    def advanced(self, claims: Sequence[Claimed]) -> None:
        """A batch has been recorded, and counts as the deliverer's from here on."""
        self._on_the_way -= sum(len(claim.members) for claim in claims)
        self._woken.set()

    def stop(self) -> None:
        """Claim no more; a claim under way ends first."""
        self.stopping = True
        self._woken.set()

    async def run_once(self) -> list[Claimed]:
        """Claim what is due in the shards whose time has come; empty where nothing was.

        Raises one of `AWAY` when Redis does not answer.
        """
        room = min(self._room() - self._on_the_way, BATCH)
        now = self._clock.now_ms()
        shards = [shard for shard in self._rotation() if self._look_at[shard] <= now]
        found: list[Claimed] = []
        while room > 0 and shards:
            # Evenly first; what the others leave of the room then goes to the shards that have more.
            share = max(room // len(shards), 1)
            asked = shards[:room]
            self._named.difference_update(asked)
            try:
                claims = await self._wheel.claim(asked, limit=share, lease_ms=self._lease_ms)
            except AWAY:
                if not found:
                    raise
                # What was claimed already must not wait for its lease to run out.
                break
            shards = []
            for claim in claims:
                room -= len(claim.members)
                full = len(claim.members) >= share
                # A wake that came while the claim was under way is about what the claim did not see.
                named = claim.shard in self._named
                self._look_at[claim.shard] = 0 if named else self._next_look(claim, now, full=full)
                if full:
                    shards.append(claim.shard)
                if not claim.marked:
                    self._shard_lost()
            found += [claim for claim in claims if claim.members]
        if found:
            entries = sum(len(claim.members) for claim in found)
            self._on_the_way += entries
            self._metrics.claimed.inc(entries)
            await self._signals.reached(Point.CLAIMED)
        return found

    async def run_forever(self, out: "asyncio.Queue[list[Claimed]]", came_round: Callable[[], None]) -> None:
        """Claim until stopped, into a short queue: a full one is the back-pressure.

        `came_round` is called at each turn, so that a claimer that stands still can be seen.
        """
        while not self.stopping:
            self._woken.clear()
            came_round()
            try:
                found = await self.run_once()
            except AWAY as away:
                self._note_redis(str(away) or type(away).__name__)
                await self._clock.sleep(_RETRY_SECONDS)
                continue
            self._note_redis(None)
            if found:
                await out.put(found)
            else:
                # Without room only a delivery helps, which sets the event; the poll is for safety.
                self._full = self._room() <= self._on_the_way
                until = self._clock.now_ms() + _POLL_MS if self._full else min(self._look_at)
                await self._clock.wait(self._woken, until)

    def _rotation(self) -> list[int]:
        # The first shard differs each time, so that none is always served last when room is short.
        count = len(self._look_at)
        self._first = (self._first + 1) % count
        return [(self._first + offset) % count for offset in range(count)]

    def _next_look(self, claim: Claimed, now: int, *, full: bool) -> int:
        if full:
            return now
        nearest = now + _POLL_MS if claim.next_ms is None else claim.next_ms - self._wheel.claim_ahead_ms
        return max(min(nearest, now + _POLL_MS), now + _CADENCE_MS)

    def _note_redis(self, error: str | None) -> None:
        self._metrics.redis_up.set(error is None)
        if (error is not None) != self._redis_away:
            self._redis_away = error is not None
            if error is None:
                log.info("redis_back", category="SYSTEM")
                self.wake(None)
            else:
                log.error("redis_away", category="ERROR", error=error)
