"""A receiver that costs as little as one in Python can: it answers 202 and notes when each request came.

Runs as a process of its own: `python -m bench.receiver PORT_FILE`. `GET /times` answers, and forgets, the arrivals as
`[[idempotency key, milliseconds since the epoch], …]`.
"""

import asyncio
import gc
import sys
import time
from pathlib import Path
from typing import cast

import orjson
import uvloop

_ANSWER_BODY = b'{"success":true,"data":{"execution_id":"bench"}}'
_ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(_ANSWER_BODY),
    _ANSWER_BODY,
)
arrivals: list[tuple[str, float]] = []


class Receiver(asyncio.Protocol):
    """One connection: requests with a Content-Length, one after the other."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop does not derive from it

    def data_received(self, data: bytes) -> None:
        at_ms = time.time() * 1000
        self._buffer += data
        assert self._transport is not None
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(header_of(head, b"content-length") or b"0")
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            if head.startswith(b"get /times"):
                body = orjson.dumps(arrivals)
                arrivals.clear()
                self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            else:
                arrivals.append(((header_of(head, b"idempotency-key") or b"").decode(), at_ms))
                self._transport.write(_ANSWER)


def header_of(head: bytes, name: bytes) -> bytes | None:
    """The value of a header in a request's head in small letters; null where it is not there."""
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


async def serve(port_file: Path) -> None:
    # It keeps a hundred thousand arrivals and makes no cycle: looking for some would hold up what arrives meanwhile.
    gc.disable()
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=4096)
    port_file.with_suffix(".new").write_text(str(server.sockets[0].getsockname()[1]))
    port_file.with_suffix(".new").rename(port_file)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1])))
