"""How much a community may ask, and have: `COMMUNITY_RATE_LIMIT` and `COMMUNITY_MAX_SCHEDULES`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.core.principal import Role
from app.service.schedules import ScheduleService
from tests.contract.calls import EXECUTIONS, SCHEDULES, Connect, Records, Stack, application, by_name, client_of, cron
from tests.contract.test_callbacks import KEY, REPORT, bearing, run_of

BATCH = f"{SCHEDULES}/batch"
QUOTA = 3
Limited = Callable[..., httpx.AsyncClient]
"""A caller at an application with a quota, or with other settings."""


@pytest.fixture
async def limited(stack: Stack) -> AsyncIterator[Limited]:
    async with AsyncExitStack() as clients:

        def make(caller: httpx.AsyncClient, *, quota: int = 0, **settings: Any) -> httpx.AsyncClient:
            schedules = ScheduleService(stack.database, stack.wheel, stack.services.clock, quota=quota)
            app = application(replace(stack, services=replace(stack.services, schedules=schedules)), **settings)
            made = client_of(app, Authorization=caller.headers["Authorization"])
            clients.push_async_callback(made.aclose)
            return made

        yield make


def told(answer: httpx.Response) -> tuple[int, str]:
    """The status of a refusal, and which it is."""
    return answer.status_code, answer.json()["code"]


async def test_more_than_a_seconds_worth_is_refused_and_says_how_long_to_wait(
    client: httpx.AsyncClient, limited: Limited
) -> None:
    # So few that none is added while the test runs.
    slowly = limited(client, community_rate_limit=0.001)
    assert (await slowly.get(SCHEDULES)).status_code == 200
    refused = await slowly.get(SCHEDULES)
    assert told(refused) == (429, "RATE_EXCEEDED")
    assert refused.json()["detail"].startswith("One process answers 0.001 requests a second of a community")
    assert 990 < int(refused.headers["retry-after"]) <= 1000


async def test_it_is_the_communitys_rate_whoever_asks_for_it(
    client: httpx.AsyncClient, connect_as: Connect, stack: Stack, limited: Limited
) -> None:
    app = limited(client, community_rate_limit=0.001)
    mine = await stack.services.keys.authenticate(client.headers["Authorization"].removeprefix("Bearer "), "x")
    colleague = await connect_as(Role.VIEWER, mine.community_id)
    stranger = await connect_as()
    asked = [
        (await app.get(SCHEDULES, headers={"Authorization": caller.headers["Authorization"]})).status_code
        for caller in (client, colleague, stranger)
    ]
    assert asked == [200, 429, 200]


async def test_what_is_open_to_everyone_has_no_rate(client: httpx.AsyncClient, limited: Limited) -> None:
    app = limited(client, community_rate_limit=0.001)
    for path in ("/livez", "/readyz", "/api/v1/health", "/metrics", "/openapi.json"):
        for _ in range(3):
            answer = await app.get(path)
            # No worker runs here, which health and readiness tell.
            assert answer.status_code in (200, 503), (path, answer.text)


async def test_what_a_target_reports_has_no_rate(client: httpx.AsyncClient, limited: Limited) -> None:
    app = limited(client, community_rate_limit=0.001, secret_key=KEY)
    run = await run_of(client)
    assert (await app.get(SCHEDULES)).status_code == 200
    path = f"{EXECUTIONS}/{run['execution_id']}"
    for _ in range(3):
        assert (await app.post(f"{path}/heartbeat", headers=bearing(run))).status_code == 200
    assert (await app.post(f"{path}/complete", json=REPORT, headers=bearing(run))).status_code == 200
    # The same by an operator is a request like any other.
    assert told(await app.post(f"{path}/heartbeat")) == (429, "RATE_EXCEEDED")


async def test_a_refused_write_stores_nothing(client: httpx.AsyncClient, limited: Limited, records: Records) -> None:
    app = limited(client, community_rate_limit=0.001)
    await app.get(SCHEDULES)
    before = await records()
    assert told(await app.post(SCHEDULES, json=cron())) == (429, "RATE_EXCEEDED")
    assert await records() == before


async def test_no_more_schedules_than_the_quota(client: httpx.AsyncClient, limited: Limited, records: Records) -> None:
    app = limited(client, quota=QUOTA)
    for number in range(QUOTA):
        assert (await app.post(SCHEDULES, json=cron(name=str(number)))).status_code == 201
    before = await records()
    refusals = [
        await app.post(SCHEDULES, json=cron()),
        await app.post(SCHEDULES, json=cron(), headers={"Idempotency-Key": "once"}),
        await app.post(SCHEDULES, json=cron(), params={"dry_run": "true"}),
        await app.post(BATCH, json={"schedules": [cron()]}),
        await app.put(by_name("new"), json=cron()),
    ]
    assert [told(refused) for refused in refusals] == [(429, "QUOTA_EXCEEDED")] * 5
    assert refusals[0].json()["detail"].startswith(f"A community may have {QUOTA} schedules")
    assert int(refusals[0].headers["retry-after"]) > 0
    assert await records() == before


async def test_what_is_there_can_be_changed_and_makes_room_by_going(
    client: httpx.AsyncClient, limited: Limited
) -> None:
    app = limited(client, quota=1)
    stored = (await app.put(by_name("one"), json=cron())).json()
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    assert (await app.put(by_name("one"), json=cron(description="other"))).status_code == 200
    assert (await app.patch(path, json={"description": "another"})).status_code == 200
    assert told(await app.post(SCHEDULES, json=cron())) == (429, "QUOTA_EXCEEDED")
    assert (await app.delete(path)).status_code == 204
    # A refused request leaves no trace of its key.
    assert (await app.post(SCHEDULES, json=cron(), headers={"Idempotency-Key": "once"})).status_code == 201


async def test_a_repeated_create_gets_its_answer_although_no_room_is_left(
    client: httpx.AsyncClient, limited: Limited
) -> None:
    app = limited(client, quota=1)
    first, second = [await app.post(SCHEDULES, json=cron(), headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()


async def test_of_a_batch_the_first_have_room_or_none(client: httpx.AsyncClient, limited: Limited) -> None:
    app = limited(client, quota=QUOTA)
    batch = [cron(), cron(cron_expression="61 * * * *"), cron(), cron(), cron()]
    assert told(await app.post(BATCH, json={"schedules": [cron()] * (QUOTA + 1)})) == (429, "QUOTA_EXCEEDED")
    answer = await app.post(BATCH, json={"schedules": batch, "atomic": False})
    assert [one["status"] for one in answer.json()["results"]] == [201, 400, 201, 201, 429]
    assert answer.json()["results"][-1]["error"]["code"] == "QUOTA_EXCEEDED"


async def test_a_name_that_is_taken_takes_no_room(client: httpx.AsyncClient, limited: Limited) -> None:
    """Who sends a whole file again, to have what is new in it, is not refused for what is there already."""
    app = limited(client, quota=QUOTA)
    assert (await app.post(SCHEDULES, json=cron(name="a"))).status_code == 201
    batch = [cron(name=name) for name in ("a", "b", "b", "c", "d")]
    answer = await app.post(BATCH, json={"schedules": batch, "atomic": False})
    assert [one["status"] for one in answer.json()["results"]] == [409, 201, 409, 201, 429]


async def test_many_at_once_do_not_get_past_it(client: httpx.AsyncClient, limited: Limited) -> None:
    app = limited(client, quota=QUOTA)
    answers = await asyncio.gather(
        *(app.post(SCHEDULES, json=cron()) for _ in range(10)),
        *(app.put(by_name(str(number)), json=cron()) for number in range(10)),
    )
    assert sorted(answer.status_code for answer in answers) == [201] * QUOTA + [429] * (20 - QUOTA)
    assert len((await app.get(SCHEDULES)).json()["items"]) == QUOTA


async def test_each_community_has_its_own(client: httpx.AsyncClient, connect_as: Connect, limited: Limited) -> None:
    for caller in (client, await connect_as()):
        assert (await limited(caller, quota=1).post(SCHEDULES, json=cron())).status_code == 201
