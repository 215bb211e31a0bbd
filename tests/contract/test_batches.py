"""Many creates in one call."""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.api.wire.schedules import MAX_BATCH
from app.core.principal import Role
from app.core.tasks import end
from app.delivery.guard import Guard
from app.delivery.resolver import SystemResolver
from tests.contract.calls import SCHEDULES, Records, Stack, application, client_of, create, cron, fields_of

BATCH = f"{SCHEDULES}/batch"
PAST = cron(schedule_type="one_time", cron_expression=None, scheduled_time="2020-01-01T00:00:00Z")


async def test_a_batch_is_stored_in_the_order_asked(client: httpx.AsyncClient) -> None:
    names = [f"n{number}" for number in range(50)]
    answer = await client.post(BATCH, json={"schedules": [cron(name=name) for name in names]})
    assert answer.status_code == 201
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201] * 50
    assert [result["schedule"]["name"] for result in results] == names
    listed = (await client.get(SCHEDULES, params={"limit": 500})).json()["items"]
    assert listed == [result["schedule"] for result in results]


async def test_a_thousand_are_stored_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.post(BATCH, json={"schedules": [cron()] * MAX_BATCH})
    assert answer.status_code == 201
    assert len({result["schedule"]["schedule_id"] for result in answer.json()["results"]}) == MAX_BATCH


@pytest.mark.parametrize(
    ("bad", "status", "fields"),
    [
        (cron(max_instances=0), 400, ["schedules.1.max_instances"]),
        (cron(extra=1), 422, ["schedules.1.extra"]),
        ({}, 400, ["schedules.1.schedule_type", "schedules.1.workflow_id"]),
        (3, 422, ["schedules.1.body"]),
        (cron(retry={"max_retries": "1"}), 422, ["schedules.1.retry.max_retries"]),
        # What is refused only when it comes to be stored has its place as well.
        (cron(calendars={"names": ["unknown"]}), 400, ["schedules.1.calendars.names"]),
        (cron(start_at="9999-12-31T23:59:59Z"), 400, ["schedules.1.cron_expression"]),
        (PAST, 400, ["schedules.1.scheduled_time"]),
    ],
)
async def test_an_atomic_batch_with_a_refused_one_stores_nothing(
    client: httpx.AsyncClient, records: Records, bad: Any, status: int, fields: list[str]
) -> None:
    before = await records()
    answer = await client.post(BATCH, json={"schedules": [cron(), bad, bad]})
    assert answer.status_code == status, answer.text
    assert fields_of(answer.json()) == fields
    assert answer.json()["detail"].startswith("schedules.1: ")
    assert await records() == before


async def test_an_atomic_batch_with_a_taken_name_stores_nothing(client: httpx.AsyncClient, records: Records) -> None:
    await create(client, name="taken")
    before = await records()
    for names in (["free", "taken"], ["twice", "twice"]):
        answer = await client.post(BATCH, json={"schedules": [cron(name=name) for name in names]})
        assert (answer.status_code, answer.json()["code"]) == (409, "NAME_TAKEN")
        assert fields_of(answer.json()) == ["schedules.1.name"]
    assert await records() == before


