"""A target of a few lines that behaves as badly as a test tells it to, on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.delivery.reply import Reply
from app.delivery.request import Request
from app.delivery.transport import Transport

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Target:
    """Where it listens, and what came: the head of each request, and the number of connections."""

    url: str
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)


async def post(transport: Transport, url: str, headers: dict[str, str], body: bytes) -> Reply:
    """The answer to what is posted to a trusted target."""
    return await transport.send(Request("POST", url, headers, body, trusted=True))


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The head and the body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return head + await reader.readexactly(int(value))
    return head


@asynccontextmanager
async def target(
    behaviour: Behaviour, *, reads_request: bool = True, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Target]:
    """A server that does to each connection what `behaviour` says; `gone` is set when one ends."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        here.connections += 1
        try:
            if reads_request:
                here.requests.append(await read_request(reader))
            await behaviour(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            here.gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()[:2]
    here = Target(f"http{'' if tls is None else 's'}://{host}:{port}")
    try:
        yield here
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def sends(answer: bytes) -> Behaviour:
    """Answer with these bytes, and close."""

    async def behaviour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return behaviour


def sends_for_ever(first: bytes, again: bytes, every_seconds: float = 0.0) -> Behaviour:
    """Answer with `first`, then `again` without an end."""

    async def behaviour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(every_seconds)

    return behaviour


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Never answer; end when the other side does."""
    await reader.read()


async def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Cut the connection by RST."""
    writer.transport.abort()
