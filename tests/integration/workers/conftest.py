from collections.abc import AsyncIterator

import pytest

from app.metrics import Metrics
from app.service.executions import ExecutionService
from app.service.schedules import ScheduleService
from app.store.database import Database
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from tests.clocks import ManualClock
from tests.integration.workers.asking import Asking
from tests.integration.workers.rig import Rig
from tests.receiver import Receiver


@pytest.fixture
async def rig(database_url: str, redis_url: str) -> AsyncIterator[Rig]:
    """Servers, a receiver and the callers' services, on a clock that stands."""
    database = await Database.open(database_url, pool_size=24)
    clock, metrics = ManualClock(), Metrics()
    wheel = Wheel(connect(redis_url), clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
    async with Receiver() as receiver:
        made = Rig(
            database=database,
            wheel=wheel,
            clock=clock,
            receiver=receiver,
            schedules=ScheduleService(database, wheel, clock),
            executions=ExecutionService(database, wheel, clock, metrics),
            metrics=metrics,
            transports=[],
        )
        yield made
        for transport in made.transports:
            await transport.close()
    await wheel.close()
    await database.close()


@pytest.fixture
def asking(rig: Rig) -> Asking:
    """The rig, and who explains what happens on it."""
    return Asking.on(rig)
