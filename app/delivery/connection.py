"""One HTTP/1.1 connection to a target: one request at a time, and an answer that is never read without bounds.

The bytes are read by llhttp (the parser of Node.js, through httptools); what is ours is only when an answer ends, what
of it is kept, and whether the connection may be used again (RFC 9112, 6.3 and 9.3).
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from select import POLLIN, poll
from socket import SO_RCVBUF, SOL_SOCKET
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from app.delivery.metering import Metered
from app.delivery.reply import BODY_LIMIT_BYTES, Reply, TransportFailure
from app.delivery.rereading import Rereading, is_folded

_OVERHEAD_LIMIT_BYTES = 64 * 1024
"""Status lines, headers, chunk sizes and trailers of one answer: a flood of them is no answer."""
_HEADERS_AT_MOST = 200
"""Headers, trailers and interim answers of one answer: each is a call, and all that this process sends to others waits
while they are read.
"""
_CHUNKS_AT_MOST = 1_000
"""So many chunks of an answer's body are read, for the same reason."""
_AT_ONCE_BYTES = 32 * 1024
"""About so much the system takes in before it is read. All of that is read in one turn of the loop: the half megabyte
that would be kept otherwise holds up all others for 50 ms where it comes in TLS records of a byte each. With much less
an answer over loopback, where packets have 64 KiB, stands still for 200 ms.
"""
_BELOW_TLS_LIMIT_BYTES = 1 << 20
"""Of TLS for one answer: room for each to come in records of a few bytes, and not for tickets without an end."""
_BODILESS = (204, 304)
"""Whose answer ends with its headers, whatever they say (RFC 9112, 6.3), as that of an interim one does."""

_BETWEEN_HEADS = re.compile(rb"\r\n\r\n[\r\n]*")
_TOO_LONG = f"more than {_OVERHEAD_LIMIT_BYTES} bytes of headers"


class Unanswered(TransportFailure):
    """The target closed the connection without a byte of an answer, as it does with one that was idle for too long."""


