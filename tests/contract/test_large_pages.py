"""A part of a list has a bound, however large its items are: what is left comes with the next part."""

from typing import Any

import httpx
import pytest

from tests.contract.calls import EXECUTIONS, SCHEDULES, create, cron

AUDIT = "/api/v1/audit"
CALENDARS = "/api/v1/calendars"
LARGE = {"text": "x" * 65_000}
"""Of these and a target's body forty are five megabytes."""
LARGEST_PART = 8 << 20


async def _parts(client: httpx.AsyncClient, path: str, **filters: str) -> list[list[dict[str, Any]]]:
    """All of a list, in the parts in which it comes where the most is asked for."""
    parts: list[list[dict[str, Any]]] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": "500", **filters} | ({"cursor": cursor} if cursor else {})
        answer = await client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        assert len(answer.content) < LARGEST_PART
        parts.append(answer.json()["items"])
        cursor = answer.json()["next_cursor"]
    return parts


@pytest.fixture
async def large(client: httpx.AsyncClient) -> list[str]:
    """The ids of 120 schedules of 125 000 characters."""
    body = cron(context_data=LARGE, target={"url": "https://8.8.8.8/", "body": {"text": "y" * 60_000}})
    ids: list[str] = []
    for _ in range(6):
        answer = await client.post(f"{SCHEDULES}/batch", json={"schedules": [body] * 20})
        ids += [one["schedule"]["schedule_id"] for one in answer.json()["results"]]
    return ids


async def test_schedules(client: httpx.AsyncClient, large: list[str]) -> None:
    parts = await _parts(client, SCHEDULES)
    assert [len(part) for part in parts] == [40, 40, 40]
    assert [one["schedule_id"] for part in parts for one in part] == large
    assert all(one["context_data"] == LARGE for part in parts for one in part)


async def test_what_is_filtered(client: httpx.AsyncClient, large: list[str]) -> None:
    parts = await _parts(client, SCHEDULES, due_before="2999-01-01T00:00:00Z")
    assert [one["schedule_id"] for part in parts for one in part] == large
    assert len(parts) == 3


async def test_the_audit_trail(client: httpx.AsyncClient, large: list[str]) -> None:
    parts = await _parts(client, AUDIT, action="schedule_create")
    assert [len(part) for part in parts] == [40, 40, 40]
    assert sorted(one["schedule_id"] for part in parts for one in part) == sorted(large)


async def test_executions(client: httpx.AsyncClient) -> None:
    schedule = await create(client, completion="callback")
    ids = []
    for _ in range(110):
        run = await client.post(f"{SCHEDULES}/{schedule['schedule_id']}/trigger")
        ids.append(run.json()["execution_id"])
        report = {"status": "succeeded", "result": {"text": "x" * 60_000}}
        answer = await client.post(f"{EXECUTIONS}/{ids[-1]}/complete", json=report)
        assert answer.status_code == 200, answer.text
    parts = await _parts(client, f"{SCHEDULES}/{schedule['schedule_id']}/executions")
    assert [one["execution_id"] for part in parts for one in part] == ids[::-1]
    assert len(parts) > 1


async def test_calendars(client: httpx.AsyncClient) -> None:
    days = [{"date": f"20{number // 300:02}-{number % 12 + 1:02}-{number // 12 % 25 + 1:02}", "label": "z" * 100}
            for number in range(1_000)]  # fmt: skip
    names = [f"calendar-{number:02}" for number in range(50)]
    for name in names:
        answer = await client.post(CALENDARS, json={"name": name, "days_off": days})
        assert answer.status_code == 201, answer.text
    parts = await _parts(client, CALENDARS, limit="50")
    assert [one["name"] for part in parts for one in part] == names
    assert len(parts) == 2


async def test_many_small_ones_are_one_part(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await client.post(f"{SCHEDULES}/batch", json={"schedules": [cron()] * 100})
    assert [len(part) for part in await _parts(client, SCHEDULES)] == [300]
