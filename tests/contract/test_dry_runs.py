"""`?dry_run=true`: what a write would come to, and nothing of it stored."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog

from app.core.principal import Role
from tests.contract.calls import SCHEDULES, UNKNOWN_ID, Connect, Records, Stack, by_name, create, cron, fields_of

CALENDARS = "/api/v1/calendars"
DRY = {"dry_run": "true"}
Call = Callable[..., tuple[str, str, Any]]
"""A write of a schedule that is there, as method, path and body, with fields laid over the body."""


def _own(schedule: dict[str, Any]) -> dict[str, Any]:
    """A schedule without what is new each time that it is made or changed."""
    return {name: value for name, value in schedule.items() if name not in ("schedule_id", "created_at", "updated_at")}


def _create(_: str, **fields: Any) -> tuple[str, str, Any]:
    return "POST", SCHEDULES, cron(name="new", **fields)


def _apply_new(_: str, **fields: Any) -> tuple[str, str, Any]:
    return "PUT", by_name("new"), cron(**fields)


def _apply(_: str, **fields: Any) -> tuple[str, str, Any]:
    return "PUT", by_name("stored"), cron(**{"description": "other", **fields})


def _replace(schedule_id: str, **fields: Any) -> tuple[str, str, Any]:
    return "PUT", f"{SCHEDULES}/{schedule_id}", cron(**{"name": "stored", "cron_expression": "5 6 * * *", **fields})


def _patch(schedule_id: str, **fields: Any) -> tuple[str, str, Any]:
    return "PATCH", f"{SCHEDULES}/{schedule_id}", {"cron_expression": "5 6 * * *", **fields}


CREATING = pytest.mark.parametrize("call", [_create, _apply_new])
CHANGING = pytest.mark.parametrize("call", [_apply, _replace, _patch])
WRITING = pytest.mark.parametrize("call", [_create, _apply_new, _apply, _replace, _patch])


async def _ask(client: httpx.AsyncClient, call: tuple[str, str, Any], **sent: Any) -> httpx.Response:
    method, path, body = call
    return await client.request(method, path, json=body, **sent)


@WRITING
async def test_it_answers_as_the_write_would_and_stores_nothing(
    client: httpx.AsyncClient, records: Records, call: Call
) -> None:
    stored = await create(client, name="stored")
    before = await records()
    with structlog.testing.capture_logs() as told:
        dry = await _ask(client, call(stored["schedule_id"]), params=DRY)
    assert await records() == before
    assert told == []
    assert (await client.get(f"{SCHEDULES}/{stored['schedule_id']}")).json() == stored
    assert (await client.get(SCHEDULES)).json()["items"] == [stored]
    done = await _ask(client, call(stored["schedule_id"]))
    assert (dry.status_code, _own(dry.json())) == (done.status_code, _own(done.json()))
    assert "location" not in dry.headers
    assert dry.headers.get("etag") == (None if dry.status_code == 201 else '"1"')
    assert done.headers["etag"] == f'"{done.json()["revision"]}"'


@CREATING
async def test_what_would_be_created_is_not_there(client: httpx.AsyncClient, call: Call) -> None:
    dry = await _ask(client, call(""), params=DRY)
    assert dry.status_code == 201, dry.text
    assert (await client.get(f"{SCHEDULES}/{dry.json()['schedule_id']}")).status_code == 404


@WRITING
@pytest.mark.parametrize(
    "fields",
    [{"cron_expression": "61 * * * *"}, {"cron_expression": "0 0 30 2 *"}, {"calendars": {"names": ["unknown"]}}],
    ids=["no expression", "never occurs", "no such calendar"],
)
async def test_it_refuses_what_the_write_would(
    client: httpx.AsyncClient, records: Records, call: Call, fields: dict[str, Any]
) -> None:
    stored = await create(client, name="stored")
    before = await records()
    dry = await _ask(client, call(stored["schedule_id"], **fields), params=DRY)
    done = await _ask(client, call(stored["schedule_id"], **fields))
    assert dry.status_code == 400
    assert [dry.json()[part] for part in ("code", "detail", "errors")] == [
        done.json()[part] for part in ("code", "detail", "errors")
    ]
    assert await records() == before


async def test_a_taken_name_and_a_stale_revision_are_refused(client: httpx.AsyncClient) -> None:
    stored = await create(client, name="stored")
    taken = await client.post(SCHEDULES, json=cron(name="stored"), params=DRY)
    assert (taken.status_code, taken.json()["code"]) == (409, "NAME_TAKEN")
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    stale = await client.patch(path, json={"description": "x"}, params=DRY, headers={"If-Match": '"2"'})
    assert stale.status_code == 412
    assert (await client.put(by_name("new"), json=cron(), params=DRY, headers={"If-Match": "*"})).status_code == 412
    assert (await client.patch(f"{SCHEDULES}/{UNKNOWN_ID}", json={}, params=DRY)).status_code == 404


async def test_what_has_passed_is_recorded_by_the_change_alone(client: httpx.AsyncClient, records: Records) -> None:
    due = datetime.now(UTC) + timedelta(seconds=0.3)
    stored = await create(
        client, schedule_type="one_time", cron_expression=None, scheduled_time=due.isoformat(), timezone="UTC"
    )
    await asyncio.sleep((due - datetime.now(UTC)).total_seconds() + 0.05)
    change = ("PATCH", f"{SCHEDULES}/{stored['schedule_id']}", {"scheduled_time": "2099-01-01T00:00:00Z"})
    before = await records()
    assert (await _ask(client, change, params=DRY)).status_code == 200
    assert await records() == before
    assert (await _ask(client, change)).status_code == 200
    assert (await records())["executions"] == before["executions"] + 1


@CHANGING
async def test_what_was_seen_can_be_demanded_of_the_write(client: httpx.AsyncClient, call: Call) -> None:
    stored = await create(client, name="stored")
    seen = (await _ask(client, call(stored["schedule_id"]), params=DRY)).headers["etag"]
    assert (await _ask(client, call(stored["schedule_id"]), headers={"If-Match": seen})).status_code == 200
    unchanged = await _ask(client, call(stored["schedule_id"]), params=DRY)
    assert (unchanged.headers["etag"], unchanged.json()["revision"]) == ('"2"', 2)
    assert (await _ask(client, call(stored["schedule_id"]), headers={"If-Match": seen})).status_code == 412


@CHANGING
async def test_it_holds_no_lock_afterwards_and_may_be_repeated(client: httpx.AsyncClient, call: Call) -> None:
    stored = await create(client, name="stored")
    answers = [await _ask(client, call(stored["schedule_id"]), params=DRY) for _ in range(3)]
    assert {answer.json()["revision"] for answer in answers} == {2}
    assert (await _ask(client, call(stored["schedule_id"]))).json()["revision"] == 2


@pytest.mark.parametrize(("atomic", "status"), [(True, 201), (False, 207)])
async def test_a_batch(client: httpx.AsyncClient, records: Records, atomic: bool, status: int) -> None:
    body = {"atomic": atomic, "schedules": [cron(name="one"), cron(name="two")]}
    before = await records()
    dry = await client.post(f"{SCHEDULES}/batch", json=body, params=DRY)
    assert (dry.status_code, await records()) == (status, before)
    done = await client.post(f"{SCHEDULES}/batch", json=body)
    assert [_own(one["schedule"]) for one in dry.json()["results"]] == [
        _own(one["schedule"]) for one in done.json()["results"]
    ]
    again = await client.post(f"{SCHEDULES}/batch", json=body, params=DRY)
    assert again.status_code == (409 if atomic else 207)
    assert atomic or [one["status"] for one in again.json()["results"]] == [409, 409]


async def test_an_idempotency_key_is_neither_used_nor_used_up(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "one"}
    dry = await client.post(SCHEDULES, json=cron(), params=DRY, headers=key)
    first = await client.post(SCHEDULES, json=cron(description="other"), headers=key)
    assert (dry.status_code, first.status_code) == (201, 201)
    again = await client.post(SCHEDULES, json=cron(description="other"), params=DRY, headers=key)
    assert again.status_code == 201
    assert again.json()["schedule_id"] != first.json()["schedule_id"]
    assert len((await client.get(SCHEDULES)).json()["items"]) == 1


async def test_nothing_comes_into_the_wheel(client: httpx.AsyncClient, stack: Stack) -> None:
    due = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    one_time = cron(schedule_type="one_time", cron_expression=None, scheduled_time=due, timezone="UTC")
    depth = (await stack.services.health.check(None)).wheel_depth
    assert depth is not None
    assert (await client.post(SCHEDULES, json=one_time, params=DRY)).status_code == 201
    assert (await stack.services.health.check(None)).wheel_depth == depth
    assert (await client.post(SCHEDULES, json=one_time)).status_code == 201
    assert (await stack.services.health.check(None)).wheel_depth == depth + 1


@pytest.mark.parametrize("word", ["1", "yes", "TRUE", ""])
async def test_another_word_is_refused(client: httpx.AsyncClient, records: Records, word: str) -> None:
    before = await records()
    answer = await client.post(SCHEDULES, json=cron(), params={"dry_run": word})
    assert (answer.status_code, fields_of(answer.json())) == (400, ["dry_run"])
    assert await records() == before


async def test_false_is_none(client: httpx.AsyncClient) -> None:
    answer = await client.post(SCHEDULES, json=cron(), params={"dry_run": "false"})
    assert (await client.get(answer.headers["location"])).json() == answer.json()


async def test_it_needs_the_role_of_the_write(connect_as: Connect) -> None:
    viewer = await connect_as(Role.VIEWER)
    assert (await viewer.post(SCHEDULES, json=cron(), params=DRY)).status_code == 403


async def test_a_calendar_that_would_be_created(client: httpx.AsyncClient, records: Records) -> None:
    before = await records()
    body = {"name": "firm", "days_off": ["2026-12-24"]}
    dry = await client.post(CALENDARS, json=body, params=DRY, headers={"Idempotency-Key": "once"})
    assert await records() == before
    done = await client.post(CALENDARS, json=body, headers={"Idempotency-Key": "once"})
    assert (dry.status_code, done.status_code) == (201, 201)
    new = ("calendar_id", "created_at", "updated_at")
    assert {name: value for name, value in dry.json().items() if name not in new} == {
        name: value for name, value in done.json().items() if name not in new
    }
    assert not {"location", "etag"} & set(dry.headers)
    taken = await client.post(CALENDARS, json=body, params=DRY)
    assert (taken.status_code, taken.json()["code"], fields_of(taken.json())) == (409, "CALENDAR_NAME_TAKEN", ["name"])


async def test_a_calendar_that_would_be_replaced(client: httpx.AsyncClient, records: Records) -> None:
    assert (await client.post(CALENDARS, json={"name": "firm"})).status_code == 201
    stored = await create(client, calendars={"names": ["firm"], "on_day_off": "skip"})
    calendar, path = (await client.get(f"{CALENDARS}/firm")).json(), f"{CALENDARS}/firm"
    before = await records()
    body = {"days_off": [{"date": stored["next_execution_at"][:10]}]}
    with structlog.testing.capture_logs() as told:
        dry = await client.put(path, json=body, params=DRY)
    assert (dry.status_code, dry.headers["etag"]) == (200, '"1"')
    # The schedule would be computed anew, and is not.
    assert (dry.json()["revision"], dry.json()["recomputed"]) == (2, False)
    assert told == []
    assert await records() == before
    assert (await client.get(path)).json() == calendar
    assert (await client.get(f"{SCHEDULES}/{stored['schedule_id']}")).json() == stored
    done = await client.put(path, json=body, headers={"If-Match": dry.headers["etag"]})
    assert (done.status_code, done.json()["days_off"], done.json()["recomputed"]) == (200, dry.json()["days_off"], True)
    moved = (await client.get(f"{SCHEDULES}/{stored['schedule_id']}")).json()
    assert moved["next_execution_at"] > stored["next_execution_at"]


async def test_a_calendar_that_would_not_change(client: httpx.AsyncClient) -> None:
    body = {"name": "firm", "days_off": ["2026-12-24"]}
    assert (await client.post(CALENDARS, json=body)).status_code == 201
    same = await client.put(f"{CALENDARS}/firm", json={"days_off": ["2026-12-24"]}, params=DRY)
    assert (same.status_code, same.headers["etag"], same.json()["revision"]) == (200, '"1"', 1)
    for path, headers, status in (("other", {}, 404), ("firm", {"If-Match": '"7"'}, 412)):
        refused = await client.put(f"{CALENDARS}/{path}", json={}, params=DRY, headers=headers)
        assert refused.status_code == status
