"""Reading executions, stopping them, and delivering them again."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.core.execution import ExecutionStatus
from tests.contract.calls import EXECUTIONS, SCHEDULES, UNKNOWN_ID, Connect, Stack, create


async def triggered(client: httpx.AsyncClient, schedule_id: str, times: int = 1) -> list[str]:
    """Run a schedule; the executions' ids, oldest first."""
    answers = [await client.post(f"{SCHEDULES}/{schedule_id}/trigger") for _ in range(times)]
    return [answer.json()["execution_id"] for answer in answers]


async def end(stack: Stack, execution_id: str, status: ExecutionStatus) -> None:
    """Write an execution's end as a worker would have."""
    async with stack.database.connection() as connection:
        await connection.execute(
            """
            UPDATE executions SET status = $2, owner = NULL, wake_at = NULL, finished_at = now(), started_at = now(),
                   lateness_ms = 3, engine_execution_id = 'wf-1', error = '<b>no</b>', failures = 1, attempt = 1,
                   attempts = '[{"number": 1, "started_at": "2026-11-23T17:00:00.003Z", "duration_ms": 12,
                                 "status_code": 500, "error": "no"}]'
             WHERE execution_id = $1
            """,
            execution_id,
            status.value,
        )


async def test_a_history_is_read_newest_first_in_parts(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    other = await create(client)
    expected = (await triggered(client, stored["schedule_id"], 5))[::-1]
    strange = await triggered(client, other["schedule_id"])
    path = f"{SCHEDULES}/{stored['schedule_id']}/executions"
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (await client.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [each["execution_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(expected)
    assert len(seen) == len(set(seen))
    every = (await client.get(EXECUTIONS)).json()
    assert {each["execution_id"] for each in every["items"]} == {*expected, *strange}


async def test_a_history_is_filtered_by_status_and_time(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    first, second = await triggered(client, stored["schedule_id"], 2)
    await client.post(f"{EXECUTIONS}/{first}/cancel")
    now = datetime.now(UTC)
    earlier, later = ((now + timedelta(hours=hours)).isoformat() for hours in (-1, 1))
    for path in (EXECUTIONS, f"{SCHEDULES}/{stored['schedule_id']}/executions"):
        for parameters, expected in (
            ({"status": "cancelled"}, {first}),
            ({"status": "pending"}, {second}),
            ({"from": earlier, "to": later}, {first, second}),
            ({"from": later}, set()),
            ({"to": earlier}, set()),
        ):
            found = (await client.get(path, params=parameters)).json()["items"]
            assert {each["execution_id"] for each in found} == expected, (path, parameters)


async def test_the_history_of_an_unknown_schedule_is_404(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{SCHEDULES}/{UNKNOWN_ID}/executions")).status_code == 404


async def test_an_unfinished_execution_is_cancelled_once(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    (execution_id,) = await triggered(client, stored["schedule_id"])
    cancelled = await client.post(f"{EXECUTIONS}/{execution_id}/cancel", json={"reason": "by mistake"})
    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"
    assert cancelled.json()["reason"] == "cancelled_by_caller"
    assert cancelled.json()["finished_at"] is not None
    again = await client.post(f"{EXECUTIONS}/{execution_id}/cancel")
    assert (again.status_code, again.json()) == (200, cancelled.json())
    refused = await client.post(f"{EXECUTIONS}/{execution_id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "STATE_FORBIDS")


@pytest.mark.parametrize("status", [ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT])
async def test_a_dead_letter_is_shown_with_its_attempts_and_delivered_again(
    client: httpx.AsyncClient, stack: Stack, status: ExecutionStatus
) -> None:
    stored = await create(client)
    (execution_id,) = await triggered(client, stored["schedule_id"])
    await end(stack, execution_id, status)
    path = f"{EXECUTIONS}/{execution_id}"
    shown = (await client.get(path)).json()
    assert shown["status"] == status
    assert shown["error"] == "<b>no</b>"
    assert shown["engine_execution_id"] == "wf-1"
    assert shown["lateness_ms"] == 3
    assert shown["attempts"] == [
        {"number": 1, "started_at": "2026-11-23T17:00:00.003Z", "duration_ms": 12, "status_code": 500, "error": "no"}
    ]
    assert (await client.post(f"{path}/cancel")).status_code == 409
    again = await client.post(f"{path}/retry", json={})
    assert again.status_code == 202
    assert again.headers["location"] == path
    assert again.json()["execution_id"] == execution_id
    assert again.json()["status"] in ("pending", "retrying")
    assert (await client.post(f"{path}/retry")).status_code == 409


async def test_all_dead_letters_that_match_are_delivered_again(client: httpx.AsyncClient, stack: Stack) -> None:
    stored, other = await create(client), await create(client)
    failed = await triggered(client, stored["schedule_id"], 4)
    elsewhere = await triggered(client, other["schedule_id"], 2)
    (late,) = await triggered(client, stored["schedule_id"])
    for execution_id in (*failed, *elsewhere):
        await end(stack, execution_id, ExecutionStatus.FAILED)
    await end(stack, late, ExecutionStatus.TIMED_OUT)
    only = {"schedule_id": stored["schedule_id"]}
    dry = await client.post(f"{EXECUTIONS}/retry", json=only | {"dry_run": True})
    assert (dry.status_code, dry.json()["count"], dry.json()["dry_run"]) == (200, 4, True)
    first = await client.post(f"{EXECUTIONS}/retry", json=only | {"limit": 3})
    assert (first.status_code, first.json()["count"]) == (202, 3)
    rest = await client.post(f"{EXECUTIONS}/retry", json=only | {"cursor": first.json()["next_cursor"]})
    retried = [*first.json()["execution_ids"], *rest.json()["execution_ids"]]
    assert retried == dry.json()["execution_ids"]
    assert sorted(retried) == sorted(failed)
    assert rest.json()["next_cursor"] is None
    statuses = {each["execution_id"]: each["status"] for each in (await client.get(EXECUTIONS)).json()["items"]}
    assert {statuses[one] for one in failed} == {"pending"}
    assert {statuses[one] for one in elsewhere} == {"failed"}
    assert statuses[late] == "timed_out"
    timed_out = await client.post(f"{EXECUTIONS}/retry", json={"status": "timed_out"})
    assert timed_out.json()["execution_ids"] == [late]
    async with stack.database.connection() as connection:
        audited = await connection.fetchval(
            "SELECT count(*) FROM audit_log WHERE action = 'execution_retry' AND execution_id = ANY($1::uuid[])",
            retried,
        )
    assert audited == 4


async def test_retrying_what_matches_is_done_once_for_an_idempotency_key(
    client: httpx.AsyncClient, stack: Stack
) -> None:
    (execution_id,) = await triggered(client, (await create(client))["schedule_id"])
    await end(stack, execution_id, ExecutionStatus.FAILED)
    key = {"Idempotency-Key": "after the incident"}
    first = await client.post(f"{EXECUTIONS}/retry", json={}, headers=key)
    await end(stack, execution_id, ExecutionStatus.FAILED)
    again = await client.post(f"{EXECUTIONS}/retry", json={}, headers=key)
    assert (first.json()["execution_ids"], again.json()) == ([execution_id], first.json())
    assert (await client.get(f"{EXECUTIONS}/{execution_id}")).json()["status"] == "failed"


async def test_a_wrong_wish_to_retry_is_refused_field_by_field(client: httpx.AsyncClient) -> None:
    for body, status, field in (
        ({"status": "succeeded"}, 400, "status"),
        ({"limit": 501}, 400, "limit"),
        ({"schedule_id": "x"}, 400, "schedule_id"),
        ({"from": "yesterday"}, 400, "from"),
        ({"cursor": "x"}, 400, "cursor"),
        ({"unknown": 1}, 422, "unknown"),
        # A variable that was not set is no wish for those of all schedules, or of all times.
        ({"schedule_id": None}, 422, "schedule_id"),
        ({"from": None, "to": "2026-11-23T18:00:00Z"}, 422, "from"),
        ({"from": "2026-11-23T17:00:00Z", "to": None}, 422, "to"),
    ):
        answer = await client.post(f"{EXECUTIONS}/retry", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field), answer.text
    assert (await client.post(f"{EXECUTIONS}/retry", json={"schedule_id": UNKNOWN_ID})).status_code == 404


async def test_another_communitys_dead_letters_are_left_alone(
    client: httpx.AsyncClient, connect_as: Connect, stack: Stack
) -> None:
    (execution_id,) = await triggered(client, (await create(client))["schedule_id"])
    await end(stack, execution_id, ExecutionStatus.FAILED)
    assert (await (await connect_as()).post(f"{EXECUTIONS}/retry", json={})).json()["count"] == 0
