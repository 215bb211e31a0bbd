"""HTTP/1.1 as uvicorn reads it by httptools, and three things that it leaves out.

A request's head has no bound there: whoever sends headers without an end, and no credentials either, has the process
keep them all. A request without a `Host`, or with several, is none of HTTP/1.1 (RFC 9112, 3.2). And what is no HTTP at
all is answered with a text, where every other refusal is a problem document.
"""

import re
from http import HTTPStatus
from typing import NoReturn
from uuid import uuid4

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.problems import (
    MEDIA_TYPE,
    BrokenRequestException,
    HeadTooLargeException,
    UrlTooLongException,
    problem,
    status_of,
)
from app.core.errors import ScheduleServiceException

HEAD_LIMIT_BYTES = 64 * 1024
"""Of a request line with its headers; as much again may have come of a header that is not read to its end yet."""
# What a host and its port are written with; which of them there are is for others to say. None is an empty one.
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")


class ApiProtocol(HttpToolsProtocol):
    """One connection of a caller."""

    _head_number = 0
    _in_head = False
    _head_bytes = 0
    _unfinished_bytes = 0
    _hosts = 0
    _refusal: ScheduleServiceException | None = None

    def data_received(self, data: bytes) -> None:
        """Read what came, and refuse a head that goes on and on."""
        number = self._head_number if self._in_head else None
        super().data_received(data)
        # What came with the beginning or the end of a head may belong to its neighbours, and is little.
        if self._in_head and self._head_number == number and not self.transport.is_closing():
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > HEAD_LIMIT_BYTES:
                self._refuse(_too_large())

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_number += 1
        self._in_head = True
        self._head_bytes = self._unfinished_bytes = self._hosts = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the URL is there; what is raised in these ends the reading."""
        self._head_bytes += len(url)
        if self._head_bytes >= HEAD_LIMIT_BYTES:
            self._raise(UrlTooLongException(f"A URL must have fewer than {HEAD_LIMIT_BYTES} bytes."))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is there."""
        self._head_bytes += len(name) + len(value)
        self._unfinished_bytes = 0
        if self._head_bytes > HEAD_LIMIT_BYTES:
            self._raise(_too_large())
        if name.lower() == b"host":
            self._hosts += 1
            if not _HOST.fullmatch(value):
                self._raise(BrokenRequestException("Host must be the name or the address of a host."))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """All of them are."""
        self._in_head = False
        # Before 1.1 there was none.
        if self._hosts > 1 or (self._hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._raise(BrokenRequestException(f"One Host header is needed, not {self._hosts or 'none'}."))
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What could not be read; uvicorn calls it within the handling of the parser's error."""
        self._refuse(self._refusal or BrokenRequestException(msg))

    def _raise(self, refusal: ScheduleServiceException) -> NoReturn:
        # The parser makes an error of its own of whatever is raised.
        self._refusal = refusal
        raise refusal

    def _refuse(self, error: ScheduleServiceException) -> None:
        request_id = str(uuid4())
        body = orjson.dumps(problem(error, request_id))
        status = HTTPStatus(status_of(error))
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"X-Request-Id: {request_id}\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _too_large() -> HeadTooLargeException:
    return HeadTooLargeException(f"A request line and its headers may have at most {HEAD_LIMIT_BYTES} bytes.")
