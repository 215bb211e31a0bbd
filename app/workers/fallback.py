"""The first two stages in one, straight from Postgres, while the wheel cannot be relied on.

The rows are claimed by the transaction that records them, which passes over what another worker has locked: nothing is
claimed twice, nothing needs an ack, and what a crash leaves behind was never taken. All else is the same: the room, the
look, what is held until its due time, and what is put into the wheel, as soon as there is one.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from app.core.clock import Clock, to_ms
from app.core.errors import StoreUnavailableException
from app.metrics import Metrics
from app.store import due
from app.store.database import Connection, Database
from app.store.due import Claimable
from app.store.outage import Outage
from app.wheel.answers import Claimed
from app.wheel.entries import shard_of
from app.wheel.members import Kind, member_of, row_in
from app.wheel.wheel import UNLEASED, Wheel
from app.workers.advance import Advancer
from app.workers.look import Look
from app.workers.looker import Looker
from app.workers.presence import Presence
from app.workers.signals import Point, Signals

FAR_AHEAD_MS = 500
"""How long before its due time a schedule is claimed, if its overlap policy does not look at its runs."""
_CADENCE_MS = 20
_POLL_MS = 100
_RETRY_MS = 250

log = structlog.get_logger()

Claims = list[Claimed]


class Fallback:
    """Claims by the two due indexes on behalf of one worker."""

    def __init__(
        self,
        database: Database,
        wheel: Wheel,
        clock: Clock,
        presence: Presence,
        metrics: Metrics,
        *,
        advancer: Advancer,
        has_plenty_of_room: Callable[[], bool],
        signals: Signals,
    ) -> None:
        """`has_plenty_of_room`: whether there is room for what is due only later, beside what is due now."""
        self._has_plenty_of_room = has_plenty_of_room
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._presence = presence
        self._metrics = metrics
        self._advancer = advancer
        self._signals = signals
        self._ahead = timedelta(milliseconds=wheel.claim_ahead_ms)
        self._far_ahead = max(self._ahead, timedelta(milliseconds=FAR_AHEAD_MS))
        self._looker = Looker(clock, claim_ahead_ms=max(wheel.claim_ahead_ms, FAR_AHEAD_MS))
        self._claimed: Claims = []
        self._set_back: dict[UUID, int] = {}
        self._outage = Outage(clock, "advance_waits")

    async def run_once(self, limit: int) -> tuple[int, int]:
        """Record what is due, up to `limit` schedules and as many executions, and hand it over.

        Returns how many rows were claimed, and when to look again, in ms since the epoch. An outage of Postgres is
        waited out.
        """
        try:
            return await self._run_once(limit)
        except StoreUnavailableException as away:
            self._outage.waits(away)
            return 0, self._clock.now_ms() + _RETRY_MS

    async def _run_once(self, limit: int) -> tuple[int, int]:
        async with self._database.connection() as connection:
            earliest = await due.earliest(connection, ahead=self._ahead, far_ahead=self._reach())
        now = self._clock.now()
        self._set_back = {row_id: until for row_id, until in self._set_back.items() if until > to_ms(now)}
        claimed = 0
        if _has_come(earliest.schedule_at, now):
            claimed += await self._advance(Kind.SCHEDULE, limit)
        if _has_come(earliest.execution_at, now):
            claimed += await self._advance(Kind.EXECUTION, limit)
        if claimed >= limit:
            return claimed, self._clock.now_ms()
        if claimed:
            return claimed, to_ms(now) + _CADENCE_MS
        if self._set_back and (_has_come(earliest.schedule_at, now) or _has_come(earliest.execution_at, now)):
            # What has come is what was set aside, or is in another's hands.
            return 0, to_ms(now) + _POLL_MS
        waiting = [to_ms(at) for at in (earliest.schedule_at, earliest.execution_at) if at is not None]
        return 0, max(min([*waiting, to_ms(now) + _POLL_MS]), to_ms(now) + _CADENCE_MS)

    async def _advance(self, kind: Kind, limit: int) -> int:
        began = self._clock.monotonic()
        try:
            look = await self._look(kind, limit)
        except StoreUnavailableException as away:
            if not away.waited_for:
                raise
            # By the advancer's rules, as from the wheel: those who wait for locks are looked at by themselves.
            self._note_set_back(await self._advancer.run_once(self._claimed))
            return sum(len(claim.members) for claim in self._claimed)
        except Exception:
            if not self._claimed:
                # It is the claiming that fails, and no row's fault.
                raise
            log.exception("advance_failed", category="ERROR", entries=sum(len(one.members) for one in self._claimed))
            look = await self._take_apart()
        entries = sum(len(claim.members) for claim in self._claimed)
        if entries:
            self._metrics.claimed.inc(entries)
            self._metrics.advance_seconds.observe(self._clock.monotonic() - began)
            self._metrics.advance_batch.observe(entries)
            await self._advancer.carry_out(self._claimed, look)
        return entries

    async def _look(self, kind: Kind, limit: int) -> Look:
        owner = self._presence.worker_id

        async def work(connection: Connection) -> Look:
            # Kept for the case that the look fails, when the entries are looked at one by one.
            self._claimed = []
            rows = await self._lock(connection, kind, limit)
            if not rows:
                return Look()
            self._claimed = self._claims(kind, rows)
            await self._signals.reached(Point.CLAIMED)
            return await self._looker.look(connection, [member_of(kind, row.row_id) for row in rows], owner)

        return await self._database.run(work)

    async def _lock(self, connection: Connection, kind: Kind, limit: int) -> list[Claimable]:
        now, without = self._clock.now(), self._set_back
        if kind is Kind.EXECUTION:
            return await due.lock_executions(connection, until=now, without=without, limit=limit)
        return await due.lock_schedules(
            connection, until=now + self._ahead, ahead_until=now + self._reach(), without=without, limit=limit
        )

    def _reach(self) -> timedelta:
        return self._far_ahead if self._has_plenty_of_room() else self._ahead

    def _claims(self, kind: Kind, rows: Sequence[Claimable]) -> Claims:
        parts: dict[int, list[str]] = {}
        for row in rows:
            parts.setdefault(shard_of(row.community_id, self._wheel.shards), []).append(member_of(kind, row.row_id))
        return [
            Claimed(shard, UNLEASED, None, marked=True, loaded=True, members=tuple(members))
            for shard, members in parts.items()
        ]

    async def _take_apart(self) -> Look:
        """Look at each entry by itself, and let those alone for a while that do not go even so."""
        look = await self._advancer.take_apart([member for claim in self._claimed for member in claim.members])
        self._note_set_back(look)
        return look

    def _note_set_back(self, look: Look) -> None:
        for member in look.set_back:
            row_id, until = row_in(member), look.next_due_ms[member]
            if row_id is not None and until is not None:
                self._set_back[row_id] = until


def _has_come(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now
