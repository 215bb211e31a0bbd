"""Partitions and retention: tomorrow's partitions are made days ahead, and what has served its time goes.

What goes is gone for good: a Postgres whose clock was set ahead costs no history, unless this machine's was too.
"""

from datetime import timedelta

import structlog

from app.core.clock import Clock
from app.store import partitions, retention, upkeep
from app.store.database import Database
from app.store.upkeep import Keeper

PASS_SECONDS = 10.0
_LIMIT = 500
_ROUNDS = 20

log = structlog.get_logger()


class Retention:
    """Makes and drops the executions' partitions, and removes completed schedules."""

    def __init__(self, database: Database, clock: Clock, *, execution_days: int, completed_days: int) -> None:
        self._database = database
        self._clock = clock
        self._execution_days = execution_days
        self._completed_days = completed_days

    async def run_once(self) -> tuple[int, int]:
        """One pass. Returns how many partitions were made and dropped; one that is in use waits for the next pass.

        Raises StoreUnavailableException.
        """
        async with self._database.transaction() as connection:
            if not await upkeep.try_turn(connection, Keeper.RETENTION):
                return 0, 0
            missing = await partitions.missing_days(connection, self._clock.now().date())
            expired = await partitions.expired(connection, self._clock.surely().date(), self._execution_days)
        # Partitions first: a deletion that takes too long must not keep tomorrow's from being made.
        made = [day.isoformat() for day in missing if await partitions.make(self._database, day)]
        dropped = [name for name in expired if await partitions.drop(self._database, name)]
        removed = await self._let_go()
        if made or dropped or removed:
            log.info("retention", category="SYSTEM", made=made, dropped=dropped, removed_schedules=removed)
        return len(made), len(dropped)

    async def _let_go(self) -> int:
        """Delete what has served its time. Returns how many schedules were removed."""
        surely = self._clock.surely()
        completed_before = surely - timedelta(days=self._completed_days)
        removed = 0
        for _ in range(_ROUNDS):
            found = await self._database.run(
                lambda connection: retention.remove_completed(
                    connection, completed_before=completed_before, now=self._clock.now(), limit=_LIMIT
                )
            )
            removed += found
            if found < _LIMIT:
                break
        superseded_before = surely - timedelta(days=self._execution_days + partitions.DAYS_BEHIND + 1)
        async with self._database.transaction() as connection:
            await retention.forget_idempotency_keys(connection, now=surely)
            await retention.forget_revisions(connection, superseded_before=superseded_before, limit=_LIMIT)
            await partitions.drop_expired_of_default(connection, surely - timedelta(days=self._execution_days))
        return removed
