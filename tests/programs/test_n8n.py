"""n8n starts a workflow for what comes; with the node that the page names, it goes on once for each execution."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from app.embedded.ports import free_port
from tests.programs.installing import install_npm
from tests.programs.losing import Losing
from tests.programs.running import environment, run_to_end, running
from tests.programs.service import Service
from tests.receiver import Receiver
from tests.target_examples import example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

KEY = "a key of the tests"
CREDENTIALS = {
    "id": "keyOfThePage0001",
    "name": "key",
    "type": "httpHeaderAuth",
    "data": {"name": "X-Api-Key", "value": KEY},
}


def workflow(told: str) -> dict[str, Any]:
    """A webhook, the node that lets an id through once, and a call of `told` with what came."""
    webhook = {
        "httpMethod": "POST",
        "path": "report",
        "authentication": "headerAuth",
        "responseMode": "onReceived",
        "options": {},
    }
    once = {
        "operation": "removeItemsSeenInPreviousExecutions",
        "logic": "removeItemsWithAlreadySeenKeyValues",
        "dedupeValue": "={{ $json.body.execution_id }}",
        "options": {},
    }
    call = {
        "method": "POST",
        "url": told,
        "sendBody": True,
        "specifyBody": "json",
        "jsonBody": "={{ JSON.stringify($json.body) }}",
        "options": {},
    }
    parts = [("webhook", 2, webhook), ("removeDuplicates", 2, once), ("httpRequest", 4.2, call)]
    nodes: list[dict[str, Any]] = [
        {
            "id": name,
            "name": name,
            "type": f"n8n-nodes-base.{name}",
            "typeVersion": version,
            "position": [200 * place, 0],
            "parameters": parameters,
        }
        for place, (name, version, parameters) in enumerate(parts)
    ]
    nodes[0] |= {
        "webhookId": "1d1fd1ba-1a22-4aa9-8d8e-5a3b8d3d3c11",
        "credentials": {"httpHeaderAuth": {name: CREDENTIALS[name] for name in ("id", "name")}},
    }
    names = [name for name, _, _ in parts]
    return {
        "id": "reportOfThePage1",
        "name": "report",
        "active": False,
        "nodes": nodes,
        "connections": {
            one: {"main": [[{"node": other, "type": "main", "index": 0}]]} for one, other in pairwise(names)
        },
        "settings": {"executionOrder": "v1"},
    }


@dataclass(frozen=True, slots=True)
class N8n:
    """One that serves; `told` hears what its workflow goes on with."""

    url: str
    told: Receiver


@pytest.fixture(scope="module")
async def n8n(programs: Path, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[N8n]:
    # SheetJS is not on npm in the version that n8n names; no workflow here reads a spreadsheet.
    binaries = await install_npm(programs, "n8n@1.123.81", overrides={"xlsx": "0.18.5"})
    home, port, database = tmp_path_factory.mktemp("n8n"), free_port(), f"n8n_{secrets.token_hex(6)}"
    server = await asyncpg.connect(postgres_url)
    await server.execute(f"CREATE DATABASE {database}")
    address = urlsplit(postgres_url)
    env = environment(
        home,
        binaries,
        DB_TYPE="postgresdb",
        DB_POSTGRESDB_HOST=address.hostname or "",
        DB_POSTGRESDB_PORT=str(address.port),
        DB_POSTGRESDB_USER=address.username or "",
        DB_POSTGRESDB_PASSWORD=address.password or "",
        DB_POSTGRESDB_DATABASE=database,
        N8N_USER_FOLDER=str(home),
        N8N_LISTEN_ADDRESS="127.0.0.1",
        N8N_PORT=str(port),
        N8N_RUNNERS_ENABLED="false",
        # The other one is compiled code, which its package does not bring for every Node.js.
        N8N_EXPRESSION_ENGINE="legacy",
        N8N_DIAGNOSTICS_ENABLED="false",
        N8N_VERSION_NOTIFICATIONS_ENABLED="false",
        N8N_TEMPLATES_ENABLED="false",
    )
    url = f"http://127.0.0.1:{port}"
    async with Receiver() as told:
        (home / "credentials").write_text(json.dumps([CREDENTIALS]))
        (home / "workflow").write_text(json.dumps([workflow(told.url)]))
        command = str(binaries / "n8n")
        for arguments in (
            ("import:credentials", f"--input={home / 'credentials'}"),
            ("import:workflow", f"--input={home / 'workflow'}"),
            ("update:workflow", "--id=reportOfThePage1", "--active=true"),
        ):
            await run_to_end(command, *arguments, env=env, log=home / "log")
        async with running(command, "start", env=env, log=home / "log", ready=f"{url}/healthz/readiness"):
            await _listens(f"{url}/webhook/report")
            yield N8n(url, told)
    await server.execute(f"DROP DATABASE {database} WITH (FORCE)")
    await server.close()


async def _listens(webhook: str) -> None:
    async with asyncio.timeout(120), httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while (await client.post(webhook)).status_code == httpx.codes.NOT_FOUND:
            await asyncio.sleep(0.2)


def target(url: str, key: str = KEY) -> Any:
    return example("n8n", {"https://n8n.example": url, "<key>": key})


async def test_what_is_delivered_twice_goes_on_once(service: Service, n8n: N8n) -> None:
    async with Losing(n8n.url) as between:
        execution = await service.run(target(between.url))
    assert execution["status"] == "succeeded"
    assert [each.status for each in between.passed] == [200, 200]
    # Runs are begun in the order they came: when one that came later has gone on, the repeat would have.
    later = await service.run(target(n8n.url))
    ran = await n8n.told.wait_for(2)
    assert [each.json["execution_id"] for each in ran] == [execution["execution_id"], later["execution_id"]]
    assert ran[0].json["variables"]["report"] == "daily"


async def test_a_wrong_key_and_a_path_where_nobody_listens_are_refused_for_good(service: Service, n8n: N8n) -> None:
    right = target(n8n.url)
    wrong = {
        "HTTP 403": target(n8n.url, "another"),
        "HTTP 404": right | {"url": right["url"].replace("/report", "/other")},
    }
    for status, refused in wrong.items():
        execution = await service.run(refused)
        assert (execution["status"], len(execution["attempts"])) == ("failed", 1)
        assert execution["error"].startswith(status)
