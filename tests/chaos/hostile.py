"""Receivers that behave as badly as one can, each on a port of its own, and a healthy one beside them.

`python -m tests.chaos.hostile` prints one line, a JSON object of ports by behaviour, and runs until it is ended: a
process of its own, so that what they cost is neither the test's nor the worker's. Port `notes` answers what came.
"""

import asyncio
import gc
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import cast

import orjson
import uvloop

from bench.receiver import header_of

METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
HEADERS = 10_000
GIGABYTE = 1 << 30
_NOTES = "notes"
_PIECE = b"x" * 65_536
_SEND_BUFFER_BYTES = 65_536
_TRICKLE_SECONDS = 1.0
_OK = b"HTTP/1.1 200 OK\r\n"


class Behaviour(StrEnum):
    """What a receiver does with a request that it has read."""

    HEALTHY = "healthy"
    HANGS = "hangs"
    TRICKLES = "trickles a byte a second"
    GIGABYTE = "answers a gigabyte"
    RESETS = "resets"
    CLOSES = "closes without an answer"
    BREAKS_OFF = "closes in the middle of its answer"
    BAD_CHUNKS = "chunks badly"
    NO_HTTP = "answers no HTTP"
    TO_METADATA = "redirects to the metadata address"
    TO_TRAP = "redirects to another port"
    TRAP = "is where that redirect leads"
    SLAMS = "resets each connection as it comes"
    MANY_HEADERS = "answers with ten thousand headers"
    HUGE_HEADERS = "answers with headers of a megabyte"
    LATER = "asks to be asked again in thirty years"
    YEAR_9999 = "asks to be asked again in the year 9999"
    GONE = "says that it is gone"
    GARBAGE = "answers, and goes on with garbage"


@dataclass(slots=True)
class Notes:
    """What came to one receiver: how often each execution, when first, and how much was written to one connection."""

    connections: int = 0
    most_written: int = 0
    came: Counter[str] = field(default_factory=Counter)
    first_ms: dict[str, float] = field(default_factory=dict)


class Receiver(asyncio.Protocol):
    """One connection of one receiver: requests with a Content-Length, one after the other."""

    def __init__(self, notes: Notes, answer: "Callable[[Receiver], None]", *, at_once: bool) -> None:
        """`at_once`: to whoever connects, whatever it asks."""
        self.notes = notes
        self._at_once = at_once
        self.written = 0
        self.transport: asyncio.Transport
        self._answer = answer
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it
        self.notes.connections += 1
        if self._at_once:
            self._answer(self)

    def data_received(self, data: bytes) -> None:
        at_ms = time.time() * 1000
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(header_of(head, b"content-length") or b"0")
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            if key := header_of(head, b"idempotency-key"):
                self.notes.came[key.decode()] += 1
                self.notes.first_ms.setdefault(key.decode(), at_ms)
            self._answer(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.notes.most_written = max(self.notes.most_written, self.written)
        if self._timer is not None:
            self._timer.cancel()

    def resume_writing(self) -> None:
        self.pour()

    def pour(self, more: int = 0) -> None:
        """Write so many bytes more, as fast as the other side takes them."""
        self._left += more
        while self._left > 0 and not self.transport.is_closing() and not self.transport.get_write_buffer_size():
            piece = _PIECE[: self._left]
            self._left -= len(piece)
            self.written += len(piece)
            self.transport.write(piece)

    def trickle(self) -> None:
        """Write a byte, and another after a second."""
        self.transport.write(b"x")
        self._timer = asyncio.get_running_loop().call_later(_TRICKLE_SECONDS, self.trickle)


def _hang(_receiver: Receiver) -> None:
    """Until the other side has had enough."""


def _trickle(receiver: Receiver) -> None:
    receiver.transport.write(_OK + b"Content-Length: 1000000\r\n\r\n")
    receiver.trickle()


def _pour(receiver: Receiver) -> None:
    receiver.transport.set_write_buffer_limits(high=0)
    receiver.transport.write(_OK + b"Content-Length: %d\r\n\r\n" % GIGABYTE)
    receiver.pour(GIGABYTE)


def _reset(receiver: Receiver) -> None:
    sock = receiver.transport.get_extra_info("socket")
    # Closing at once and without lingering is a reset.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    receiver.transport.abort()


def _close(receiver: Receiver) -> None:
    receiver.transport.close()


def _sends(answer: bytes, *, closes: bool = False) -> Callable[[Receiver], None]:
    def send(receiver: Receiver) -> None:
        receiver.transport.write(answer)
        if closes:
            receiver.transport.close()

    return send


def _empty(status: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *headers, b"Content-Length: 0", b"", b""))


