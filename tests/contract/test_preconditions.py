"""`If-Match` and `If-None-Match`."""

import httpx
import pytest

from tests.contract.calls import SCHEDULES, UNKNOWN_ID, create, cron, fields_of


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('"1"', 200),
        ("*", 200),
        ('"7", "1"', 200),
        ('"7","1" ,"x"', 200),
        (' "1" ', 200),
        ('"2"', 412),
        ('"7", "8"', 412),
        ('W/"1"', 412),
        ('W/"1", "2"', 412),
        ('"abc"', 412),
        ('"01"', 412),
        ('""', 412),
        ('"99999999999999999999"', 412),
        ("1", 400),
        ('"1', 400),
        ("'1'", 400),
        ('"1" "2"', 400),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.fault("21")
async def test_a_change_needs_one_of_the_tags_to_be_current(
    client: httpx.AsyncClient, method: str, header: str, status: int
) -> None:
    stored = await create(client)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    body = None if method == "DELETE" else cron(name="changed")
    answer = await client.request(method, path, json=body, headers={"If-Match": header})
    assert answer.status_code == (204 if status == 200 and method == "DELETE" else status), answer.text
    if status == 400:
        assert fields_of(answer.json()) == ["If-Match"]
    if status != 200:
        assert (await client.get(path)).json() == stored


async def test_what_does_not_exist_is_404_whatever_is_to_match(client: httpx.AsyncClient) -> None:
    for header in ("*", '"1"', '"1", "2"'):
        answer = await client.delete(f"{SCHEDULES}/{UNKNOWN_ID}", headers={"If-Match": header})
        assert answer.status_code == 404


@pytest.mark.fault("21")
async def test_of_two_editors_the_second_one_is_told(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    tag = (await client.get(path)).headers["etag"]
    first = await client.patch(path, json={"name": "first"}, headers={"If-Match": tag})
    second = await client.patch(path, json={"name": "second"}, headers={"If-Match": tag})
    assert (first.status_code, second.status_code) == (200, 412)
    again = await client.patch(path, json={"name": "second"}, headers={"If-Match": first.headers["etag"]})
    assert again.json()["name"] == "second"


@pytest.mark.parametrize(("action", "before", "after"), [("pause", "active", "paused"), ("resume", "paused", "active")])
@pytest.mark.fault("21")
async def test_a_pause_and_a_resume_need_it_too_where_it_is_named(
    client: httpx.AsyncClient, action: str, before: str, after: str
) -> None:
    stored = await create(client)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    if before == "paused":
        await client.post(f"{path}/pause")
    known = await client.get(path)
    for stale in ('"7"', '"7", "8"', f"W/{known.headers['etag']}"):
        answer = await client.post(f"{path}/{action}", headers={"If-Match": stale})
        assert (answer.status_code, (await client.get(path)).json()["status"]) == (412, before)
    answer = await client.post(f"{path}/{action}", headers={"If-Match": known.headers["etag"]})
    assert (answer.status_code, answer.json()["status"]) == (200, after)


@pytest.mark.parametrize(
    ("header", "status"), [('"1"', 304), ("*", 304), ('W/"1"', 304), ('"2", "1"', 304), ('"2"', 200), ("x", 400)]
)
async def test_a_read_of_what_is_known_answers_304(client: httpx.AsyncClient, header: str, status: int) -> None:
    stored = await create(client)
    answer = await client.get(f"{SCHEDULES}/{stored['schedule_id']}", headers={"If-None-Match": header})
    assert answer.status_code == status
    if status == 304:
        assert answer.content == b""
        assert answer.headers["etag"] == '"1"'
