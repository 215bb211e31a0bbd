"""The examples of docs/targets.md are accepted as they stand."""

from typing import Any

import httpx
import pytest

from tests.contract.calls import SCHEDULES, cron
from tests.target_examples import examples

EXAMPLES = [
    pytest.param(target, id=f"{heading}-{number}")
    for heading, targets in examples().items()
    for number, target in enumerate(targets, start=1)
]
PROGRAMS = ("WaddleBot", "FastAPI", "Airflow 3", "Airflow 2", "Prefect", "n8n", "Temporal", "GitHub", "AWS", "Google")


def test_each_program_has_one() -> None:
    assert [program for program in PROGRAMS if not any(program in heading for heading in examples())] == []


@pytest.mark.parametrize("target", EXAMPLES)
async def test_an_example_is_accepted(client: httpx.AsyncClient, target: Any) -> None:
    answer = await client.post(SCHEDULES, json=cron(context_data={"report": "daily"}, target=target))
    assert answer.status_code == 201, answer.text
    shown = answer.json()["target"]
    assert shown["url"] == target["url"]
    assert shown["body"] == target.get("body")
    assert shown["headers"].keys() == target.get("headers", {}).keys()
