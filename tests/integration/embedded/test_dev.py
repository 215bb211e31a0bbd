"""`schedule-service dev`, the whole of it, as a user starts it: must hold what the README promises about `make run`."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded.ports import free_port
from tests.processes import NoSuchProcess, Process, Script, all_gone

WORKFLOW_ID = "8f14e45f-ceea-467f-9d3a-1c5b2a7e6f10"
# The embedded servers are what is tested here, whatever the other tests use.
UNSET = {"DATABASE_URL": "", "REDIS_URL": "", "WORKFLOW_ENGINE_URL": ""}


@dataclass
class Dev:
    """A `dev` that has said that it is ready."""

    script: Script
    folder: Path
    port: int
    api: httpx.AsyncClient
    engine: httpx.AsyncClient

    async def close(self) -> None:
        """Close the test's own connections."""
        await self.api.aclose()
        await self.engine.aclose()

    def program(self, *words: str) -> Process:
        """The child whose command line ends with these words."""
        return next(p for p in self.script.descendants() if tuple(p.cmdline()[-len(words) :]) == words)


def arguments(folder: Path, port: int, *more: str) -> list[str]:
    return ["-m", "app.cli", "dev", "--data-dir", str(folder / "data"), "--port", str(port), *more]


async def start(folder: Path, port: int, **environment: str) -> Dev:
    script = await Script.start(*arguments(folder, port), errors=folder / "errors", **(UNSET | environment))
    try:
        lines = [await script.line() for _ in range(3)]
    except BaseException:
        await script.end()
        raise
    assert lines[0] == f"API http://127.0.0.1:{port}"
    assert lines[1].startswith("Engine http://")
    assert lines[2] == "Ready"
    api = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)
    engine = httpx.AsyncClient(base_url=lines[1].removeprefix("Engine "), trust_env=False)
    return Dev(script, folder, port, api, engine)


