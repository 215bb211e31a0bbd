"""How the hosts of targets fare: what a community is shown of its own."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from app.core.limits import Limits
from app.core.principal import Principal, Role
from app.service.targets import TargetService
from tests.contract.calls import SCHEDULES, Connect, Stack, cron, fields_of

TARGETS = "/api/v1/targets"
PLAIN = {
    "circuit": "closed", "failures": 0, "open_until": None, "last_error": None, "waiting": 0, "in_flight": 0,
    "workers_open": 0, "rate_limit": None,
}  # fmt: skip
ENGINE = {"host": None, "schedules": None, "max_concurrent": None, **PLAIN}


async def create(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.post(SCHEDULES, json=cron(target={"url": url}))
    assert answer.status_code == 201, answer.text


@pytest.fixture
async def told(stack: Stack) -> AsyncIterator[Any]:
    """Writes what a worker tells; the rows are taken away again."""
    workers: list[Any] = []

    async def tell(*states: dict[str, Any], silent_seconds: int = 0) -> None:
        async with stack.database.connection() as connection:
            workers.append(
                await connection.fetchval(
                    "INSERT INTO workers (worker_id, host, pid, version, started_at, beat_at, targets) VALUES"
                    " (gen_random_uuid(), 'h', 1, '1', now(), clock_timestamp() - make_interval(secs => $1), $2)"
                    " RETURNING worker_id",
                    silent_seconds,
                    orjson.dumps(states).decode(),
                )
            )

    yield tell
    async with stack.database.connection() as connection:
        await connection.execute("DELETE FROM workers WHERE worker_id = ANY($1::uuid[])", workers)


def state(host: str | None, circuit: str, **fields: Any) -> dict[str, Any]:
    return {"host": host, "circuit": circuit, "failures": 3, "open_until": None, "last_error": None, "waiting": 1,
            "in_flight": 2, **fields}  # fmt: skip


async def test_without_a_target_there_is_the_engine_alone(client: httpx.AsyncClient) -> None:
    answer = await client.get(TARGETS)
    assert (answer.status_code, answer.json()) == (200, {"items": [ENGINE], "next_cursor": None})


async def test_hosts_are_counted_and_told_of_by_the_worst(client: httpx.AsyncClient, told: Any) -> None:
    for url in ("https://8.8.8.8/a", "https://8.8.8.8/b", "http://8.8.8.8:8080/", "https://8.8.4.4/"):
        await create(client, url)
    error = "HTTP 503: what was said to somebody"
    await told(
        state("8.8.8.8", "open", failures=11, open_until=1_795_000_000_000, last_error=error), state(None, "closed")
    )
    await told(state("8.8.8.8", "half_open"), state("8.8.4.4", "closed", last_error="no connection within 10 s"))
    await told(state("8.8.4.4", "open"), silent_seconds=60)
    items = (await client.get(TARGETS)).json()["items"]
    assert items == [
        {**ENGINE, "failures": 3, "waiting": 1, "in_flight": 2},
        {"host": "8.8.4.4", "schedules": 1, "max_concurrent": 20, **PLAIN, "failures": 3, "waiting": 1, "in_flight": 2,
         "last_error": "no connection within 10 s"},
        {"host": "8.8.8.8", "schedules": 2, "max_concurrent": 20, **PLAIN, "circuit": "open", "failures": 11,
         "open_until": "2026-11-18T11:06:40Z", "last_error": "HTTP 503", "waiting": 2, "in_flight": 4,
         "workers_open": 1},
        {"host": "8.8.8.8:8080", "schedules": 1, "max_concurrent": 20, **PLAIN},
    ]  # fmt: skip


async def test_another_communitys_hosts_are_not_shown(
    client: httpx.AsyncClient, connect_as: Connect, told: Any
) -> None:
    await create(client, "https://8.8.8.8/")
    await told(state("8.8.8.8", "open"))
    async with await connect_as(Role.VIEWER) as stranger:
        assert [item["host"] for item in (await stranger.get(TARGETS)).json()["items"]] == [None]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_follow_each_other_and_none_is_longer_than_asked(client: httpx.AsyncClient, limit: int) -> None:
    for number in range(5):
        await create(client, f"https://8.8.8.{number}/")
    found, cursor, pages = [], "", 0
    while cursor is not None:
        page = (await client.get(TARGETS, params={"limit": limit, **({"cursor": cursor} if cursor else {})})).json()
        found += [item["host"] for item in page["items"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert (found, pages) == ([None, *(f"8.8.8.{number}" for number in range(5))], 6 // limit)


@pytest.mark.parametrize("cursor", ["x", "!!!!", "AA==", "é", "OC44LjguMA", "OC44LjguMA=="])
async def test_a_cursor_of_nobodys_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get(TARGETS, params={"cursor": cursor})
    assert (answer.status_code, fields_of(answer.json())) == (400, ["cursor"])
    assert (await client.get(TARGETS, params={"other": 1})).status_code == 422


async def test_the_limits_are_shown(stack: Stack, client: httpx.AsyncClient) -> None:
    answer = await client.post(SCHEDULES, json=cron(target={"url": "https://8.8.8.8/"}))
    caller = Principal(answer.json()["community_id"], "viewer", Role.VIEWER)
    service = TargetService(stack.database, Limits(5, {"8.8.8.8": 2.5, "engine": 10.0}))
    page = await service.find(caller, limit=10, cursor=None)
    assert [(one.host, one.max_concurrent, one.per_second) for one in page.items] == [
        (None, None, 10.0),
        ("8.8.8.8", 5, 2.5),
    ]
