"""Counting what comes below TLS: a target can keep it busy for as long as it likes without a byte of an answer.

Session tickets and changes of keys are lawful, have no bound, and cost this side more than they need cost the other.
"""

import asyncio
from collections.abc import Callable


class Metered(asyncio.BufferedProtocol):
    """Hands on to the protocol that speaks TLS what the event loop has for it, as long as it may be read."""

    __slots__ = ("_takes", "_tls")

    def __init__(self, tls: asyncio.BufferedProtocol, takes: Callable[[int], bool]) -> None:
        """`takes` is told how many bytes have come, and says whether they are to be read."""
        self._tls = tls
        self._takes = takes

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._tls.get_buffer(sizehint)  # type: ignore[return-value]  # typeshed has any buffer here

    def buffer_updated(self, nbytes: int) -> None:
        if self._takes(nbytes):
            self._tls.buffer_updated(nbytes)

    def eof_received(self) -> bool | None:
        return self._tls.eof_received()

    def pause_writing(self) -> None:
        self._tls.pause_writing()

    def resume_writing(self) -> None:
        self._tls.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tls.connection_lost(exc)
