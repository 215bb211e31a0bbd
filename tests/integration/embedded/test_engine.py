"""The demo engine, in a process of its own as `dev` runs it."""

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.embedded.ports import free_port
from tests.processes import Script

EXECUTE = "/api/v1/workflows/8f14e45f-ceea-467f-9d3a-1c5b2a7e6f10/execute"


async def accepts_connections(host: str, port: int) -> None:
    """Wait until somebody listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


@asynccontextmanager
async def running(folder: str, **environment: str) -> AsyncIterator[tuple[Script, int]]:
    """An engine and its port; it ends in order."""
    port, errors = free_port(), Path(folder, "errors")
    script = await Script.start("-m", "app.embedded.engine", "--port", str(port), errors=errors, **environment)
    try:
        await accepts_connections("127.0.0.1", port)
        yield script, port
        assert await script.end(signal.SIGTERM) == 0
    finally:
        await script.end()


@pytest.fixture(scope="module")
async def engine_url() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        async with running(folder) as (script, port):
            yield f"http://127.0.0.1:{port}"
        assert script.errors.read_text() == ""


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=engine_url, trust_env=False) as client:
        yield client


async def newest(engine: httpx.AsyncClient) -> dict[str, object]:
    item: dict[str, object] = (await engine.get("/received")).json()["items"][0]
    return item


async def test_it_accepts_a_workflow_with_an_id_of_its_own(engine: httpx.AsyncClient) -> None:
    answers = [await engine.post(EXECUTE, json={"execution_id": "ours"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert all(answer.json()["success"] is True for answer in answers)
    ids = {answer.json()["data"]["execution_id"] for answer in answers}
    assert len(ids) == 2
    assert "ours" not in ids


async def test_it_shows_what_it_received_and_when(engine: httpx.AsyncClient) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    await engine.post(EXECUTE, json={"variables": {"n": 1}}, headers={"Idempotency-Key": "abc"})
    item = await newest(engine)
    assert set(item) == {"received_at", "headers", "body"}
    assert str(item["received_at"]).endswith("Z")
    assert before <= datetime.fromisoformat(str(item["received_at"])) <= datetime.now(UTC)
    assert isinstance(item["headers"], dict)
    assert item["headers"]["idempotency-key"] == "abc"
    assert item["body"] == {"variables": {"n": 1}}


async def test_a_body_that_is_no_json_is_shown_as_text(engine: httpx.AsyncClient) -> None:
    await engine.post(EXECUTE, content=b"not json \xff")
    assert (await newest(engine))["body"] == "not json \N{REPLACEMENT CHARACTER}"


async def test_it_keeps_the_last_500_newest_first(engine: httpx.AsyncClient) -> None:
    requests = [f"POST {EXECUTE} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{n}" for n in range(100, 601)]
    reader, writer = await asyncio.open_connection(engine.base_url.host, engine.base_url.port)
    writer.write("".join(requests).encode())
    for _ in requests:
        assert await reader.readline() == b"HTTP/1.1 202 Accepted\r\n"
        await reader.readuntil(b"}}")
    writer.close()
    await writer.wait_closed()
    items = (await engine.get("/received")).json()["items"]
    assert [item["body"] for item in items] == list(range(600, 100, -1))


async def test_a_body_over_a_mebibyte_is_refused_and_not_kept(engine: httpx.AsyncClient) -> None:
    await engine.post(EXECUTE, json="the one before")
    assert (await engine.post(EXECUTE, content=b"x" * 1024 * 1024)).status_code == 202
    assert (await engine.post(EXECUTE, content=b"x" * (1024 * 1024 + 1))).status_code == 413
    assert len(str((await newest(engine))["body"])) == 1024 * 1024


async def test_the_page_escapes_what_it_shows_and_refreshes_itself(engine: httpx.AsyncClient) -> None:
    await engine.post(
        EXECUTE,
        json={"note": "<script>alert(1)</script>", "scheduled_for": "2026-01-01T00:00:00Z", "trigger": "<b>"},
        headers={"Idempotency-Key": "<i>"},
    )
    answer = await engine.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert 'http-equiv="refresh"' in answer.text
    assert "&lt;script&gt;" in answer.text
    assert not any(tag in answer.text for tag in ("<script", "<b>", "<i>"))


@pytest.mark.parametrize(("method", "path"), [("GET", EXECUTE), ("POST", "/"), ("POST", "/received"), ("GET", "/x")])
async def test_anything_else_is_not_found(engine: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await engine.request(method, path)).status_code == 404


@pytest.mark.parametrize("form", ["text", "json"])
async def test_what_is_no_http_is_said_in_the_form_of_the_other_processes(tmp_path: Path, form: str) -> None:
    async with running(str(tmp_path), LOG_FORMAT=form) as (script, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert b" 400 " in await reader.read()
        writer.close()
    (line,) = script.errors.read_text().splitlines()
    if form == "json":
        assert json.loads(line)["event"] == "library_log"
    else:
        assert " WARNING engine:" in line
