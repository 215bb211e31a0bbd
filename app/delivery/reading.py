"""Reading answers that are never read without bounds: when one ends, what of it is kept, and what is none.

The bytes are read by llhttp (the parser of Node.js, through httptools); what is ours is only where an answer ends and
whether another may follow it (RFC 9112, 6.3 and 9.3), and how much of it is looked at.
"""

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from app.delivery.reply import BODY_LIMIT_BYTES, Reply, TransportFailure, Unanswered
from app.delivery.rereading import Rereading, is_folded

OVERHEAD_LIMIT_BYTES = 64 * 1024
"""Status lines, headers, chunk sizes and trailers of one answer: a flood of them is no answer."""
_HEADERS_AT_MOST = 200
"""Headers, trailers and interim answers of one answer: each is a call, and all that this process sends to others waits
while they are read.
"""
_CHUNKS_AT_MOST = 1_000
"""So many chunks of an answer's body are read, for the same reason."""
_BODILESS = (204, 304)
"""Whose answer ends with its headers, whatever they say (RFC 9112, 6.3), as that of an interim one does."""

_EMPTY_LINES = re.compile(rb"[\r\n]*")
_HEAD_END = b"\r\n\r\n"
_TOO_LONG = f"more than {OVERHEAD_LIMIT_BYTES} bytes of headers"


class AnswerReader:
    """Reads the answers that come on one connection, one after the other."""

    __slots__ = (
        "_announced",
        "_body",
        "_body_bytes",
        "_chunk_count",
        "_complete",
        "_ends_with_connection",
        "_head_at",
        "_header_bytes",
        "_header_count",
        "_headers",
        "_misled",
        "_parser",
        "_read",
        "_received_bytes",
        "_refusal",
        "_retry_after",
        "_status",
        "chunked",
        "in_body",
        "keep_alive",
    )

    def __init__(self) -> None:
        self._parser: HttpResponseParser | Rereading = HttpResponseParser(self)
        # Spaces behind the size of a chunk are lawful (RFC 9112, 7.1.1), and lead to no other reading of what follows.
        # Versions are looked at here: a later minor one is to be read as HTTP/1.1 (RFC 9110, 6.2).
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True, lenient_version=True)

    def begin(self, *, keep_headers: bool, misled: bool) -> None:
        """Expect an answer. `misled`: it may be none to this request, and what follows it none to the next."""
        self._headers: list[tuple[str, str]] | None = [] if keep_headers else None
        self._body: list[bytes] = []
        self._retry_after: str | None = None
        self._body_bytes = self._received_bytes = self._header_bytes = self._header_count = self._chunk_count = 0
        self._complete = False
        self.keep_alive = False
        """Whether another answer may come on this connection; known once this one is over."""
        self._misled = misled
        self._refusal = ""
        self._read = bytearray()
        self._head_at = 0
        self._expect_headers()

    def close(self) -> None:
        """Read nothing any more. The parser leads back here, and would stay until the collector comes round."""
        del self._parser

    @property
    def begun(self) -> bool:
        """Whether anything has come of the answer."""
        return self._received_bytes > 0

    def feed(self, data: bytes) -> bool:
        """Read more of the answer; whether it is over.

        Raises TransportFailure for what is none, or too much.
        """
        self._received_bytes += len(data)
        if not self.in_body or self.chunked:
            self._read += data
        try:
            self._parser.feed_data(data)
        except (HttpParserUpgrade, HttpParserError) as broken:
            if not self._is_worth_rereading():
                return self._break(broken)
            try:
                self._reread()
            except (HttpParserUpgrade, HttpParserError) as broken:
                return self._break(broken)
        if self._complete:
            return True
        if self._body_bytes > BODY_LIMIT_BYTES:
            # The rest of it is not read, and so no other answer behind it.
            return True
        if self._received_bytes - self._body_bytes > OVERHEAD_LIMIT_BYTES:
            raise TransportFailure(_TOO_LONG)
        return False

    def end(self) -> None:
        """The target has closed the connection, which may be how an answer ends.

        Raises TransportFailure where it is not.
        """
        if self.in_body and self._ends_with_connection:
            return
        if self.begun:
            raise TransportFailure("the target closed the connection in the middle of its answer")
        raise Unanswered("the target closed the connection without an answer")

    def reply(self) -> Reply:
        """The answer that is over."""
        body = b"".join(self._body)[:BODY_LIMIT_BYTES]
        self._body.clear()
        # A connection that is kept open would keep it until the next answer.
        self._read.clear()
        headers = () if self._headers is None else tuple(self._headers)
        cut = self._body_bytes > BODY_LIMIT_BYTES or self._chunk_count > _CHUNKS_AT_MOST
        return Reply(self._status, body, self._retry_after, headers, cut)

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
            self._head_at = self._read.index(_HEAD_END, self._head_begins()) + len(_HEAD_END)
            self._misled = self._misled or self._announced
            self._expect_headers()
            return
        self._complete = True
        # A body where none may be could still come, and would be taken for the answer to the next request.
        misled = self._misled or (self._announced and self._status in _BODILESS)
        self.keep_alive = self._parser.should_keep_alive() and not misled

    # How it reads

    def _break(self, broken: HttpParserUpgrade | HttpParserError) -> bool:
        """The parser can't go on: what is whole counts, and else raises TransportFailure."""
        if self._complete or self._chunk_count > _CHUNKS_AT_MOST:
            # What follows costs the connection, and never the answer.
            self.keep_alive = False
            return True
        if self._header_count > _HEADERS_AT_MOST:
            raise TransportFailure(f"more than {_HEADERS_AT_MOST} headers")
        if self._header_bytes > OVERHEAD_LIMIT_BYTES:
            raise TransportFailure(_TOO_LONG)
        if self._refusal:
            raise TransportFailure(f"the target's answer is not HTTP/1.1: {self._refusal}")
        if isinstance(broken, HttpParserUpgrade):
            raise TransportFailure("the target answered with another protocol")
        raise TransportFailure(f"the target's answer is not HTTP/1.1: {broken}")

    def _is_http(self) -> bool:
        """Whether the head that was just read, behind those of interim answers, is HTTP's: the parser takes RTSP's."""
        return self._read.startswith(b"HTTP/", self._head_begins())

    def _head_begins(self) -> int:
        """Where in what has come: behind empty lines, which the parser passes over."""
        before = _EMPTY_LINES.match(self._read, self._head_at)
        assert before is not None
        return before.end()

    def _is_worth_rereading(self) -> bool:
        """Whether what the parser does not take may be a header over several lines, or an extension of a chunk."""
        if self._complete or self._refusal or isinstance(self._parser, Rereading):
            return False
        if self.in_body:
            return self.chunked and self._chunk_count <= _CHUNKS_AT_MOST and self._header_count <= _HEADERS_AT_MOST
        return is_folded(self._read)

    def _reread(self) -> None:
        """Read from its beginning once more what has come of the answer."""
        self._header_bytes = self._header_count = self._body_bytes = self._chunk_count = self._head_at = 0
        self._body.clear()
        self._expect_headers()
        self._parser = Rereading(self)
        self._parser.feed_data(bytes(self._read))

    def _count_header(self) -> None:
        self._header_count += 1
        if self._header_count > _HEADERS_AT_MOST or self._header_bytes > OVERHEAD_LIMIT_BYTES:
            # Only what is raised here ends the parsing of what has come already.
            raise HttpParserError

    def _expect_headers(self) -> None:
        self.in_body = self.chunked = self._announced = False
        self._ends_with_connection = True
        self._retry_after = None
        if self._headers:
            self._headers.clear()
