"""Prefect takes an execution as one flow run, however often it comes."""

import base64
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

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAME, PASSWORD = "scheduler", "a password of the tests"
USER = f"{NAME}:{PASSWORD}"


@pytest.fixture(scope="module")
async def prefect(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of its API."""
    binaries = await install_python(programs, "prefect==3.9.1")
    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    env = environment(
        home,
        binaries,
        PREFECT_HOME=str(home),
        PREFECT_SERVER_API_AUTH_STRING=USER,
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_UI_ENABLED="false",
        DO_NOT_TRACK="1",
    )
    url = f"http://127.0.0.1:{port}"
    async with (
        running(
            *(str(binaries / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)),
            env=env,
            log=home / "log",
            ready=f"{url}/api/health",
        ),
        httpx.AsyncClient(base_url=url, auth=(NAME, PASSWORD), trust_env=False, timeout=60) as client,
    ):
        yield client


async def deployment(prefect: httpx.AsyncClient, name: str = "daily", *, enforce: bool = False) -> str:
    """The id of one that has a flow with a parameter, whose type Prefect is to enforce or not."""
    flow = await prefect.post("/api/flows/", json={"name": "report"})
    schema = {"type": "object", "properties": {"report": {"type": "string"}}, "required": ["report"]}
    made = await prefect.post(
        "/api/deployments/",
        json={
            "name": name,
            "flow_id": flow.json()["id"],
            "entrypoint": "report.py:report",
            "parameter_openapi_schema": schema,
            "enforce_parameter_schema": enforce,
        },
    )
    assert made.is_success, made.text
    return str(made.json()["id"])


def target(url: str, deployment_id: str, user: str = USER) -> Any:
    return example(
        "Prefect",
        {
            "https://prefect.example": url,
            "0b6161e6-24c8-42ab-824a-76cc0499ca82": deployment_id,
            "c2NoZWR1bGVyOnNlY3JldC1wYXNzd29yZA==": base64.b64encode(user.encode()).decode(),
        },
    )


async def test_what_is_delivered_twice_is_one_flow_run(service: Service, prefect: httpx.AsyncClient) -> None:
    deployment_id = await deployment(prefect)
    async with Losing(str(prefect.base_url)) as between:
        execution = await service.run(target(between.url, deployment_id))
    assert execution["status"] == "succeeded"
    assert [each.status for each in between.passed] == [201, 200]
    found = await prefect.post("/api/flow_runs/filter", json={})
    (run,) = [each for each in found.json() if each["deployment_id"] == deployment_id]
    assert run["idempotency_key"] == execution["execution_id"]
    assert run["parameters"] == {"report": "daily"}
    assert run["name"] == f"report-{execution['scheduled_for']}"
    assert run["state_type"] == "SCHEDULED"


async def test_what_is_not_allowed_or_not_there_is_refused_for_good(
    service: Service, prefect: httpx.AsyncClient
) -> None:
    url, deployment_id = str(prefect.base_url).rstrip("/"), await deployment(prefect)
    wrong = {
        "HTTP 401": target(url, deployment_id, "somebody:else"),
        "HTTP 404": target(url, "0b6161e6-0000-4000-8000-000000000000"),
        "HTTP 422": {name: each for name, each in target(url, deployment_id).items() if name != "body"},
    }
    for status, refused in wrong.items():
        execution = await service.run(refused)
        assert (execution["status"], len(execution["attempts"])) == ("failed", 1)
        assert execution["error"].startswith(f"{status}: {{")


async def test_where_types_are_enforced_parameters_that_do_not_fit_count_as_taken(
    service: Service, prefect: httpx.AsyncClient
) -> None:
    answers = []
    for name, enforce in (("enforced", True), ("not", False)):
        deployment_id = await deployment(prefect, name, enforce=enforce)
        unfit = target(str(prefect.base_url).rstrip("/"), deployment_id)
        unfit["body"]["parameters"] = {"report": 3}
        execution = await service.run(unfit)
        found = await prefect.post("/api/flow_runs/filter", json={})
        known = [run["idempotency_key"] for run in found.json()]
        answers.append((execution["attempts"][0]["status_code"], execution["execution_id"] in known))
        assert execution["status"] == "succeeded"
    # What the page warns of, and what it advises.
    assert answers == [(409, False), (201, True)]
