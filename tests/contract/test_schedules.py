"""Creating, reading, changing and removing schedules over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.core.principal import Role
from tests.contract.calls import EXECUTIONS, SCHEDULES, UNKNOWN_ID, WORKFLOW_ID, Connect, create, cron, fields_of


async def test_a_create_answers_the_whole_schedule_with_location_and_etag(client: httpx.AsyncClient) -> None:
    answer = await client.post(SCHEDULES, json=cron(name="nightly", tags=["a", "b"], context_data={"report": "daily"}))

    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    stored = answer.json()
    assert answer.headers["location"] == f"{SCHEDULES}/{stored['schedule_id']}"
    assert answer.headers["etag"] == '"1"'
    assert stored["name"] == "nightly"
    assert stored["tags"] == ["a", "b"]
    assert stored["context_data"] == {"report": "daily"}
    assert stored["status"] == "active"
    assert stored["is_active"] is True
    assert stored["next_execution_at"] == stored["next_due_at"]
    assert stored["created_by"] == "admin-user"
    assert (await client.get(answer.headers["location"])).json() == stored


async def test_what_is_left_out_or_null_has_the_defaults_of_the_settings(client: httpx.AsyncClient) -> None:
    named = ("timezone", "grace_period_seconds", "coalesce", "max_instances", "retry", "context_data", "tags", "target")
    bare = cron()
    del bare["timezone"]
    first = (await client.post(SCHEDULES, json=bare)).json()
    second = (await client.post(SCHEDULES, json=bare | dict.fromkeys(named))).json()

    for stored in (first, second):
        assert stored["timezone"] == "UTC"
        assert stored["grace_period_seconds"] == 900
        assert stored["coalesce"] is True
        assert stored["max_instances"] == 3
        assert stored["overlap_policy"] == "skip"
        assert stored["completion"] == "response"
        assert stored["timeout_seconds"] == 3600
        assert stored["retry"] == {
            "max_retries": 3,
            "initial_backoff_seconds": 1,
            "max_backoff_seconds": 300,
            "multiplier": 2,
            "max_age_seconds": 86400,
        }
        assert stored["after_completion"] == "keep"
        assert stored["context_data"] == {}
        assert stored["tags"] == []
        assert stored["target"] is None


async def test_times_are_shown_in_utc_with_milliseconds_only_where_there_are_any(client: httpx.AsyncClient) -> None:
    one = await create(
        client, schedule_type="one_time", cron_expression=None, scheduled_time="2099-06-01T12:00:00.123456+02:00"
    )
    assert one["scheduled_time"] == one["next_execution_at"] == "2099-06-01T10:00:00.123Z"
    naive = await create(client, schedule_type="one_time", cron_expression=None, scheduled_time="2099-06-01T12:00:00")
    assert naive["scheduled_time"] == "2099-06-01T16:00:00Z"


@pytest.mark.parametrize("seconds", [3600, -30])
async def test_a_one_time_is_accepted_in_the_future_and_up_to_a_minute_past(
    client: httpx.AsyncClient, seconds: int
) -> None:
    when = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    stored = await create(client, schedule_type="one_time", cron_expression=None, scheduled_time=when)
    assert stored["status"] == "active"


async def test_a_one_time_in_the_past_is_refused_when_it_is_set_and_not_when_it_stays(
    client: httpx.AsyncClient,
) -> None:
    past = {"schedule_type": "one_time", "cron_expression": None, "scheduled_time": "2020-01-01T00:00:00Z"}
    refused = await client.post(SCHEDULES, json=cron(**past))
    assert refused.status_code == 400
    assert fields_of(refused.json()) == ["scheduled_time"]

    when = (datetime.now(UTC) - timedelta(seconds=50)).isoformat()
    stored = await create(client, **past | {"scheduled_time": when})
    renamed = await client.patch(f"{SCHEDULES}/{stored['schedule_id']}", json={"name": "renamed"})
    assert renamed.status_code == 200
    assert renamed.json()["scheduled_time"] == stored["scheduled_time"]
    moved = await client.patch(f"{SCHEDULES}/{stored['schedule_id']}", json={"scheduled_time": past["scheduled_time"]})
    assert moved.status_code == 400


async def test_what_was_read_can_be_edited_and_put_back(client: httpx.AsyncClient) -> None:
    stored = await create(client, name="before", retry={"max_retries": 7})
    stored["name"] = "after"
    answer = await client.put(f"{SCHEDULES}/{stored['schedule_id']}", json=stored)

    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    changed = answer.json()
    assert changed["revision"] == 2
    unchanging = stored.keys() - {"revision", "updated_at"}
    assert {name: changed[name] for name in unchanging} == {name: stored[name] for name in unchanging}


async def test_read_only_fields_of_a_body_change_nothing(client: httpx.AsyncClient) -> None:
    forged = {"schedule_id": UNKNOWN_ID, "community_id": 7, "status": "failed", "revision": 99, "created_by": 3}
    stored = await create(client, **forged, execution_count=5)
    assert stored["schedule_id"] != UNKNOWN_ID
    assert stored["status"] == "active"
    assert stored["revision"] == 1
    assert stored["execution_count"] == 0
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    patched = (await client.patch(path, json=forged)).json()
    assert patched == stored


async def test_a_put_gives_what_it_leaves_out_its_default(client: httpx.AsyncClient) -> None:
    stored = await create(client, name="named", tags=["x"], max_instances=9)
    replaced = (await client.put(f"{SCHEDULES}/{stored['schedule_id']}", json=cron())).json()
    assert (replaced["name"], replaced["tags"], replaced["max_instances"]) == (None, [], 3)


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/merge-patch+json", "application/JSON; charset=UTF-8"]
)
async def test_a_patch_changes_only_what_it_names(client: httpx.AsyncClient, media_type: str) -> None:
    stored = await create(client, name="kept", retry={"max_retries": 7}, context_data={"a": 1, "b": {"c": 2}})
    answer = await client.patch(
        f"{SCHEDULES}/{stored['schedule_id']}",
        content=b'{"retry": {"multiplier": 3}, "context_data": {"a": null, "b": {"d": [1]}}, "coalesce": false}',
        headers={"Content-Type": media_type},
    )
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed["name"] == "kept"
    assert changed["coalesce"] is False
    assert changed["retry"]["max_retries"] == 7
    assert changed["retry"]["multiplier"] == 3
    assert changed["context_data"] == {"b": {"c": 2, "d": [1]}}


async def test_a_null_in_a_patch_gives_the_default(client: httpx.AsyncClient) -> None:
    stored = await create(client, name="named", max_instances=9, retry={"max_retries": 7})
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    changed = (await client.patch(path, json={"name": None, "max_instances": None, "retry": None})).json()
    assert (changed["name"], changed["max_instances"], changed["retry"]["max_retries"]) == (None, 3, 3)


async def test_a_patch_with_a_new_type_nulls_the_other_types_fields(client: httpx.AsyncClient) -> None:
    stored = await create(client, end_at="2099-01-01T00:00:00Z")
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    interval = (await client.patch(path, json={"schedule_type": "interval", "interval_seconds": 60})).json()
    assert (interval["cron_expression"], interval["interval_seconds"]) == (None, 60)
    assert interval["end_at"] == "2099-01-01T00:00:00Z"
    once = await client.patch(path, json={"schedule_type": "one_time", "scheduled_time": "2099-01-01T00:00:00Z"})
    assert once.status_code == 200, once.text
    assert (once.json()["interval_seconds"], once.json()["end_at"]) == (None, None)
    lacking = await client.patch(path, json={"schedule_type": "cron"})
    assert lacking.status_code == 400
    assert fields_of(lacking.json()) == ["cron_expression"]


async def test_a_patch_that_changes_nothing_keeps_the_revision(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    answer = await client.patch(f"{SCHEDULES}/{stored['schedule_id']}", json={})
    assert answer.status_code == 200
    assert answer.json() == stored


async def test_a_removed_schedule_is_gone_and_its_executions_stay(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    execution = (await client.post(f"{path}/trigger")).json()

    removed = await client.delete(path)
    assert removed.status_code == 204
    assert removed.content == b""
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404
    assert (await client.put(path, json=cron())).status_code == 404
    history = (await client.get(f"{path}/executions")).json()
    assert [each["execution_id"] for each in history["items"]] == [execution["execution_id"]]
    assert (await client.get(f"{EXECUTIONS}/{execution['execution_id']}")).status_code == 200


async def test_pause_and_resume_are_safe_to_repeat(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    paused = await client.post(f"{path}/pause", json={"reason": "maintenance"})
    assert paused.status_code == 200
    assert paused.json()["status"] == "paused"
    assert paused.json()["status_reason"] == "maintenance"
    assert paused.json()["next_execution_at"] is None
    assert paused.headers["etag"] == '"2"'
    assert (await client.post(f"{path}/pause")).json() == paused.json()
    resumed = await client.post(f"{path}/resume", json={})
    assert resumed.json()["status"] == "active"
    assert resumed.json()["next_execution_at"] == stored["next_execution_at"]
    assert (await client.post(f"{path}/resume", content=b"")).json() == resumed.json()


async def test_a_completed_schedule_cannot_be_paused(client: httpx.AsyncClient) -> None:
    # Its only instant passes while it is paused.
    when = (datetime.now(UTC) - timedelta(seconds=30)).isoformat()
    stored = await create(client, schedule_type="one_time", cron_expression=None, scheduled_time=when)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    await client.post(f"{path}/pause")
    assert (await client.post(f"{path}/resume")).json()["status"] == "completed"
    answer = await client.post(f"{path}/pause")
    assert answer.status_code == 409
    assert answer.json()["code"] == "STATE_FORBIDS"


async def test_a_trigger_answers_the_recorded_execution(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    answer = await client.post(
        f"{SCHEDULES}/{stored['schedule_id']}/trigger", json={"context_data": {"a": 1}, "overlap_policy": "allow"}
    )
    assert answer.status_code == 202
    execution = answer.json()
    assert execution["trigger"] == "manual"
    assert execution["status"] == "pending"
    assert execution["attempts"] == []
    assert answer.headers["location"] == f"{EXECUTIONS}/{execution['execution_id']}"
    assert (await client.get(answer.headers["location"])).json() == execution


async def test_a_name_is_taken_once_in_a_community(client: httpx.AsyncClient, connect_as: Connect) -> None:
    await create(client, name="taken")
    answer = await client.post(SCHEDULES, json=cron(name="taken"))
    assert answer.status_code == 409
    assert (answer.json()["code"], fields_of(answer.json())) == ("NAME_TAKEN", ["name"])
    other = await create(client, name="other")
    assert (await client.patch(f"{SCHEDULES}/{other['schedule_id']}", json={"name": "taken"})).status_code == 409
    stranger = await connect_as(Role.EDITOR)
    assert (await stranger.post(SCHEDULES, json=cron(name="taken"))).status_code == 201


async def test_a_list_is_read_in_parts_without_a_gap_or_a_repetition(client: httpx.AsyncClient) -> None:
    created = [(await create(client, name=f"n{number}"))["schedule_id"] for number in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        parameters = {"limit": 3} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.get(SCHEDULES, params=parameters)).json()
        seen += [each["schedule_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == created


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({}, ["daily", "hourly", "once"]),
        ({"status": "paused"}, ["hourly"]),
        ({"schedule_type": "cron"}, ["daily"]),
        ({"tag": "ops"}, ["daily", "hourly"]),
        ({"name_prefix": "h"}, ["hourly"]),
        ({"workflow_id": UNKNOWN_ID}, ["once"]),
        ({"due_before": "2097-01-01T00:00:00Z"}, ["daily"]),
        ({"tag": "ops", "status": "active"}, ["daily"]),
        ({"tag": "nobody's"}, []),
    ],
)
async def test_a_list_is_filtered(client: httpx.AsyncClient, parameters: dict[str, Any], names: list[str]) -> None:
    await create(client, name="daily", tags=["ops"])
    hourly = await create(
        client, name="hourly", tags=["ops", "x"], schedule_type="interval", cron_expression=None, interval_seconds=3600
    )
    await client.post(f"{SCHEDULES}/{hourly['schedule_id']}/pause")
    await create(
        client,
        name="once",
        schedule_type="one_time",
        cron_expression=None,
        scheduled_time="2098-01-01T00:00:00Z",
        workflow_id=UNKNOWN_ID,
    )
    found = (await client.get(SCHEDULES, params=parameters)).json()
    assert [each["name"] for each in found["items"]] == names


async def test_what_is_to_be_skipped_is_not_due(client: httpx.AsyncClient) -> None:
    minutely = {"schedule_type": "interval", "cron_expression": None, "interval_seconds": 3600}
    stored, other = [await create(client, **minutely) for _ in range(2)]
    skipping = (await client.post(f"{SCHEDULES}/{stored['schedule_id']}/skip-next")).json()
    first, second = stored["next_due_at"], skipping["next_due_at"]
    assert first < second
    later = second.replace(second[:4], str(int(second[:4]) + 1))
    for instant, expected in ((first, []), (second, [other]), (later, [skipping, other])):
        found = (await client.get(SCHEDULES, params={"due_before": instant})).json()["items"]
        shown = [(await client.get(f"{SCHEDULES}/{one['schedule_id']}")).json() for one in expected]
        assert found == shown, instant
        assert all(one["next_due_at"] < instant for one in found)


async def test_the_schedules_of_a_workflow_are_listed(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    await create(client, workflow_id=UNKNOWN_ID)
    found = (await client.get(f"{SCHEDULES}/workflow/{WORKFLOW_ID}")).json()
    assert found == {"items": [stored], "next_cursor": None}
    assert (await client.get(f"{SCHEDULES}/workflow/{WORKFLOW_ID.upper()}")).json() == found
