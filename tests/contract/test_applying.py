"""Schedules by their names: created, replaced, or left as they are."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.core.principal import Role
from app.core.sealing import MASK
from tests.contract.calls import (
    EXECUTIONS,
    SCHEDULES,
    Connect,
    Records,
    Stack,
    application,
    apply,
    by_name,
    client_of,
    create,
    cron,
    fields_of,
)

ONCE: dict[str, Any] = {"schedule_type": "one_time", "cron_expression": None}
TARGET: dict[str, Any] = {"url": "https://8.8.8.8/", "headers": {"Authorization": "Bearer one", "X-Run": "two"}}


async def test_what_does_not_exist_is_created(client: httpx.AsyncClient) -> None:
    answer = await client.put(by_name("nightly"), json=cron(tags=["a"]))
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    assert answer.headers["location"] == f"{SCHEDULES}/{stored['schedule_id']}"
    assert answer.headers["etag"] == '"1"'
    assert (stored["name"], stored["tags"], stored["revision"]) == ("nightly", ["a"], 1)
    assert (stored["status"], stored["created_by"]) == ("active", "admin-user")
    assert (await client.get(answer.headers["location"])).json() == stored


async def test_what_exists_is_replaced_as_a_whole(client: httpx.AsyncClient) -> None:
    stored = await create(client, name="nightly", tags=["a"], max_instances=9)
    answer = await client.put(by_name("nightly"), json=cron(description="new"))
    assert answer.status_code == 200, answer.text
    assert "location" not in answer.headers
    assert answer.headers["etag"] == '"2"'
    replaced = answer.json()
    assert (replaced["schedule_id"], replaced["name"]) == (stored["schedule_id"], "nightly")
    assert (replaced["description"], replaced["tags"], replaced["max_instances"]) == ("new", [], 3)
    assert (replaced["created_at"], replaced["next_execution_at"]) == (
        stored["created_at"],
        stored["next_execution_at"],
    )
    assert (await client.get(f"{SCHEDULES}/{stored['schedule_id']}")).json() == replaced


@pytest.mark.fault("20")
async def test_the_same_again_changes_nothing_and_leaves_no_trace(client: httpx.AsyncClient, records: Records) -> None:
    stored = await apply(client, "nightly", 201, context_data={"n": 1.0, "deep": [{"a": True}]}, tags=["a"])
    before = await records()
    for fields in (
        {"context_data": {"deep": [{"a": True}], "n": 1}, "tags": ["a"]},
        {name: value for name, value in stored.items() if value is not None},
        stored,
    ):
        answer = await client.put(by_name("nightly"), json=cron(**fields))
        assert (answer.status_code, answer.json()) == (200, stored)
        assert answer.headers["etag"] == '"1"'
    assert await records() == before


async def test_what_was_read_can_be_edited_and_put_back(client: httpx.AsyncClient) -> None:
    stored = await apply(client, "nightly", 201, target=TARGET)
    edited = await client.put(by_name("nightly"), json=stored | {"description": "new"})
    assert (edited.status_code, edited.json()["description"], edited.json()["revision"]) == (200, "new", 2)
    copied = await client.put(by_name("copy"), json=stored | {"name": None, "target": None})
    assert copied.status_code == 201
    assert copied.json()["schedule_id"] != stored["schedule_id"]


async def test_a_name_in_the_body_is_that_of_the_path_or_none(client: httpx.AsyncClient, records: Records) -> None:
    before = await records()
    for other in ("Nightly", "nightly ", "", "x" * 300):
        problem = await apply(client, "nightly", 400, name=other)
        assert (problem["code"], fields_of(problem)) == ("INVALID_SCHEDULE", ["name"])
    several = await apply(client, "nightly", 400, name="other", timezone="Nowhere")
    assert sorted(fields_of(several)) == ["name", "timezone"]
    for wrong in (1, ["nightly"], {"a": 1}):
        assert fields_of(await apply(client, "nightly", 422, name=wrong)) == ["name"]
    assert await records() == before
    await apply(client, "nightly", 201, name="nightly")
    await apply(client, "nightly", 200, name=None)
    assert fields_of(await apply(client, "nightly", 400, name="other")) == ["name"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cron_expression": "61 * * * *"}, "cron_expression"),
        ({"cron_expression": "0 0 30 2 *"}, "cron_expression"),
        ({"end_at": "2020-01-01T00:00:00Z"}, "end_at"),
        ({"workflow_id": None}, "workflow_id"),
        ({"calendars": {"names": ["unknown"]}}, "calendars.names"),
        ({"target": {"url": "http://10.0.0.1/"}}, "target.url"),
        ({"target": {"url": "http://localhost/"}}, "target.url"),
        ({"target": {"url": "https://8.8.8.8/{{ unknown }}"}}, "target.url"),
        (ONCE | {"scheduled_time": "2020-01-01T00:00:00Z"}, "scheduled_time"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_a_create_refuses_is_refused_whether_there_is_one_or_not(
    client: httpx.AsyncClient, records: Records, fields: dict[str, Any], named: str
) -> None:
    before = await records()
    assert fields_of(await apply(client, "nightly", 400, **fields)) == [named]
    assert await records() == before
    stored = await apply(client, "nightly", 201)
    if named == "end_at":
        # As by its id: it is completed.
        assert (await apply(client, "nightly", 200, **fields))["status"] == "completed"
        return
    before = await records()
    assert fields_of(await apply(client, "nightly", 400, **fields)) == [named]
    assert await records() == before
    assert (await client.get(f"{SCHEDULES}/{stored['schedule_id']}")).json() == stored


async def test_it_needs_an_editor_and_sees_no_other_community(client: httpx.AsyncClient, connect_as: Connect) -> None:
    stored = await apply(client, "nightly", 201, description="ours")
    viewer = await connect_as(Role.VIEWER)
    assert (await viewer.put(by_name("nightly"), json=cron())).status_code == 403
    stranger = await connect_as(Role.EDITOR)
    theirs = await apply(stranger, "nightly", 201, description="theirs")
    assert theirs["schedule_id"] != stored["schedule_id"]
    changed = await apply(stranger, "nightly", 200, description="still theirs")
    assert changed["schedule_id"] == theirs["schedule_id"]
    assert (await client.get(f"{SCHEDULES}/{stored['schedule_id']}")).json() == stored


@pytest.mark.parametrize("keys", ["", "k" * 32], ids=["plain", "encrypted"])
async def test_the_same_secrets_again_are_no_change_and_other_ones_are(
    client: httpx.AsyncClient, stack: Stack, keys: str
) -> None:
    async def sealed() -> Any:
        async with stack.database.connection() as connection:
            return await connection.fetchrow(
                "SELECT target, failure_target FROM workflow_schedules WHERE schedule_id = $1", stored["schedule_id"]
            )

    async with client_of(application(stack, secret_key=keys), **dict(client.headers)) as caller:
        failure = {"url": "https://8.8.4.4/", "headers": {"X-Key": "three"}}
        stored = await apply(caller, "nightly", 201, target=TARGET, failure_target=failure)
        before = await sealed()
        assert stored["target"]["headers"] == {"Authorization": MASK, "X-Run": MASK}
        masked = TARGET | {"headers": {"Authorization": MASK, "X-Run": "two"}}
        for target in (TARGET, masked, stored["target"]):
            assert await apply(caller, "nightly", 200, target=target, failure_target=failure) == stored
        assert await apply(caller, "nightly", 200, target=TARGET, failure_target=stored["failure_target"]) == stored
        assert await sealed() == before
        other = TARGET | {"headers": {"Authorization": "Bearer other", "X-Run": MASK}}
        changed = await apply(caller, "nightly", 200, target=other, failure_target=failure)
        assert changed["revision"] == 2
        assert await sealed() != before


async def test_a_secret_sealed_with_an_older_key_is_the_same_and_one_that_opens_no_more_is_given_anew(
    client: httpx.AsyncClient, stack: Stack
) -> None:
    old, new = "o" * 32, "n" * 32
    async with client_of(application(stack, secret_key=old), **dict(client.headers)) as caller:
        stored = await apply(caller, "nightly", 201, target=TARGET)
    async with client_of(application(stack, secret_key=f"{new},{old}"), **dict(client.headers)) as caller:
        assert await apply(caller, "nightly", 200, target=TARGET) == stored
    async with client_of(application(stack, secret_key=new), **dict(client.headers)) as caller:
        assert (await apply(caller, "nightly", 200, target=TARGET))["revision"] == 2
        assert (await apply(caller, "nightly", 200, target=TARGET))["revision"] == 2


async def test_a_mask_stands_for_nothing_where_there_is_no_schedule(
    client: httpx.AsyncClient, records: Records
) -> None:
    before = await records()
    problem = await apply(client, "nightly", 400, target=TARGET | {"headers": {"Authorization": MASK}})
    assert fields_of(problem) == ["target.headers.Authorization"]
    assert await records() == before


async def test_a_one_time_whose_instant_has_passed_is_as_it_was(client: httpx.AsyncClient) -> None:
    when = (datetime.now(UTC) - timedelta(seconds=59)).isoformat()
    stored = await apply(client, "once", 201, **ONCE, scheduled_time=when)
    assert await apply(client, "once", 200, **ONCE, scheduled_time=when) == stored
    described = await apply(client, "once", 200, **ONCE, scheduled_time=when, description="new")
    assert (described["revision"], described["next_execution_at"]) == (2, stored["next_execution_at"])
    earlier = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    assert fields_of(await apply(client, "once", 400, **ONCE, scheduled_time=earlier)) == ["scheduled_time"]


async def test_what_is_paused_or_completed_stays_so(client: httpx.AsyncClient) -> None:
    when = (datetime.now(UTC) - timedelta(seconds=30)).isoformat()
    stored = await apply(client, "once", 201, **ONCE, scheduled_time=when)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    paused = (await client.post(f"{path}/pause", json={"reason": "maintenance"})).json()
    assert await apply(client, "once", 200, **ONCE, scheduled_time=when) == paused
    changed = await apply(client, "once", 200, **ONCE, scheduled_time=when, description="new")
    assert (changed["status"], changed["status_reason"], changed["revision"]) == ("paused", "maintenance", 3)
    completed = (await client.post(f"{path}/resume")).json()
    assert completed["status"] == "completed"
    assert await apply(client, "once", 200, **ONCE, scheduled_time=when, description="new") == completed
    # As by its id: it goes on where an occurrence is left.
    again = await apply(client, "once", 200, **ONCE, scheduled_time="2099-01-01T00:00:00Z")
    assert (again["status"], again["next_execution_at"]) == ("active", "2099-01-01T00:00:00Z")


async def test_an_idempotency_key_is_not_needed_and_not_looked_at(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k"}
    for status, description in ((201, "one"), (200, "two")):
        answer = await client.put(by_name("nightly"), json=cron(description=description), headers=headers)
        assert (answer.status_code, answer.json()["description"]) == (status, description)


@pytest.mark.parametrize(
    ("headers", "without", "with_one"),
    [
        ({"If-Match": '"1"'}, 412, 200),
        ({"If-Match": "*"}, 412, 200),
        ({"If-Match": '"7", "1"'}, 412, 200),
        ({"If-Match": '"2"'}, 412, 412),
        ({"If-Match": 'W/"1"'}, 412, 412),
        ({"If-Match": '"01"'}, 412, 412),
        ({"If-Match": ""}, 412, 412),
        ({"If-Match": "1"}, 400, 400),
        ({"If-None-Match": "*"}, 201, 412),
        ({"If-None-Match": '"1"'}, 201, 412),
        ({"If-None-Match": 'W/"1", "3"'}, 201, 412),
        ({"If-None-Match": '"2"'}, 201, 200),
        ({"If-None-Match": "x"}, 400, 400),
        ({"If-Match": '"1"', "If-None-Match": "*"}, 412, 412),
        ({"If-Match": '"1"', "If-None-Match": '"2"'}, 412, 200),
    ],
    ids=str,
)
@pytest.mark.fault("21")
async def test_what_the_conditional_headers_demand_is_kept_to(
    client: httpx.AsyncClient, records: Records, headers: dict[str, str], without: int, with_one: int
) -> None:
    for name, status in (("none", without), ("one", with_one)):
        before = await create(client, name="one") if name == "one" else None
        counted = await records()
        answer = await client.put(by_name(name), json=cron(description="new"), headers=headers)
        assert answer.status_code == status, answer.text
        match status:
            case 400:
                assert fields_of(answer.json()) == [next(iter(headers))]
            case 412 if "If-Match" in headers and (name == "none" or headers["If-Match"] != '"1"'):
                assert answer.json()["code"] == "STALE_REVISION"
            case 412:
                assert answer.json()["code"] == "PRECONDITION_FAILED"
        if status >= 400:
            assert await records() == counted
        if before is not None and status >= 400:
            assert (await client.get(f"{SCHEDULES}/{before['schedule_id']}")).json() == before


async def test_what_is_wrong_by_itself_is_said_before_what_is_demanded_and_what_is_stale_before_a_mask(
    client: httpx.AsyncClient,
) -> None:
    masked = TARGET | {"headers": {"Authorization": MASK}}
    for fields, status in (
        ({"cron_expression": "x"}, 400),
        ({"name": "other"}, 400),
        ({"workflow_id": None}, 400),
        ({"coalesce": "yes"}, 422),
        ({"target": masked}, 412),
        ({}, 412),
    ):
        answer = await client.put(by_name("nightly"), json=cron(**fields), headers={"If-Match": '"1"'})
        assert answer.status_code == status, answer.text


@pytest.mark.fault("21")
async def test_of_two_that_put_a_new_name_at_once_one_creates_it_a_hundred_times(client: httpx.AsyncClient) -> None:
    async def at_once(name: str, *bodies: dict[str, Any], **headers: str) -> list[httpx.Response]:
        return await asyncio.gather(*(client.put(by_name(name), json=body, headers=headers) for body in bodies))

    for number in range(100):
        name = f"n/{number}"
        answers = await at_once(name, cron(description="a"), cron(description="b"), cron(description="a"))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 201], [each.text for each in answers]
        (stored,) = (await client.get(SCHEDULES, params={"name_prefix": name})).json()["items"][:1]
        assert {answer.json()["schedule_id"] for answer in answers} == {stored["schedule_id"]}
        assert stored in [answer.json() for answer in answers]
        only = await at_once(f"{name}/only", cron(), cron(), **{"If-None-Match": "*"})
        assert sorted(answer.status_code for answer in only) == [201, 412]


async def test_among_renames_and_removals_nobody_gets_an_error_of_anothers_making(client: httpx.AsyncClient) -> None:
    async def puts(number: int) -> list[int]:
        answers = [await client.put(by_name("busy"), json=cron(description=f"{number}/{turn}")) for turn in range(25)]
        return [answer.status_code for answer in answers]

    async def moves_it_away(number: int) -> list[int]:
        statuses: list[int] = []
        for turn in range(25):
            found = (await client.get(SCHEDULES, params={"name_prefix": "busy"})).json()["items"]
            for each in found:
                path = f"{SCHEDULES}/{each['schedule_id']}"
                answer = await (client.delete(path) if number else client.patch(path, json={"name": f"moved-{turn}"}))
                statuses.append(answer.status_code)
        return statuses

    async def takes_it() -> list[int]:
        other = await create(client, name="other")
        path = f"{SCHEDULES}/{other['schedule_id']}"
        names = ["busy", "other"] * 25
        answers = [await client.patch(path, json={"name": name}) for name in names]
        return [answer.status_code for answer in answers]

    put_statuses, more, *others = await asyncio.gather(puts(1), puts(2), moves_it_away(0), moves_it_away(1), takes_it())
    assert set(put_statuses + more) == {200, 201}
    assert {status for statuses in others for status in statuses} <= {200, 204, 404, 409}


async def test_a_count_is_kept(client: httpx.AsyncClient, stack: Stack) -> None:
    stored = await apply(client, "nightly", 201, max_executions=5)
    async with stack.database.connection() as connection:
        await connection.execute(
            "UPDATE workflow_schedules SET execution_count = 5, status = 'completed', next_execution_at = NULL, "
            "next_due_at = NULL, completed_at = now() WHERE schedule_id = $1",
            stored["schedule_id"],
        )
    completed = await apply(client, "nightly", 200, max_executions=5)
    assert (completed["execution_count"], completed["status"], completed["revision"]) == (5, "completed", 1)
    changed = await apply(client, "nightly", 200, max_executions=5, description="new")
    assert (changed["execution_count"], changed["status"], changed["revision"]) == (5, "completed", 2)
    again = await apply(client, "nightly", 200, max_executions=6)
    assert (again["execution_count"], again["status"], again["revision"]) == (5, "active", 3)


async def test_it_is_audited_as_what_it_did(client: httpx.AsyncClient, stack: Stack) -> None:
    stored = await apply(client, "nightly", 201)
    await apply(client, "nightly", 200)
    await apply(client, "nightly", 200, description="new")
    async with stack.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT action FROM audit_log WHERE schedule_id = $1 ORDER BY audit_id", stored["schedule_id"]
        )
    assert [row["action"] for row in rows] == ["schedule_create", "schedule_update"]
    assert (await client.get(EXECUTIONS)).json()["items"] == []
