"""One HTTP/1.1 connection to a target: one request at a time, and what comes unasked is never taken for an answer."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from select import POLLIN, poll
from socket import SO_RCVBUF, SOL_SOCKET
from typing import cast

from app.delivery.metering import Metered
from app.delivery.reading import OVERHEAD_LIMIT_BYTES, AnswerReader
from app.delivery.reply import Reply, TransportFailure, Unanswered

_AT_ONCE_BYTES = 32 * 1024
"""About so much the system takes in before it is read. All of that is read in one turn of the loop: the half megabyte
that would be kept otherwise holds up all others for 50 ms where it comes in TLS records of a byte each. With much less
an answer over loopback, where packets have 64 KiB, stands still for 200 ms.
"""
_BELOW_TLS_LIMIT_BYTES = 1 << 20
"""Of TLS for one answer: room for each to come in records of a few bytes, and not for tickets without an end."""


class Connection(asyncio.Protocol):
    """A connection, as asyncio drives it. Whoever sends on it owns it until the answer is there."""

    __slots__ = (
        "_answer",
        "_below",
        "_below_bytes",
        "_early",
        "_early_end",
        "_keep_alive",
        "_loop",
        "_poll",
        "_reader",
        "_transport",
        "deadline",
        "idle_since",
        "use_until",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._below: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._reader = AnswerReader()
        self._poll: Callable[[int], list[tuple[int, int]]] | None = None
        self._keep_alive = False
        self._below_bytes = 0
        self._early = b""
        self._early_end = False
        self.idle_since = self.deadline = self.use_until = 0.0

    # What the pool asks

    @property
    def reusable(self) -> bool:
        """Whether a request may be sent: none was yet, or the last one and its answer are whole, and the target keeps
        it open.
        """
        return self._keep_alive and self._transport is not None and not self._transport.is_closing()

    @property
    def early(self) -> bool:
        """Whether the target has spoken while it was being dialled, before it was asked anything."""
        return bool(self._early)

    @property
    def quiet(self) -> bool:
        """Whether nothing is there to be read on one that is reusable.

        What a target sends unasked may be there long before the loop, when it is busy, comes to read it: it would be
        taken for the answer to the next request. To look is a call of the system.
        """
        if self._poll is None:
            assert self._transport is not None, "not reusable"
            polled = poll()
            polled.register(self._transport.get_extra_info("socket"), POLLIN)
            self._poll = polled.poll
        return not self._poll(0)

    def secure(self, transport: asyncio.Transport) -> None:
        """From now on TLS is spoken, by this transport, over the one with which the connection was made."""
        if self._transport is not None:
            assert self._below is not None
            self._transport = transport
            tls = cast("asyncio.BufferedProtocol", self._below.get_protocol())
            self._below.set_protocol(Metered(tls, self._takes_below))

    def send(self, request: bytes, keep_headers: bool = False) -> "asyncio.Future[Reply]":
        """Send a whole request. The answer comes as the future's result, or TransportFailure as its exception."""
        self._keep_alive = False
        self._below_bytes = 0
        # What was said unasked would be the answer had it come a moment later, as it does from far away. It ends the
        # connection: nobody knows whether this request is read before the next.
        self._reader.begin(keep_headers=keep_headers, misled=bool(self._early))
        answer = self._loop.create_future()
        if self._transport is None:
            # Lost again in the moment in which it was made.
            answer.set_exception(Unanswered("the target closed the connection without an answer"))
        else:
            self._answer = answer
            self._transport.write(request)
            if self._early:
                early, self._early = self._early, b""
                self.data_received(early)
                if self._early_end:
                    self.eof_received()
        return answer

    def fail(self, failure: TransportFailure) -> None:
        """Give up on the answer, and on the connection."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(failure)
        self.abort()

    def abort(self) -> None:
        """Close at once; nothing that is still under way counts."""
        self._keep_alive = False
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def _takes_below(self, number: int) -> bool:
        """So many bytes have come below TLS: whether they are to be read."""
        self._below_bytes += number
        if self._below_bytes <= _BELOW_TLS_LIMIT_BYTES:
            return True
        self.fail(TransportFailure(f"more than {_BELOW_TLS_LIMIT_BYTES} bytes of TLS"))
        return False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = self._below = cast("asyncio.Transport", transport)  # uvloop's does not derive from it
        self._keep_alive = True
        with suppress(OSError):  # lost already
            transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, _AT_ONCE_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._answer is None and not self.idle_since and len(self._early) <= OVERHEAD_LIMIT_BYTES:
            self._early += data
            return
        if self._answer is None or self._answer.done():
            # Nobody asked for it.
            self.abort()
            return
        try:
            if self._reader.feed(data):
                self._finish()
        except TransportFailure as failure:
            self.fail(failure)

    def eof_received(self) -> bool | None:
        """Whether it is to stay open on this side: what was said before the request has left is still to be read."""
        if self._answer is None and self._early:
            self._early_end = True
            return True
        if self._answer is None or self._answer.done():
            return None
        try:
            self._reader.end()
        except TransportFailure as failure:
            self.fail(failure)
        else:
            self._answer.set_result(self._reader.reply())
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._keep_alive = False
        if self._answer is not None and not self._answer.done():
            kind = TransportFailure if self._reader.begun else Unanswered
            self._answer.set_exception(kind(f"the connection broke: {error or 'closed'}"))
        # Each of these leads back here. A target that is never kept open costs a connection each time, and until the
        # collector came round all of them would stay in memory.
        self._answer = self._transport = self._below = None
        self._reader.close()

    def _finish(self) -> None:
        assert self._answer is not None
        assert self._below is not None
        self._answer.set_result(self._reader.reply())
        # What is answered before it has all left is not wanted, and the next would wait behind it.
        self._keep_alive = self._reader.keep_alive and not self._below.get_write_buffer_size()
        if not self._keep_alive:
            self.abort()
