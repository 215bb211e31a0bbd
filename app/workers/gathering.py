"""One `/metrics`, `/livez` and `/readyz` for several worker processes, asked of each over a socket of its own."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.metrics import ParentMetrics
from app.serving import SCRAPE_SECONDS, QuietServer

_ANSWER_SECONDS = 3.0


class Gathering:
    """Asks every process, and answers for all of them."""

    def __init__(self, sockets: Mapping[int, Path], metrics: ParentMetrics, stopping: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._stopping = stopping
        self._clients = {
            number: httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=str(socket)), base_url="http://worker", timeout=_ANSWER_SECONDS
            )
            for number, socket in sockets.items()
        }

    async def close(self) -> None:
        """Let go of the connections."""
        for client in self._clients.values():
            await client.aclose()

    async def ready(self, number: int) -> bool:
        """Whether a process claims."""
        return await self._ask(number, "/readyz") is not None

    async def lives(self, number: int) -> bool:
        """Whether a process answers at all."""
        return await self._ask(number, "/livez") is not None

    def server(self) -> QuietServer:
        """What Prometheus and Kubernetes ask."""

        async def show(_request: Request) -> Response:
            texts = await asyncio.gather(*(self._ask(number, "/metrics") for number in self._clients))
            answered = {number: text for number, text in zip(self._clients, texts, strict=True) if text is not None}
            self._metrics.processes.set(len(answered))
            own, content_type = self._metrics.render()
            return Response(own.decode() + merged(answered), media_type=content_type)

        async def live(_request: Request) -> Response:
            return PlainTextResponse("ok\n")

        async def ready(_request: Request) -> Response:
            answers = await asyncio.gather(*(self.ready(number) for number in self._clients))
            if self._stopping() or not all(answers):
                return PlainTextResponse(f"{sum(answers)} of {len(answers)} claim\n", 503)
            return PlainTextResponse("ok\n")

        app = Starlette(routes=[Route("/metrics", show), Route("/livez", live), Route("/readyz", ready)])
        return QuietServer(
            uvicorn.Config(
                app,
                loop="none",
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=SCRAPE_SECONDS,
            )
        )

    async def _ask(self, number: int, path: str) -> str | None:
        try:
            answer = await self._clients[number].get(path)
        except httpx.TransportError:
            return None
        return answer.text if answer.status_code == 200 else None


def merged(expositions: Mapping[int, str]) -> str:
    """The expositions of several processes as one, each sample with the label `process`, each metric's together."""
    headers: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for number, text in expositions.items():
        name = ""
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                headers[name] = [line]
            elif line.startswith("# TYPE "):
                headers[name] = [*headers[name][:1], line]
            elif line:
                samples.setdefault(name, []).append(_labelled(line, number))
    return "".join(f"{line}\n" for name in headers for line in (*headers[name], *samples.get(name, [])))


def _labelled(sample: str, number: int) -> str:
    series, value = sample.rsplit(" ", 1)
    name, brace, labels = series.partition("{")
    return f'{name}{{process="{number}",{labels} {value}' if brace else f'{name}{{process="{number}"}} {value}'