async def test_a_batch_that_is_not_atomic_answers_for_each(client: httpx.AsyncClient) -> None:
    await create(client, name="taken")
    asked = [cron(name="a"), cron(max_instances=0), "x", cron(name="taken"), PAST, cron(name="b")]
    answer = await client.post(BATCH, json={"schedules": asked, "atomic": False})
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 400, 422, 409, 400, 201]
    assert [result.keys() for result in results if result["status"] == 201] == [{"status", "schedule"}] * 2
    problem = results[1]["error"]
    assert fields_of(problem) == ["max_instances"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert (results[3]["error"]["code"], fields_of(results[3]["error"])) == ("NAME_TAKEN", ["name"])
    names = [each["name"] for each in (await client.get(SCHEDULES)).json()["items"]]
    assert names == ["taken", "a", "b"]


async def test_what_cannot_be_stored_refuses_its_own_schedule_and_no_other(client: httpx.AsyncClient) -> None:
    asked = [cron(name="a"), cron(name="n\0"), cron(timezone="\0"), cron(context_data={"a": 1 << 70}), cron(name="b")]
    answer = await client.post(BATCH, json={"schedules": asked, "atomic": False})
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 400, 400, 400, 201]
    assert [fields_of(result["error"]) for result in results[1:4]] == [["name"], ["timezone"], ["context_data.a"]]
    assert results[3]["error"]["detail"].startswith("context_data.a must be an integer within 64 bits")
    whole = await client.post(BATCH, json={"schedules": asked})
    assert (whole.status_code, fields_of(whole.json())) == (400, ["schedules.1.name"])
    names = [each["name"] for each in (await client.get(SCHEDULES)).json()["items"]]
    assert names == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({}, 400, ["schedules"]),
        ({"schedules": []}, 400, ["schedules"]),
        ({"schedules": [{}] * (MAX_BATCH + 1)}, 400, ["schedules"]),
        ({"schedules": {}}, 422, ["schedules"]),
        ({"schedules": None}, 422, ["schedules"]),
        ({"schedules": [{}], "atomic": "no"}, 422, ["atomic"]),
        ({"schedules": [{}], "atomic": None}, 422, ["atomic"]),
        ({"schedules": [{}], "dry_run": True}, 422, ["dry_run"]),
    ],
)
async def test_a_batch_of_a_wrong_shape_is_refused(
    client: httpx.AsyncClient, records: Records, body: Any, status: int, fields: list[str]
) -> None:
    before = await records()
    answer = await client.post(BATCH, json=body)
    assert answer.status_code == status, answer.text
    assert fields_of(answer.json()) == fields
    assert await records() == before


@asynccontextmanager
async def held() -> AsyncIterator[Callable[[], float]]:
    """How long, at the most, nobody else of this event loop has had a turn: its own CPU seconds, so that it does not
    matter what else the machine does. Nor does the collector count, which has all objects of all tests to look through.
    """
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    gc.disable()
    watching = asyncio.create_task(watch())
    try:
        yield lambda: longest
        # The last turn counts too.
        await asyncio.sleep(0)
    finally:
        gc.enable()
        for error in await end(watching):
            raise error


def unknown(name: str, *_: object, **__: object) -> list[Any]:
    """A name server that knows no name."""
    raise OSError(f"{name} is not known")


def large(place: int) -> dict[str, Any]:
    """A schedule with ten kilobytes of context."""
    return cron(context_data={"place": place, **{f"key-{number}": "x" * 90 for number in range(100)}})


def elsewhere(place: int) -> dict[str, Any]:
    """A schedule whose targets are at hosts of its own."""
    urls = [f"https://{name}.of-{place}.example/" for name in "abc"]
    target = {"url": urls[0], "cancel_url": urls[1], "headers": {"X": "1"}}
    return cron(target=target, failure_target={"url": urls[2]})


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("of", [large, elsewhere])
async def test_a_large_batch_lets_others_have_their_turns(
    stack: Stack, of: Callable[[int], dict[str, Any]], atomic: bool
) -> None:
    key = await stack.services.keys.create(991, Role.EDITOR, user=None, name=None, expires_at=None)
    body = json.dumps({"schedules": [of(place) for place in range(MAX_BATCH)], "atomic": atomic}).encode()
    guard = Guard(resolver=SystemResolver(unknown))
    headers = {"X-API-Key": key, "Content-Type": "application/json", "Idempotency-Key": f"{of.__name__}-{atomic}"}
    async with client_of(application(stack, guard), **headers) as client:
        # What is made once in a process, as the list of public suffixes, does not count.
        await client.post(SCHEDULES, json=elsewhere(0), headers={"Idempotency-Key": f"first-{of.__name__}-{atomic}"})
        async with held() as longest:
            answer = await client.post(BATCH, content=body)
        assert answer.status_code == (201 if atomic else 207), answer.text[:1000]
        assert [one["status"] for one in answer.json()["results"]] == [201] * MAX_BATCH
        assert longest() < 0.2
