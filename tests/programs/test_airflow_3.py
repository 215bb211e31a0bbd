"""Airflow 3 takes an execution as one run of a DAG, however often it comes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded.ports import free_port
from tests.programs.airflow import NAME, PASSWORD, Airflow, airflow
from tests.programs.installing import install_python
from tests.programs.losing import Losing
from tests.programs.service import Service
from tests.target_examples import example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
async def airflow_3(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Airflow]:
    binaries = await install_python(programs, "apache-airflow==3.3.2")
    home, port = tmp_path_factory.mktemp("airflow-3"), free_port()
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({NAME: PASSWORD}))
    url = f"http://127.0.0.1:{port}"
    async with airflow(
        binaries,
        home,
        prepare=[("db", "migrate"), ("dag-processor", "--num-runs", "1")],
        serve=("api-server", "--host", "127.0.0.1", "--port", str(port), "--apps", "core"),
        ready=f"{url}/api/v2/version",
        settings={
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{NAME}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "API__WORKERS": "1",
            "API_AUTH__JWT_SECRET": "a secret of the tests that is long enough for SHA-512, which asks for 64",
        },
    ):
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            answer = await client.post(f"{url}/auth/token", json={"username": NAME, "password": PASSWORD})
        token = answer.json()["access_token"]
        yield Airflow(url, f"{url}/api/v2/dags/report/dagRuns", f"Bearer {token}")


def target(url: str, program: Airflow) -> Any:
    return example("Airflow 3", {"https://airflow.example": url, "Bearer <token>": program.authorization})


async def test_what_is_delivered_twice_is_one_dag_run(service: Service, airflow_3: Airflow) -> None:
    async with Losing(airflow_3.url) as between:
        execution = await service.run(target(between.url, airflow_3))
    assert execution["status"] == "succeeded"
    assert [each.status for each in between.passed] == [200, 409]
    (run,) = [each for each in await airflow_3.dag_runs() if each["dag_run_id"] == execution["execution_id"]]
    assert run["conf"] == {"report": "daily", "scheduled_for": execution["scheduled_for"]}
    assert (run["logical_date"], run["state"]) == (None, "queued")


async def test_what_is_not_allowed_or_not_there_or_unknown_is_refused_for_good(
    service: Service, airflow_3: Airflow
) -> None:
    right = target(airflow_3.url, airflow_3)
    wrong = {
        "HTTP 401": right | {"headers": {}},
        "HTTP 403": right | {"headers": {"Authorization": "Bearer <token>"}},
        "HTTP 404": right | {"url": right["url"].replace("/report/", "/other/")},
        "HTTP 422": {name: each for name, each in right.items() if name != "body"},
    }
    for status, refused in wrong.items():
        execution = await service.run(refused)
        assert (execution["status"], len(execution["attempts"])) == ("failed", 1)
        assert execution["error"].startswith(f"{status}: {{")


async def test_a_logical_date_that_another_run_has_counts_as_taken(service: Service, airflow_3: Airflow) -> None:
    dated = target(airflow_3.url, airflow_3)
    dated["body"]["logical_date"] = "2026-11-23T17:00:00Z"
    executions = [await service.run(dated) for _ in range(2)]
    # What the page warns of: the second has no run.
    assert [each["status"] for each in executions] == ["succeeded"] * 2
    assert [each["attempts"][0]["status_code"] for each in executions] == [200, 409]
    runs = [each["dag_run_id"] for each in await airflow_3.dag_runs()]
    assert [each["execution_id"] in runs for each in executions] == [True, False]
