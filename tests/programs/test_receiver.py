"""docs/examples/receiver.py, as it stands there: what it takes from a worker, and what it refuses."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.embedded.ports import free_port
from tests.processes import CHECKOUT, Script
from tests.programs.losing import Losing, Passed
from tests.programs.service import SIGNING_SECRET, Service
from tests.target_examples import example

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Receiver:
    """The program, which serves."""

    url: str
    script: Script


async def start(folder: Path, port: int) -> Receiver:
    """Start it with uvicorn; it has the runs of an earlier one in that folder."""
    arguments = ("-m", "uvicorn", "receiver:app", "--app-dir", str(CHECKOUT / "docs" / "examples"))
    script = await Script.start(
        *(*arguments, "--port", str(port), "--no-access-log"),
        errors=folder / "errors",
        WEBHOOK_SIGNING_SECRET=SIGNING_SECRET,
        RUNS=str(folder / "runs.db"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    async with asyncio.timeout(60):
        while "Uvicorn running" not in script.errors.read_text():
            assert script.process.returncode is None, script.errors.read_text()
            await asyncio.sleep(0.05)
    return Receiver(f"http://127.0.0.1:{port}", script)


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    started = await start(tmp_path, free_port())
    yield started
    await started.script.end(signal.SIGTERM)


@pytest.fixture
async def delivered(service: Service, receiver: Receiver) -> list[Passed]:
    """One execution, delivered twice by a worker."""
    async with Losing(receiver.url) as between:
        execution = await service.run(
            example("A FastAPI program of your own", {"https://receiver.example": between.url})
        )
    assert execution["status"] == "succeeded"
    assert [each.id for each in between.passed] == [execution["execution_id"]] * 2
    return between.passed


async def test_what_a_worker_delivers_twice_runs_once(delivered: list[Passed], receiver: Receiver) -> None:
    assert [each.status for each in delivered] == [202, 202]
    said = await receiver.script.line()
    await receiver.script.end(signal.SIGTERM)
    assert receiver.script.process.stdout is not None
    assert await receiver.script.process.stdout.read() == b""
    _working, _on, run, body = said.split(" ", 3)
    assert run == delivered[0].id
    assert json.loads(body)["variables"]["report"] == "daily"


async def test_what_is_not_signed_so_is_refused(delivered: list[Passed], receiver: Receiver) -> None:
    sent = delivered[0]
    ours = {name: value for name, value in sent.headers.items() if name.lower().startswith("webhook-")}
    other = "01a20a4b-7a10-7cc3-98b1-3f6d2c0a9e51"
    old = str(int(ours["webhook-timestamp"]) - 400)
    forged = [
        (sent.body + b" ", ours),
        (sent.body.replace(b"daily", b"other"), ours),
        (sent.body, ours | {"webhook-id": other}),
        (sent.body, ours | {"webhook-timestamp": old}),
        (sent.body, ours | {"webhook-timestamp": "now"}),
        (sent.body, ours | {"webhook-signature": "v1," + "A" * 43 + "="}),
        (sent.body, ours | {"webhook-signature": "v1,not base64"}),
        (sent.body, ours | {"webhook-signature": "none"}),
        (b"\xff", ours),
        (sent.body, {name: value for name, value in ours.items() if name != "webhook-signature"}),
        (sent.body, {}),
    ]
    async with httpx.AsyncClient(trust_env=False) as client:
        answers = [await client.post(f"{receiver.url}/run", content=body, headers=sent) for body, sent in forged]
        again = await client.post(f"{receiver.url}/run", content=sent.body, headers=ours)
    assert [answer.status_code for answer in answers] == [401] * len(forged)
    assert again.status_code == 202


async def test_what_a_crash_left_is_finished_at_the_next_start(
    delivered: list[Passed], receiver: Receiver, tmp_path: Path
) -> None:
    await receiver.script.line()
    await receiver.script.end()
    undo = ("-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('UPDATE runs SET done=0'); c.commit()")
    script = await Script.start(*undo, str(tmp_path / "runs.db"), errors=tmp_path / "undo")
    assert await script.process.wait() == 0, script.errors.read_text()
    again = await start(tmp_path, free_port())
    try:
        assert (await again.script.line()).startswith(f"working on {delivered[0].id} ")
    finally:
        await again.script.end(signal.SIGTERM)