async def until(found: Callable[[], Any], *, seconds: float = 20) -> Any:
    """Ask until there is an answer; over HTTP nobody tells."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if answer := await found():
                    return answer
            except (httpx.TransportError, NoSuchProcess, StopIteration):
                pass
            await asyncio.sleep(0.02)


async def create_due_in(dev: Dev, seconds: float) -> tuple[str, datetime]:
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    wanted = {"workflow_id": WORKFLOW_ID, "schedule_type": "one_time", "scheduled_time": due.isoformat()}
    answer = await dev.api.post("/api/v1/schedules", json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()["schedule_id"], due


async def received_at(dev: Dev, schedule_id: str) -> datetime:
    async def arrived() -> str | None:
        items = (await dev.engine.get("/received")).json()["items"]
        return next((item["received_at"] for item in items if item["body"]["schedule_id"] == schedule_id), None)

    return datetime.fromisoformat(await until(arrived))


async def statuses(dev: Dev, schedule_id: str) -> list[str]:
    answer = await dev.api.get(f"/api/v1/schedules/{schedule_id}/executions")
    return [item["status"] for item in answer.json()["items"]]


@pytest.fixture(scope="module")
def kept_folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="schedule-service-test-")).resolve()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
async def dev(kept_folder: Path) -> AsyncIterator[Dev]:
    """One that all tests of this file use, and that ends by SIGTERM with status 0 and without a process left."""
    running = await start(kept_folder, free_port())
    yield running
    await running.close()
    descendants = running.script.descendants()
    assert await running.script.end(signal.SIGTERM) == 0, running.script.errors.read_text()
    assert await all_gone(descendants, seconds=1) == []


async def test_a_target_reports_with_the_token_that_came_with_its_delivery(dev: Dev) -> None:
    due = datetime.now(UTC) + timedelta(seconds=1)
    wanted = {"schedule_type": "one_time", "scheduled_time": due.isoformat(), "completion": "callback"}
    created = await dev.api.post("/api/v1/schedules", json={"workflow_id": WORKFLOW_ID, **wanted})
    schedule_id = created.json()["schedule_id"]
    await received_at(dev, schedule_id)
    items = (await dev.engine.get("/received")).json()["items"]
    callback = next(item["body"]["callback"] for item in items if item["body"]["schedule_id"] == schedule_id)
    bearer = {"Authorization": f"Bearer {callback['token']}"}
    async with httpx.AsyncClient(trust_env=False, headers=bearer) as target:
        assert (await target.post(f"{callback['url']}/heartbeat")).status_code == 200
        report = {"status": "succeeded", "result": {"rows": 3}}
        ended = (await target.post(f"{callback['url']}/complete", json=report)).json()
    assert (ended["status"], ended["result"]) == ("succeeded", {"rows": 3})


async def test_a_second_one_on_the_same_folder_is_refused_in_one_line(dev: Dev, folder: Path) -> None:
    second = await Script.start(*arguments(dev.folder, free_port()), errors=folder / "errors", **UNSET)
    async with asyncio.timeout(20):
        output, _ = await second.process.communicate()
    assert (second.process.returncode, output) == (1, b"")
    said = second.errors.read_text().splitlines()
    assert len(said) == 1
    assert f"data is in use by process {dev.script.process.pid}" in said[0]


async def test_a_taken_port_is_said_in_one_line_before_anything_is_started(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = await Script.start(*arguments(folder, port), errors=folder / "errors", **UNSET)
        async with asyncio.timeout(20):
            output, _ = await refused.process.communicate()
    assert (refused.process.returncode, output) == (1, b"")
    assert refused.errors.read_text().splitlines() == [
        f"schedule-service: Port {port} on 127.0.0.1 is taken: stop what listens there, or choose another with --port."
    ]
    assert not (folder / "data" / "postgres").exists()


@pytest.mark.parametrize(
    ("option", "number", "reason"),
    [
        ("--port", "99999", "99999 is not in the range 0<=x<=65535"),
        ("--port", "-1", "-1 is not in the range 0<=x<=65535"),
        ("--engine-port", "99999", "99999 is not in the range 0<=x<=65535"),
    ],
)
async def test_a_number_that_is_no_port_is_refused_before_anything_is_begun(
    folder: Path, option: str, number: str, reason: str
) -> None:
    refused = await Script.start(*arguments(folder, free_port(), option, number), errors=folder / "errors", **UNSET)
    async with asyncio.timeout(20):
        output, _ = await refused.process.communicate()
    assert (refused.process.returncode, output) == (2, b"")
    assert reason in " ".join(refused.errors.read_text().split())
    assert not (folder / "data").exists()


async def test_a_wrong_setting_is_said_in_one_line_before_anything_is_begun(folder: Path) -> None:
    given = {**UNSET, "LOG_FORMAT": "xml"}
    refused = await Script.start(*arguments(folder, free_port()), errors=folder / "errors", **given)
    async with asyncio.timeout(20):
        output, _ = await refused.process.communicate()
    assert (refused.process.returncode, output) == (1, b"")
    assert refused.errors.read_text() == "schedule-service: LOG_FORMAT='xml': Input should be 'json' or 'text'\n"
    assert not (folder / "data").exists()


async def test_a_setting_that_stops_the_api_stops_all(folder: Path, database_url: str, redis_url: str) -> None:
    given = {**UNSET, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": "short"}
    refused = await Script.start(*arguments(folder, free_port()), errors=folder / "errors", **given)
    async with asyncio.timeout(30):
        output, _ = await refused.process.communicate()
    assert (refused.process.returncode, output) == (1, b"")
    assert "SECRET_KEY" in refused.errors.read_text()


async def test_given_servers_are_used_and_a_second_signal_does_not_wait_for_requests_under_way(
    folder: Path, database_url: str, redis_url: str
) -> None:
    asked = asyncio.Event()
    done = asyncio.Event()

    async def never_answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await done.wait()
        writer.close()

    engine = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    engine_url = f"http://127.0.0.1:{engine.sockets[0].getsockname()[1]}"
    given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "WORKFLOW_ENGINE_URL": engine_url}
    dev = await start(folder, free_port(), **given)
    assert str(dev.engine.base_url) == engine_url
    assert not {"postgres", "valkey-server"} & {child.name() for child in dev.script.descendants()}
    await create_due_in(dev, 1)
    async with asyncio.timeout(20):
        await asked.wait()
    descendants = dev.script.descendants()
    dev.script.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        # The first one is known to have arrived.
        while "Stopping" not in dev.script.errors.read_text():
            await asyncio.sleep(0.01)
    assert await dev.script.end(signal.SIGTERM, seconds=5) == 0
    assert await all_gone(descendants, seconds=1) == []
    done.set()
    await dev.close()
    engine.close()
    await engine.wait_closed()


async def test_children_are_out_of_reach_of_the_terminal(dev: Dev) -> None:
    sessions = {os.getsid(child.pid) for child in dev.script.descendants()}
    assert os.getsid(dev.script.process.pid) not in sessions


async def test_whatever_is_killed_is_started_again(dev: Dev) -> None:
    async def healthy() -> bool:
        health = (await dev.api.get("/api/v1/health")).json()
        return health["status"] == "ok" and bool(dev.program("app.cli", "worker"))

    killed = [dev.program("app.cli", "worker"), dev.program("--port", str(dev.port))]
    killed += [child for child in dev.script.descendants() if child.name() in ("postgres", "valkey-server")]
    killed = [child for child in killed if child.ppid() == dev.script.process.pid]
    assert len(killed) == 4
    for child in killed:
        child.kill()
    assert await all_gone(killed) == []
    await until(healthy)
    schedule_id, due = await create_due_in(dev, 2)
    assert await received_at(dev, schedule_id) >= due
    said = dev.script.errors.read_text()
    assert "Worker 1 ended with SIGKILL; starting it again in 0.5 s." in said


async def test_a_schedule_fires_in_time_beside_another_dev_and_is_there_after_kill_9_of_everything(
    dev: Dev, folder: Path
) -> None:
    port = free_port()
    first = await start(folder, port)
    schedule_id, due = await create_due_in(first, 3)
    later_id, _ = await create_due_in(first, 3600)
    late = await received_at(first, schedule_id) - due
    # Fifty milliseconds on a machine of its own; here other tests may run beside it.
    assert timedelta(0) <= late < timedelta(milliseconds=500)

    async def succeeded() -> bool:
        return await statuses(first, schedule_id) == ["succeeded"]

    await until(succeeded)
    assert (await dev.api.get(f"/api/v1/schedules/{schedule_id}")).status_code == 404

    await first.close()
    descendants = first.script.descendants()
    first.script.process.kill()
    for child in descendants:
        # Whose parent was killed may be gone already.
        with contextlib.suppress(NoSuchProcess):
            child.kill()
    assert await all_gone(descendants) == []
    await first.script.process.wait()

    again = await start(folder, port)
    assert await statuses(again, schedule_id) == ["succeeded"]
    assert (await again.api.get(f"/api/v1/schedules/{later_id}")).json()["status"] == "active"
    await again.close()
    descendants = again.script.descendants()
    assert await again.script.end(signal.SIGINT) == 0, again.script.errors.read_text()
    assert await all_gone(descendants, seconds=1) == []


async def start_halfway(folder: Path) -> Script:
    """A `dev` whose Postgres is just coming up."""
    script = await Script.start(*arguments(folder, free_port()), errors=folder / "errors", **UNSET)
    lock_file = folder / "data" / "postgres" / "cluster" / "postmaster.pid"
    async with asyncio.timeout(30):
        while not lock_file.exists():
            await asyncio.sleep(0.01)
    return script


async def test_the_children_of_one_killed_while_starting_die_and_a_signal_while_starting_stops_with_status_0(
    folder: Path,
) -> None:
    script = await start_halfway(folder)
    descendants = script.descendants()
    await script.end()
    assert await all_gone(descendants) == []
    (folder / "data" / "postgres" / "cluster" / "postmaster.pid").unlink(missing_ok=True)

    script = await start_halfway(folder)
    descendants = script.descendants()
    assert await script.end(signal.SIGTERM) == 0, script.errors.read_text()
    assert await all_gone(descendants) == []
