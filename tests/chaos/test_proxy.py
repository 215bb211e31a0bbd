"""The proxy breaks connections as it is told, and only then."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.proxy import Mode, Proxy

_opened: list["Client"] = []


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    """Every client hangs up in the end."""
    yield
    while _opened:
        writer = _opened.pop().writer
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers each line with itself: its port, and what it was sent."""
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                sent.append(line)
                writer.write(line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], sent
    server.close()


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, proxy: Proxy) -> "Client":
        client = cls(*await asyncio.open_connection("127.0.0.1", proxy.port))
        _opened.append(client)
        return client

    async def ask(self, line: bytes, *, seconds: float = 5) -> bytes:
        self.writer.write(line)
        async with asyncio.timeout(seconds):
            return await self.reader.readline()

    async def is_cut(self) -> bool:
        try:
            async with asyncio.timeout(5):
                return await self.reader.read() == b""
        except ConnectionError:
            return True


async def test_it_passes_what_it_is_given() -> None:
    async with echo() as (port, _), Proxy(port) as proxy:
        client = await Client.to(proxy)
        assert await client.ask(b"one\n") == b"one\n"
        assert await client.ask(b"two\n") == b"two\n"


async def test_a_black_hole_accepts_and_never_answers_and_is_cut_when_it_is_over() -> None:
    async with echo() as (port, sent), Proxy(port) as proxy:
        stood = await Client.to(proxy)
        assert await stood.ask(b"before\n") == b"before\n"
        proxy.turn(Mode.BLACK_HOLE)
        came = await Client.to(proxy)
        for client in (stood, came):
            with pytest.raises(TimeoutError):
                await client.ask(b"lost\n", seconds=0.1)
        assert sent == [b"before\n"]
        proxy.turn(Mode.PASS)
        assert await stood.is_cut()
        assert await came.is_cut()
        assert await (await Client.to(proxy)).ask(b"after\n") == b"after\n"


async def test_refusing_breaks_what_stands_and_what_comes() -> None:
    async with echo() as (port, _), Proxy(port) as proxy:
        stood = await Client.to(proxy)
        assert await stood.ask(b"before\n") == b"before\n"
        proxy.turn(Mode.REFUSE)
        assert await stood.is_cut()
        assert await (await Client.to(proxy)).is_cut()


async def test_an_answer_is_lost_after_the_request_was_done() -> None:
    async with echo() as (port, sent), Proxy(port) as proxy:
        client, other = await Client.to(proxy), await Client.to(proxy)
        proxy.lose_answers(b"COMMIT", 1)
        assert await client.ask(b"SELECT\n") == b"SELECT\n"
        client.writer.write(b"COMMIT\n")
        assert await client.is_cut()
        assert b"COMMIT\n" in sent
        assert proxy.answers_lost == 1
        assert await other.ask(b"COMMIT\n") == b"COMMIT\n"


async def test_a_delay_is_waited_for() -> None:
    async with echo() as (port, _), Proxy(port) as proxy:
        client = await Client.to(proxy)
        proxy.delay_seconds = 0.1
        began = asyncio.get_running_loop().time()
        assert await client.ask(b"slow\n") == b"slow\n"
        assert asyncio.get_running_loop().time() - began >= 0.2
