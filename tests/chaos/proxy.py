"""A TCP proxy of a few lines that can be told to break the connections through it."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

_CHUNK = 65_536


class Mode(StrEnum):
    """What the proxy does with connections, those that stand and those that come."""

    PASS = "pass"
    BLACK_HOLE = "black_hole"
    """Accept, read, never answer, and forward nothing: a firewall that forgot a connection."""
    REFUSE = "refuse"
    """Break what stands, and whatever comes."""


@dataclass(frozen=True, slots=True)
class _Losing:
    """Lose the answer to the next request in which `asked` stands, so many times."""

    asked: bytes
    left: int


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target_port`; modes are changed while connections stand."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()
        self._mode = Mode.PASS
        self._losing = _Losing(b"", 0)
        self.delay_seconds = 0.0
        self.answers_lost = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        while self._pairs:
            await asyncio.sleep(0.01)

    @property
    def mode(self) -> Mode:
        """What it does at present."""
        return self._mode

    def turn(self, mode: Mode) -> None:
        """Do this from now on. Leaving the black hole cuts what was lost in it: bytes are missing there."""
        before, self._mode = self._mode, mode
        if mode is Mode.REFUSE or before is Mode.BLACK_HOLE:
            self.cut()

    def cut(self) -> None:
        """Break every connection that stands."""
        for pair in list(self._pairs):
            pair.cut()

    def lose_answers(self, asked: bytes, times: int) -> None:
        """Forward the next request in which `asked` stands and cut its connection when the answer is there.

        So the server did what it was asked to, and nobody heard of it. Empty: any request.
        """
        self._losing = _Losing(asked, times)

    def stop_losing(self) -> None:
        """Lose no more answers."""
        self._losing = _Losing(b"", 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.REFUSE:
            writer.transport.abort()
            return
        pair = _Pair(writer)
        self._pairs.add(pair)
        try:
            if self._mode is Mode.PASS:
                with contextlib.suppress(OSError):
                    far_reader, pair.far = await asyncio.open_connection("127.0.0.1", self._target_port)
                    await self._forward(pair, reader, far_reader)
            else:
                while await reader.read(_CHUNK):
                    pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._pairs.discard(pair)
            pair.cut()

    async def _forward(self, pair: "_Pair", reader: asyncio.StreamReader, far_reader: asyncio.StreamReader) -> None:
        assert pair.far is not None
        there = asyncio.create_task(self._pump(reader, pair.far, lambda chunk: self._ask(pair, chunk)))
        back = asyncio.create_task(self._pump(far_reader, pair.near, lambda _: self._answer(pair)))
        _, pending = await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(there, back, return_exceptions=True)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passes: Callable[[bytes], bool]
    ) -> None:
        while chunk := await source.read(_CHUNK):
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            if self._mode is Mode.BLACK_HOLE:
                continue
            if not passes(chunk):
                return
            sink.write(chunk)
            await sink.drain()

    def _ask(self, pair: "_Pair", chunk: bytes) -> bool:
        losing = self._losing
        if losing.left and losing.asked in chunk:
            self._losing = _Losing(losing.asked, losing.left - 1)
            pair.loses_answer = True
        return True

    def _answer(self, pair: "_Pair") -> bool:
        if not pair.loses_answer:
            return True
        self.answers_lost += 1
        return False


class _Pair:
    """A connection from the client, and the one to the server that belongs to it."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.near = near
        self.far: asyncio.StreamWriter | None = None
        self.loses_answer = False

    def cut(self) -> None:
        """Break both, without a farewell."""
        self.near.transport.abort()
        if self.far is not None:
            self.far.transport.abort()
