from collections.abc import AsyncIterator

import pytest

from app.core.clock import DatabaseClock
from app.service.schedules import ScheduleService
from app.store.database import Database
from app.store.preparing import prepare
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from tests.chaos.cluster import Cluster
from tests.receiver import Receiver


@pytest.fixture
async def cluster(database_url: str, redis_url: str) -> AsyncIterator[Cluster]:
    """Real servers and real time; the test starts workers and ends them as it likes."""
    clock = DatabaseClock()
    await prepare(database_url, clock)
    database = await Database.open(database_url, pool_size=8)
    await database.measure(clock)
    wheel = Wheel(connect(redis_url), clock, shards=16, window_seconds=3600, claim_ahead_ms=50)
    async with Receiver() as receiver:
        yield Cluster(database, database_url, redis_url, wheel, receiver, ScheduleService(database, wheel, clock))
    await wheel.close()
    await database.close()
