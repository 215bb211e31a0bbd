"""A user of Redis that may not do everything: what the service needs, and what it says of what is lacking."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app.core.clock import to_ms
from app.core.errors import ConfigurationException
from app.core.tasks import end
from app.wheel.connection import AWAY, connect
from app.wheel.rebuild import throw_away
from app.wheel.wakes import listen
from app.wheel.wheel import Wheel
from tests.clocks import START, ManualClock
from tests.integration.wheel.wheels import SHARDS, claim, entry, wheel_of

NOW = to_ms(START)
_DOCS = Path(__file__, "../../../../docs/scaling.md").resolve()
_USER = re.compile(r"^ACL SETUSER \S+ on >\S+ (.+)$", re.MULTILINE)
(_RULES,) = _USER.findall(_DOCS.read_text())
RIGHTS = _RULES.split()
COMMANDS = [rule[1:] for rule in RIGHTS if rule.startswith("+")]


class Operator:
    """Who says what the service's user may do."""

    def __init__(self, redis: Redis, url: str) -> None:
        self._redis = redis
        self.url = re.sub(r"//[^@]*@", "//app:secret@", url)

    async def give(self, *rules: str) -> None:
        await self._redis.execute_command("ACL", "SETUSER", "app", *rules)  # type: ignore[no-untyped-call]


@pytest.fixture
async def operator(redis_url: str) -> AsyncIterator[Operator]:
    """One whose user `app` has the rights that the docs name, and no other."""
    async with Redis.from_url(redis_url) as redis:
        operator = Operator(redis, redis_url)
        await operator.give("reset", "on", ">secret", *RIGHTS)
        yield operator
        await redis.execute_command("ACL", "DELUSER", "app")  # type: ignore[no-untyped-call]


@asynccontextmanager
async def wheel_at(url: str, clock: ManualClock) -> AsyncIterator[Wheel]:
    wheel = wheel_of(connect(url), clock, deployment="a")
    try:
        yield wheel
    finally:
        await wheel.close()


async def _until(clock: ManualClock, wheel: Wheel, *, away: bool) -> None:
    async with asyncio.timeout(20):
        while wheel.away is not away:
            clock.move(0.1)
            await asyncio.sleep(0.01)


def test_whatever_a_script_does_is_among_the_rights_that_the_docs_name() -> None:
    texts = [file.read_text() for file in files("app.wheel").iterdir() if file.name.endswith(".lua")]
    called = {name.lower() for text in texts for name in re.findall(r"redis\.call\('(\w+)'", text)}
    assert called
    assert called <= set(COMMANDS)


async def test_the_rights_that_the_docs_name_are_enough(operator: Operator, clock: ManualClock) -> None:
    async with wheel_at(operator.url, clock) as wheel:
        await wheel.refuse_login()
        await wheel.refuse_eviction()
        await wheel.take()
        for shard in range(SHARDS):
            await wheel.begin_load(shard, "epoch")
            assert await wheel.offer(shard, "epoch", [("s:b", NOW)]) == 1
            assert await wheel.raise_mark(shard, "epoch", NOW)
        await wheel.put([entry("s:a", NOW)])
        claimed = await claim(wheel)
        await wheel.ack([(claimed.shard, claimed.token, [("s:a", NOW)])])
        assert await wheel.missing(claimed.shard, ["s:a"]) == []
        assert (await wheel.state()).connected
        assert None not in await wheel.marks()
        await throw_away(operator.url, shards=SHARDS)
        assert not wheel.away


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_start_is_refused_where_one_of_them_is_lacking(
    operator: Operator, clock: ManualClock, command: str
) -> None:
    await operator.give(f"-{command}")
    said = "EXEC without MULTI" if command == "multi" else f".*'{re.escape(command)}' command"
    async with wheel_at(operator.url, clock) as wheel:
        with pytest.raises(ConfigurationException, match=f"^REDIS_URL: {said}") as refused:
            await wheel.refuse_login()
    assert len(refused.value.detail.splitlines()) == 1


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (("resetkeys", "~other:*"), "access a key"),
        (("resetchannels", "&other"), "access a channel"),
    ],
)
async def test_a_start_is_refused_where_keys_or_the_channel_are_not_its_own(
    operator: Operator, clock: ManualClock, rules: tuple[str, ...], said: str
) -> None:
    await operator.give(*rules)
    async with wheel_at(operator.url, clock) as wheel:
        with pytest.raises(ConfigurationException, match=said):
            await wheel.refuse_login()


async def test_throwing_the_wheel_away_without_the_right_says_which(operator: Operator) -> None:
    await operator.give("-unlink")
    with pytest.raises(ConfigurationException, match=r"^REDIS_URL: .*'unlink' command"):
        await throw_away(operator.url, shards=SHARDS)


async def test_one_that_takes_a_right_away_is_away_until_it_gives_it_back(
    operator: Operator, clock: ManualClock
) -> None:
    async with wheel_at(operator.url, clock) as wheel:
        await wheel.refuse_login()
        with capture_logs() as logs:
            await operator.give("-evalsha")
            with pytest.raises(AWAY):
                await claim(wheel)
            for _ in range(100):
                clock.move(0.2)
                await asyncio.sleep(0.005)
                assert wheel.away
            await operator.give("+evalsha")
            await _until(clock, wheel, away=False)
        assert [line["event"] for line in logs] == ["redis_away", "redis_back"]
        assert "'evalsha' command" in logs[0]["error"]


async def test_one_that_lets_nobody_listen_any_more_is_away(operator: Operator, clock: ManualClock) -> None:
    async with wheel_at(operator.url, clock) as wheel:
        await wheel.refuse_login()
        await operator.give("-subscribe")
        listening = asyncio.create_task(listen(wheel, clock, lambda _: None))
        try:
            await _until(clock, wheel, away=True)
            await operator.give("+subscribe")
            await _until(clock, wheel, away=False)
            assert not listening.done()
        finally:
            await end(listening)
