"""Headers of an answer over several lines: obsolete, but lawful, and to be read as one line each (RFC 9112, 5.2)."""

import re
from typing import Protocol

from httptools import HttpResponseParser

_FOLD = re.compile(rb"\r\n[ \t]+")


class Reading(Protocol):
    """Whoever the parser tells what it reads, as httptools calls it."""

    in_body: bool
    """Whether the headers are over."""


def is_folded(read: bytes) -> bool:
    """Whether there may be a header over several lines in this: in what is no HTTP, no end of headers ever comes."""
    return read.lstrip(b"\r\n").startswith(b"HTTP/") and _FOLD.search(read) is not None


class Unfolding:
    """A parser of one answer that has headers over several lines.

    The leniency that llhttp has for them lets through any byte in a header, and a space before its colon.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._parser = HttpResponseParser(reading)
        self._head = b""

    def feed_data(self, data: bytes) -> None:
        """More of the answer. Raises as httptools's own parser does."""
        self._head += data
        while self._head and not self._reading.in_body:
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = rest
            # A line that continues the first one is refused, as it was.
            first, line_end, headers = head.partition(b"\r\n")
            self._parser.feed_data(first + line_end + _FOLD.sub(b" ", headers) + end)
        body, self._head = self._head, b""
        self._parser.feed_data(body)

    def get_status_code(self) -> int:
        """That of what was read last."""
        return self._parser.get_status_code()

    def should_keep_alive(self) -> bool:
        """Never: the next answer may not be folded."""
        return False
