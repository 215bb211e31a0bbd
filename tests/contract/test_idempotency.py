"""`Idempotency-Key`: a repeated POST answers what it answered first."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.contract.calls import SCHEDULES, Connect, Records, create, cron, fields_of


@pytest.mark.fault("20")
async def test_a_repeated_create_answers_the_first_response_and_stores_once(
    client: httpx.AsyncClient, records: Records
) -> None:
    headers = {"Idempotency-Key": "create-1"}
    first = await client.post(SCHEDULES, json=cron(name="once"), headers=headers)
    await client.patch(f"{SCHEDULES}/{first.json()['schedule_id']}", json={"name": "renamed"})
    before = await records()
    reordered = dict(reversed(cron(name="once").items()))
    second = await client.post(SCHEDULES, json=reordered, headers=headers)

    assert (second.status_code, second.content) == (first.status_code, first.content)
    for name in ("location", "etag", "content-type"):
        assert second.headers[name] == first.headers[name]
    assert await records() == before


async def test_a_repeated_trigger_runs_once(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    path = f"{SCHEDULES}/{stored['schedule_id']}/trigger"
    answers = [await client.post(path, headers={"Idempotency-Key": "t"}) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["execution_id"] for answer in answers}) == 1


async def test_a_repeated_batch_stores_once(client: httpx.AsyncClient, records: Records) -> None:
    body = {"schedules": [cron(), cron(name=5)], "atomic": False}
    headers = {"Idempotency-Key": "b"}
    first = await client.post(f"{SCHEDULES}/batch", json=body, headers=headers)
    before = await records()
    second = await client.post(f"{SCHEDULES}/batch", json=body, headers=headers)
    assert (second.status_code, second.content) == (207, first.content)
    assert await records() == before


@pytest.mark.parametrize("number", [1 << 64, -(1 << 70), int("9" * 4300)], ids=lambda number: f"{str(number)[:20]}…")
async def test_a_batch_with_a_number_that_cannot_be_stored_is_repeatable_too(
    client: httpx.AsyncClient, number: int
) -> None:
    path, headers = f"{SCHEDULES}/batch", {"Idempotency-Key": "large"}
    large = {"schedules": [cron(), cron(context_data={"b": 1, "a": number})], "atomic": False}
    first = await client.post(path, json=large, headers=headers)
    assert (first.status_code, [one["status"] for one in first.json()["results"]]) == (207, [201, 400])
    reordered = {"atomic": False, "schedules": [cron(), cron(context_data={"a": number, "b": 1})]}
    assert (await client.post(path, json=reordered, headers=headers)).content == first.content
    other = {"schedules": [cron(), cron(context_data={"b": 1, "a": number + (1 if number < 0 else -1)})]}
    assert (await client.post(path, json=other | {"atomic": False}, headers=headers)).status_code == 409
    assert (await client.post(path, json=large | {"atomic": True})).status_code == 400


@pytest.mark.fault("20")
async def test_a_key_is_one_communitys_own(client: httpx.AsyncClient, connect_as: Connect) -> None:
    headers = {"Idempotency-Key": "shared"}
    first = await client.post(SCHEDULES, json=cron(), headers=headers)
    second = await (await connect_as()).post(SCHEDULES, json=cron(), headers=headers)
    assert first.json()["schedule_id"] != second.json()["schedule_id"]


async def test_a_refused_request_leaves_its_key_free(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k"}
    await create(client, name="taken")
    assert (await client.post(SCHEDULES, json=cron(name="taken"), headers=headers)).status_code == 409
    assert (await client.post(SCHEDULES, json=cron(max_instances=0), headers=headers)).status_code == 400
    assert (await client.post(SCHEDULES, json=cron(name="free"), headers=headers)).status_code == 201


async def test_the_same_key_at_another_path_is_another_request(client: httpx.AsyncClient) -> None:
    one, two = [await create(client) for _ in range(2)]
    headers = {"Idempotency-Key": "k"}
    first = await client.post(f"{SCHEDULES}/{one['schedule_id']}/trigger", headers=headers)
    second = await client.post(f"{SCHEDULES}/{two['schedule_id']}/trigger", headers=headers)
    assert (first.status_code, second.status_code) == (202, 409)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é", "\x7f"])
async def test_a_key_that_is_not_printable_ascii_is_refused(
    client: httpx.AsyncClient, records: Records, key: str
) -> None:
    before = await records()
    headers = {b"Idempotency-Key": key.encode("latin-1")}
    answer = await client.post(SCHEDULES, json=cron(), headers=headers)
    assert answer.status_code == 400
    assert fields_of(answer.json()) == ["Idempotency-Key"]
    assert await records() == before


async def test_a_repeated_one_time_is_not_refused_because_its_instant_has_passed(client: httpx.AsyncClient) -> None:
    when = (datetime.now(UTC) - timedelta(seconds=59)).isoformat()
    body = cron(schedule_type="one_time", cron_expression=None, scheduled_time=when)
    headers = {"Idempotency-Key": "late"}
    first = await client.post(SCHEDULES, json=body, headers=headers)
    assert first.status_code == 201
    # The reader of the body does not look at the time; the service does, after it has looked for the key.
    second = await client.post(SCHEDULES, json=body, headers=headers)
    assert second.content == first.content
