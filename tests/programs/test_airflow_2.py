"""Airflow 2 takes an execution as one run of a DAG, however often it comes."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.embedded.ports import free_port
from tests.programs.airflow import NAME, PASSWORD, Airflow, airflow
from tests.programs.installing import install_python
from tests.programs.losing import Losing
from tests.programs.service import Service
from tests.target_examples import example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SHOWN = "c2NoZWR1bGVyOnNlY3JldC1wYXNzd29yZA=="


@pytest.fixture(scope="module")
async def airflow_2(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Airflow]:
    binaries = await install_python(programs, "apache-airflow==2.10.5")
    home, port = tmp_path_factory.mktemp("airflow-2"), free_port()
    user = ("--username", NAME, "--password", PASSWORD, "--role", "Admin")
    person = ("--firstname", "A", "--lastname", "B", "--email", "scheduler@airflow.example")
    url = f"http://127.0.0.1:{port}"
    async with airflow(
        binaries,
        home,
        prepare=[("db", "migrate"), ("users", "create", *user, *person), ("dags", "reserialize")],
        serve=("webserver", "--hostname", "127.0.0.1", "--port", str(port)),
        ready=f"{url}/api/v1/health",
        settings={
            "API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
            "WEBSERVER__WORKERS": "1",
            "WEBSERVER__SECRET_KEY": "a secret of the tests",
        },
    ):
        credentials = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
        yield Airflow(url, f"{url}/api/v1/dags/report/dagRuns", f"Basic {credentials}")


def target(url: str, program: Airflow) -> Any:
    return example("Airflow 2", {"https://airflow.example": url, f"Basic {SHOWN}": program.authorization})


async def test_what_is_delivered_twice_is_one_dag_run(service: Service, airflow_2: Airflow) -> None:
    async with Losing(airflow_2.url) as between:
        execution = await service.run(target(between.url, airflow_2))
    assert execution["status"] == "succeeded"
    assert [each.status for each in between.passed] == [200, 409]
    (run,) = [each for each in await airflow_2.dag_runs() if each["dag_run_id"] == execution["execution_id"]]
    assert run["conf"] == {"report": "daily", "scheduled_for": execution["scheduled_for"]}
    assert run["state"] == "queued"


async def test_what_is_not_allowed_or_not_there_or_unknown_is_refused_for_good(
    service: Service, airflow_2: Airflow
) -> None:
    right = target(airflow_2.url, airflow_2)
    wrong = {
        "HTTP 401": right | {"headers": {"Authorization": "Basic c29tZWJvZHk6ZWxzZQ=="}},
        "HTTP 404": right | {"url": right["url"].replace("/report/", "/other/")},
        "HTTP 400": {name: each for name, each in right.items() if name != "body"},
    }
    for status, refused in wrong.items():
        execution = await service.run(refused)
        assert (execution["status"], len(execution["attempts"])) == ("failed", 1)
        assert execution["error"].startswith(f"{status}: {{")
