"""Schedules and executions whose rows are of a later release, as while it is rolled out: said so, in nobody's way."""

from typing import Any

import httpx
import pytest
import structlog

from tests.contract.calls import EXECUTIONS, SCHEDULES, WORKFLOW_ID, Records, Stack, by_name, create, cron


@pytest.fixture
async def odd(client: httpx.AsyncClient, stack: Stack) -> dict[str, Any]:
    """A schedule with an overlap policy that only a later release knows."""
    stored = await create(client, name="odd")
    async with stack.database.connection() as connection:
        await connection.execute(
            "UPDATE workflow_schedules SET overlap_policy = 'odd' WHERE schedule_id = $1", stored["schedule_id"]
        )
    return stored


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/{id}", None),
        ("PUT", "/{id}", cron()),
        ("PATCH", "/{id}", {"description": "x"}),
        ("PATCH", "/{id}?dry_run=true", {"description": "x"}),
        ("DELETE", "/{id}", None),
        ("POST", "/{id}/pause", None),
        ("POST", "/{id}/resume", None),
        ("POST", "/{id}/trigger", None),
        ("POST", "/{id}/skip-next", None),
        ("GET", "/{id}/occurrences", None),
        ("GET", "/{id}/explain?at=2027-01-01T00:00:00Z", None),
        ("PUT", "/by-name/odd", cron()),
        ("GET", "", None),
        ("GET", f"/workflow/{WORKFLOW_ID}", None),
    ],
)
async def test_what_needs_it_says_which_and_changes_nothing(
    client: httpx.AsyncClient, odd: dict[str, Any], records: Records, method: str, path: str, body: Any
) -> None:
    before = await records()
    with structlog.testing.capture_logs() as told:
        answer = await client.request(method, SCHEDULES + path.format(id=odd["schedule_id"]), json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "UNREADABLE_ROW"), problem
    assert odd["schedule_id"] in problem["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert await records() == before
    assert [(line["event"], line["schedule_id"]) for line in told if line["log_level"] == "error"] == [
        ("row_unreadable", odd["schedule_id"])
    ]
    assert "'odd' is not a valid OverlapPolicy" in told[0]["error"]


async def test_others_are_as_they_were(client: httpx.AsyncClient, odd: dict[str, Any]) -> None:
    other = await create(client, name="other")
    assert (await client.get(f"{SCHEDULES}/{other['schedule_id']}")).json() == other
    assert (await client.put(by_name("other"), json=cron(description="x"))).status_code == 200
    assert (await client.get(SCHEDULES, params={"name_prefix": "oth"})).json()["items"][0]["name"] == "other"
    acted = await client.post(f"{SCHEDULES}/bulk", json={"action": "pause", "workflow_id": WORKFLOW_ID})
    assert acted.json()["schedule_ids"] == [other["schedule_id"]]
    assert [one["schedule_id"] for one in acted.json()["left_alone"]] == [odd["schedule_id"]]


@pytest.mark.parametrize(
    ("column", "odd", "said"),
    [("trigger", "odd", "'odd' is not a valid Trigger"), ("attempts", '[{"began": 1}]', "KeyError('number')")],
)
async def test_of_an_execution_likewise(
    client: httpx.AsyncClient, stack: Stack, records: Records, column: str, odd: str, said: str
) -> None:
    schedule = await create(client)
    path = f"{SCHEDULES}/{schedule['schedule_id']}"
    run = (await client.post(f"{path}/trigger")).json()
    async with stack.database.connection() as connection:
        await connection.execute(
            f"UPDATE executions SET {column} = $1 WHERE execution_id = $2", odd, run["execution_id"]
        )
    before = await records()
    for method, address in (
        ("GET", f"{EXECUTIONS}/{run['execution_id']}"),
        ("GET", EXECUTIONS),
        ("GET", f"{path}/executions"),
        ("POST", f"{EXECUTIONS}/{run['execution_id']}/cancel"),
        ("POST", f"{EXECUTIONS}/{run['execution_id']}/retry"),
    ):
        with structlog.testing.capture_logs() as told:
            answer = await client.request(method, address)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (503, "UNREADABLE_ROW"), (address, problem)
        assert run["execution_id"] in problem["detail"]
        assert int(answer.headers["retry-after"]) > 0
        (line,) = (line for line in told if line["log_level"] == "error")
        assert (line["event"], line["execution_id"]) == ("row_unreadable", run["execution_id"])
        assert said in line["error"]
    assert await records() == before
    assert (await client.get(path)).status_code == 200
