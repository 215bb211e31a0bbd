"""The keepers of one worker, each of which comes round now and then: they find what the stages have missed."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.metrics import Metrics
from app.settings import Settings
from app.store.database import Database
from app.wheel.connection import AWAY
from app.wheel.wheel import Wheel
from app.workers.keepers import bury, reclaim, retention, scan, sweep, window, zones
from app.workers.presence import Presence

_AFTER_OUTAGE_SECONDS = 1.0

log = structlog.get_logger()


class Keepers:
    """Made for one worker; `knows` says which executions are in its hands, `came_round` is told of each pass by name.

    All are safe to run in any number of workers at once.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        wheel: Wheel,
        clock: Clock,
        presence: Presence,
        metrics: Metrics,
        *,
        knows: Callable[[UUID], bool],
        came_round: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._came_round = came_round
        self._load = asyncio.Event()
        self.window = window.WindowKeeper(database, wheel, clock, metrics)
        self.sweep = sweep.Sweep(database, wheel, clock, metrics)
        self.bury = bury.Bury(database, wheel, clock, metrics)
        self.reclaim = reclaim.Reclaim(database, wheel, clock, presence, metrics, knows=knows)
        self.scan = scan.Scan(database, wheel, clock, presence, metrics, knows=knows)
        self.zones = zones.Zones(database, wheel, clock, metrics)
        self.retention = retention.Retention(
            database,
            clock,
            execution_days=settings.execution_retention_days,
            completed_days=settings.completed_retention_days,
        )

    @property
    def loading(self) -> bool:
        """Whether a shard was found lost, and the window keeper is asked for."""
        return self._load.is_set()

    def load_soon(self) -> None:
        """A shard was found lost: have the window keeper come round at once."""
        self._load.set()

    def loops(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """What is to run for as long as the worker does, by name."""
        return {
            "window": self._window_forever,
            "sweep": lambda: self._keep("sweep", self.sweep.run_once, sweep.PASS_SECONDS),
            "bury": lambda: self._keep("bury", self.bury.run_once, bury.PASS_SECONDS),
            "reclaim": lambda: self._keep("reclaim", self.reclaim.run_once, reclaim.PASS_SECONDS),
            "scan": lambda: self._keep("scan", self.scan.run_once, scan.PASS_SECONDS),
            "zones": lambda: self._keep("zones", self.zones.run_once, zones.PASS_SECONDS),
            "retention": lambda: self._keep("retention", self.retention.run_once, retention.PASS_SECONDS),
        }

    async def _keep(self, name: str, run_once: Callable[[], Awaitable[object]], seconds: float) -> None:
        """One keeper's passes. An outage is waited out in silence here: the stages tell of it."""
        while True:
            try:
                await run_once()
                self._came_round(name)
            except (StoreUnavailableException, *AWAY) as away:
                log.debug("keeper_waits", category="SYSTEM", keeper=name, error=str(away))
            await self._clock.sleep(seconds)

    async def _window_forever(self) -> None:
        while True:
            self._load.clear()
            try:
                await self.window.run_once()
                self._came_round("window")
                pause_seconds = window.UNFINISHED_SECONDS if self.window.unfinished else window.PASS_SECONDS
            except (StoreUnavailableException, *AWAY) as away:
                log.debug("keeper_waits", category="SYSTEM", keeper="window", error=str(away))
                pause_seconds = _AFTER_OUTAGE_SECONDS
            await self._clock.wait(self._load, self._clock.now_ms() + round(pause_seconds * 1000))
