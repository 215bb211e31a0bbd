"""A wheel over the session's Redis, emptied for each test, and a clock that the test moves."""

from collections.abc import AsyncIterator

import pytest

from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from tests.clocks import ManualClock
from tests.integration.wheel.wheels import wheel_of


@pytest.fixture
def clock() -> ManualClock:
    """Stands still until it is moved."""
    return ManualClock()


@pytest.fixture
async def wheel(redis_url: str, clock: ManualClock) -> AsyncIterator[Wheel]:
    """Four shards, a window of an hour, a claim-ahead of 50 ms."""
    wheel = wheel_of(connect(redis_url), clock)
    yield wheel
    await wheel.close()
    await wheel.client.connection_pool.disconnect()