def _answers(ports: dict[str, int]) -> dict[Behaviour, Callable[[Receiver], None]]:
    trap = f"http://127.0.0.1:{ports[Behaviour.TRAP]}/stolen".encode()
    accepted = b'HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{"success":true}'
    return {
        Behaviour.HEALTHY: _sends(accepted),
        Behaviour.HANGS: _hang,
        Behaviour.TRICKLES: _trickle,
        Behaviour.GIGABYTE: _pour,
        Behaviour.RESETS: _reset,
        Behaviour.CLOSES: _close,
        Behaviour.BREAKS_OFF: _sends(_OK + b"Content-Length: 1000\r\n\r\nas far as here", closes=True),
        Behaviour.BAD_CHUNKS: _sends(_OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nwhat?\r\n"),
        Behaviour.NO_HTTP: _sends(b"220 mail.example ESMTP\r\n"),
        Behaviour.TO_METADATA: _sends(_empty(b"302 Found", b"Location: " + METADATA.encode())),
        Behaviour.TO_TRAP: _sends(_empty(b"307 Temporary Redirect", b"Location: " + trap)),
        Behaviour.TRAP: _sends(accepted),
        Behaviour.SLAMS: _reset,
        Behaviour.MANY_HEADERS: _sends(_empty(b"200 OK", *(b"X-%d: y" % n for n in range(HEADERS)))),
        Behaviour.HUGE_HEADERS: _sends(_empty(b"200 OK", *(b"X-%d: %s" % (n, b"y" * 16_384) for n in range(64)))),
        Behaviour.LATER: _sends(_empty(b"429 Too Many Requests", b"Retry-After: 1000000000")),
        Behaviour.YEAR_9999: _sends(_empty(b"429 Too Many Requests", b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT")),
        Behaviour.GONE: _sends(_empty(b"410 Gone")),
        Behaviour.GARBAGE: _sends(_empty(b"200 OK") + _empty(b"503 Busy") + b"\0\xff garbage \r\n" * 100),
    }


async def serve() -> None:
    """Open every port, print them, and answer until the process is ended."""
    # It makes no cycle: looking for some would hold up what arrives meanwhile.
    gc.disable()
    loop = asyncio.get_running_loop()
    sockets = {str(name): _listen() for name in (*Behaviour, _NOTES)}
    ports: dict[str, int] = {name: sock.getsockname()[1] for name, sock in sockets.items()}
    notes = {name: Notes() for name in sockets}

    def tell(receiver: Receiver) -> None:
        body = orjson.dumps(notes)
        receiver.transport.write(_OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    answers: dict[str, Callable[[Receiver], None]] = {_NOTES: tell}
    answers.update((str(name), answer) for name, answer in _answers(ports).items())
    for name, sock in sockets.items():
        made = partial(Receiver, notes[name], answers[name], at_once=name == Behaviour.SLAMS)
        await loop.create_server(made, sock=sock, backlog=4096)
    print(orjson.dumps(ports).decode(), flush=True)  # noqa: T201 - whoever started it reads it
    await asyncio.Event().wait()


def _listen() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    # What was written then was read, but for that much and what the other side's kernel keeps.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    return sock


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
