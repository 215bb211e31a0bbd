"""Wakes: published only for what became the earliest and is due soon."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core.clock import to_ms
from app.wheel.wakes import listen
from app.wheel.wheel import WAKE_CHANNEL, Wheel
from tests.clocks import START, ManualClock
from tests.integration.wheel.wheels import SHARD, SHARDS, claim, community_in, entry

NOW = to_ms(START)
SOON = NOW + 2_000


class Listener:
    """Who listens, and what was heard, in order."""

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._heard: asyncio.Queue[int | None] = asyncio.Queue()

    def woken(self, shard: int | None) -> None:
        self._heard.put_nowait(shard)

    async def heard(self) -> list[int | None]:
        """What was heard until now: a wake of our own comes after all that was published before."""
        await self._wheel.client.publish(WAKE_CHANNEL, 99)
        found: list[int | None] = []
        while (shard := await asyncio.wait_for(self._heard.get(), 5)) != 99:
            found.append(shard)
        return found

    async def next(self) -> int | None:
        return await asyncio.wait_for(self._heard.get(), 5)


@pytest.fixture
async def listener(wheel: Wheel, clock: ManualClock) -> AsyncIterator[Listener]:
    listener = Listener(wheel)
    task = asyncio.create_task(listen(wheel, clock, listener.woken))
    # It stands once it has said "any shard".
    assert await listener.next() is None
    yield listener
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_becomes_the_earliest_and_is_soon_wakes(wheel: Wheel, listener: Listener) -> None:
    await wheel.put([entry("s:a", NOW + 1_500)])
    assert await listener.heard() == [SHARD]
    await wheel.put([entry("s:b", NOW + 1_499)])
    assert await listener.heard() == [SHARD]
    await wheel.put([entry("s:b", NOW - 10_000)])
    assert await listener.heard() == [SHARD]


async def test_of_what_is_put_together_the_earliest_wakes_wherever_it_stands(wheel: Wheel, listener: Listener) -> None:
    await wheel.put([entry("s:late", SOON + 1), entry("s:soon", NOW + 1_500), entry("s:later", SOON + 2)])
    assert await listener.heard() == [SHARD]


async def test_what_is_not_the_earliest_wakes_nobody(wheel: Wheel, listener: Listener) -> None:
    await wheel.put([entry("s:a", NOW + 100)])
    assert await listener.heard() == [SHARD]
    await wheel.put([entry("s:b", NOW + 100), entry("s:c", NOW + 500), entry("s:a", NOW + 100)])
    assert await listener.heard() == []


async def test_what_is_not_due_soon_wakes_nobody(wheel: Wheel, listener: Listener) -> None:
    await wheel.put([entry("s:a", SOON + 1)])
    assert await listener.heard() == []
    await wheel.put([entry("s:b", SOON)])
    assert await listener.heard() == [SHARD]


async def test_what_is_left_out_of_the_window_wakes_nobody(wheel: Wheel, listener: Listener) -> None:
    await wheel.put([entry("s:a", NOW + 10**9)])
    assert await listener.heard() == []


async def test_an_ack_wakes_as_a_put_does(wheel: Wheel, listener: Listener) -> None:
    await wheel.put([entry("s:a", NOW)])
    claimed = await claim(wheel)
    assert await listener.heard() == [SHARD]
    await wheel.ack([(SHARD, claimed.token, [("s:a", NOW + 1_000)])])
    assert await listener.heard() == [SHARD]


async def test_each_shard_wakes_by_its_own_earliest(wheel: Wheel, listener: Listener) -> None:
    await wheel.put([entry("s:a", NOW, community_in(shard)) for shard in range(SHARDS)])
    assert sorted(shard for shard in await listener.heard() if shard is not None) == list(range(SHARDS))


async def test_a_listener_whose_connection_is_cut_listens_again(
    wheel: Wheel, clock: ManualClock, listener: Listener
) -> None:
    await wheel.client.client_kill_filter(_type="pubsub")
    # It waits a moment by the clock before it tries again.
    again = asyncio.create_task(listener.next())
    while not again.done():
        clock.move(0.1)
        await asyncio.sleep(0)
    assert await again is None
    await wheel.put([entry("s:a", NOW)])
    assert await listener.heard() == [SHARD]


@pytest.mark.parametrize("payload", ["", "shard", "1.5", "9" * 5000, b"\xff"])
async def test_a_wake_that_names_no_shard_does_not_end_the_listening(
    wheel: Wheel, listener: Listener, payload: str | bytes
) -> None:
    await wheel.client.publish(WAKE_CHANNEL, payload)
    assert await listener.heard() in ([], [None])
