"""The first stage: take what is due within the claim-ahead, by room: from the wheel, or without one from Postgres."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from app.core.clock import Clock
from app.metrics import Metrics
from app.wheel.answers import Claimed
from app.wheel.connection import AWAY
from app.wheel.wheel import Wheel
from app.workers.fallback import Fallback
from app.workers.room import FEW
from app.workers.signals import Point, Signals

_CADENCE_MS = 20
_POLL_MS = 1_000
_ASK_WHEEL_MS = 100
Batches = asyncio.Queue[list[Claimed]]

log = structlog.get_logger()


class Claimer:
    """Claims from one shard after the other, so that a community with a hundred thousand due delays its own shard only;
    and what is due there later passes the hundred thousand by, as far as an eighth of the room goes.

    A claim reaches `CLAIM_AHEAD_MS` ahead and comes about every 20 ms: batches form without waiting, and the database's
    latency is paid before the instant. A shard with nothing due is looked at when its next entry is nearly due, when a
    wake names it, or after a second.

    A crowd is claimed as far as there is room, and place in the queue. What little is due in the other shards has room
    of its own, and is claimed meanwhile.

    While Redis is away, and until a shard that was lost is loaded again, it claims from Postgres.
    """

    def __init__(
        self,
        wheel: Wheel,
        clock: Clock,
        metrics: Metrics,
        *,
        lease_ms: int,
        room: Callable[[], int],
        room_for_few: Callable[[], int],
        batch: Callable[[], int],
        shard_lost: Callable[[], None],
        fallback: Fallback,
        signals: Signals,
    ) -> None:
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self._lease_ms = lease_ms
        self._room = room
        self._room_for_few = room_for_few
        self._batch = batch
        self._shard_lost = shard_lost
        self._fallback = fallback
        self._signals = signals
        self._look_at = [0] * wheel.shards
        self._named: set[int] = set()
        self._crowded: set[int] = set()
        self._backlogged: set[int] = set()
        self._first = 0
        self._woken = asyncio.Event()
        self._on_the_way = 0
        self._full = False
        self.stopping = False
        self.by_postgres = False
        self._incomplete = False
        self._ask_wheel_at = 0

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

    def taken(self) -> None:
        """A batch has left the queue, in which there is place for another."""
        self._woken.set()

    def advanced(self, claims: Sequence[Claimed]) -> None:
        """A batch has been recorded, and counts as the deliverer's from here on."""
        self._on_the_way -= sum(len(claim.members) for claim in claims)
        self._woken.set()

    def stop(self) -> None:
        """Claim no more; a claim under way ends first."""
        self.stopping = True
        self._woken.set()

    async def run_once(self, *, crowd: bool = True) -> list[Claimed]:
        """Claim what is due in the shards whose time has come; empty where nothing was.

        Without `crowd`, or room for one, only a few beside it, in shards that had no more when they were looked at
        last; further ahead, because it takes longer then until they are recorded.

        Raises one of `AWAY` when Redis does not answer.
        """
        room = self._room_now() if crowd else 0
        now = self._clock.now_ms()
        # One that is further ahead than any look is put off was set before the clock was set back.
        shards = [shard for shard in self._rotation() if not now < self._look_at[shard] <= now + _POLL_MS]
        few = room <= 0 and bool(self._backlogged)
        if few:
            room = min(self._room_for_few() - self._on_the_way, FEW)
            shards = [shard for shard in shards if shard not in self._backlogged]
        found: list[Claimed] = []
        self._crowded.clear()
        while room > 0 and shards:
            # Evenly first; what the others leave of the room then goes to the shards that have more.
            share = max(room // len(shards), 1)
            asked = shards[:room]
            self._named.difference_update(asked)
            try:
                claims = await self._wheel.claim(asked, limit=share, lease_ms=self._lease_ms, far=few)
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
                    self._crowded.add(claim.shard)
                    self._backlogged.add(claim.shard)
                else:
                    self._backlogged.discard(claim.shard)
                if not claim.marked:
                    self._shard_lost()
                self._incomplete = self._incomplete or not claim.loaded
            found += [claim for claim in claims if claim.members]
        if found:
            entries = sum(len(claim.members) for claim in found)
            self._on_the_way += entries
            self._metrics.claimed.inc(entries)
            await self._signals.reached(Point.CLAIMED)
        return found

    async def run_forever(self, out: Batches, came_round: Callable[[], None], *, quick: Batches) -> None:
        """Claim until stopped, into a short queue: a full one is the back-pressure.

        What little was claimed beside a crowd goes into `quick`, which has no bound but the room.

        `came_round` is called at each turn, so that a claimer that stands still can be seen.
        """
        while not self.stopping:
            self._woken.clear()
            came_round()
            if self.by_postgres:
                look_at = await self._from_postgres(out)
            else:
                look_at = await self._from_wheel(out, quick)
            if look_at is not None:
                await self._clock.wait(self._woken, look_at)

    async def _from_wheel(self, out: Batches, quick: Batches) -> int | None:
        """One round. Returns when to come round again, in ms since the epoch; null for at once."""
        place = not out.full()
        try:
            found = await self.run_once(crowd=place)
        except AWAY:
            self._turn_to(postgres=True)
            return None
        little, crowd = self._parted(found)
        if little:
            (quick if crowd or self._backlogged or not place else out).put_nowait(little)
        if crowd:
            (out if place else quick).put_nowait(crowd)
        if self._incomplete:
            self._turn_to(postgres=True)
            return None
        return None if found else self._next_round(crowd=place)

    def _parted(self, found: list[Claimed]) -> tuple[list[Claimed], list[Claimed]]:
        """What little is due beside a crowd, and the crowd; all of it is one where there are two of them."""
        little, crowd = list[Claimed](), list[Claimed]()
        for claim in found:
            if claim.shard not in self._crowded:
                little.append(claim)
                continue
            backlog, passing = claim.parted()
            crowd.append(backlog)
            if passing.members:
                little.append(passing)
        if crowd and sum(len(claim.members) for claim in little) > FEW:
            return [], found
        return little, crowd

    async def _from_postgres(self, out: Batches) -> int | None:
        room = self._room_now()
        look_at = self._clock.now_ms() + _CADENCE_MS
        if room > 0:
            _, look_at = await self._fallback.run_once(room)
        if await self._wheel_is_complete():
            # What has become old in the wheel meanwhile is cleared away before it is relied on.
            self.wake(None)
            room = self._room_now()
            try:
                found = await self.run_once()
            except AWAY:
                return look_at
            if found:
                await out.put(found)
            if room > 0 and sum(len(claim.members) for claim in found) < room and not self._incomplete:
                self._turn_to(postgres=False)
                return None
        return self._clock.now_ms() + _POLL_MS if self._is_full() else look_at

    async def _wheel_is_complete(self) -> bool:
        """Whether Redis is back and every shard is loaded; asked now and then."""
        now = self._clock.now_ms()
        if self._wheel.away or now < self._ask_wheel_at <= now + _ASK_WHEEL_MS:
            return False
        self._ask_wheel_at = now + _ASK_WHEEL_MS
        try:
            marks = await self._wheel.marks()
        except AWAY:
            return False
        if None in marks:
            self._shard_lost()
        self._incomplete = any(mark is None or mark.loaded_until_ms == 0 for mark in marks)
        return not self._incomplete

    def _room_now(self) -> int:
        """How many entries to claim at once."""
        return min(self._room() - self._on_the_way, self._batch())

    def _next_round(self, *, crowd: bool) -> int:
        if crowd and not self._is_full():
            return min(self._look_at)
        # Until there is room, or place in the queue, which set the event, only what is beside a crowd is looked at.
        now = self._clock.now_ms()
        if not self._backlogged:
            return now + _POLL_MS
        others = (at for shard, at in enumerate(self._look_at) if shard not in self._backlogged)
        return max(min(others, default=now + _POLL_MS), now + _CADENCE_MS)

    def _is_full(self) -> bool:
        # Then only a delivery helps, which sets the event; the poll is for safety.
        self._full = self._room() <= self._on_the_way
        return self._full

    def _turn_to(self, *, postgres: bool) -> None:
        self.by_postgres = postgres
        self._incomplete = False
        self._metrics.claiming_from_postgres.set(postgres)
        if postgres:
            self._wheel.distrust()
            log.warning("claiming_from_postgres", category="SYSTEM", redis_away=self._wheel.away)
        else:
            log.info("claiming_from_wheel", category="SYSTEM")
            self.wake(None)

    def _rotation(self) -> list[int]:
        # The first shard differs each time, so that none is always served last when room is short.
        count = len(self._look_at)
        self._first = (self._first + 1) % count
        return [(self._first + offset) % count for offset in range(count)]

    def _next_look(self, claim: Claimed, now: int, *, full: bool) -> int:
        if full:
            return now
        ahead_ms = self._wheel.reach_ms if self._backlogged else self._wheel.claim_ahead_ms
        nearest = now + _POLL_MS if claim.next_ms is None else claim.next_ms - ahead_ms
        return max(min(nearest, now + _POLL_MS), now + _CADENCE_MS)
