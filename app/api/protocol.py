"""HTTP/1.1 as uvicorn reads it by httptools, and two things that it leaves out.

A request's head has no bound there: whoever sends headers without an end, and no credentials either, has the process
keep them all. And what is no HTTP at all is answered with a text, where every other refusal is a problem document.
"""

from http import HTTPStatus
from uuid import uuid4

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.problems import MEDIA_TYPE, BrokenRequestException, HeadTooLargeException, problem, status_of
from app.core.errors import ScheduleServiceException

HEAD_LIMIT_BYTES = 64 * 1024
"""Of a request line with its headers; as much again may have come of a header that is not read to its end yet."""


class ApiProtocol(HttpToolsProtocol):
    """One connection of a caller."""

    _head_number = 0
    _in_head = False
    _head_bytes = 0
    _unfinished_bytes = 0

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
        self._head_bytes = self._unfinished_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is there; what is raised here ends the reading."""
        self._head_bytes += len(name) + len(value)
        self._unfinished_bytes = 0
        if self._head_bytes > HEAD_LIMIT_BYTES:
            raise _too_large()
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """All of them are."""
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What could not be read; uvicorn calls it within the handling of the parser's error."""
        self._refuse(_too_large() if self._head_bytes > HEAD_LIMIT_BYTES else BrokenRequestException(msg))

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
