"""A workflow engine that takes notes: a real HTTP server on loopback, in the test's own loop."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

Behaviour = Callable[["Received"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Received:
    """One request, and when it came in milliseconds since the epoch, on this machine's clock."""

    at_ms: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as an object."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class Receiver:
    """Answers 202 as WaddleBot's engine does, or as `behaviour` says."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.behaviour: Behaviour | None = None
        self._came = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        at_ms = time.time() * 1000
        received = Received(at_ms, request.method, request.raw_path, dict(request.headers), await request.read())
        self.received.append(received)
        async with self._came:
            self._came.notify_all()
        if self.behaviour is not None:
            return await self.behaviour(received)
        return web.json_response({"success": True, "data": {"execution_id": "engine-1"}}, status=202)

    async def wait_for(self, number: int, *, within_seconds: float = 30) -> list[Received]:
        """Everything received, once it is at least that many requests."""
        async with asyncio.timeout(within_seconds), self._came:
            await self._came.wait_for(lambda: len(self.received) >= number)
        return list(self.received)

    def deliveries(self) -> Counter[str]:
        """How often each execution came."""
        return Counter(received.headers["Idempotency-Key"] for received in self.received)
