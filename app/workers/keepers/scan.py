"""The scan: counts, in production, what must not be, so that nothing stops silently.

It mends nothing: each gap has its keeper. A figure that stays above zero says that a keeper does not do its work, or
that a rule of the firing protocol was broken; `deploy/alerts.yaml` has an alert for each, and `docs/operations.md` says
what to do.

Every worker shows what it counted itself. A figure that was not counted again for a minute and a half is not shown any
more: a worker that never gets the turn, or is cut off, must not show what was true an hour ago.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import partial
from math import nan
from typing import Generic, TypeVar
from uuid import UUID

import structlog

from app.core.clock import EPOCH, Clock, to_ms
from app.metrics import Metrics
from app.store import partitions, scanning, upkeep, workers
from app.store.database import Connection, Database
from app.store.upkeep import FIRST_ID, Keeper, WaitingRow
from app.wheel.connection import AWAY
from app.wheel.entries import shard_of
from app.wheel.members import execution_member, schedule_member
from app.wheel.wheel import Wheel
from app.workers.presence import Presence

PASS_SECONDS = 20.0
"""Longer than any keeper takes for its part: what two passes see was left alone."""
OVERDUE_SECONDS = 10.0
WAKE_OVERDUE_SECONDS = 60.0
SHOWN_SECONDS = 90.0
WINDOW = 10_000
_OLDEST = 1_000

T = TypeVar("T")
Missing = frozenset[tuple[str, int]]

log = structlog.get_logger()


class Kind(StrEnum):
    """What must not be, as the metric's label has it."""

    NOT_IN_WHEEL = "not_in_wheel"  # of the thousand schedules and executions that are overdue longest, at two passes
    OWNERLESS = "ownerless"  # pending under a worker that has no row
    UNKNOWN_TO_OWNER = "unknown_to_owner"  # pending under this worker's id and not in its hands, at two passes
    UNWATCHED = "unwatched"  # unfinished with neither an owner nor a `wake_at`, or with both
    WAKE_OVERDUE = "wake_overdue"  # executions whose `wake_at` passed over a minute ago
    WITHOUT_NEXT = "without_next"  # active schedules with no next occurrence
    WITHOUT_PARTITION = "without_partition"  # today, or tomorrow


class Round(Generic[T]):
    """Counting in a large table part by part, so that a pass costs the same however large it is.

    What it found is shown until a whole round has not found it again.
    """

    def __init__(self, first: T, *kinds: Kind) -> None:
        self._first = first
        self.after = first
        self._before = dict.fromkeys(kinds, 0)
        self._so_far = dict.fromkeys(kinds, 0)

    def add(self, reached: T | None, *counts: int) -> dict[Kind, int]:
        """Take in the part that ended at `reached`, null for the last one; answers what to show."""
        self._so_far = {kind: found + more for (kind, found), more in zip(self._so_far.items(), counts, strict=True)}
        shown = {kind: max(found, self._before[kind]) for kind, found in self._so_far.items()}
        if reached is None:
            shown = self._before = self._so_far
            self._so_far = dict.fromkeys(shown, 0)
        self.after = self._first if reached is None else reached
        return shown


class Scan:
    """Counts what must not be: whole tables part by part, of the overdue the oldest."""

    def __init__(
        self,
        database: Database,
        wheel: Wheel,
        clock: Clock,
        presence: Presence,
        metrics: Metrics,
        *,
        knows: Callable[[UUID], bool],
    ) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._presence = presence
        self._knows = knows
        self._figures: dict[Kind, tuple[int, float]] = {}
        self._missing: Missing = frozenset()
        self._unknown: frozenset[UUID] = frozenset()
        self._unfinished = Round[UUID](FIRST_ID, Kind.OWNERLESS, Kind.UNWATCHED)
        self._schedules = Round[int](0, Kind.WITHOUT_NEXT)
        for kind in Kind:
            metrics.watch_anomaly(kind.value, partial(self.shown, kind))

    def shown(self, kind: Kind) -> float:
        """The figure of a kind; NaN when it could not be counted for a while."""
        figure = self._figures.get(kind)
        if figure is None or self._clock.monotonic() - figure[1] > SHOWN_SECONDS:
            return nan
        return figure[0]

    async def run_once(self) -> dict[Kind, int]:
        """Count; answers what was counted by this pass, without what takes the turn where another has it.

        Raises StoreUnavailableException. Without Redis, what is not in the wheel is not counted.
        """
        counted = {Kind.UNKNOWN_TO_OWNER: await self._count_unknown()}
        async with self._database.transaction() as connection:
            if await upkeep.try_turn(connection, Keeper.SCAN):
                overdue = await self._overdue(connection)
                counted |= await self._count(connection)
            else:
                overdue = None
        if overdue is not None:
            try:
                counted[Kind.NOT_IN_WHEEL] = await self._count_missing(overdue)
            except AWAY:
                self._missing = frozenset()
        at = self._clock.monotonic()
        self._figures |= {kind: (count, at) for kind, count in counted.items()}
        found = {kind.value: count for kind, count in counted.items() if count}
        if found:
            log.error("scan_found", category="ERROR", **found)
        return counted

    async def _count(self, connection: Connection) -> dict[Kind, int]:
        now = self._clock.now()
        unfinished = await scanning.unfinished(connection, self._unfinished.after, window=WINDOW)
        counted = self._unfinished.add(unfinished.reached, unfinished.ownerless, unfinished.unwatched)
        schedules = await scanning.schedules(connection, self._schedules.after, window=WINDOW)
        counted |= self._schedules.add(schedules.reached, schedules.without_next)
        before = now - timedelta(seconds=WAKE_OVERDUE_SECONDS)
        counted[Kind.WAKE_OVERDUE] = await scanning.wake_overdue(connection, before=before)
        today = now.date()
        needed = {today, today + timedelta(days=1)}
        counted[Kind.WITHOUT_PARTITION] = len(needed.intersection(await partitions.missing_days(connection, today)))
        return counted

    async def _overdue(self, connection: Connection) -> Sequence[tuple[str, WaitingRow]]:
        until = self._clock.now() - timedelta(seconds=OVERDUE_SECONDS)
        first = (EPOCH, FIRST_ID)
        found = [
            (schedule_member(due.row_id), due) for due in await upkeep.schedules_due(connection, first, until, _OLDEST)
        ]
        found += [
            (execution_member(due.row_id), due)
            for due in await upkeep.executions_due(connection, first, until, _OLDEST)
        ]
        return found

    async def _count_missing(self, overdue: Sequence[tuple[str, WaitingRow]]) -> int:
        """How many stand nowhere in the wheel, and did not at the last pass: one may be on its way between the two."""
        parts: dict[int, dict[str, int]] = {}
        for member, due in overdue:
            parts.setdefault(shard_of(due.community_id, self._wheel.shards), {})[member] = to_ms(due.due_at)
        missing: Missing = frozenset(
            [
                (member, part[member])
                for shard, part in parts.items()
                for member in await self._wheel.missing(shard, list(part))
            ]
        )
        before, self._missing = self._missing, missing
        return len(missing & before)

    async def _count_unknown(self) -> int:
        """How many are this worker's and not in its hands, and were not at the last pass either."""
        async with self._database.connection() as connection:
            pending = await workers.pending_of(connection, self._presence.worker_id)
        unknown = frozenset(execution_id for execution_id, _ in pending if not self._knows(execution_id))
        before, self._unknown = self._unknown, unknown
        return len(unknown & before)
