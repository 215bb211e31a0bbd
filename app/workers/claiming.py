"""Where to claim from: the wheel, or while it cannot be relied on Postgres; until stopped."""

import logging
from collections.abc import Callable

import structlog

from app.core.clock import Clock
from app.metrics import Metrics
from app.wheel.connection import AWAY
from app.wheel.wheel import Wheel
from app.workers.agenda import CADENCE_MS, POLL_MS
from app.workers.claim import Claimer
from app.workers.fallback import Fallback
from app.workers.lines import Line, LineOfFew

_ASK_WHEEL_MS = 100

log = structlog.get_logger()


class Claiming:
    """Claims round after round, into `line`, and what little is due beside a crowd into `few`.

    While Redis is away, and until a shard that was lost is loaded again, it claims from Postgres.
    """

    def __init__(
        self,
        claimer: Claimer,
        fallback: Fallback,
        wheel: Wheel,
        clock: Clock,
        metrics: Metrics,
        *,
        line: Line,
        few: LineOfFew,
        shard_lost: Callable[[], None],
    ) -> None:
        self._claimer = claimer
        self._fallback = fallback
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self._line = line
        self._few = few
        self._shard_lost = shard_lost
        self._ask_wheel_at = 0
        self._was_complete = False
        self.stopping = False
        self.by_postgres = False

    def stop(self) -> None:
        """Claim no more; a claim under way ends first."""
        self.stopping = True
        self._claimer.woken.set()

    def taken(self) -> None:
        """A batch has left its line, in which there is place for another."""
        self._claimer.woken.set()

    async def run_forever(self, came_round: Callable[[], None]) -> None:
        """Claim until stopped.

        `came_round` is called at each turn, so that one that stands still can be seen.
        """
        while not self.stopping:
            self._claimer.woken.clear()
            came_round()
            look_at = await (self._from_postgres() if self.by_postgres else self._from_wheel())
            if look_at is not None:
                await self._clock.wait(self._claimer.woken, look_at)

    async def _from_wheel(self) -> int | None:
        """One round. Returns when to come round again, in ms since the epoch; null for at once."""
        place = not self._line.full
        try:
            found = await self._claimer.run_once(crowd=place)
        except AWAY:
            self._turn_to(postgres=True)
            return None
        few, crowd = self._claimer.parted(found)
        if few:
            beside = bool(crowd) or self._claimer.beside_crowd or not place
            (self._few if beside else self._line).put_at_once(few)
        if crowd:
            (self._line if place else self._few).put_at_once(crowd)
        if not self._claimer.complete:
            self._turn_to(postgres=True)
            return None
        self._was_complete = True
        return None if found else self._claimer.next_round(crowd=place)

    async def _from_postgres(self) -> int | None:
        room = self._claimer.room()
        look_at = self._clock.now_ms() + CADENCE_MS
        if room > 0:
            _, look_at = await self._fallback.run_once(room)
        if await self._wheel_is_complete():
            # What has become old in the wheel meanwhile is cleared away before it is relied on.
            self._claimer.wake(None)
            room = self._claimer.room()
            try:
                found = await self._claimer.run_once()
            except AWAY:
                return look_at
            if found:
                await self._line.put(found)
            if sum(len(claim.members) for claim in found) < room and self._claimer.complete:
                self._turn_to(postgres=False)
                return None
        return self._clock.now_ms() + POLL_MS if self._claimer.waits_for_room() else look_at

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
        return all(mark is not None and mark.loaded_until_ms > 0 for mark in marks)

    def _turn_to(self, *, postgres: bool) -> None:
        self.by_postgres = postgres
        self._metrics.claiming_from_postgres.set(postgres)
        if postgres:
            self._wheel.distrust()
            # Where it was never complete it is being loaded for the first time, and nothing is wrong.
            level = logging.WARNING if self._wheel.away or self._was_complete else logging.INFO
            log.log(level, "claiming_from_postgres", category="SYSTEM", redis_away=self._wheel.away)
        else:
            self._was_complete = True
            log.info("claiming_from_wheel", category="SYSTEM")
            self._claimer.wake(None)
