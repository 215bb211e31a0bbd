"""Whole lives of schedules: whatever callers, targets, workers and outages do, in whatever order.

No instant is recorded twice and none is lost, counts are exact, and an end is an end. What that means is written in
`life.book` and `life.rules`, which know nothing of how the service decides. A failure prints the steps that lead to
it; pasted into an `@example` they are taken again.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.core import breaker, ids
from app.core.occurrences import OnDayOff
from app.delivery.transport import PooledTransport
from app.service import backfilling, creating
from app.store.database import Database
from app.wheel.connection import connect
from tests.integration.workers.life.asking import Patch
from tests.integration.workers.life.ending import end
from tests.integration.workers.life.life import CONCURRENCY, Life, Servers
from tests.integration.workers.life.steps import Step, steps
from tests.integration.workers.life.wanted import Wanted, When, wanteds
from tests.integration.workers.life.working import Work
from tests.receiver import Receiver

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
EXAMPLES = 20_000 if DEEP else 100
EXAMPLE_SECONDS = 60
"""One that fails may leave the next waiting for what it holds: without a bound, shrinking it would never end."""
LONGEST_SECONDS = 0 if DEEP else 600
"""A failure is shrunk for five minutes."""
MOVED = Wanted(When(once=45.137, off=OnDayOff.NEXT_BUSINESS_DAY))
"""It fires a day after its own, where that is off."""


@pytest.fixture
async def servers(database_url: str, redis_url: str) -> AsyncIterator[Servers]:
    database = await Database.open(database_url, pool_size=12)
    redis = connect(redis_url)
    transport = PooledTransport(timeout_seconds=5, connections=CONCURRENCY, user_agent="test")
    async with Receiver() as receiver:
        yield Servers(database, redis, receiver, transport)
        await transport.close()
    await redis.aclose()
    await database.close()


@pytest.fixture
def replayable_ids(monkeypatch: pytest.MonkeyPatch) -> random.Random:
    """Ids that are drawn anew for each example, and the same each time that it is taken: jitter is drawn from them."""
    dice = random.Random()

    def new_id(now_ms: int) -> UUID:
        return ids._stamped(now_ms, dice.getrandbits(74), version=7)

    monkeypatch.setattr(creating, "new_id", new_id)
    monkeypatch.setattr(backfilling, "new_id", new_id)
    return dice


@pytest.fixture
def _no_circuits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that fails on purpose is sent to nevertheless: what waits behind a circuit is another test's."""
    monkeypatch.setattr(breaker, "FAILURES", 1_000_000)


@pytest.mark.timeout(LONGEST_SECONDS)
@pytest.mark.usefixtures("_no_circuits")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(wanted=st.lists(wanteds(), min_size=1, max_size=2), days_off=st.frozensets(st.integers(0, 3)), taken=steps())
@example(wanted=[MOVED], days_off=frozenset({0}), taken=[Work(), Patch(0, {"calendars": None})])
async def test_every_instant_has_one_record_and_every_run_one_end_in_whatever_order_things_happen(
    servers: Servers,
    replayable_ids: random.Random,
    wanted: list[Wanted],
    days_off: frozenset[int],
    taken: Sequence[Step],
) -> None:
    replayable_ids.seed(0)
    servers.receiver.received.clear()
    life = Life(servers)
    async with asyncio.timeout(EXAMPLE_SECONDS):
        await life.begin(wanted, days_off)
        if not life.books:
            return
        for step in taken:
            await step.take(life)
        await end(life)
