"""The first stage: take what is due within the claim-ahead from the wheel, by room."""

import asyncio
from collections.abc import Callable, Sequence

from app.core.clock import Clock
from app.metrics import Metrics
from app.wheel.answers import Claimed
from app.wheel.connection import AWAY
from app.wheel.wheel import Wheel
from app.workers.agenda import Agenda
from app.workers.gaps import Gaps
from app.workers.lines import Batch
from app.workers.room import FEW
from app.workers.signals import Point, Signals


class Claimer:
    """Asks the shards at once, each for an equal share of the room, so that a community with a hundred thousand due
    delays its own shard only. There an eighth of the share goes to the newest, which pass the hundred thousand by.

    A claim reaches `CLAIM_AHEAD_MS` ahead and comes about every 20 ms: batches form without waiting, and the database's
    latency is paid before the instant.

    A crowd is claimed as far as there is room, and place in the line. What little is due in the other shards has room
    of its own, and is claimed meanwhile.
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
        gaps: Gaps,
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
        self._signals = signals
        self._agenda = Agenda(wheel, clock, gaps)
        self._had_more: set[int] = set()
        self._on_the_way = 0
        self._without_room = False
        self.complete = True
        """Whether each shard that was asked in the last round is loaded."""
        self.woken = asyncio.Event()
        """Set when there may be something to claim, or room for it."""

    def wake(self, shard: int | None) -> None:
        """Look at a shard, or at all of them, at once."""
        self._agenda.name(shard)
        self.woken.set()

    def room_came(self) -> None:
        """Something was delivered, or given back: whoever waits for room looks whether it is enough."""
        if self._without_room and self._room() > self._on_the_way:
            self._without_room = False
            self.woken.set()

    def again(self, batch: Sequence[Claimed]) -> None:
        """What was looked at too early is on its way once more."""
        self._on_the_way += sum(len(claim.members) for claim in batch)

    def advanced(self, batch: Sequence[Claimed]) -> None:
        """A batch has been recorded, and counts as the deliverer's from here on."""
        self._on_the_way -= sum(len(claim.members) for claim in batch)
        self.woken.set()

    def room(self) -> int:
        """How many entries to claim at once."""
        return min(self._room() - self._on_the_way, self._batch())

    def waits_for_room(self) -> bool:
        """Whether it helps only that something is delivered, or given back; that is told by `room_came`."""
        self._without_room = self._room() <= self._on_the_way
        return self._without_room

    @property
    def beside_crowd(self) -> bool:
        """Whether a shard had more than its share when it was looked at last."""
        return self._agenda.crowded

    async def run_once(self, *, crowd: bool = True) -> Batch:
        """Claim what is due in the shards whose time has come; empty where nothing was.

        Without `crowd`, or room for one, only a few beside it, in shards that had no more when they were looked at
        last; further ahead, because it takes longer then until they are recorded.

        Raises one of `AWAY` when Redis does not answer.
        """
        room = self.room() if crowd else 0
        few = room <= 0 and self.beside_crowd
        if few:
            room = min(self._room_for_few() - self._on_the_way, FEW)
        shards = self._agenda.due(few=few)
        found: Batch = []
        self._had_more.clear()
        self.complete = True
        while room > 0 and shards:
            # Evenly first; what the others leave of the room then goes to the shards that have more.
            share = max(room // len(shards), 1)
            asked, now = shards[:room], self._clock.now_ms()
            self._agenda.asked(asked)
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
                self._agenda.answered(claim, now, full=full)
                if full:
                    shards.append(claim.shard)
                    self._had_more.add(claim.shard)
                if not claim.marked:
                    self._shard_lost()
                self.complete = self.complete and claim.loaded
            found += [claim for claim in claims if claim.members]
        if found:
            entries = sum(len(claim.members) for claim in found)
            self._on_the_way += entries
            self._metrics.claimed.inc(entries)
            await self._signals.reached(Point.CLAIMED)
        return found

    def parted(self, found: Batch) -> tuple[Batch, Batch]:
        """What little is due beside a crowd, of what the last round found, and the crowd; where there is more than
        little beside it, all of it is one.
        """
        few: Batch = []
        crowd: Batch = []
        for claim in found:
            if claim.shard not in self._had_more:
                few.append(claim)
                continue
            backlog, passing = claim.parted()
            crowd.append(backlog)
            if passing.members:
                few.append(passing)
        if crowd and sum(len(claim.members) for claim in few) > FEW:
            return [], found
        return few, crowd

    def next_round(self, *, crowd: bool) -> int:
        """When to claim again, in ms since the epoch, unless woken before.

        Until there is room, or place in the line (`crowd`), only what is beside a crowd is looked at.
        """
        return self._agenda.next() if crowd and not self.waits_for_room() else self._agenda.next_of_few()
