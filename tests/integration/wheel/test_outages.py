"""Redis away, restarted, black-holed, or out of step: what the wheel makes of it."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.core.clock import to_ms
from app.core.errors import ConfigurationException
from app.embedded.valkey import EmbeddedValkey
from app.wheel.connection import AWAY, connect, refuse_eviction
from app.wheel.rebuild import throw_away
from app.wheel.wheel import Wheel
from tests.clocks import START, ManualClock
from tests.integration.wheel.wheels import LEASE_MS, SHARD, SHARDS, claim, entry, standing, wheel_of

NOW = to_ms(START)
# The longest that a caller may wait for a Redis that says nothing, with room for a busy machine.
SOON = 3.5


@pytest.fixture
async def own(server_dir: Path) -> AsyncIterator[EmbeddedValkey]:
    """A Valkey of this test's own, to be killed."""
    async with EmbeddedValkey(server_dir / "valkey-of-a-test", persistent=False) as server:
        yield server


@asynccontextmanager
async def wheel_at(url: str, clock: ManualClock) -> AsyncIterator[Wheel]:
    wheel = wheel_of(connect(url, max_connections=4), clock)
    try:
        yield wheel
    finally:
        await wheel.close()
        await wheel.client.connection_pool.disconnect()


@asynccontextmanager
async def black_hole() -> AsyncIterator[str]:
    """A server that accepts and never answers."""
    writers = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while await reader.read(65_536):
                pass
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


async def _until_repaired(wheel: Wheel, clock: ManualClock) -> None:
    async with asyncio.timeout(20):
        while wheel.behind:
            clock.move(0.1)
            await asyncio.sleep(0.01)


async def test_flushed_scripts_are_sent_again(wheel: Wheel) -> None:
    await wheel.put([entry("s:a", NOW)])
    await wheel.client.script_flush()
    await wheel.put([entry("s:b", NOW)])
    await wheel.client.script_flush()
    claims = await wheel.claim(range(SHARDS), limit=10, lease_ms=LEASE_MS)
    assert claims[SHARD].members == ("s:a", "s:b")
    await wheel.client.script_flush()
    await wheel.ack(SHARD, claims[SHARD].token, [("s:a", NOW + 9)])
    await wheel.begin_load(SHARD, "epoch")
    await wheel.client.script_flush()
    assert await wheel.offer(SHARD, "epoch", [("s:c", NOW)]) == 1
    await wheel.client.script_flush()
    assert await wheel.raise_mark(SHARD, "epoch", NOW)
    assert not wheel.behind


async def test_a_restart_of_redis_is_survived_by_the_same_wheel(own: EmbeddedValkey, clock: ManualClock) -> None:
    async with wheel_at(own.url, clock) as wheel:
        await wheel.put([entry("s:a", NOW)])
        await wheel.begin_load(SHARD, "epoch")
        await own.restart()
        # The first command may find its old connection dead; none after that.
        await wheel.put([entry("s:b", NOW)])
        await _until_repaired(wheel, clock)
        await wheel.put([entry("s:b", NOW)])
        claimed = await claim(wheel)
        assert (claimed.members, claimed.marked) == (("s:b",), False)


async def test_a_put_while_redis_is_dead_does_not_raise_and_drops_the_marks_when_it_is_back(
    own: EmbeddedValkey, clock: ManualClock
) -> None:
    async with wheel_at(own.url, clock) as wheel, wheel_at(own.url, clock) as other:
        await own.kill()
        began = time.monotonic()
        await wheel.put([entry("s:a", NOW), entry("s:b", NOW, 2)])
        assert time.monotonic() - began < SOON
        assert wheel.behind
        state = await wheel.state()
        assert not state.connected
        assert state.error
        with pytest.raises(AWAY):
            await claim(wheel)

        await own.start()
        # Another worker loads every shard before this one notices that Redis is back.
        for shard in range(SHARDS):
            await other.begin_load(shard, "too early")
            await other.raise_mark(shard, "too early", NOW + 1)
        await _until_repaired(wheel, clock)
        assert await other.marks() == [None] * SHARDS
        await wheel.put([entry("s:c", NOW)])
        assert set(await standing(wheel)) == {"s:c"}
        assert not wheel.behind


async def test_every_command_to_a_black_hole_fails_soon(clock: ManualClock) -> None:
    async with black_hole() as url, wheel_at(url, clock) as wheel:
        began = time.monotonic()
        answers = await asyncio.gather(
            claim(wheel),
            wheel.ack(SHARD, 1, [("s:a", NOW)]),
            wheel.marks(),
            wheel.drop_marks(),
            # More than there are connections: these wait for one first.
            *(wheel.offer(SHARD, "epoch", [("s:a", NOW)]) for _ in range(4)),
            return_exceptions=True,
        )
        assert all(isinstance(answer, AWAY) for answer in answers)
        assert time.monotonic() - began < SOON
        began = time.monotonic()
        await asyncio.gather(*(wheel.put([entry("s:a", NOW)]) for _ in range(4)))
        assert wheel.behind
        assert time.monotonic() - began < SOON


