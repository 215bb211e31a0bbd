"""Who may call what: roles, communities, and what is open to everyone."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.core.principal import Role
from tests.contract.calls import EXECUTIONS, SCHEDULES, UNKNOWN_ID, Connect, Stack, application, client_of, create, cron

OPERATIONS: dict[str, Role | None] = {
    "create_schedule": Role.EDITOR,
    "list_targets": Role.VIEWER,
    "create_schedules": Role.EDITOR,
    "act_on_schedules": Role.EDITOR,
    "list_schedules": Role.VIEWER,
    "list_schedules_of_workflow": Role.VIEWER,
    "get_schedule": Role.VIEWER,
    "replace_schedule": Role.EDITOR,
    "apply_schedule": Role.EDITOR,
    "update_schedule": Role.EDITOR,
    "delete_schedule": Role.EDITOR,
    "pause_schedule": Role.EDITOR,
    "resume_schedule": Role.EDITOR,
    "trigger_schedule": Role.OPERATOR,
    "list_executions_of_schedule": Role.VIEWER,
    "list_occurrences": Role.VIEWER,
    "explain_schedule": Role.VIEWER,
    "forecast_occurrences": Role.VIEWER,
    "preview_occurrences": Role.VIEWER,
    "list_executions": Role.VIEWER,
    "get_execution": Role.VIEWER,
    "cancel_execution": Role.OPERATOR,
    "retry_execution": Role.OPERATOR,
    "retry_executions": Role.OPERATOR,
    "complete_execution": Role.OPERATOR,
    "heartbeat_execution": Role.OPERATOR,
    "backfill_schedule": Role.OPERATOR,
    "skip_next_occurrence": Role.EDITOR,
    "undo_skip_next": Role.EDITOR,
    "create_calendar": Role.EDITOR,
    "list_calendars": Role.VIEWER,
    "get_calendar": Role.VIEWER,
    "replace_calendar": Role.EDITOR,
    "refresh_calendar": Role.EDITOR,
    "delete_calendar": Role.EDITOR,
    "list_audit_entries": Role.OPERATOR,
    "test_target": Role.OPERATOR,
    "get_health": None,
    "get_liveness": None,
    "get_readiness": None,
    "get_metrics": None,
}
"""The role that each operation needs; null: it is open to everyone."""


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every operation of the document."""
    return [
        (method.upper(), path, operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def example_of(operation: dict[str, Any]) -> Any:
    """The example of an operation's body, if it has one."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        return content["example"]
    return None


def headers_of(operation: dict[str, Any]) -> dict[str, str]:
    """The media type of an operation's body, if it has one."""
    return {"Content-Type": next(iter(operation["requestBody"]["content"]))} if "requestBody" in operation else {}


def query_of(operation: dict[str, Any]) -> dict[str, Any]:
    """Those query parameters of an operation that have an example: without them it makes no sense."""
    return {
        parameter["name"]: parameter["schema"]["examples"][0]
        for parameter in operation.get("parameters", ())
        if "examples" in parameter["schema"]
    }


def test_every_operation_of_the_document_has_its_role_in_the_table(app: FastAPI) -> None:
    assert {operation["operationId"] for _, _, operation in operations(app)} == OPERATIONS.keys()


@pytest.mark.parametrize("role", list(Role))
async def test_each_operation_lets_in_its_role_and_those_above(app: FastAPI, connect_as: Connect, role: Role) -> None:
    caller = await connect_as(role)
    for method, path, operation in operations(app):
        needed = OPERATIONS[operation["operationId"]]
        address = path.format(schedule_id=UNKNOWN_ID, execution_id=UNKNOWN_ID, workflow_id=UNKNOWN_ID, name="unknown")
        answer = await caller.request(method, address, json=example_of(operation), headers=headers_of(operation))
        if needed is None or role.includes(needed):
            assert answer.status_code not in (401, 403), (method, path, answer.text)
        else:
            assert answer.status_code == 403, (method, path, answer.text)


async def test_without_credentials_only_what_is_open_answers(app: FastAPI) -> None:
    async with client_of(app) as nobody:
        for method, path, operation in operations(app):
            address = path.format(
                schedule_id=UNKNOWN_ID, execution_id=UNKNOWN_ID, workflow_id=UNKNOWN_ID, name="unknown"
            )
            answer = await nobody.request(method, address, json=example_of(operation), headers=headers_of(operation))
            if OPERATIONS[operation["operationId"]] is None:
                assert answer.status_code == 200, (path, answer.text)
            else:
                assert answer.status_code == 401, (path, answer.text)
        for path in ("/docs", "/openapi.json"):
            assert (await nobody.get(path)).status_code == 200


async def test_credentials_are_asked_for_before_anything_else_is_looked_at(app: FastAPI) -> None:
    async with client_of(app) as nobody:
        for address in (f"{SCHEDULES}?unknown=1", f"{SCHEDULES}?limit=x"):
            assert (await nobody.get(address)).status_code == 401
        assert (await nobody.post(SCHEDULES, content=b"{")).status_code == 401


async def test_another_communitys_ids_are_404_on_every_operation_of_the_document(
    app: FastAPI, connect_as: Connect
) -> None:
    owner, stranger = await connect_as(), await connect_as()
    stored = await create(owner, name="private", workflow_id="0f14e45f-ceea-467f-9d3a-1c5b2a7e6f99")
    schedule_id = stored["schedule_id"]
    execution = (await owner.post(f"{SCHEDULES}/{schedule_id}/trigger")).json()
    await owner.post("/api/v1/calendars", json={"name": "theirs"})
    ids = {"schedule_id": schedule_id, "execution_id": execution["execution_id"], "name": "theirs"}
    unknown = {
        "schedule_id": UNKNOWN_ID,
        "execution_id": "019ab1d0-9e40-8a7b-9c1d-52f4b1f0c6aa",
        "name": "nobodys",
    }
    walked = 0
    for method, path, operation in operations(app):
        # What is another's name of a schedule is free to be one's own: tests/contract/test_applying.py.
        if not any(f"{{{name}}}" in path for name in ids) or operation["operationId"] == "apply_schedule":
            continue
        walked += 1
        answers = [
            await stranger.request(
                method,
                path.format(**which),
                params=query_of(operation),
                json=example_of(operation),
                headers=headers_of(operation),
            )
            for which in (ids, unknown)
        ]
        assert [answer.status_code for answer in answers] == [404, 404], (method, path)
        # The two differ in nothing but the ids that were asked for.
        theirs, nobodys = (answer.json() | {"request_id": None} for answer in answers)
        for name, value in ids.items():
            theirs["detail"] = theirs["detail"].replace(value, "?")
            nobodys["detail"] = nobodys["detail"].replace(unknown[name], "?")
        assert theirs == nobodys, (method, path)
    assert walked == 22
    assert (await owner.get(f"{SCHEDULES}/{schedule_id}")).json() | {"updated_at": None} == stored | {
        "updated_at": None
    }
    assert (await owner.get(f"{EXECUTIONS}/{execution['execution_id']}")).json() == execution


async def test_lists_hold_nothing_of_another_community(connect_as: Connect) -> None:
    owner, stranger = await connect_as(), await connect_as()
    stored = await create(owner, name="private", tags=["secret"])
    await owner.post(f"{SCHEDULES}/{stored['schedule_id']}/trigger")
    empty: dict[str, Any] = {"items": [], "next_cursor": None}
    for address in (
        SCHEDULES,
        f"{SCHEDULES}?tag=secret",
        f"{SCHEDULES}?name_prefix=private",
        f"{SCHEDULES}/workflow/{stored['workflow_id']}",
        EXECUTIONS,
    ):
        assert (await stranger.get(address)).json() == empty
    # A cursor is no way in either: it names a place, not a community.
    assert (await owner.get(SCHEDULES)).json()["items"][0]["schedule_id"] == stored["schedule_id"]


async def test_a_key_is_taken_in_either_header(app: FastAPI, stack: Stack) -> None:
    key = await stack.services.keys.create(77, Role.VIEWER, user=None, name="both", expires_at=None)
    async with client_of(app) as caller:
        for headers in ({"Authorization": f"Bearer {key}"}, {"authorization": f"bearer  {key}"}, {"X-API-Key": key}):
            assert (await caller.get(SCHEDULES, headers=headers)).status_code == 200
        both = {"Authorization": "Bearer wrong", "X-API-Key": key}
        assert (await caller.get(SCHEDULES, headers=both)).status_code == 401


@pytest.mark.parametrize(("name", "before"), [("Authorization", "Bearer "), ("X-API-Key", "")])
async def test_of_several_credentials_none_counts(app: FastAPI, stack: Stack, name: str, before: str) -> None:
    key, other = [
        await stack.services.keys.create(community, Role.ADMIN, user=None, name=None, expires_at=None)
        for community in (78, 79)
    ]
    async with client_of(app) as caller:
        for several in ((key, "wrong"), ("wrong", key), (key, other), (key, key)):
            answer = await caller.get(SCHEDULES, headers=[(name, before + one) for one in several])
            assert (answer.status_code, answer.json()["detail"]) == (401, f"`{name}` must be sent once.")


async def test_without_authentication_everyone_is_admin_of_community_1(open_app: FastAPI) -> None:
    async with client_of(open_app) as caller:
        stored = (await caller.post(SCHEDULES, json=cron())).json()
        assert (stored["community_id"], stored["created_by"]) == (1, "local")
        assert (await caller.post(f"{SCHEDULES}/{stored['schedule_id']}/trigger")).status_code == 202


async def test_health_shows_a_communitys_figures_to_its_callers_only(app: FastAPI, client: httpx.AsyncClient) -> None:
    await create(client)
    mine = (await client.get("/api/v1/health")).json()
    assert mine["active_schedules"] == 1
    async with client_of(app) as nobody:
        theirs = (await nobody.get("/api/v1/health")).json()
        assert theirs["active_schedules"] is None
        assert theirs.keys() == mine.keys()
        assert theirs["database_connected"] is True
        assert theirs["redis_connected"] is True
        assert theirs["status"] == ("ok" if theirs["scheduler_running"] else "degraded")
        wrong = await nobody.get("/api/v1/health", headers={"X-API-Key": "wrong"})
        assert wrong.status_code == 401


async def test_metrics_may_ask_for_a_token(stack: Stack) -> None:
    async with client_of(application(stack, metrics_token="s3cret-ü")) as scraper:
        assert (await scraper.get("/metrics")).status_code == 401
        wrong = await scraper.get("/metrics", headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        assert wrong.headers["www-authenticate"]
    async with client_of(application(stack, metrics_token="s3cret")) as scraper:
        assert (await scraper.get("/metrics", headers={"Authorization": "Bearer s3cret"})).status_code == 200


async def test_documentation_can_be_switched_off(stack: Stack) -> None:
    async with client_of(application(stack, docs_enabled=False)) as caller:
        for path in ("/docs", "/openapi.json", "/docs/swagger-ui.css"):
            assert (await caller.get(path)).status_code == 404
