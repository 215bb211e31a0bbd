"""`worker --processes N`: real processes that fire, are killed, are started again, and end with their parent."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from app.core.clock import SystemClock
from app.embedded.ports import free_port
from app.settings import Settings
from app.store.database import Database
from app.workers import gathering, processes
from app.workers.processes import run_processes
from tests.integration.store.rows import add_schedule
from tests.processes import NoSuchProcess, Process, Script, all_gone, is_gone, living_children
from tests.receiver import Received, Receiver
from tests.unit.test_alerts import LOOPS


@dataclass
class Parent:
    """A running `worker --processes`, and its one port."""

    script: Script
    url: str
    database: Database

    def workers(self) -> list[Process]:
        """Its worker processes: a library that it imports asks a program for something, too."""
        return [process for process in self.script.descendants() if _is_worker(process)]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.02)

    async def until_ready(self) -> None:
        """Wait until all claim."""
        await self.script.until_ready(self.url)

    async def samples(self) -> dict[tuple[str, str], float]:
        """The value of each sample without further labels, by its name and its process."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.url}/metrics")).text
        return {
            (sample.name, sample.labels.get("process", "")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if set(sample.labels) <= {"process"}
        }

    async def rows(self) -> int:
        """How many workers have a row."""
        return await _rows(self.database)


@dataclass
class Machine:
    """Starts parents."""

    environment: dict[str, str]
    folder: Path
    database: Database
    receiver: Receiver

    async def start(self, *arguments: str, **environment: str) -> Script:
        """A command, as started by an operator."""
        return await Script.start(
            "-m", "app.cli", "worker", *arguments, errors=self.folder / "errors", **self.environment | environment
        )

    @asynccontextmanager
    async def running(self, processes: int, **environment: str) -> AsyncIterator[Parent]:
        """A parent all of whose processes are ready."""
        port = free_port()
        script = await self.start("--processes", str(processes), "--metrics-port", str(port), **environment)
        workers: list[Process] = []
        try:
            parent = Parent(script, f"http://127.0.0.1:{port}", self.database)
            await script.until_ready(parent.url)
            workers = parent.workers()
            yield parent
        finally:
            # A test may have killed it, or ended it: then those that were there are left to look for.
            with suppress(NoSuchProcess):
                workers += script.descendants()
            await script.end()
            assert not await all_gone(workers)

    async def due(self, number: int, *, every_seconds: int = 60) -> None:
        """So many schedules that are due now."""
        now = datetime.now(UTC).replace(microsecond=0)
        async with self.database.transaction() as connection:
            for _ in range(number):
                await add_schedule(
                    connection,
                    interval_seconds=every_seconds,
                    created_at=now - timedelta(days=1),
                    searched_to=now - timedelta(seconds=every_seconds),
                    next_execution_at=now,
                    next_due_at=now,
                )


def _is_worker(process: Process) -> bool:
    try:
        return "--metrics-socket" in process.cmdline()
    except NoSuchProcess:
        return False


async def _rows(database: Database) -> int:
    async with database.connection() as connection:
        found: int = await connection.fetchval("SELECT count(*) FROM workers")
    return found


@pytest.fixture
async def machine(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Machine]:
    database = await Database.open(database_url, pool_size=2)
    async with Receiver() as receiver:
        environment = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "WORKFLOW_ENGINE_URL": receiver.url}
        yield Machine(environment, tmp_path, database, receiver)
    await database.close()


async def test_several_processes_fire_and_one_port_shows_each_of_them(machine: Machine) -> None:
    await machine.due(20)
    async with machine.running(2) as parent:
        await machine.receiver.wait_for(20)
        assert set(machine.receiver.deliveries().values()) == {1}
        assert len(parent.workers()) == await parent.rows() == 2
        samples = await parent.samples()
        assert samples["schedule_service_processes", ""] == 2
        assert samples["schedule_service_process_restarts_total", ""] == 0
        for process in ("1", "2"):
            assert samples["schedule_service_running", process] == 1
            assert samples["schedule_service_postgres_up", process] == 1
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{parent.url}/livez")).status_code == 200
            ages: list[tuple[str, str]] = []
            async with asyncio.timeout(30):
                # Each shows its age once it has come round; the alerts ask for these.
                while {loop for loop, _ in ages} != LOOPS:
                    text = (await client.get(f"{parent.url}/metrics")).text
                    ages = re.findall(r'loop_age_seconds\{process="1",loop="([\w-]+)"\} (\S+)', text)
        assert all(float(age) < 20 for _, age in ages), "what has nothing to do is not old"
        assert await parent.script.end(signal.SIGTERM) == 0
        assert await parent.rows() == 0


async def test_a_process_that_is_killed_is_started_again_and_counted(machine: Machine) -> None:
    async with machine.running(2) as parent:
        killed = parent.workers()[0]
        killed.kill()
        assert not await all_gone([killed])
        await parent.until(
            lambda: len(parent.workers()) == 2 and killed.pid not in [one.pid for one in parent.workers()]
        )
        await parent.until_ready()
        samples = await parent.samples()
        assert samples["schedule_service_process_restarts_total", ""] == 1
        await machine.due(10)
        await machine.receiver.wait_for(10)
        assert await parent.script.end(signal.SIGINT) == 0
        assert "SIGKILL" in parent.script.errors.read_text()


