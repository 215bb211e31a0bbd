"""The sweep: offers what Postgres says is overdue, and so closes every gap between a commit and its put."""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from app.core.clock import EPOCH, Clock, to_ms
from app.metrics import Metrics
from app.store import upkeep
from app.store.database import Database
from app.store.upkeep import FIRST_ID, Due
from app.wheel.entries import shard_of
from app.wheel.wheel import Wheel

PASS_SECONDS = 1.0
OVERDUE_SECONDS = 2.0
_PAGE = 1_000
_KEEPER = 2

log = structlog.get_logger()


class Sweep:
    """Finds what is overdue by more than two seconds and not in the wheel, a lost put or a lost entry."""

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics

    async def run_once(self) -> int:
        """Offer everything that is overdue. Returns how many entries were missing.

        Raises StoreUnavailableException, or one of the wheel's `AWAY`.
        """
        until = self._clock.now() - timedelta(seconds=OVERDUE_SECONDS)
        mended = 0
        async with self._database.transaction() as connection:
            if not await upkeep.take_turn(connection, _KEEPER):
                return 0
        for kind, read in (("s:", upkeep.schedules_due), ("x:", upkeep.executions_due)):
            after = (EPOCH, FIRST_ID)
            while True:
                async with self._database.connection() as connection:
                    page = await read(connection, after, until, _PAGE)
                mended += await self._offer(kind, page)
                if len(page) < _PAGE:
                    break
                after = (page[-1].due_at, page[-1].row_id)
        if mended:
            self._metrics.swept.inc(mended)
            log.warning("wheel_swept", category="SYSTEM", entries=mended)
        return mended

    async def _offer(self, kind: str, page: Sequence[Due]) -> int:
        if not page:
            return 0
        marks = await self._wheel.marks()
        parts: dict[int, list[tuple[str, int]]] = {}
        for due in page:
            shard = shard_of(due.community_id, self._wheel.shards)
            parts.setdefault(shard, []).append((f"{kind}{due.row_id}", to_ms(due.due_at)))
        mended = 0
        for shard, entries in parts.items():
            mark = marks[shard]
            # Without a mark the window keeper is about to load the whole shard.
            if mark is not None:
                mended += await self._wheel.offer(shard, mark.epoch, entries) or 0
        return mended
