"""The token bucket of a host: over all workers in Redis, and each worker its share while Redis is away."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wheel.connection import connect
from app.wheel.rate import Granted, Rates, Share, Sharing
from app.wheel.wheel import Wheel
from tests.clocks import ManualClock
from tests.integration.wheel.wheels import wheel_of

HOST = "api.example.com"
ALONE = Sharing(workers=1, place=0)


@pytest.fixture
async def other(redis_url: str, clock: ManualClock) -> AsyncIterator[Wheel]:
    """Another worker's wheel."""
    wheel = wheel_of(connect(redis_url), clock)
    yield wheel
    await wheel.close()
    await wheel.client.connection_pool.disconnect()


def key_of(host: str) -> str:
    return f"{{ss:rate:{host}}}"


async def test_workers_share_one_bucket(wheel: Wheel, other: Wheel, clock: ManualClock) -> None:
    first, second = Rates(wheel, clock, lambda: ALONE), Rates(other, clock, lambda: ALONE)
    granted = [await rates.take(HOST, 0.01, 3) for rates in (first, second, first)]
    assert [one.number for one in granted] == [1, 0, 0]
    # By Redis's clock: the next is there after a hundred seconds, less what has passed since.
    assert all(90_000 < one.next_ms <= 100_000 for one in granted)


async def test_a_burst_is_a_seconds_worth_and_then_comes_one_after_the_other(wheel: Wheel, clock: ManualClock) -> None:
    rates = Rates(wheel, clock, lambda: ALONE)
    first = await rates.take(HOST, 2, 5)
    assert first.number == 2
    assert 400 <= first.next_ms <= 500
    # Asked for fewer than there are: the next is there at once.
    assert await rates.take("other.example.com", 5, 3) == Granted(3, 0)


async def test_hosts_and_the_engine_have_buckets_of_their_own(wheel: Wheel, clock: ManualClock) -> None:
    rates = Rates(wheel, clock, lambda: ALONE)
    for host in (None, "engine", HOST, f"{HOST}:8080"):
        assert (await rates.take(host, 0.01, 1)).number == 1
        assert (await rates.take(host, 0.01, 1)).number == 0


async def test_never_more_than_the_rate_and_one_burst(wheel: Wheel, other: Wheel, clock: ManualClock) -> None:
    """By what Redis itself says of the time: nothing here depends on how fast this machine is."""
    rates = [Rates(one, clock, lambda: ALONE) for one in (wheel, other)]
    began, granted = await wheel.client.time(), 0
    for number in range(200):
        granted += (await rates[number % 2].take(HOST, 100, 7)).number
    ended = await wheel.client.time()
    elapsed = (ended[0] - began[0]) + (ended[1] - began[1]) / 1_000_000
    assert 100 <= granted <= 100 + 100 * elapsed


async def test_a_bucket_expires_by_itself_when_it_is_full_again(wheel: Wheel, clock: ManualClock) -> None:
    rates = Rates(wheel, clock, lambda: ALONE)
    await rates.take(HOST, 2, 1)
    assert 0 < await wheel.client.pttl(key_of(HOST)) <= 502


async def test_a_bucket_that_was_filled_by_a_clock_since_set_back_is_an_empty_one(
    wheel: Wheel, clock: ManualClock
) -> None:
    seconds, _ = await wheel.client.time()
    await wheel.client.set(key_of(HOST), (seconds + 86_400) * 1_000_000)
    granted = await Rates(wheel, clock, lambda: ALONE).take(HOST, 10, 1)
    assert granted.number == 0
    assert granted.next_ms <= 101


async def test_scripts_that_redis_has_lost_are_sent_again(wheel: Wheel, clock: ManualClock) -> None:
    rates = Rates(wheel, clock, lambda: ALONE)
    await rates.take(HOST, 100, 1)
    await wheel.client.script_flush()
    assert (await rates.take(HOST, 100, 1)).number == 1


async def test_without_redis_a_worker_has_its_share_and_begins_with_nothing(clock: ManualClock) -> None:
    wheel = wheel_of(connect("redis://127.0.0.1:1/0"), clock)
    sharing = Sharing(workers=4, place=0)
    rates = Rates(wheel, clock, lambda: sharing)
    try:
        # What Redis has granted last is on its way.
        assert (await rates.take(HOST, 40, 50)).number == 0
        granted = 0
        for _ in range(100):
            clock.move(0.02)
            granted += (await rates.take(HOST, 40, 50)).number
        assert 19 <= granted <= 20
        # A pause does not add up to a burst of each worker.
        clock.move(60)
        assert (await rates.take(HOST, 40, 50)).number == 2
        sharing = Sharing(workers=1, place=0)
        clock.move(1)
        assert (await rates.take(HOST, 40, 50)).number == 5
    finally:
        await wheel.close()


@given(
    per_second=st.sampled_from([0.25, 0.5, 1.0, 1.5, 3.0, 4.0, 10.0, 100.0]),
    workers=st.integers(1, 6),
    pauses=st.lists(st.sampled_from([1, 7, 20, 50, 100, 333, 1000, 5000]), min_size=1, max_size=60),
)
def test_together_the_shares_are_never_more_than_the_rate_and_its_burst(
    per_second: float, workers: int, pauses: list[int]
) -> None:
    now = 1_795_000_000_000
    shares = [Share(now) for _ in range(workers)]
    sent: list[int] = []
    for number, pause in enumerate(pauses):
        now += pause
        for place in range(workers):
            worker = (place + number) % workers
            granted = shares[worker].take(per_second, 5, Sharing(workers, worker), now)
            assert granted.next_ms > 0
            sent += [now] * granted.number
    burst = max(1.0, per_second)
    for first in sent:
        assert sum(first <= at < first + 1000 for at in sent) <= per_second + burst + 1e-9


@given(per_second=st.sampled_from([0.25, 1.0, 3.0, 10.0]), workers=st.integers(1, 6))
def test_together_the_shares_are_all_of_the_rate(per_second: float, workers: int) -> None:
    now, until = 1_795_000_000_000, 1_795_000_120_000
    shares = [Share(now) for _ in range(workers)]
    ask_at = [now] * workers
    sent = 0
    while (now := min(ask_at)) < until:
        worker = ask_at.index(now)
        granted = shares[worker].take(per_second, 1, Sharing(workers, worker), now)
        sent += granted.number
        ask_at[worker] = now + max(1, granted.next_ms)
    assert sent >= 0.9 * per_second * 120 - workers


async def test_two_asks_at_once_do_not_share_a_token(wheel: Wheel, clock: ManualClock) -> None:
    rates = Rates(wheel, clock, lambda: ALONE)
    answers = await asyncio.gather(*(rates.take(HOST, 0.01, 1) for _ in range(20)))
    assert sum(one.number for one in answers) == 1
