"""Between a worker and a program: the first answer to each execution is lost, after the program gave it."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that a worker sent, and what the program answered."""

    id: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer: str


class Losing:
    """A proxy on loopback to the program at `behind`; used as `async with`."""

    def __init__(self, behind: str) -> None:
        self.passed: list[Passed] = []
        self.url = ""
        self._behind = behind
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._session = aiohttp.ClientSession()
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failed: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        body, headers = await request.read(), dict(request.headers)
        # As it came, the encoding of its path included.
        url = URL(self._behind + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            told = await answer.read()
        run = headers["Idempotency-Key"]
        first = all(each.id != run for each in self.passed)
        self.passed.append(Passed(run, request.raw_path, headers, body, answer.status, told.decode(errors="replace")))
        if first:
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
        return web.Response(status=answer.status, body=told)
