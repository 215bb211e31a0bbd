"""One action on all schedules that match, over HTTP."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.principal import Role
from app.core.schedule import ScheduleStatus
from tests.contract.calls import SCHEDULES, Connect, Records, Stack, application, client_of, create, cron

BULK = f"{SCHEDULES}/bulk"
PAYMENTS = {"url": "https://8.8.8.8/pay", "headers": {}}


async def act(client: httpx.AsyncClient, action: str, **fields: Any) -> dict[str, Any]:
    answer = await client.post(BULK, json={"action": action, **fields})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    assert result["count"] == len(result["schedule_ids"])
    return result


async def shown(client: httpx.AsyncClient, stored: dict[str, Any]) -> Any:
    answer = await client.get(f"{SCHEDULES}/{stored['schedule_id']}")
    return answer.json() if answer.status_code == 200 else answer.status_code


async def test_all_that_match_are_paused_resumed_and_removed(client: httpx.AsyncClient) -> None:
    first, second = [await create(client, tags=["x"]) for _ in range(2)]
    other = await create(client, tags=["y"])
    ids = sorted(one["schedule_id"] for one in (first, second))
    dry = await act(client, "pause", tag="x", reason="INC-7", dry_run=True)
    assert (await shown(client, first), await shown(client, second)) == (first, second)
    paused = await act(client, "pause", tag="x", reason="INC-7")
    assert dry == paused | {"dry_run": True}
    assert paused == {
        "action": "pause",
        "dry_run": False,
        "count": 2,
        "schedule_ids": ids,
        "left_alone": [],
        "next_cursor": None,
    }
    now = await shown(client, first)
    assert (now["status"], now["status_reason"], now["revision"]) == ("paused", "INC-7", 2)
    await client.post(f"{SCHEDULES}/{first['schedule_id']}/resume")
    resumed = await act(client, "resume", tag="x")
    assert resumed["schedule_ids"] == [second["schedule_id"]]
    assert resumed["left_alone"] == [
        {"schedule_id": first["schedule_id"], "because": "already", "detail": "it is active already"}
    ]
    removed = await act(client, "remove", tag="x")
    assert removed["schedule_ids"] == ids
    assert [await shown(client, one) for one in (first, second, other)] == [404, 404, other]


async def test_what_its_own_operation_refuses_is_left_alone_in_its_words(
    client: httpx.AsyncClient, stack: Stack
) -> None:
    stored = await create(client, tags=["x"])
    async with stack.database.connection() as connection:
        await connection.execute(
            "UPDATE workflow_schedules SET status = 'completed', completed_at = now(), next_execution_at = NULL, "
            "next_due_at = NULL WHERE schedule_id = $1",
            stored["schedule_id"],
        )
    for action in ("pause", "resume"):
        alone = await client.post(f"{SCHEDULES}/{stored['schedule_id']}/{action}")
        assert alone.status_code == 409
        (left,) = (await act(client, action, tag="x"))["left_alone"]
        assert (left["because"], left["detail"]) == ("state_forbids", alone.json()["detail"])


async def test_a_host_is_found_however_it_is_spelt_and_with_its_port_alone(client: httpx.AsyncClient) -> None:
    plain = await create(client, target=PAYMENTS)
    other_port = await create(client, target={"url": "https://8.8.8.8:8443/pay"})
    engine = await create(client)
    for text, expected in (
        ("8.8.8.8", plain),
        ("8.8.8.8:443", plain),
        ("0x8080808", plain),
        ("8.8.8.8:8443", other_port),
    ):
        found = await act(client, "pause", target_host=text, dry_run=True)
        assert found["schedule_ids"] == [expected["schedule_id"]], text
    nobody = await act(client, "pause", target_host="8.8.4.4", dry_run=True)
    assert nobody["schedule_ids"] == []
    hosts = {each["host"] for each in (await client.get("/api/v1/targets")).json()["items"]}
    assert hosts == {None, "8.8.8.8", "8.8.8.8:8443"}
    assert engine["target"] is None


async def test_the_host_of_the_engine_means_those_without_a_target_too(stack: Stack, connect_as: Connect) -> None:
    owner = await connect_as()
    without, own = await create(owner), await create(owner, target=PAYMENTS)
    key = owner.headers["authorization"]
    async with client_of(application(stack, workflow_engine_url="http://engine.example:8080"), authorization=key) as at:
        engine = await act(at, "pause", target_host="Engine.example:8080", dry_run=True)
        assert engine["schedule_ids"] == [without["schedule_id"]]
        assert (await act(at, "pause", target_host="engine.example", dry_run=True))["count"] == 0
    async with client_of(application(stack, workflow_engine_url="http://8.8.8.8"), authorization=key) as at:
        both = await act(at, "pause", target_host="8.8.8.8", dry_run=True)
        assert both["schedule_ids"] == sorted([without["schedule_id"], own["schedule_id"]])


async def test_each_other_condition_is_read(client: httpx.AsyncClient) -> None:
    workflow_id = "0f14e45f-ceea-467f-9d3a-1c5b2a7e6f99"
    wanted = await create(client, name="job_1", workflow_id=workflow_id)
    once = await create(
        client, name="other", schedule_type="one_time", cron_expression=None, scheduled_time="2999-01-01T00:00:00Z"
    )
    await client.post(f"{SCHEDULES}/{once['schedule_id']}/pause")
    for conditions, expected in (
        ({"workflow_id": workflow_id.upper()}, [wanted]),
        ({"name_prefix": "job"}, [wanted]),
        ({"name_prefix": "job%"}, []),
        ({"status": "active"}, [wanted]),
        ({"status": "paused"}, []),
        ({"schedule_type": "cron"}, [wanted]),
        ({"schedule_type": "cron", "name_prefix": "other"}, []),
    ):
        found = await act(client, "pause", **conditions, dry_run=True)
        assert found["schedule_ids"] == [one["schedule_id"] for one in expected], conditions


async def test_a_call_changes_so_many_and_names_where_the_rest_begins(client: httpx.AsyncClient) -> None:
    ids = sorted([(await create(client, tags=["x"]))["schedule_id"] for _ in range(3)])
    first = await act(client, "pause", tag="x", limit=2)
    assert first["schedule_ids"] == ids[:2]
    rest = await act(client, "pause", tag="x", limit=2, cursor=first["next_cursor"])
    assert (rest["schedule_ids"], rest["left_alone"], rest["next_cursor"]) == (ids[2:], [], None)


async def test_it_is_done_once_for_an_idempotency_key(client: httpx.AsyncClient) -> None:
    stored = await create(client, tags=["x"])
    body = {"action": "pause", "tag": "x"}
    key = {"Idempotency-Key": "incident 7"}
    first = await client.post(BULK, json=body, headers=key)
    await client.post(f"{SCHEDULES}/{stored['schedule_id']}/resume")
    again = await client.post(BULK, json=body, headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    assert (await shown(client, stored))["status"] == ScheduleStatus.ACTIVE
    reused = await client.post(BULK, json=body | {"action": "remove"}, headers=key)
    assert (reused.status_code, reused.json()["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")


async def test_another_communitys_schedules_are_neither_changed_nor_told(connect_as: Connect) -> None:
    owner, stranger = await connect_as(), await connect_as()
    stored = await create(owner, tags=["x"], target=PAYMENTS)
    for action in ("pause", "remove"):
        for conditions in ({"tag": "x"}, {"status": "active"}, {"target_host": "8.8.8.8"}):
            result = await act(stranger, action, **conditions)
            assert (result["schedule_ids"], result["left_alone"]) == ([], [])
    assert await shown(owner, stored) == stored


async def test_a_viewer_may_not_even_try_it(connect_as: Connect) -> None:
    viewer = await connect_as(Role.VIEWER)
    answer = await viewer.post(BULK, json={"action": "pause", "tag": "x", "dry_run": True})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"action": "pause"}, 400, "body"),
        ({"action": "remove", "reason": "all of them"}, 400, "body"),
        ({"tag": "x"}, 400, "action"),
        ({"action": "stop", "tag": "x"}, 400, "action"),
        ({"action": None, "tag": "x"}, 422, "action"),
        # What is empty because a variable was not set means nothing, and not everything.
        ({"action": "remove", "tag": ""}, 400, "tag"),
        ({"action": "remove", "name_prefix": ""}, 400, "name_prefix"),
        ({"action": "remove", "target_host": ""}, 400, "target_host"),
        ({"action": "remove", "workflow_id": ""}, 400, "workflow_id"),
        # So does null, which clients write for a variable that was not set: it would leave the rest to the others.
        *(
            ({"action": "remove", "schedule_type": "cron", "tag": "x"} | {name: None}, 422, name)
            for name in ("tag", "workflow_id", "name_prefix", "target_host", "status", "schedule_type")
        ),
        ({"action": "remove", "tag": None, "dry_run": True}, 422, "tag"),
        ({"action": "pause", "target_host": "https://payments.example"}, 400, "target_host"),
        ({"action": "pause", "target_host": "payments.example/pay"}, 400, "target_host"),
        ({"action": "pause", "target_host": "payments.example:0"}, 400, "target_host"),
        ({"action": "pause", "target_host": "a@payments.example"}, 400, "target_host"),
        ({"action": "pause", "target_host": "{{ host }}"}, 400, "target_host"),
        ({"action": "pause", "target_host": ["payments.example"]}, 422, "target_host"),
        ({"action": "pause", "tag": "x\0"}, 400, "tag"),
        ({"action": "pause", "status": "gone"}, 400, "status"),
        ({"action": "pause", "schedule_type": "never"}, 400, "schedule_type"),
        ({"action": "pause", "tag": "x", "limit": 501}, 400, "limit"),
        ({"action": "pause", "tag": "x", "limit": 0}, 400, "limit"),
        ({"action": "pause", "tag": "x", "limit": "5"}, 422, "limit"),
        ({"action": "pause", "tag": "x", "dry_run": "yes"}, 422, "dry_run"),
        ({"action": "pause", "tag": "x", "cursor": "x"}, 400, "cursor"),
        ({"action": "pause", "tag": "x", "reason": "r" * 501}, 400, "reason"),
        ({"action": "pause", "tag": "x", "due_before": "2026-11-23T17:00:00Z"}, 422, "due_before"),
        ([], 422, "body"),
    ],
)
async def test_a_wrong_wish_is_refused_by_its_field_and_nothing_is_stored(
    client: httpx.AsyncClient, records: Records, body: Any, status: int, field: str
) -> None:
    await create(client, tags=["x"], name="x")
    before = await records()
    answer = await client.post(BULK, json=body)
    assert answer.status_code == status, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert await records() == before


async def test_a_missing_condition_is_answered_with_those_that_there_are(client: httpx.AsyncClient) -> None:
    answer = await client.post(BULK, json={"action": "remove"})
    assert answer.json()["detail"] == (
        "at least one of tag, workflow_id, name_prefix, target_host, status, schedule_type must be given"
    )


async def test_a_condition_that_is_null_is_answered_with_what_to_do(client: httpx.AsyncClient) -> None:
    answer = await client.post(BULK, json={"action": "remove", "tag": None, "status": "active"})
    assert answer.json()["detail"] == "tag must not be null: leave it out, or give a value"


async def test_the_calls_of_the_documentation_do_what_it_says(client: httpx.AsyncClient) -> None:
    stored = await create(client, tags=["x"])
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    dry, done = map(json.loads, re.findall(r"/schedules/bulk .*\n +-d '(.*)'", page))
    assert dry == done | {"dry_run": True}
    for body in (dry, done):
        assert (await act(client, **body))["schedule_ids"] == []
    (everything,) = re.findall(r"says `(\"status\".*?)`", page)
    everything = json.loads(f"{{{everything}}}")
    assert (await act(client, "pause", **everything))["schedule_ids"] == [stored["schedule_id"]]


async def test_its_address_answers_a_post_alone_and_is_taken_for_no_schedules(client: httpx.AsyncClient) -> None:
    assert (await client.post(SCHEDULES, json=cron(name="bulk"))).status_code == 201
    refused = await client.get(BULK)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
