"""The sweep: offers what Postgres says is overdue, and so closes every gap between a commit and its put."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from app.core.clock import EPOCH, Clock, to_ms
from app.metrics import Metrics
from app.store import upkeep
from app.store.database import Connection, Database
from app.store.upkeep import FIRST_ID, Keeper, WaitingRow
from app.wheel.entries import shard_of
from app.wheel.members import Kind, member_of
from app.wheel.wheel import Wheel

PASS_SECONDS = 1.0
OVERDUE_SECONDS = 2.0
_PAGE = 250
_PAGES = 20
"""What one pass reads of each kind at most; the next goes on there. Behind a crowd a lost entry is found the later.

Pages are short, because a long one holds up what is due meanwhile."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Part:
    """Schedules or executions: how their rows are read, and from where on the next pass reads."""

    kind: Kind
    read: Callable[[Connection, tuple[datetime, UUID], datetime, int], Awaitable[Sequence[WaitingRow]]]
    still_due: Callable[[Connection, Sequence[UUID], datetime], Awaitable[set[UUID]]]
    after: tuple[datetime, UUID] = (EPOCH, FIRST_ID)


class Sweep:
    """Finds what is overdue by more than two seconds and not in the wheel, a lost put or a lost entry.

    What is overdue because there is much of it is in the wheel, due or leased, and is passed over. What has left the
    wheel between the two questions is asked for once more in Postgres: it was just recorded.
    """

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self._parts = (
            _Part(Kind.SCHEDULE, upkeep.schedules_due, upkeep.schedules_still_due),
            _Part(Kind.EXECUTION, upkeep.executions_due, upkeep.executions_still_due),
        )

    async def run_once(self) -> int:
        """Offer what is overdue and missing. Returns how many entries were.

        Raises StoreUnavailableException, or one of the wheel's `AWAY`.
        """
        until = self._clock.now() - timedelta(seconds=OVERDUE_SECONDS)
        async with self._database.transaction() as connection:
            # Ends before Redis is asked. Two that sweep at once offer the same, and an offer is idempotent.
            if not await upkeep.try_turn(connection, Keeper.SWEEP):
                return 0
        mended = sum([await self._sweep(part, until) for part in self._parts])
        if mended:
            self._metrics.swept.inc(mended)
            log.warning("wheel_swept", category="SYSTEM", entries=mended)
        return mended

    async def _sweep(self, part: _Part, until: datetime) -> int:
        mended = 0
        for _ in range(_PAGES):
            async with self._database.connection() as connection:
                page = await part.read(connection, part.after, until, _PAGE)
            mended += await self._offer(part, page, until)
            if len(page) < _PAGE:
                part.after = (EPOCH, FIRST_ID)
                break
            part.after = (page[-1].due_at, page[-1].row_id)
        return mended

    async def _offer(self, part: _Part, page: Sequence[WaitingRow], until: datetime) -> int:
        if not page:
            return 0
        marks = await self._wheel.marks()
        shards: dict[int, dict[str, WaitingRow]] = {}
        for due in page:
            members = shards.setdefault(shard_of(due.community_id, self._wheel.shards), {})
            members[member_of(part.kind, due.row_id)] = due
        mended = 0
        for shard, entries in shards.items():
            mark = marks[shard]
            if mark is None:
                # The window keeper is about to load the whole shard.
                continue
            due_ms = [(member, to_ms(due.due_at)) for member, due in entries.items()]
            lacking = [entries[member] for member in await self._wheel.lacking(shard, due_ms)]
            if not lacking:
                continue
            async with self._database.connection() as connection:
                still_due = await part.still_due(connection, [due.row_id for due in lacking], until)
            offered = [
                (member_of(part.kind, due.row_id), to_ms(due.due_at)) for due in lacking if due.row_id in still_due
            ]
            mended += await self._wheel.offer(shard, mark.epoch, offered) or 0
        return mended
