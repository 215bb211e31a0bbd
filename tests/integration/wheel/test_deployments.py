"""Two deployments at one Redis: the wheel is the first one's, and the other goes on as if Redis were away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from app.wheel.connection import AWAY, connect
from app.wheel.shards import AnothersWheelException
from app.wheel.wheel import Wheel
from tests.clocks import ManualClock
from tests.integration.wheel.wheels import SHARD, SHARDS, claim, entry, standing, wheel_of

OWNER = "{ss}:deployment"
Open = Callable[[str], Wheel]


@pytest.fixture
async def open_wheel(redis_url: str, clock: ManualClock) -> AsyncIterator[Open]:
    """Opens wheels by the names of their deployments."""
    async with AsyncExitStack() as stack:

        def opened(deployment: str) -> Wheel:
            wheel = wheel_of(connect(redis_url, max_connections=4), clock, deployment=deployment)
            stack.push_async_callback(wheel.client.connection_pool.disconnect)
            stack.push_async_callback(wheel.close)
            return wheel

        yield opened


async def loaded(wheel: Wheel) -> None:
    """Load every shard, as the window keeper does."""
    for shard in range(SHARDS):
        await wheel.begin_load(shard, "epoch")
        assert await wheel.raise_mark(shard, "epoch", 1)


async def until(wheel: Wheel, clock: ManualClock, *, away: bool) -> None:
    async with asyncio.timeout(20):
        while wheel.away is not away:
            clock.move(0.1)
            await asyncio.sleep(0.01)


async def test_processes_of_one_deployment_share_the_wheel(open_wheel: Open, clock: ManualClock) -> None:
    one, two = open_wheel("ours"), open_wheel("ours")
    await one.take()
    await loaded(one)
    await two.take()
    await two.put([entry("s:a", clock.now_ms())])
    assert not two.away
    assert (await claim(one)).members == ("s:a",)
    assert None not in await two.marks()


async def test_another_deployment_s_wheel_counts_as_away(open_wheel: Open, clock: ManualClock) -> None:
    first, second = open_wheel("first"), open_wheel("second")
    await first.take()
    await loaded(first)
    await second.take()
    assert second.away
    state = await second.state()
    assert not state.connected
    assert state.error is not None
    assert "another database (first)" in state.error
    await second.put([entry("s:theirs", clock.now_ms())])
    with pytest.raises(AWAY):
        await claim(second)
    assert await standing(first) == {}
    assert None not in await first.marks()
    await first.put([entry("s:ours", clock.now_ms())])
    assert (await claim(first)).members == ("s:ours",)
    # It is asked again and again, and stays so.
    clock.move(60)
    with pytest.raises(AnothersWheelException):
        await second._mend()
    assert second.away


async def test_it_is_taken_over_once_the_other_is_silent_and_nothing_of_it_is_believed(
    open_wheel: Open, clock: ManualClock
) -> None:
    first, second = open_wheel("first"), open_wheel("second")
    await first.take()
    await loaded(first)
    await first.put([entry("s:old", clock.now_ms())])
    await second.take()
    assert 0 < await first.client.pttl(OWNER) <= 180_000
    await first.client.pexpire(OWNER, 1)
    await until(second, clock, away=False)
    assert await first.client.get(OWNER) == b"second"
    assert await second.marks() == [None] * SHARDS
    assert await standing(second) == {}
    # The first one is told as soon as it looks.
    with pytest.raises(AnothersWheelException):
        await first.marks()
    assert first.away


async def test_each_pass_of_a_keeper_keeps_it(open_wheel: Open) -> None:
    wheel = open_wheel("ours")
    await wheel.take()
    await loaded(wheel)
    await wheel.client.pexpire(OWNER, 1_000)
    assert None not in await wheel.marks()
    assert await wheel.client.pttl(OWNER) > 170_000


async def test_a_wheel_that_redis_lost_is_one_s_own_again_and_loaded_anew(open_wheel: Open) -> None:
    wheel = open_wheel("ours")
    await wheel.take()
    await loaded(wheel)
    await wheel.client.delete(OWNER)
    # Whose the marks were in between nobody knows.
    assert await wheel.marks() == [None] * SHARDS
    assert await wheel.client.get(OWNER) == b"ours"
    assert not wheel.away
    await wheel.begin_load(SHARD, "anew")
    assert await wheel.raise_mark(SHARD, "anew", 1)
    assert (await wheel.marks())[SHARD] is not None


async def test_whoever_may_not_ask_for_its_name_is_told_from_nobody(open_wheel: Open, clock: ManualClock) -> None:
    named, unnamed = open_wheel("named"), open_wheel("")
    await named.take()
    await unnamed.take()
    await unnamed.put([entry("s:a", clock.now_ms())])
    assert not unnamed.away
    assert (await claim(named)).members == ("s:a",)
