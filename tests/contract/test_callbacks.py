"""Reporting with a callback token: it opens `complete` and `heartbeat` of its execution, and nothing else."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.callbacks import CallbackTokens
from app.settings import AuthMode
from tests.contract.calls import EXECUTIONS, SCHEDULES, Connect, Stack, application, client_of, create

KEY = "k" * 32
TOKENS = CallbackTokens.from_setting(KEY)
REPORT = {"status": "succeeded", "result": {"rows": 3}}


@pytest.fixture(params=[AuthMode.API_KEY, AuthMode.NONE], ids=str)
async def target(request: pytest.FixtureRequest, stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Who has no key of the API, in each way of asking for one that is offered."""
    async with client_of(application(stack, secret_key=KEY, auth_mode=request.param)) as client:
        yield client


async def run_of(client: httpx.AsyncClient) -> dict[str, Any]:
    """An execution that its target is to report on."""
    schedule = await create(client, completion="callback")
    answer = await client.post(f"{SCHEDULES}/{schedule['schedule_id']}/trigger", json={})
    run: dict[str, Any] = answer.json()
    return run


def bearing(run: dict[str, Any], tokens: CallbackTokens = TOKENS) -> dict[str, str]:
    """The token that came with the delivery."""
    return {"Authorization": f"Bearer {tokens.token(UUID(run['execution_id']))}"}


async def test_the_token_opens_the_reports_of_its_execution(
    client: httpx.AsyncClient, target: httpx.AsyncClient
) -> None:
    run = await run_of(client)
    path = f"{EXECUTIONS}/{run['execution_id']}"
    assert (await target.post(f"{path}/heartbeat", headers=bearing(run))).json() == run
    ended = (await target.post(f"{path}/complete", json=REPORT, headers=bearing(run))).json()
    assert (ended["status"], ended["community_id"]) == ("succeeded", run["community_id"])
    again = await target.post(f"{path}/complete", json=REPORT, headers=bearing(run))
    assert (again.status_code, again.json()) == (200, ended)
    assert (await client.get(path)).json() == ended


async def test_it_opens_no_other_execution_and_none_under_another_key(
    client: httpx.AsyncClient, target: httpx.AsyncClient, connect_as: Connect
) -> None:
    own, others = await run_of(client), await run_of(await connect_as())
    foreign = CallbackTokens.from_setting("f" * 32)
    for run, headers in ((others, bearing(own)), (own, bearing(own, foreign)), (own, {"X-API-Key": "cb_"})):
        for report, body in (("complete", REPORT), ("heartbeat", {})):
            answer = await target.post(f"{EXECUTIONS}/{run['execution_id']}/{report}", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED"), report
    assert (await client.get(f"{EXECUTIONS}/{own['execution_id']}")).json() == own


async def test_it_opens_nothing_else(client: httpx.AsyncClient, stack: Stack) -> None:
    run = await run_of(client)
    path = f"{EXECUTIONS}/{run['execution_id']}"
    async with client_of(application(stack, secret_key=KEY), **bearing(run)) as target:
        for method, address in (
            ("GET", path),
            ("POST", f"{path}/cancel"),
            ("POST", f"{path}/retry"),
            ("GET", SCHEDULES),
            ("DELETE", f"{SCHEDULES}/{run['schedule_id']}"),
        ):
            assert (await target.request(method, address)).status_code == 401, address


async def test_a_service_without_a_key_takes_no_token(client: httpx.AsyncClient, stack: Stack) -> None:
    run = await run_of(client)
    async with client_of(application(stack), **bearing(run)) as target:
        answer = await target.post(f"{EXECUTIONS}/{run['execution_id']}/complete", json=REPORT)
    assert answer.status_code == 401


async def test_an_execution_that_is_gone_is_not_found(target: httpx.AsyncClient) -> None:
    gone = {"execution_id": "01973c5e-7a10-8cc3-98b1-3f6d2c0a9e51"}
    for execution_id in (gone["execution_id"], "01973c5e-7a10-7cc3-98b1-3f6d2c0a9e51"):
        headers = bearing({"execution_id": execution_id})
        answer = await target.post(f"{EXECUTIONS}/{execution_id}/complete", json=REPORT, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "EXECUTION_NOT_FOUND")


async def test_the_audit_trail_names_the_target(
    client: httpx.AsyncClient, target: httpx.AsyncClient, stack: Stack
) -> None:
    run = await run_of(client)
    await target.post(f"{EXECUTIONS}/{run['execution_id']}/complete", json=REPORT, headers=bearing(run))
    async with stack.database.connection() as connection:
        (row,) = await connection.fetch(
            "SELECT user_id, action FROM audit_log WHERE execution_id = $1 AND action = 'execution_complete'",
            UUID(run["execution_id"]),
        )
    assert tuple(row) == ("target", "execution_complete")
