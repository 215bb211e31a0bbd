"""The window keeper: puts what comes into the wheel's window there, and loads a shard that was lost.

Only what is due within the window stands in the wheel, so Redis's memory follows the firing rate and not the number of
schedules. A missing mark says that a shard was lost (FLUSHALL, an empty replica): the same pass then loads all of it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import structlog

from app.core.clock import EPOCH, Clock, from_ms, to_ms
from app.metrics import Metrics
from app.store import upkeep
from app.store.database import Connection, Database
from app.store.upkeep import FIRST_ID, Keeper, WaitingRow
from app.wheel.answers import Mark
from app.wheel.entries import shard_of
from app.wheel.members import Kind, member_of
from app.wheel.wheel import Wheel

PASS_SECONDS = 60.0
UNFINISHED_SECONDS = 5.0
"""When to look again after a load that another has begun, and may not live to finish."""
_PAGE = 2_000

log = structlog.get_logger()

Read = Callable[[Connection, tuple[datetime, UUID], datetime, int], Awaitable[Sequence[WaitingRow]]]


@dataclass(slots=True)
class _Shard:
    """A shard being brought up to date; `lost` once its epoch was found gone on the way."""

    mark: Mark
    mended: int = 0
    lost: bool = False


class WindowKeeper:
    """Keeps the wheel complete up to the window's end."""

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self.unfinished = False

    async def run_once(self) -> int:
        """Offer what has come into the window since the last pass, and all of it where a shard was lost.

        Returns how many entries were missing. Raises StoreUnavailableException, or one of the wheel's `AWAY`.
        """
        until_ms = self._clock.now_ms() + self._wheel.window_ms
        # A shard that is complete far beyond the window was marked before the clock was set back: what was put since
        # was measured by the window as it is now, and what lies between the two ends is known to nobody.
        sane_ms = until_ms + int(PASS_SECONDS * 1000)
        marks = [
            mark if mark is None or mark.loaded_until_ms <= sane_ms else None for mark in await self._wheel.marks()
        ]
        # Another worker's pass may just have been here.
        stale_ms = until_ms - int(PASS_SECONDS * 500)
        wanting = [number for number, mark in enumerate(marks) if mark is None or mark.loaded_until_ms < stale_ms]
        self.unfinished = any(mark is None or mark.loaded_until_ms == 0 for mark in marks)
        if not wanting or not await self._my_turn():
            return 0
        shards: dict[int, _Shard] = {}
        for number in wanting:
            # The epoch is written before Postgres is read: what changes after the read finds it and puts itself.
            mark = marks[number] or await self._wheel.begin_load(number, uuid4().hex)
            shards[number] = _Shard(mark)
        lowest_ms = min(shard.mark.loaded_until_ms for shard in shards.values())
        await self._offer_all(Kind.SCHEDULE, upkeep.schedules_due, lowest_ms, until_ms, shards)
        await self._offer_all(Kind.EXECUTION, upkeep.executions_due, lowest_ms, until_ms, shards)
        for number, shard in shards.items():
            shard.lost = shard.lost or not await self._wheel.raise_mark(number, shard.mark.epoch, until_ms)
        self.unfinished = any(shard.lost for shard in shards.values())
        mended = sum(shard.mended for shard in shards.values())
        self._metrics.loaded.inc(mended)
        if lowest_ms == 0:
            reloaded = [number for number, shard in shards.items() if shard.mark.loaded_until_ms == 0]
            log.info("wheel_loaded", category="SYSTEM", shards=len(reloaded), entries=mended)
        return mended

    async def _my_turn(self) -> bool:
        # Released at once: two that then offer at the same time only repeat each other.
        async with self._database.transaction() as connection:
            return await upkeep.try_turn(connection, Keeper.WINDOW)

    async def _offer_all(
        self, kind: Kind, read: Read, lowest_ms: int, until_ms: int, shards: dict[int, _Shard]
    ) -> None:
        async for page in self._pages(read, lowest_ms, until_ms):
            parts: dict[int, list[tuple[str, int]]] = {}
            for due in page:
                number, due_ms = shard_of(due.community_id, self._wheel.shards), to_ms(due.due_at)
                shard = shards.get(number)
                if shard is not None and not shard.lost and due_ms > shard.mark.loaded_until_ms:
                    parts.setdefault(number, []).append((member_of(kind, due.row_id), due_ms))
            for number, entries in parts.items():
                shard = shards[number]
                mended = await self._wheel.offer(number, shard.mark.epoch, entries)
                shard.lost = mended is None
                shard.mended += mended or 0

    async def _pages(self, read: Read, lowest_ms: int, until_ms: int) -> AsyncIterator[Sequence[WaitingRow]]:
        # From the beginning of time for a lost shard: what is overdue is in the window too.
        after = (from_ms(lowest_ms) if lowest_ms else EPOCH, FIRST_ID)
        while True:
            async with self._database.connection() as connection:
                page = await read(connection, after, from_ms(until_ms), _PAGE)
            if page:
                yield page
            if len(page) < _PAGE:
                return
            after = (page[-1].due_at, page[-1].row_id)
