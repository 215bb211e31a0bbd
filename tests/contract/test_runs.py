"""Runs that wait, run on, are filled in or left out, over HTTP."""

from typing import Any

import httpx

from tests.contract.calls import EXECUTIONS, SCHEDULES, UNKNOWN_ID, create

INTERVAL: dict[str, Any] = {"schedule_type": "interval", "cron_expression": None, "interval_seconds": 3600}
SPAN = {"from": "2026-11-16T00:00:00Z", "to": "2026-11-18T00:00:00Z"}


async def trigger(client: httpx.AsyncClient, schedule: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = await client.post(f"{SCHEDULES}/{schedule['schedule_id']}/trigger", json=body)
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json()
    return run


async def test_every_overlap_policy_and_completion_is_stored_and_shown(client: httpx.AsyncClient) -> None:
    for policy in ("skip", "queue", "allow", "cancel_running"):
        stored = await create(client, overlap_policy=policy, completion="callback")
        assert (stored["overlap_policy"], stored["completion"]) == (policy, "callback")


async def test_a_run_that_is_triggered_behind_another_is_queued(client: httpx.AsyncClient) -> None:
    stored = await create(client, max_instances=1)
    first = await trigger(client, stored, overlap_policy="queue")
    second = await trigger(client, stored, overlap_policy="queue")
    third = await trigger(client, stored, overlap_policy="queue")
    assert [run["status"] for run in (first, second, third)] == ["pending", "queued", "skipped"]
    assert third["reason"] == "queue_full"
    assert second["next_attempt_at"] is None


async def test_work_is_reported_once_and_the_other_report_is_a_conflict(client: httpx.AsyncClient) -> None:
    run = await trigger(client, await create(client, completion="callback"))
    path = f"{EXECUTIONS}/{run['execution_id']}"
    report = {"status": "succeeded", "result": {"rows": 3}}
    ended = (await client.post(f"{path}/complete", json=report)).json()
    assert (ended["status"], ended["result"], ended["error"]) == ("succeeded", {"rows": 3}, None)
    again = await client.post(f"{path}/complete", json=report)
    assert (again.status_code, again.json()) == (200, ended)
    other = await client.post(f"{path}/complete", json={"status": "failed", "error": "no"})
    assert (other.status_code, other.json()["code"]) == (409, "STATE_FORBIDS")
    assert (await client.get(path)).json() == ended


async def test_a_failed_report_leaves_a_dead_letter_that_can_be_retried(client: httpx.AsyncClient) -> None:
    run = await trigger(client, await create(client, completion="callback"))
    path = f"{EXECUTIONS}/{run['execution_id']}"
    failed = (await client.post(f"{path}/complete", json={"status": "failed", "error": "no disk"})).json()
    assert (failed["status"], failed["error"]) == ("failed", "no disk")
    assert (await client.post(f"{path}/retry")).status_code == 202


async def test_a_heartbeat_answers_what_became_of_the_execution(client: httpx.AsyncClient) -> None:
    run = await trigger(client, await create(client, completion="callback"))
    path = f"{EXECUTIONS}/{run['execution_id']}"
    assert (await client.post(f"{path}/heartbeat")).json() == run
    await client.post(f"{path}/cancel", json={"reason": "not needed"})
    told = await client.post(f"{path}/heartbeat", json={})
    assert (told.status_code, told.json()["status"]) == (200, "cancelled")
    assert told.json()["reason_detail"].endswith(": not needed")


async def test_a_backfill_answers_its_runs_and_they_are_found_by_it(client: httpx.AsyncClient) -> None:
    stored = await create(client, cron_expression="0 12 * * *")
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    answer = await client.post(f"{path}/backfill", json=SPAN | {"max_parallel": 2})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["count"], told["max_parallel"], told["dry_run"]) == (2, 2, False)
    assert [run["scheduled_for"] for run in told["runs"]] == ["2026-11-16T17:00:00Z", "2026-11-17T17:00:00Z"]
    found = (await client.get(f"{path}/executions", params={"backfill_id": told["backfill_id"]})).json()["items"]
    assert {one["execution_id"] for one in found} == {run["execution_id"] for run in told["runs"]}
    assert {(one["status"], one["trigger"]) for one in found} == {("queued", "backfill")}


