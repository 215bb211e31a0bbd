"""The gauges that are asked for when they are scraped: what Postgres and the wheel say of the whole service."""

from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.liveness import DEAD_AFTER_SECONDS
from app.metrics import Metrics
from app.store import gauges, health
from app.store.database import Database
from app.wheel.wheel import Wheel

_COUNTED_EVERY_SECONDS = 30.0


class Gauges:
    """Brings the gauges up to date; never raises because Postgres or Redis is away."""

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self._counted_at = -float("inf")

    async def refresh(self) -> None:
        """Read what is shown."""
        wheel = await self._wheel.state()
        self._metrics.redis_up.set(wheel.connected)
        self._metrics.wheel_behind.set(self._wheel.behind)
        self._metrics.redis_may_evict.set(self._wheel.may_evict)
        if wheel.connected:
            self._metrics.jobs.set(wheel.entries)
        try:
            await self._ask_postgres()
        except StoreUnavailableException:
            self._metrics.postgres_up.set(0)
        else:
            self._metrics.postgres_up.set(1)

    async def _ask_postgres(self) -> None:
        async with self._database.connection() as connection:
            workers = await health.live_workers(connection, silence_seconds=DEAD_AFTER_SECONDS)
            lag = await gauges.due_lag(connection)
            if self._clock.monotonic() - self._counted_at > _COUNTED_EVERY_SECONDS:
                # Counting a million takes a while, so it is not done at every scrape.
                self._metrics.active_schedules.set(await gauges.active_schedules(connection))
                self._counted_at = self._clock.monotonic()
        self._metrics.live_workers.set(workers)
        self._metrics.running.set(workers > 0)
        self._metrics.due_lag_seconds.set(lag.seconds)
        self._metrics.overdue.set(lag.overdue)
