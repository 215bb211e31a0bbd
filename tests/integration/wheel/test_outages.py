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
from app.core.tasks import end
from app.embedded.valkey import EmbeddedValkey
from app.wheel.connection import AWAY, connect
from app.wheel.rebuild import throw_away
from app.wheel.wheel import UNLEASED, Wheel
from tests.clocks import START, ManualClock
from tests.integration.wheel.wheels import LEASE_MS, SHARD, SHARDS, claim, entry, standing, wheel_of

NOW = to_ms(START)
# The longest that anyone may wait for a Redis that says nothing, with room for a busy machine.
SOON = 3.5
# The longest that whoever fires or answers a caller may wait for it, and for one that is known to be away.
AT_ONCE, KNOWN = 1.2, 0.3


@pytest.fixture
async def own(server_dir: Path) -> AsyncIterator[EmbeddedValkey]:
    """A Valkey of this test's own, to be killed."""
    async with EmbeddedValkey(server_dir / "valkey-of-a-test", persistent=False) as server:
        yield server


@asynccontextmanager
async def wheel_at(url: str, clock: ManualClock, *, allow_eviction: bool = False) -> AsyncIterator[Wheel]:
    wheel = wheel_of(connect(url, max_connections=4), clock, allow_eviction=allow_eviction)
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


