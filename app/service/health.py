"""How the service does: for callers, for Kubernetes, and for the first look in an incident."""

from dataclasses import dataclass
from datetime import timedelta

from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.liveness import DEAD_AFTER_SECONDS
from app.store import health, schema
from app.store.database import Database
from app.wheel.wheel import Wheel

_OVERDUE_AFTER = timedelta(seconds=2)
_COUNTED_OVERDUE = 10_000
_COUNTED_AT_ONCE = 10_000
_REMEMBERED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Health:
    """What health shows. A figure is null where what it is read from does not answer.

    `active_schedules` are the community's, null without one; `overdue_count` (active schedules that were due over two
    seconds ago, counted up to 10 000) and `wheel_depth` are the whole service's.
    """

    scheduler_running: bool | None
    live_workers: int | None
    database_connected: bool
    redis_connected: bool
    active_schedules: int | None
    overdue_count: int | None
    wheel_depth: int | None
    able: bool


class HealthService:
    """Never raises because Postgres or Redis is away: that is what it tells."""

    def __init__(self, database: Database, wheel: Wheel, clock: Clock) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._remembered: dict[int, tuple[float, int]] = {}

    async def check(self, community_id: int | None) -> Health:
        """The state of everything the service needs, and the figures of one community."""
        wheel = await self._wheel.state()
        depth = wheel.entries if wheel.connected else None
        try:
            async with self._database.connection() as connection:
                workers = await health.live_workers(connection, silence_seconds=DEAD_AFTER_SECONDS)
                overdue = await health.overdue(
                    connection, before=self._clock.now() - _OVERDUE_AFTER, at_most=_COUNTED_OVERDUE
                )
            active = None if community_id is None else await self._active(community_id)
        except StoreUnavailableException:
            return Health(None, None, False, wheel.connected, None, None, depth, False)
        return Health(workers > 0, workers, True, wheel.connected, active, overdue, depth, True)

    async def ready(self) -> bool:
        """Whether requests can be served: Postgres answers and has the schema that this code needs."""
        try:
            async with self._database.connection() as connection:
                return await schema.is_current(connection)
        except StoreUnavailableException:
            return False

    async def _active(self, community_id: int) -> int:
        """Exact; of a large community up to half a minute old, because counting a million takes a while."""
        remembered = self._remembered.get(community_id)
        if remembered is not None and remembered[0] + _REMEMBERED_SECONDS > self._clock.monotonic():
            return remembered[1]
        async with self._database.connection() as connection:
            count = await health.active_schedules(connection, community_id, at_most=_COUNTED_AT_ONCE)
            if count < _COUNTED_AT_ONCE:
                self._remembered.pop(community_id, None)
                return count
            count = await health.active_schedules(connection, community_id, at_most=None)
        self._remembered[community_id] = (self._clock.monotonic(), count)
        return count
