"""Airflow, either release: an SQLite, a DAG, and what serves its API. No scheduler: what it takes stays queued."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.programs.running import environment, run_to_end, running

NAME, PASSWORD = "scheduler", "secret-password"
_DAG = """
import datetime
try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task


@dag(dag_id="report", schedule=None, start_date=datetime.datetime(2024, 1, 1), catchup=False)
def report():
    @task
    def nothing():
        pass

    nothing()


report()
"""


@dataclass(frozen=True, slots=True)
class Airflow:
    """One that serves; `runs` is the address of the DAG's runs, `authorization` what a caller says."""

    url: str
    runs: str
    authorization: str

    async def dag_runs(self) -> list[dict[str, Any]]:
        """What it knows of the DAG's runs."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            answer = await client.get(self.runs, headers={"Authorization": self.authorization})
        assert answer.is_success, answer.text
        runs: list[dict[str, Any]] = answer.json()["dag_runs"]
        return runs


@asynccontextmanager
async def airflow(
    binaries: Path,
    home: Path,
    prepare: Sequence[Sequence[str]],
    serve: Sequence[str],
    ready: str,
    settings: Mapping[str, str],
) -> AsyncIterator[None]:
    """Airflow from when `ready` answers; `prepare` and `serve` are its commands, `settings` its configuration."""
    dags = home / "dags"
    dags.mkdir()
    await asyncio.to_thread((dags / "report.py").write_text, _DAG)
    env = environment(
        home,
        binaries,
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
    )
    command = str(binaries / "airflow")
    for each in prepare:
        await run_to_end(command, *each, env=env, log=home / "log")
    async with running(command, *serve, env=env, log=home / "log", ready=ready):
        yield
