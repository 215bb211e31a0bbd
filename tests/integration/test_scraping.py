"""What each process shows of itself over HTTP, and says on stderr meanwhile."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from app.embedded.ports import free_port
from tests.processes import Script
from tests.receiver import Receiver
from tests.unit.test_alerts import TOLD, as_told

API, WORKER = ("api", "--port"), ("worker", "--metrics-port")
SEVERAL = ("worker", "--processes", "2", "--metrics-port")
every_process = pytest.mark.parametrize("command", [API, WORKER, SEVERAL], ids=["api", "worker", "several"])


@dataclass
class Served:
    """A running command, and where it serves."""

    script: Script
    port: int

    @property
    def url(self) -> str:
        """The base of its paths."""
        return f"http://127.0.0.1:{self.port}"

    async def samples(self) -> list[Sample]:
        """What `/metrics` shows."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.url}/metrics")).text
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


Start = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
async def start(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a command, which is ready then."""
    async with Receiver() as receiver:
        environment = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "WORKFLOW_ENGINE_URL": receiver.url}

        @asynccontextmanager
        async def running(*command: str, **more: str) -> AsyncIterator[Served]:
            port = free_port()
            script = await Script.start(
                "-m", "app.cli", *command, str(port), errors=tmp_path / "errors", **environment | more
            )
            served = Served(script, port)
            try:
                await script.until_ready(served.url)
                yield served
            finally:
                await script.end()

        yield running


@every_process
async def test_metrics_ask_for_their_token_and_what_kubernetes_asks_for_does_not(
    start: Start, command: tuple[str, ...]
) -> None:
    token = "s3cret-ü"
    async with start(*command, METRICS_TOKEN=token) as served, httpx.AsyncClient(base_url=served.url) as client:
        for sent in (None, b"Bearer wrong", f"Basic {token}".encode(), b"Bearer", token.encode()):
            answer = await client.get("/metrics", headers={} if sent is None else {b"Authorization": sent})
            assert (answer.status_code, "running" in answer.text) == (401, False)
            assert answer.headers["www-authenticate"] == 'Bearer realm="schedule-service"'
        answer = await client.get("/metrics", headers={b"Authorization": f"bearer {token}".encode()})
        assert answer.status_code == 200
        # Also of the processes of which the one that is asked is only the parent.
        assert sum(line.startswith("schedule_service_running") for line in answer.text.splitlines()) == (
            2 if command is SEVERAL else 1
        )
        assert [(await client.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]


@every_process
async def test_what_is_no_http_is_an_event_as_any_other_and_said_once(start: Start, command: tuple[str, ...]) -> None:
    async with start(*command) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert b" 400 " in await reader.read()
        writer.close()
        assert await served.script.end(signal.SIGTERM) == 0
    events = [json.loads(line) for line in served.script.errors.read_text().splitlines()]
    said = [(event["level"], event["category"], event["logger"]) for event in events if event["event"] == "library_log"]
    assert said == [("warning", "SYSTEM", "uvicorn.error")]


@pytest.mark.parametrize(
    ("command", "places"),
    [(API, {"API"}), (WORKER, {"worker"}), (SEVERAL, {"worker", "parent"})],
    ids=["api", "worker", "several"],
)
async def test_a_process_shows_what_the_table_of_metrics_says_that_it_does(
    start: Start, command: tuple[str, ...], places: set[str]
) -> None:
    told = set[str]().union(*(TOLD[place] for place in places))
    # An issuer of tokens that is away: it is asked by the API alone.
    issuer = {"AUTH_MODE": "jwt", "JWT_ISSUER": f"http://127.0.0.1:{free_port()}", "JWT_AUDIENCE": "schedules"}
    async with start(*command, **issuer) as served:
        await served.samples()
        # The second, by which the first has been counted.
        shown = as_told(sample.name for sample in await served.samples())
    assert shown <= told
    # These have a series for each host, cause, loop or outcome, as they come up.
    later = {"moved_schedules_total", "target_circuits", "loop_age_seconds", "anomalies", "jwks_fetches_total"}
    assert told - shown <= later