@asynccontextmanager
async def always(answer: bytes) -> AsyncIterator[str]:
    """A server that says the same to every command."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while asked := await reader.read(65_536):
                writer.write(answer * asked.count(b"*"))
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        await server.wait_closed()


async def _until_back(wheel: Wheel, clock: ManualClock) -> None:
    async with asyncio.timeout(20):
        while wheel.away:
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
    await wheel.ack([(SHARD, claims[SHARD].token, [("s:a", NOW + 9)])])
    await wheel.begin_load(SHARD, "epoch")
    await wheel.client.script_flush()
    assert await wheel.offer(SHARD, "epoch", [("s:c", NOW)]) == 1
    await wheel.client.script_flush()
    assert await wheel.raise_mark(SHARD, "epoch", NOW)
    assert not wheel.behind


@pytest.mark.fault("6")
async def test_a_restart_of_redis_is_survived_by_the_same_wheel(own: EmbeddedValkey, clock: ManualClock) -> None:
    async with wheel_at(own.url, clock) as wheel:
        await wheel.put([entry("s:a", NOW)])
        await wheel.begin_load(SHARD, "epoch")
        await own.restart()
        # The first command may find its old connection dead; none after that.
        await wheel.put([entry("s:b", NOW)])
        await _until_back(wheel, clock)
        await wheel.put([entry("s:b", NOW)])
        claimed = await claim(wheel)
        assert (claimed.members, claimed.marked) == (("s:b",), False)


@pytest.mark.fault("7")
async def test_a_put_while_redis_is_dead_does_not_raise_and_drops_the_marks_when_it_is_back(
    own: EmbeddedValkey, clock: ManualClock
) -> None:
    async with wheel_at(own.url, clock) as wheel, wheel_at(own.url, clock) as other:
        await own.kill()
        began = time.monotonic()
        await wheel.put([entry("s:a", NOW), entry("s:b", NOW, 2)])
        assert time.monotonic() - began < AT_ONCE
        assert wheel.behind
        assert wheel.away
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
        await _until_back(wheel, clock)
        assert await other.marks() == [None] * SHARDS
        await wheel.put([entry("s:c", NOW)])
        assert set(await standing(wheel)) == {"s:c"}
        assert not wheel.behind


async def test_every_command_to_a_black_hole_fails_soon(clock: ManualClock) -> None:
    async with black_hole() as url, wheel_at(url, clock) as wheel:
        began = time.monotonic()
        answers = await asyncio.gather(
            claim(wheel),
            wheel.ack([(SHARD, 1, [("s:a", NOW)])]),
            wheel.marks(),
            wheel.clear(),
            # More than there are connections: these wait for one first.
            *(wheel.offer(SHARD, "epoch", [("s:a", NOW)]) for _ in range(4)),
            return_exceptions=True,
        )
        assert all(isinstance(answer, AWAY) for answer in answers)
        assert time.monotonic() - began < SOON
        assert wheel.away


@pytest.mark.fault("8")
async def test_of_a_black_hole_only_those_who_find_out_wait_and_no_longer_than_half_a_second(
    clock: ManualClock,
) -> None:
    async with black_hole() as url, wheel_at(url, clock) as wheel:
        began = time.monotonic()
        # More than there are connections, as requests come.
        await asyncio.gather(*(wheel.put([entry("s:a", NOW)]) for _ in range(12)))
        assert time.monotonic() - began < AT_ONCE
        assert wheel.behind
        began = time.monotonic()
        for _ in range(50):
            await wheel.put([entry("s:a", NOW)])
            with pytest.raises(AWAY):
                await claim(wheel)
            with pytest.raises(AWAY):
                await wheel.ack([(SHARD, 1, [("s:a", NOW)])])
            with pytest.raises(AWAY):
                await wheel.marks()
            assert not (await wheel.state()).connected
        assert time.monotonic() - began < KNOWN


@pytest.mark.fault("8")
async def test_who_waits_for_an_answer_is_told_when_another_finds_redis_away(clock: ManualClock) -> None:
    async with black_hole() as url, wheel_at(url, clock) as wheel:
        # A keeper's question may take two seconds, and a put only half of one.
        asking = asyncio.create_task(wheel.marks())
        await asyncio.sleep(0)
        await wheel.put([entry("s:a", NOW)])
        began = time.monotonic()
        with pytest.raises(AWAY):
            await asking
        assert time.monotonic() - began < KNOWN


@pytest.mark.fault("10")
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
        await _until_back(wheel, clock)
        # Redis did what the lost answer was for; a lease later it is claimed again.
        clock.move(LEASE_MS / 1000 + 1)
        assert (await claim(wheel)).members == ("s:a",)


class GatedWheel(Wheel):
    """A wheel whose dropping of the marks begins when a test says so."""

    drops = 0

    async def _unlink(self, *names: str) -> None:
        self.drops += 1
        self.entered.set()
        await self.go_on.wait()
        await super()._unlink(*names)

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
    await own.start()
    clock.move(0.2)
    await asyncio.wait_for(wheel.entered.wait(), 5)
    # By now the answer to the dropping may be on its way, and the shard be loaded again without this one.
    await wheel.put([entry("s:b", NOW)])
    wheel.go_on.set()
    await _until_back(wheel, clock)
    assert not wheel.behind
    assert wheel.drops == 2
    await wheel.close()
    await client.connection_pool.disconnect()


@pytest.mark.fault("10")
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
            await wheel.ack([(SHARD, claimed.token, [(member, None)])])
            assert (await wheel.state()).entries == 0
        assert not wheel.behind


@pytest.mark.fault("9")
async def test_a_policy_that_evicts_is_refused_unless_allowed(own: EmbeddedValkey, clock: ManualClock) -> None:
    async with wheel_at(own.url, clock) as wheel, wheel_at(own.url, clock, allow_eviction=True) as allowing:
        await wheel.refuse_eviction()
        for policy in ("allkeys-lru", "volatile-ttl", "allkeys-random"):
            await wheel.client.config_set("maxmemory-policy", policy)
            with pytest.raises(ConfigurationException) as refused:
                await wheel.refuse_eviction()
            assert policy in refused.value.detail
            assert "noeviction" in refused.value.detail
            assert len(refused.value.detail.splitlines()) == 1
            await allowing.refuse_eviction()


async def test_a_redis_that_does_not_tell_its_policy_is_not_refused(own: EmbeddedValkey, clock: ManualClock) -> None:
    async with wheel_at(own.url, clock) as wheel:
        rights = ("on", ">secret", "~*", "&*", "+@all", "-config")
        await wheel.client.execute_command("ACL", "SETUSER", "app", *rights)  # type: ignore[no-untyped-call]
        async with wheel_at(own.url.replace(f":{own.password}@", "app:secret@"), clock) as restricted:
            await restricted.refuse_eviction()
            await restricted.put([entry("s:a", NOW)])
            assert not restricted.behind


@pytest.mark.fault("9")
@pytest.mark.parametrize("allowed", [False, True])
async def test_a_policy_that_could_not_be_asked_for_at_the_start_is_looked_at_when_redis_is_back(
    own: EmbeddedValkey, clock: ManualClock, allowed: bool
) -> None:
    async with wheel_at(own.url, clock, allow_eviction=allowed) as wheel:
        await own.kill()
        await wheel.refuse_eviction()
        assert wheel.away
        await own.start()
        async with wheel_at(own.url, clock) as operator:
            await operator.client.config_set("maxmemory-policy", "allkeys-lru")
        await _until_back(wheel, clock)
        assert wheel.may_evict is not allowed


@pytest.mark.fault("8")
async def test_a_redis_that_takes_no_writes_is_away_until_it_takes_them(
    own: EmbeddedValkey, clock: ManualClock
) -> None:
    async with wheel_at(own.url, clock) as wheel, wheel_at(own.url, clock) as operator:
        for broken, mended in (
            (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
            (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        ):
            await wheel.begin_load(SHARD, "epoch")
            await operator.client.execute_command(*broken)  # type: ignore[no-untyped-call]
            await wheel.put([entry("s:a", NOW)])
            assert wheel.away
            assert wheel.behind
            for _ in range(30):
                # It answers to everything else meanwhile.
                clock.move(0.2)
                await operator.client.ping()
            assert wheel.away
            await operator.client.execute_command(*mended)  # type: ignore[no-untyped-call]
            await _until_back(wheel, clock)
            assert not wheel.behind
            assert await wheel.marks() == [None] * SHARDS


async def test_a_redis_that_is_loading_its_file_is_away(clock: ManualClock) -> None:
    async with always(b"-LOADING Redis is loading the dataset in memory\r\n") as url, wheel_at(url, clock) as wheel:
        with pytest.raises(AWAY):
            await claim(wheel)
        assert wheel.away
        await wheel.put([entry("s:a", NOW)])
        assert wheel.behind


async def test_after_a_fall_back_the_wheel_is_thrown_away_before_it_is_used_again(
    own: EmbeddedValkey, clock: ManualClock
) -> None:
    async with wheel_at(own.url, clock) as wheel:
        await wheel.put([entry("s:a", NOW), entry("s:b", NOW + 99)])
        wheel.distrust()
        assert not wheel.behind, "Redis is there"
        os.kill(own.pid, signal.SIGSTOP)
        try:
            with pytest.raises(AWAY):
                await claim(wheel, limit=1)
            wheel.distrust()
            assert wheel.behind
        finally:
            os.kill(own.pid, signal.SIGCONT)
        await _until_back(wheel, clock)
        assert (await wheel.state()).entries == 0
        assert await wheel.marks() == [None] * SHARDS
        assert not wheel.behind


async def test_what_was_claimed_from_postgres_counts_as_a_put_that_failed(
    own: EmbeddedValkey, clock: ManualClock
) -> None:
    async with wheel_at(own.url, clock) as wheel:
        await wheel.ack([(SHARD, UNLEASED, [("s:a", NOW), ("s:b", None)])])
        assert await standing(wheel) == {"s:a": NOW}
        await own.kill()
        await wheel.ack([(SHARD, UNLEASED, [("s:a", NOW)])])
        assert wheel.behind


async def test_of_what_was_claimed_here_and_there_each_counts_as_what_it_is(
    own: EmbeddedValkey, clock: ManualClock
) -> None:
    async with wheel_at(own.url, clock) as wheel:
        await own.kill()
        with pytest.raises(AWAY):
            await wheel.ack([(SHARD, 7, [("s:a", NOW)])])
        assert not wheel.behind
        with pytest.raises(AWAY):
            await wheel.ack([(SHARD, UNLEASED, [("s:a", NOW)]), (SHARD, 7, [("s:b", NOW)])])
        assert wheel.behind


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


async def test_a_redis_that_takes_in_nothing_more_fails_no_end(own: EmbeddedValkey, clock: ManualClock) -> None:
    wheel = wheel_of(connect(own.url, max_connections=4), clock)
    connection = await wheel.client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
    os.kill(own.pid, signal.SIGSTOP)
    try:
        # More than the system's buffers hold: the connection's end would wait for it to have left.
        sending = asyncio.create_task(connection.send_command("ECHO", b"x" * (64 << 20)))
        await asyncio.sleep(0)
        began = time.monotonic()
        await wheel.close()
        assert time.monotonic() - began < SOON
        await end(sending)
    finally:
        os.kill(own.pid, signal.SIGCONT)
