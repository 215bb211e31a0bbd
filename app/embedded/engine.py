"""The demo workflow engine: accepts the call that starts a workflow, and shows what it was sent.

`python -m app.embedded.engine --host 127.0.0.1 --port 9000`. It does no work; it stands where a real engine would, and
is fast enough to be the receiver of a benchmark.
"""

import argparse
import asyncio
import os
import re
import signal
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import uuid4

import orjson
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from app.core.clock import from_ms
from app.embedded.engine_page import SHOWN, page
from app.logs import configure_logs
from app.serving import QuietServer

KEPT_REQUESTS = 500
LARGEST_BODY_BYTES = 1024 * 1024
_KEPT_BYTES = 64 * 1024 * 1024
_EXECUTE = re.compile(r"/api/v1/workflows/[^/]+/execute")
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived; `received_ms` since the epoch, taken before its body was read."""

    received_ms: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def shown(self) -> dict[str, Any]:
        """`received_at` (RFC 3339, UTC), `headers`, and `body`: what it says as JSON, else its text."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        received_at = from_ms(self.received_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"received_at": received_at, "headers": headers, "body": _parsed(self.body)}


class DemoEngine:
    """The ASGI application. It keeps the last 500 requests, and no more than 64 MiB of them."""

    def __init__(self) -> None:
        self._received: deque[Received] = deque()
        self._kept_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Before anything else: this is what a schedule's lateness is measured by.
        received_ms = time.time_ns() // 1_000_000
        path, method = scope["path"], scope["method"]
        if method == "POST" and _EXECUTE.fullmatch(path):
            await self._execute(received_ms, scope, receive, send)
        elif method == "GET" and path == "/received":
            await _answer(send, 200, orjson.dumps({"items": [item.shown() for item in self.newest()]}))
        elif method == "GET" and path == "/":
            latest = [item.shown() for item in islice(self.newest(), SHOWN)]
            await _answer(send, 200, page(latest, kept=len(self._received)).encode(), "text/html; charset=utf-8")
        else:
            await _answer(send, 404, b'{"success":false,"error":"no such operation"}')

    def newest(self) -> Iterator[Received]:
        """What was received, newest first."""
        return reversed(self._received)

    async def _execute(self, received_ms: int, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            await _answer(send, 413, b'{"success":false,"error":"larger than 1 MiB"}', closes=True)
            return
        self._keep(Received(received_ms, tuple(scope["headers"]), body))
        await _answer(send, 202, b'{"success":true,"data":{"execution_id":"%s"}}' % str(uuid4()).encode())

    def _keep(self, received: Received) -> None:
        self._received.append(received)
        self._kept_bytes += len(received.body)
        while len(self._received) > KEPT_REQUESTS or self._kept_bytes > _KEPT_BYTES:
            self._kept_bytes -= len(self._received.popleft().body)


async def _read(receive: Receive) -> bytes | None:
    """The body; None when it is too large."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > LARGEST_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


async def _answer(send: Send, status: int, body: bytes, media_type: str = _JSON, *, closes: bool = False) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if closes:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")


async def serve(host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        DemoEngine(),
        host=host,
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    server = QuietServer(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.finish)
    await server.serve()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A workflow engine that accepts everything and shows it.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    arguments = parser.parse_args()
    configure_logs(level="WARNING", fmt=os.environ.get("LOG_FORMAT", ""), module="engine")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(arguments.host, arguments.port))


if __name__ == "__main__":
    main()
