"""One `/metrics`, `/livez` and `/readyz` for several worker processes, asked of each over a socket of its own."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from app.metrics import ParentMetrics
from app.scraping import scrape_server
from app.serving import QuietServer

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

    def server(self, token: str) -> QuietServer:
        """What Prometheus and Kubernetes ask."""

        async def show() -> tuple[bytes, str]:
            texts = await asyncio.gather(*(self._ask(number, "/metrics") for number in self._clients))
            answered = {number: text for number, text in zip(self._clients, texts, strict=True) if text is not None}
            self._metrics.processes.set(len(answered))
            own, content_type = self._metrics.render()
            return own + merged(answered).encode(), content_type

        async def ready() -> tuple[bool, str]:
            answers = await asyncio.gather(*(self.ready(number) for number in self._clients))
            if self._stopping() or not all(answers):
                return False, f"{sum(answers)} of {len(answers)} claim\n"
            return True, "ok\n"

        return scrape_server(show, ready, token=token)

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