async def test_a_redis_that_is_stopped_in_the_middle_fails_soon_and_comes_back(
    own: EmbeddedValkey, clock: ManualClock
) -> None:
    async with wheel_at(own.url, clock) as wheel:
        await wheel.put([entry("s:a", NOW)])
        os.kill(own.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(AWAY):
                await claim(wheel)
            assert time.monotonic() - began < SOON
        finally:
            os.kill(own.pid, signal.SIGCONT)
        # Redis did what the lost answer was for; a lease later it is claimed again.
        clock.move(LEASE_MS / 1000 + 1)
        assert (await claim(wheel)).members == ("s:a",)


class GatedWheel(Wheel):
    """A wheel whose dropping of the marks begins when a test says so."""

    drops = 0

    async def drop_marks(self) -> None:
        self.drops += 1
        self.entered.set()
        await self.go_on.wait()
        await super().drop_marks()

    entered: asyncio.Event
    go_on: asyncio.Event


async def test_a_put_that_fails_while_the_marks_are_dropped_has_them_dropped_once_more(
    own: EmbeddedValkey, clock: ManualClock
) -> None:
    client = connect(own.url)
    wheel = GatedWheel(client, clock, shards=SHARDS, window_seconds=3600, claim_ahead_ms=50)
    wheel.entered, wheel.go_on = asyncio.Event(), asyncio.Event()
    await own.kill()
    await wheel.put([entry("s:a", NOW)])
    await asyncio.wait_for(wheel.entered.wait(), 5)
    # By now the answer to the dropping may be on its way, and the shard be loaded again without this one.
    await wheel.put([entry("s:b", NOW)])
    await own.start()
    wheel.go_on.set()
    await _until_repaired(wheel, clock)
    assert wheel.drops == 2
    await wheel.close()
    await client.connection_pool.disconnect()


async def test_cancelled_commands_leave_no_connection_out_of_step(redis_url: str, clock: ManualClock) -> None:
    async with wheel_at(redis_url, clock) as wheel:
        await wheel.begin_load(SHARD, "epoch")
        for round_ in range(150):
            member = f"s:{round_}"
            tasks = [
                asyncio.create_task(wheel.put([entry(member, NOW)])),
                asyncio.create_task(wheel.marks()),
                asyncio.create_task(wheel.claim(range(SHARDS), limit=0, lease_ms=1)),
                asyncio.create_task(wheel.state()),
            ]
            # At another step of the exchange each time: before it is sent, while it is on its way, while it is read.
            for _ in range(round_ % 30):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            mark = (await wheel.marks())[SHARD]
            assert mark is not None
            assert mark.epoch == "epoch"
            await wheel.put([entry(member, NOW)])
            claimed = await claim(wheel, limit=10)
            assert claimed.members == (member,)
            await wheel.ack(SHARD, claimed.token, [(member, None)])
            assert (await wheel.state()).entries == 0
        assert not wheel.behind


async def test_a_policy_that_evicts_is_refused_unless_allowed(own: EmbeddedValkey, clock: ManualClock) -> None:
    async with wheel_at(own.url, clock) as wheel:
        await refuse_eviction(wheel.client, allowed=False)
        for policy in ("allkeys-lru", "volatile-ttl", "allkeys-random"):
            await wheel.client.config_set("maxmemory-policy", policy)
            with pytest.raises(ConfigurationException) as refused:
                await refuse_eviction(wheel.client, allowed=False)
            assert policy in refused.value.detail
            assert "noeviction" in refused.value.detail
            assert len(refused.value.detail.splitlines()) == 1
            await refuse_eviction(wheel.client, allowed=True)


async def test_a_redis_that_does_not_tell_its_policy_or_is_away_is_not_refused(
    own: EmbeddedValkey, clock: ManualClock
) -> None:
    async with wheel_at(own.url, clock) as wheel:
        rights = ("on", ">secret", "~*", "&*", "+@all", "-config")
        await wheel.client.execute_command("ACL", "SETUSER", "app", *rights)  # type: ignore[no-untyped-call]
        async with wheel_at(own.url.replace(f":{own.password}@", "app:secret@"), clock) as restricted:
            await refuse_eviction(restricted.client, allowed=False)
            await restricted.put([entry("s:a", NOW)])
            assert not restricted.behind
        await own.kill()
        await refuse_eviction(wheel.client, allowed=False)


async def test_the_wheel_is_thrown_away_on_an_operators_word(redis_url: str, wheel: Wheel) -> None:
    await wheel.put([entry("s:a", NOW)])
    await wheel.begin_load(SHARD, "epoch")
    await throw_away(redis_url, shards=SHARDS)
    assert (await wheel.state()).entries == 0
    assert await wheel.marks() == [None] * SHARDS


async def test_throwing_a_wheel_away_that_is_not_there_says_so() -> None:
    async with black_hole() as url:
        with pytest.raises(ConfigurationException, match="Redis does not answer"):
            await throw_away(url, shards=SHARDS)