async def test_one_that_is_killed_before_it_was_ever_ready_is_no_reason_to_end(machine: Machine) -> None:
    port = free_port()
    script = await machine.start("--processes", "2", "--metrics-port", str(port))
    try:
        parent = Parent(script, f"http://127.0.0.1:{port}", machine.database)
        await parent.until(parent.workers)
        killed = parent.workers()[0]
        killed.kill()
        await parent.until_ready()
        assert killed.pid not in [one.pid for one in parent.workers()]
        assert await script.end(signal.SIGTERM) == 0
    finally:
        await script.end()


async def test_a_process_that_says_nothing_any_more_is_replaced(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, where the half minute can be made a short one; the children are real."""
    monkeypatch.setattr(processes, "_LIVE_POLL_SECONDS", 0.1)
    monkeypatch.setattr(processes, "_START_SECONDS", 20.0)
    monkeypatch.setattr(gathering, "_ANSWER_SECONDS", 0.3)
    settings = Settings(
        database_url=machine.environment["DATABASE_URL"],
        redis_url=machine.environment["REDIS_URL"],
        workflow_engine_url=machine.environment["WORKFLOW_ENGINE_URL"],
    )
    for name, value in machine.environment.items():
        monkeypatch.setenv(name, value)
    before = {one.pid for one in living_children()}
    running = asyncio.create_task(run_processes(settings, SystemClock(), processes=2))

    def workers() -> list[Process]:
        return [one for one in living_children() if one.pid not in before and _is_worker(one)]

    async with asyncio.timeout(60):
        while await _rows(machine.database) < 2:
            await asyncio.sleep(0.05)
        frozen = workers()[0]
        frozen.suspend()
        while not is_gone(frozen) or len(workers()) < 2:
            await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0


async def test_no_process_outlives_a_parent_that_is_killed(machine: Machine) -> None:
    async with machine.running(3) as parent:
        workers = parent.workers()
        assert len(workers) == 3
        parent.script.process.kill()
        assert not await all_gone(workers, seconds=5)


async def test_a_second_signal_ends_at_once_what_the_first_lets_finish(machine: Machine) -> None:
    answer = asyncio.Event()

    async def hang(_received: Received) -> web.Response:
        await answer.wait()
        return web.json_response({}, status=202)

    machine.receiver.behaviour = hang
    await machine.due(4)
    async with machine.running(2) as parent:
        await machine.receiver.wait_for(4)
        samples = await parent.samples()
        # One of them may have been quick enough to take all.
        busy = [process for process in ("1", "2") if samples["schedule_service_in_flight", process]]
        parent.script.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20), httpx.AsyncClient() as client:
            # Each has taken the first one in: a second that comes before that is the same one to the kernel.
            while not (await client.get(f"{parent.url}/readyz")).text.startswith("0 of"):
                await asyncio.sleep(0.02)
        assert len(parent.workers()) >= len(busy) > 0, "they finish what is under way"
        assert await parent.script.end(signal.SIGTERM, seconds=10) == 0, (machine.folder / "errors").read_text()[-3000:]
    answer.set()


async def test_a_process_that_does_not_end_in_its_grace_is_killed_and_the_status_tells(machine: Machine) -> None:
    async with machine.running(2, SHUTDOWN_GRACE_SECONDS="0") as parent:
        frozen = parent.workers()[0]
        frozen.suspend()
        assert await parent.script.end(signal.SIGTERM) == 1
        assert not await all_gone([frozen])


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_scraper_that_reads_nothing_holds_nobody_up(machine: Machine, processes: int) -> None:
    async with machine.running(processes) as parent:
        port = urlsplit(parent.url).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: worker\r\n\r\n" * 2_000)
        # Until its answers are stuck: it reads no further questions then.
        await reader.readexactly(1)
        with suppress(TimeoutError):
            await asyncio.wait_for(writer.drain(), 1)
        assert await parent.script.end(signal.SIGTERM, seconds=10) == 0, (machine.folder / "errors").read_text()[-3000:]
        writer.transport.abort()


async def test_a_wrong_setting_is_one_line_and_status_1(machine: Machine) -> None:
    script = await machine.start("--processes", "2", WORKFLOW_ENGINE_URL="")
    assert await script.process.wait() == 1
    (line,) = script.errors.read_text().splitlines()
    assert line.startswith("schedule-service: WORKFLOW_ENGINE_URL is not set")


async def test_what_cannot_start_at_all_is_not_tried_for_ever(machine: Machine) -> None:
    async with machine.database.connection() as connection:
        await connection.execute("DELETE FROM alembic_version")
    script = await machine.start("--processes", "2")
    async with asyncio.timeout(30):
        assert await script.process.wait() == 1
    assert "the database has an older schema" in script.errors.read_text()


async def test_a_port_that_is_taken_stops_the_start_before_anything_is_claimed(machine: Machine) -> None:
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "0.0.0.0", 0)
    port = taken.sockets[0].getsockname()[1]
    script = await machine.start("--processes", "2", "--metrics-port", str(port))
    async with asyncio.timeout(30):
        assert await script.process.wait() == 1
    said = f"schedule-service: cannot listen on 0.0.0.0, port {port}: port {port} is taken\n"
    assert script.errors.read_text() == said
    taken.close()
    await taken.wait_closed()
