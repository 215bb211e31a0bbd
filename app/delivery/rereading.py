"""What is lawful in an answer and the parser does not take: headers over several lines, and spaces beside the
extensions of a chunk. Such an answer is read once more from its beginning.
"""

import re
from collections.abc import Callable
from typing import Protocol

from httptools import HttpParserError, HttpResponseParser

_FOLD = re.compile(rb"\r\n[ \t]+")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t !-~\x80-\xff])*"'
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*[ \t]*" % (_TOKEN, _TOKEN, _QUOTED))
"""A chunk's size and its extensions, with whitespace where it is bad but lawful (RFC 9112, 7.1.1)."""
_LINE_END = b"\r\n"


class Reader(Protocol):
    """Whoever the parser tells what it reads, as httptools calls it."""

    in_body: bool
    """Whether the headers are over."""
    chunked: bool
    """Whether the body comes in chunks, by those headers."""


def is_folded(read: bytes | bytearray) -> bool:
    """Whether there may be a header over several lines in this: in what is no HTTP, no end of headers ever comes."""
    return read.lstrip(b"\r\n").startswith(b"HTTP/") and _FOLD.search(read) is not None


class Rereading:
    """A parser of one answer: each header is given to httptools's own as one line, and each chunk without extensions.

    The leniencies that llhttp has let through more: any byte in a header, and a space before its colon; and it has none
    for extensions.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._parser = HttpResponseParser(reader)
        self._parser.set_dangerous_leniencies(lenient_version=True)
        self._chunks = _Chunks(self._parser.feed_data)
        self._head = b""

    def feed_data(self, data: bytes) -> None:
        """More of the answer. Raises as httptools's own parser does."""
        self._head += data
        while self._head and not self._reader.in_body:
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = rest
            # A line that continues the first one is refused, as it was.
            first, line_end, headers = head.partition(_LINE_END)
            self._parser.feed_data(first + line_end + _FOLD.sub(b" ", headers) + end)
        body, self._head = self._head, b""
        if body:
            (self._chunks.feed_data if self._reader.chunked else self._parser.feed_data)(body)

    def get_status_code(self) -> int:
        """That of what was read last."""
        return self._parser.get_status_code()

    def get_http_version(self) -> str:
        """That of what was read last."""
        return self._parser.get_http_version()

    def should_keep_alive(self) -> bool:
        """Never: the next answer may not be one that the parser takes."""
        return False


class _Chunks:
    """Passes a body in chunks on, without their extensions, which nobody here knows (RFC 9112, 7.1.1)."""

    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self._feed = feed
        self._line = b""
        self._left = 0
        """Bytes to come of the chunk, and of the line's end behind it."""
        self._is_last = False

    def feed_data(self, data: bytes) -> None:
        """More of the body. Raises as httptools's own parser does."""
        data, self._line = self._line + data, b""
        at = 0
        while at < len(data):
            if self._is_last:
                # Trailers, and what comes behind the answer.
                self._feed(data[at:])
                return
            if self._left:
                part = data[at : at + self._left]
                at += len(part)
                self._left -= len(part)
                self._feed(part)
                continue
            end = data.find(_LINE_END, at)
            if end < 0:
                self._line = data[at:]
                return
            self._begin(data[at:end])
            at = end + len(_LINE_END)

    def _begin(self, line: bytes) -> None:
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise HttpParserError("Invalid extensions of a chunk")
        # The parser refuses a size that is none, before anything is computed from it.
        self._feed(found[1] + _LINE_END)
        size = int(found[1], 16)
        self._is_last = size == 0
        self._left = size + len(_LINE_END)