async def test_the_runs_of_a_backfill_are_listed_by_their_instants_page_by_page(client: httpx.AsyncClient) -> None:
    stored = await create(client, cron_expression="0 * * * *")
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    told, _ = [(await client.post(f"{path}/backfill", json=SPAN)).json() for _ in range(2)]
    await client.post(f"{path}/trigger")
    expected = [run["execution_id"] for run in reversed(told["runs"])]
    assert len(expected) == 48

    async def listed(**parameters: Any) -> list[str]:
        found: list[str] = []
        asked = {"backfill_id": told["backfill_id"], "limit": 7, **parameters}
        while True:
            page = (await client.get(f"{path}/executions", params=asked)).json()
            found += [one["execution_id"] for one in page["items"]]
            if page["next_cursor"] is None:
                return found
            assert len(page["items"]) == 7
            asked["cursor"] = page["next_cursor"]

    assert await listed() == expected
    assert await listed(limit=48) == expected
    assert await listed(trigger="backfill", status="queued") == expected
    await client.post(f"{EXECUTIONS}/{expected[3]}/cancel")
    assert await listed(status="cancelled") == [expected[3]]
    assert await listed(**{"from": "2026-11-16T05:00:00Z", "to": "2026-11-16T08:00:00Z"}) == expected[-8:-5]
    for nothing in ({"trigger": "manual"}, {"backfill_id": UNKNOWN_ID}, {"backfill_id": expected[0]}):
        assert await listed(**nothing) == []


async def test_a_dry_run_of_a_backfill_is_200_and_stores_nothing(client: httpx.AsyncClient) -> None:
    stored = await create(client, cron_expression="0 12 * * *")
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    answer = await client.post(f"{path}/backfill", json=SPAN | {"dry_run": True})
    assert (answer.status_code, answer.json()["count"], answer.json()["backfill_id"]) == (200, 2, None)
    assert (await client.get(f"{path}/executions")).json()["items"] == []


async def test_a_backfill_that_is_repeated_under_its_key_is_one(client: httpx.AsyncClient) -> None:
    stored = await create(client, cron_expression="0 12 * * *")
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    answers = [await client.post(f"{path}/backfill", json=SPAN, headers={"Idempotency-Key": "again"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len((await client.get(f"{path}/executions")).json()["items"]) == 2


async def test_the_next_occurrence_is_skipped_and_the_one_after_it_is_shown_as_next(client: httpx.AsyncClient) -> None:
    stored = await create(client, **INTERVAL)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    _, following = (await client.get(f"{path}/occurrences", params={"count": 2})).json()["occurrences"]
    answer = await client.post(f"{path}/skip-next", json={"reason": "stock-taking"})
    skipping = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert skipping["next_execution_at"] == skipping["next_due_at"] == following
    assert skipping["skip_next"]["scheduled_for"] == stored["next_execution_at"]
    assert skipping["skip_next"]["reason"] == "stock-taking"
    assert (await client.get(path)).json() == skipping
    assert (await client.get(f"{path}/occurrences", params={"count": 1})).json()["occurrences"] == [following]
    undone = await client.delete(f"{path}/skip-next", headers={"If-Match": '"2"'})
    assert (undone.status_code, undone.json()["next_execution_at"]) == (200, stored["next_execution_at"])
    assert undone.json()["skip_next"] is None
    assert (await client.delete(f"{path}/skip-next")).status_code == 409


async def test_what_is_read_while_the_next_one_is_skipped_can_be_sent_back(client: httpx.AsyncClient) -> None:
    stored = await create(client, **INTERVAL)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    skipping = (await client.post(f"{path}/skip-next")).json()
    assert (await client.put(path, json=skipping)).json() == skipping
    assert (await client.patch(path, json={"description": "x"})).json()["skip_next"] == skipping["skip_next"]
