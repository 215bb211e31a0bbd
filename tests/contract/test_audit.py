"""The audit trail over HTTP: what each change leaves in it, who may find it, and what is never in it."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from app.core.audit import AuditAction
from app.core.callbacks import PREFIX
from app.core.principal import Role
from tests.contract.calls import EXECUTIONS, SCHEDULES, UNKNOWN_ID, Connect, Stack, create, cron
from tests.contract.test_openapi import resolved

AUDIT = "/api/v1/audit"
CALENDARS = "/api/v1/calendars"
EMPTY: dict[str, Any] = {"items": [], "next_cursor": None}
SECRET = "s3cret-of-the-target"
TARGET = {"url": "https://8.8.8.8/runs", "headers": {"Authorization": f"Bearer {SECRET}", "X-Plain": SECRET}}
FILL = {"country": "DE", "region": "BY", "years": {"from": 2026, "to": 2026}}


async def trail(client: httpx.AsyncClient, **asked: Any) -> list[dict[str, Any]]:
    """All entries that match, newest first, read in one part."""
    answer = await client.get(AUDIT, params={"limit": 500, **asked})
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["next_cursor"] is None
    items: list[dict[str, Any]] = page["items"]
    return items


def at(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def has(name: str, value: str, entry: dict[str, Any]) -> bool:
    return bool(entry[name] == value)


async def told(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def failed_run(stack: Stack, client: httpx.AsyncClient, schedule_id: str) -> str:
    """The id of a run of a schedule that has failed."""
    run = (await client.post(f"{SCHEDULES}/{schedule_id}/trigger")).json()["execution_id"]
    await told(await client.post(f"{EXECUTIONS}/{run}/complete", json={"status": "failed", "error": "disk full"}), 200)
    return str(run)


async def do_everything(stack: Stack, client: httpx.AsyncClient) -> tuple[str, str]:
    """Each action of the trail at least once; answers the ids of the schedule, removed at the end, and of a run."""
    stored = await create(client, name="whole", target=TARGET, failure_target=TARGET, calendars=None)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    patch = {"target": {"headers": {"X-Plain": f"{SECRET}-2"}}, "retry": {"initial_backoff_seconds": 0.5}}
    await told(await client.patch(path, json=patch), 200)
    await told(await client.post(f"{path}/skip-next", json={"reason": "stock-taking"}), 200)
    await told(await client.delete(f"{path}/skip-next"), 200)
    await told(await client.post(f"{path}/pause", json={"reason": "upgrade"}), 200)
    await told(await client.post(f"{path}/resume"), 200)
    span = {"from": "2026-11-16T00:00:00Z", "to": "2026-11-18T00:00:00Z"}
    await told(await client.post(f"{path}/backfill", json=span), 202)
    run = (await told(await client.post(f"{path}/trigger", json={"context_data": {"a": 1}}), 202))["execution_id"]
    await told(await client.post(f"{EXECUTIONS}/{run}/cancel", json={"reason": "by mistake"}), 200)
    failed = await failed_run(stack, client, stored["schedule_id"])
    await told(await client.post(f"{EXECUTIONS}/{failed}/retry"), 202)
    await told(await client.delete(path), 204)
    days = {"days_off": [{"date": "2026-12-24", "label": "Eve"}], "days_worked": ["2026-12-27"], "weekend": ["SUN"]}
    await told(await client.post(CALENDARS, json={"name": "firm", "fill": FILL, **days}), 201)
    await told(await client.put(f"{CALENDARS}/firm", json={"days_off": ["2026-12-31"], "fill": FILL}), 200)
    refresh = {"apply": True, "years": {"from": 2026, "to": 2027}}
    await told(await client.post(f"{CALENDARS}/firm/refresh", json=refresh), 200)
    await told(await client.delete(f"{CALENDARS}/firm"), 204)
    return stored["schedule_id"], run


async def community_of(client: httpx.AsyncClient) -> int:
    stored = await create(client)
    return int(stored["community_id"])


async def test_every_action_leaves_an_entry_that_is_what_the_document_says(
    app: FastAPI, stack: Stack, client: httpx.AsyncClient
) -> None:
    await do_everything(stack, client)
    community = await community_of(client)
    await told(await client.post(CALENDARS, json={"name": "plain"}), 201)
    await create(client, calendars={"names": ["plain"]})
    await create(
        client, schedule_type="interval", cron_expression=None, interval_seconds=60, start_at="2027-01-01T00:00:00Z"
    )
    key = await stack.services.keys.create(community, Role.VIEWER, user="bob", name="ci", expires_at=None)
    assert await stack.services.keys.revoke(key)
    page = (await client.get(AUDIT, params={"limit": 500})).json()
    resolved(app, {"$ref": "#/components/schemas/AuditPage"}).validate(page)
    assert {entry["action"] for entry in page["items"]} == set(AuditAction)
    assert all(entry["at"].endswith("Z") for entry in page["items"])


def test_the_document_tells_every_action_and_an_entry_of_each(app: FastAPI) -> None:
    document = app.openapi()
    (parameter,) = (one for one in document["paths"][AUDIT]["get"]["parameters"] if one["name"] == "action")
    schema = parameter["schema"]
    named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    assert named["enum"] == list(AuditAction)
    entry = document["components"]["schemas"]["AuditPage"]["properties"]["items"]["items"]
    assert entry["discriminator"]["mapping"].keys() == set(AuditAction)


async def test_an_entry_says_who_what_when_why_and_in_which_request(connect_as: Connect) -> None:
    caller = await connect_as(Role.ADMIN)
    stored = await create(caller, name="old")
    answer = await caller.post(
        f"{SCHEDULES}/{stored['schedule_id']}/pause", json={"reason": "upgrade"}, headers={"X-Request-Id": "req-7"}
    )
    paused = answer.json()
    entry, created, key = await trail(caller)
    assert entry["audit_id"] > created["audit_id"] > key["audit_id"]
    assert {name: entry[name] for name in entry if name not in ("audit_id", "before", "after")} == {
        "at": paused["updated_at"],
        "user": "admin-user",
        "role": "admin",
        "action": "schedule_pause",
        "schedule_id": stored["schedule_id"],
        "execution_id": None,
        "reason": "upgrade",
        "request_id": "req-7",
    }
    assert (entry["before"]["status"], entry["after"]["status"]) == ("active", "paused")
    assert entry["before"]["next_execution_at"] == stored["next_execution_at"]
    assert (created["before"], created["after"]["name"]) == (None, "old")
    assert (key["action"], key["user"], key["role"]) == ("key_create", "command line", None)


async def test_no_secret_is_ever_shown(stack: Stack, client: httpx.AsyncClient) -> None:
    await do_everything(stack, client)
    community = await community_of(client)
    key = await stack.services.keys.create(community, Role.ADMIN, user="bob", name=None, expires_at=None)
    await stack.services.keys.revoke(key)
    mine = client.headers["Authorization"].removeprefix("Bearer ")
    shown = (await client.get(AUDIT, params={"limit": 500})).text
    assert '"X-Plain":"********"' in shown.replace(": ", ":")
    assert SECRET not in shown
    assert "plain:" not in shown
    for one in (key, mine):
        prefix, secret = one[3:15], one[16:]
        assert prefix in shown
        assert secret not in shown
        digest = hashlib.sha256(one.encode())
        assert digest.hexdigest() not in shown
        assert str(digest.digest()) not in shown


async def test_each_filter_finds_what_it_says_and_all_of_it(stack: Stack, client: httpx.AsyncClient) -> None:
    schedule_id, run = await do_everything(stack, client)
    await create(client, name="other")
    whole = await trail(client)
    moments = sorted({entry["at"] for entry in whole}, key=datetime.fromisoformat)
    start, end = moments[len(moments) // 3], moments[2 * len(moments) // 3]

    async def check(asked: dict[str, str], wanted: Callable[[dict[str, Any]], bool]) -> None:
        expected = [entry for entry in whole if wanted(entry)]
        assert 0 < len(expected) < len(whole)
        assert await trail(client, **asked) == expected, asked

    await check({"schedule_id": schedule_id}, partial(has, "schedule_id", schedule_id))
    await check({"execution_id": run}, partial(has, "execution_id", run))
    await check({"user": "command line"}, partial(has, "user", "command line"))
    since, until = datetime.fromisoformat(start), datetime.fromisoformat(end)
    await check({"from": start}, lambda entry: at(entry) >= since)
    await check({"to": end}, lambda entry: at(entry) < until)
    await check({"from": start, "to": end}, lambda entry: since <= at(entry) < until)
    await check(
        {"schedule_id": schedule_id, "action": "schedule_triggered", "user": "admin-user", "to": moments[-1]},
        lambda entry: (entry["schedule_id"], entry["action"]) == (schedule_id, "schedule_triggered"),
    )
    for action in {entry["action"] for entry in whole}:
        await check({"action": action}, partial(has, "action", action))
    for nothing in (
        {"user": "nobody"},
        {"user": ""},
        {"user": "command line", "action": "schedule_create"},
        {"execution_id": run, "action": "schedule_create"},
        {"execution_id": schedule_id},
        {"schedule_id": run},
        {"from": end, "to": start},
        {"from": start, "to": start},
        {"from": "9999-12-31T23:59:59Z"},
        {"to": "0001-01-02T00:00:00Z"},
    ):
        assert (await client.get(AUDIT, params=nothing)).json() == EMPTY, nothing


async def test_the_trail_of_a_removed_schedule_and_of_its_runs_stays(stack: Stack, client: httpx.AsyncClient) -> None:
    schedule_id, run = await do_everything(stack, client)
    async with stack.database.connection() as connection:
        await connection.execute("DELETE FROM executions WHERE schedule_id = $1", UUID(schedule_id))
        await connection.execute("DELETE FROM schedule_revisions WHERE schedule_id = $1", UUID(schedule_id))
    assert (await client.get(f"{SCHEDULES}/{schedule_id}/executions")).status_code == 404
    actions = [entry["action"] for entry in await trail(client, schedule_id=schedule_id)]
    assert (actions[0], actions[-1]) == ("schedule_remove", "schedule_create")
    assert [entry["action"] for entry in await trail(client, execution_id=run)] == [
        "execution_cancel",
        "schedule_triggered",
    ]


async def test_what_another_community_did_is_nowhere_and_cannot_be_told_from_nothing(
    stack: Stack, connect_as: Connect
) -> None:
    owner, stranger = await connect_as(), await connect_as()
    schedule_id, run = await do_everything(stack, owner)
    (theirs,) = await trail(stranger)
    assert theirs["action"] == "key_create"
    for asked in (
        {"schedule_id": schedule_id},
        {"schedule_id": UNKNOWN_ID},
        {"execution_id": run},
        {"execution_id": UNKNOWN_ID},
        {"action": "schedule_create"},
        {"schedule_id": schedule_id, "user": "admin-user"},
        {"schedule_id": schedule_id, "limit": "1"},
    ):
        assert (await stranger.get(AUDIT, params=asked)).json() == EMPTY, asked
    # A cursor names a place in time, not a community: what follows it there is the stranger's own.
    for asked in ({"limit": "1"}, {"schedule_id": schedule_id, "limit": "1"}):
        cursor = (await owner.get(AUDIT, params=asked)).json()["next_cursor"]
        page = (await stranger.get(AUDIT, params={"cursor": cursor})).json()
        assert page == {"items": [theirs], "next_cursor": None}


async def test_parts_follow_each_other_although_new_entries_come(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{SCHEDULES}/batch", json={"schedules": [cron() for _ in range(5)]})
    assert answer.status_code == 201
    first = answer.json()["results"][0]["schedule"]["schedule_id"]
    for _ in range(3):
        assert (await client.post(f"{SCHEDULES}/{first}/trigger")).status_code == 202
    for asked in ({}, {"schedule_id": first}, {"user": "admin-user"}, {"user": "admin-user", "schedule_id": first}):
        whole = await trail(client, **asked)
        read: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = (
                await client.get(AUDIT, params={"limit": 2, **asked, **({} if cursor is None else {"cursor": cursor})})
            ).json()
            read += page["items"]
            assert (await client.post(f"{SCHEDULES}/{first}/trigger")).status_code == 202
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert read == whole
        assert read == sorted(read, key=lambda entry: (at(entry), entry["audit_id"]), reverse=True)
        assert len(read) > 2


async def test_a_part_has_fifty_entries_unless_more_or_fewer_are_asked_for(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{SCHEDULES}/batch", json={"schedules": [cron() for _ in range(60)]})
    assert answer.status_code == 201
    for asked, size in (({}, 50), ({"limit": 1}, 1), ({"limit": 500}, 61)):
        assert len((await client.get(AUDIT, params=asked)).json()["items"]) == size


async def test_a_number_in_the_trail_is_shown_as_it_was_written(client: httpx.AsyncClient) -> None:
    await create(client, context_data={"large": 2**63 - 1, "small": 5e-324, "half": 0.5})
    (entry,) = await trail(client, action="schedule_create")
    assert entry["after"]["context_data"] == {"large": 2**63 - 1, "small": 5e-324, "half": 0.5}


async def test_an_action_of_a_later_release_is_shown_as_it_is(stack: Stack, client: httpx.AsyncClient) -> None:
    community = await community_of(client)
    async with stack.database.connection() as connection:
        await connection.execute(
            "INSERT INTO audit_log (at, community_id, action, after) VALUES (now(), $1, 'schedule_fly', '[1]')",
            community,
        )
    entry = (await trail(client))[0]
    assert (entry["action"], entry["after"], entry["user"]) == ("schedule_fly", [1], None)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
async def test_below_operator_nothing_of_the_trail_is_read(connect_as: Connect, role: Role) -> None:
    caller = await connect_as(role)
    answer = await caller.get(AUDIT)
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


async def test_a_callback_token_reports_and_reads_no_trail(app: FastAPI, client: httpx.AsyncClient) -> None:
    answer = await client.get(AUDIT, headers={"Authorization": f"Bearer {PREFIX}of-some-execution"})
    assert answer.status_code == 401