class Connection(asyncio.Protocol):
    """A connection, as asyncio drives it. Whoever sends on it owns it until the answer is there."""

    __slots__ = (
        "_announced",
        "_answer",
        "_below",
        "_below_bytes",
        "_body",
        "_body_bytes",
        "_chunk_count",
        "_complete",
        "_early",
        "_early_end",
        "_ends_with_connection",
        "_header_bytes",
        "_header_count",
        "_headers",
        "_interims",
        "_keep_alive",
        "_loop",
        "_misled",
        "_parser",
        "_poll",
        "_read",
        "_received_bytes",
        "_refusal",
        "_retry_after",
        "_status",
        "_transport",
        "chunked",
        "deadline",
        "idle_since",
        "in_body",
        "use_until",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._below: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._parser: HttpResponseParser | Rereading = HttpResponseParser(self)
        # Spaces behind the size of a chunk are lawful (RFC 9112, 7.1.1), and lead to no other reading of what follows.
        # Versions are looked at here: a later minor one is to be read as HTTP/1.1 (RFC 9110, 6.2).
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True, lenient_version=True)
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
        self._headers: list[tuple[str, str]] | None = [] if keep_headers else None
        self._body: list[bytes] = []
        self._retry_after: str | None = None
        self._body_bytes = self._received_bytes = self._header_bytes = self._header_count = self._chunk_count = 0
        self._complete = self._keep_alive = self._misled = False
        self._below_bytes = 0
        self._refusal = ""
        self._interims = 0
        self._read = bytearray()
        self._expect_headers()
        answer = self._loop.create_future()
        if self._transport is None:
            # Lost again in the moment in which it was made.
            answer.set_exception(Unanswered("the target closed the connection without an answer"))
        else:
            self._answer = answer
            self._transport.write(request)
            if self._early:
                # It would be the answer had it come a moment later, as it does from far away. It ends the connection:
                # nobody knows whether this request is read before the next.
                self._misled = True
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
        if self._answer is None and not self.idle_since and len(self._early) <= _OVERHEAD_LIMIT_BYTES:
            self._early += data
            return
        if self._answer is None or self._answer.done():
            # Nobody asked for it.
            self.abort()
            return
        self._received_bytes += len(data)
        if not self.in_body or self.chunked:
            self._read += data
        try:
            self._parser.feed_data(data)
        except (HttpParserUpgrade, HttpParserError) as broken:
            if not self._is_worth_rereading():
                self._break(broken)
                return
            try:
                self._reread()
            except (HttpParserUpgrade, HttpParserError) as broken:
                self._break(broken)
                return
        if self._complete:
            self._finish()
        elif self._body_bytes > BODY_LIMIT_BYTES:
            self._finish()
            self.abort()
        elif self._received_bytes - self._body_bytes > _OVERHEAD_LIMIT_BYTES:
            self.fail(TransportFailure(_TOO_LONG))

    def eof_received(self) -> bool | None:
        """Whether it is to stay open on this side: what was said before the request has left is still to be read."""
        if self._answer is None and self._early:
            self._early_end = True
            return True
        if self._answer is None or self._answer.done():
            return None
        if self.in_body and self._ends_with_connection:
            self._finish()
        elif self._received_bytes:
            self.fail(TransportFailure("the target closed the connection in the middle of its answer"))
        else:
            self.fail(Unanswered("the target closed the connection without an answer"))
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._keep_alive = False
        if self._answer is not None and not self._answer.done():
            kind = TransportFailure if self._received_bytes else Unanswered
            self._answer.set_exception(kind(f"the connection broke: {error or 'closed'}"))
        # Each of these leads back here. A target that is never kept open costs a connection each time, and until the
        # collector came round all of them would stay in memory.
        self._answer = self._transport = self._below = None
        del self._parser

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._complete:
            # A second answer to the one request: what it belongs to cannot be known, and nothing of it is read.
            raise HttpParserError

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        self._count_header()
        if self.in_body:
            # A trailer says nothing that a header does, unless it is known to be safe (RFC 9110, 6.5.1).
            return
        if self._headers is not None:
            self._headers.append((name.decode("latin-1"), value.decode("latin-1")))
        lowered = name.lower()
        if lowered == b"content-length":
            self._ends_with_connection = False
            self._announced = value != b"0"
        elif lowered == b"transfer-encoding":
            self._announced = True
            # Any other last coding ends with the connection (RFC 9112, 6.3).
            self.chunked = value.lower().rpartition(b",")[2].strip(b" ") == b"chunked"
            self._ends_with_connection = not self.chunked
        elif lowered == b"retry-after" and self._retry_after is None:
            # It is no list (RFC 9110, 10.2.3): of several the first counts.
            # Latin-1 has a character for every byte: one that is no text must not cost the answer.
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.in_body = True
        # Kept: the parser goes on, and knows the status of what it has read last.
        self._status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if not self._is_http():
            self._refusal = "it is one of another protocol"
        elif version[0] != "1":
            self._refusal = f"its version is {version}"
        elif self._status < 100:
            self._refusal = f"{self._status:03} is no status"
        if self._refusal:
            raise HttpParserError

    def on_chunk_header(self) -> None:
        self._chunk_count += 1
        if self._chunk_count > _CHUNKS_AT_MOST:
            raise HttpParserError

    def on_body(self, part: bytes) -> None:
        if self._body_bytes <= BODY_LIMIT_BYTES:
            self._body.append(part)
        self._body_bytes += len(part)

    def on_message_complete(self) -> None:
        if self._status < 200:
            # 100 Continue and its like: the answer is yet to come (RFC 9110, 15.2).
            self._count_header()
            self._interims += 1
            self._misled = self._misled or self._announced
            self._expect_headers()
            return
        self._complete = True
        assert self._below is not None
        self._keep_alive = (
            self._parser.should_keep_alive()
            # What is answered before it has all left is not wanted, and the next would wait behind it.
            and not self._below.get_write_buffer_size()
            # A body where none may be could still come, and would be taken for the answer to the next request.
            and not (self._misled or (self._announced and self._status in _BODILESS))
        )

    def _break(self, broken: HttpParserUpgrade | HttpParserError) -> None:
        """The parser can't go on: what is whole counts."""
        if self._complete or self._chunk_count > _CHUNKS_AT_MOST:
            # What follows costs the connection, and never the answer.
            self._finish()
            self.abort()
        elif self._header_count > _HEADERS_AT_MOST:
            self.fail(TransportFailure(f"more than {_HEADERS_AT_MOST} headers"))
        elif self._header_bytes > _OVERHEAD_LIMIT_BYTES:
            self.fail(TransportFailure(_TOO_LONG))
        elif self._refusal:
            self.fail(TransportFailure(f"the target's answer is not HTTP/1.1: {self._refusal}"))
        elif isinstance(broken, HttpParserUpgrade):
            self.fail(TransportFailure("the target answered with another protocol"))
        else:
            self.fail(TransportFailure(f"the target's answer is not HTTP/1.1: {broken}"))

    def _is_http(self) -> bool:
        """Whether the head that was just read, behind those of interim answers, is HTTP's: the parser takes RTSP's."""
        if not self._interims and self._read.startswith(b"HTTP/"):
            return True
        heads = _BETWEEN_HEADS.split(self._read.lstrip(b"\r\n"), self._interims + 1)
        return heads[self._interims].startswith(b"HTTP/")

    def _is_worth_rereading(self) -> bool:
        """Whether what the parser does not take may be a header over several lines, or an extension of a chunk."""
        if self._complete or self._refusal or isinstance(self._parser, Rereading):
            return False
        if self.in_body:
            return self.chunked and self._chunk_count <= _CHUNKS_AT_MOST and self._header_count <= _HEADERS_AT_MOST
        return is_folded(self._read)

    def _reread(self) -> None:
        """Read from its beginning once more what has come of the answer."""
        self._header_bytes = self._header_count = self._body_bytes = self._chunk_count = self._interims = 0
        self._body.clear()
        self._misled = False
        self._expect_headers()
        self._parser = Rereading(self)
        self._parser.feed_data(bytes(self._read))

    def _count_header(self) -> None:
        self._header_count += 1
        if self._header_count > _HEADERS_AT_MOST or self._header_bytes > _OVERHEAD_LIMIT_BYTES:
            # Only what is raised here ends the parsing of what has come already.
            raise HttpParserError

    def _expect_headers(self) -> None:
        self.in_body = self.chunked = self._announced = False
        self._ends_with_connection = True
        self._retry_after = None
        if self._headers:
            self._headers.clear()

    def _finish(self) -> None:
        assert self._answer is not None
        body = b"".join(self._body)[:BODY_LIMIT_BYTES]
        self._body.clear()
        headers = () if self._headers is None else tuple(self._headers)
        cut = self._body_bytes > BODY_LIMIT_BYTES or self._chunk_count > _CHUNKS_AT_MOST
        self._answer.set_result(Reply(self._status, body, self._retry_after, headers, cut))
