"""The OpenAPI document: complete, true, and good to generate a client from."""

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import attrs
import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI

from app.api.wire import calendars
from app.api.wire.bulk import CONDITIONS
from app.api.wire.calendars import CalendarReplacement
from app.api.wire.schedules import READ_ONLY, ScheduleInput
from app.core.principal import Role
from tests.contract.calls import SCHEDULES, WORKFLOW_ID, Connect, Stack, create, cron
from tests.contract.test_access import OPERATIONS, operations

CALENDARS = "/api/v1/calendars"
PROBLEM = "application/problem+json"


def resolved(app: FastAPI, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """A validator for a schema of the document."""
    whole = {**schema, "components": app.openapi()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def test_the_calendars_of_a_schedule_are_described_as_they_are_merged_and_limited(app: FastAPI) -> None:
    names = app.openapi()["components"]["schemas"]["CalendarUseInput"]["properties"]["names"]
    assert f"at most {names['maxItems']}:" in names["description"]
    assert names["description"].endswith("is off, unless one of them has it under `days_worked`.")


def test_every_operation_is_described_whole(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        where = f"{method} {path}"
        assert operation["operationId"].replace("_", "").islower(), where
        assert operation["summary"], where
        assert operation["description"], where
        assert len(operation["tags"]) == 1, where
        if method in ("POST", "PUT", "PATCH"):
            for content in operation["requestBody"]["content"].values():
                assert "example" in content, where
                resolved(app, content["schema"]).validate(content["example"])
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (where, parameter["name"])
        statuses = set(operation["responses"])
        assert any(status.startswith("2") for status in statuses), where
        if OPERATIONS[operation["operationId"]] is not None:
            assert {"401", "403", "422", "503"} <= statuses, where
        if "_id}" in path:
            assert "404" in statuses, where
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= statuses, where


def test_every_answer_has_a_model_and_an_example_that_fits_it(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        for status, answer in operation["responses"].items():
            where = f"{method} {path} {status}"
            assert answer["description"], where
            if status in ("204", "304"):
                assert "content" not in answer, where
                continue
            for media_type, content in answer["content"].items():
                if int(status) >= 400 and "Health" not in str(content) and "Readiness" not in str(content):
                    assert media_type == PROBLEM, where
                assert content["schema"], where
                resolved(app, content["schema"]).validate(content["example"])


def test_the_document_names_its_security_and_its_servers(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    assert document["servers"]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "api_key", "callback_token"}
    assert document["security"] == [{"bearer": []}, {"api_key": []}]
    for _, path, operation in operations(app):
        is_open = OPERATIONS[operation["operationId"]] is None
        assert ({} in operation.get("security", ())) is is_open, path
    assert {tag["name"] for tag in document["tags"]} == {
        tag for _, _, operation in operations(app) for tag in operation["tags"]
    }


async def test_answers_are_what_the_document_says(app: FastAPI, connect_as: Connect) -> None:
    caller = await connect_as(Role.ADMIN)
    stored = await create(caller, name="shown", retry={"initial_backoff_seconds": 0.25}, tags=["a"])
    execution = (await caller.post(f"{SCHEDULES}/{stored['schedule_id']}/trigger")).json()
    batch = await caller.post(f"{SCHEDULES}/batch", json={"schedules": [cron(), 1], "atomic": False})
    problem = (await caller.get(f"{SCHEDULES}/x")).json()
    page = (await caller.get(SCHEDULES)).json()
    history = (await caller.get("/api/v1/executions")).json()
    health = (await caller.get("/api/v1/health")).json()
    occurrences = (await caller.get(f"{SCHEDULES}/{stored['schedule_id']}/occurrences")).json()
    for model, shown in (
        ("Schedule", stored),
        ("Execution", execution),
        ("BatchResults", batch.json()),
        ("Problem", problem),
        ("SchedulePage", page),
        ("ExecutionPage", history),
        ("Health", health),
        ("Occurrences", occurrences),
    ):
        resolved(app, {"$ref": f"#/components/schemas/{model}"}).validate(shown)


PATCHES: tuple[dict[str, Any], ...] = (
    {"target": {"headers": {"Authorization": "Bearer new"}}},
    {"target": {"headers": {"A": None}}},
    {"target": {"method": None, "body": None, "cancel_url": None}, "failure_target": {"headers": {"B": None}}},
    {"target": {"headers": None}},
    {"failure_target": None},
    {"tags": None},
    {"context_data": None},
    {"context_data": {"a": None, "b": {"c": None}}},
    {"calendars": {"on_day_off": "next_business_day"}},
    {"calendars": {"on_day_off": None}},
    {"calendars": None},
    {"retry": {"max_retries": None}, "dst_policy": {"gap": None}},
    {"retry": None, "dst_policy": None},
    {"name": None, "description": None, "timezone": None, "start_at": None, "end_at": None, "jitter_seconds": None},
    {"schedule_type": "one_time", "scheduled_time": "2099-01-01T12:00:00"},
    {"revision": 7, "status": "paused", "next_due_at": None, "is_active": "ignored"},
)


@pytest.mark.parametrize("patch", PATCHES, ids=str)
async def test_a_patch_that_is_taken_is_one_by_the_document(
    app: FastAPI, client: httpx.AsyncClient, patch: dict[str, Any]
) -> None:
    await client.post(CALENDARS, json={"name": "firm"})
    there = {"url": "https://8.8.8.8/", "headers": {"A": "1", "B": "2"}}
    stored = await create(
        client,
        target=there,
        failure_target=there,
        calendars={"names": ["firm"]},
        tags=["a"],
        context_data={"a": 1},
        retry={"max_retries": 1},
    )
    resolved(app, {"$ref": "#/components/schemas/SchedulePatch"}).validate(patch)
    answer = await client.patch(f"{SCHEDULES}/{stored['schedule_id']}", json=patch)
    assert answer.status_code == 200, answer.text


async def test_what_is_read_and_sent_back_is_a_body_by_the_document(app: FastAPI, client: httpx.AsyncClient) -> None:
    days = {"days_off": [{"date": "2026-12-24"}], "fill": {"country": "DE", "years": {"from": 2026, "to": 2027}}}
    made = (await client.post(CALENDARS, json={"name": "firm", **days})).json()
    resolved(app, {"$ref": "#/components/schemas/CalendarReplacement"}).validate(made)
    assert (await client.put(f"{CALENDARS}/firm", json=made)).json() == made
    target = {"url": "https://8.8.8.8/", "headers": {"A": "1"}}
    stored = await create(client, target=target, calendars={"names": ["firm"]}, tags=["a"])
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    skipping = (await client.post(f"{path}/skip-next")).json()
    for shown in (stored, skipping):
        for model in ("ScheduleInput", "SchedulePatch"):
            resolved(app, {"$ref": f"#/components/schemas/{model}"}).validate(shown)
        assert (await client.put(path, json=shown)).status_code == 200
    assert set(stored) == READ_ONLY | set(ScheduleInput.model_fields)
    assert set(made) == calendars.READ_ONLY | set(CalendarReplacement.model_fields)


async def test_null_is_empty_where_the_document_says_so(app: FastAPI, client: httpx.AsyncClient) -> None:
    body = cron(tags=None, context_data=None)
    resolved(app, {"$ref": "#/components/schemas/ScheduleInput"}).validate(body)
    stored = await create(client, tags=None, context_data=None)
    assert (stored["tags"], stored["context_data"]) == ([], {})


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("BulkInput", CONDITIONS),
        ("RetryInput", ("status", "schedule_id", "from", "to")),
        ("SchedulePatch", ("schedule_type",)),
        ("CalendarUsePatch", ("names",)),
        ("TargetPatch", ("url",)),
    ],
)
def test_what_may_be_left_out_and_not_be_null_is_so_by_the_document(
    app: FastAPI, model: str, names: Sequence[str]
) -> None:
    """Generated clients leave out what is not set there; for what may be null they send one."""
    described = app.openapi()["components"]["schemas"][model]
    for name in names:
        assert described["properties"][name].keys() & {"type", "$ref"}, name
        assert name not in described.get("required", ())


@pytest.mark.parametrize("part", ["schedule_type", "calendars.names", "target.url"])
async def test_a_patch_that_would_take_away_what_must_be_there_is_refused(client: httpx.AsyncClient, part: str) -> None:
    await client.post(CALENDARS, json={"name": "firm"})
    stored = await create(client, target={"url": "https://8.8.8.8/"}, calendars={"names": ["firm"]})
    whole, _, inner = part.partition(".")
    patch = {whole: {inner: None} if inner else None}
    answer = await client.patch(f"{SCHEDULES}/{stored['schedule_id']}", json=patch)
    assert (answer.status_code, answer.json()["detail"]) == (400, f"{part} is required")


def test_a_time_without_an_offset_is_one_by_the_document(app: FastAPI) -> None:
    once = {"schedule_type": "one_time", "workflow_id": WORKFLOW_ID, "scheduled_time": "2099-01-01T12:00:00"}
    for model in ("ScheduleInput", "SchedulePatch"):
        resolved(app, {"$ref": f"#/components/schemas/{model}"}).validate(once)
    preview = {"schedule_type": "one_time", "scheduled_time": "2099-01-01T12:00:00"}
    resolved(app, {"$ref": "#/components/schemas/PreviewInput"}).validate(preview)


def test_whatever_says_when_to_come_again_is_described_so(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        if "503" in operation["responses"]:
            assert "Retry-After" in operation["responses"]["503"]["headers"], f"{method} {path}"


@pytest.fixture
async def generated(app: FastAPI, tmp_path: Path) -> AsyncIterator[str]:
    """The name of a package that `openapi-python-client` makes of the document; a warning of it fails the test."""
    document, settings = tmp_path / "openapi.json", tmp_path / "settings.yaml"
    document.write_text(json.dumps(app.openapi()))
    settings.write_text("package_name_override: made_client\nproject_name_override: made-client\npost_hooks: []\n")
    generator = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"),
        *("--path", str(document), "--config", str(settings), "--output-path", str(tmp_path / "made_client")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await generator.communicate()
    assert generator.returncode == 0, output.decode()
    assert b"arning" not in output, output.decode()
    sys.path.insert(0, str(tmp_path))
    yield "made_client"
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "made_client"]:
        del sys.modules[name]


def test_a_generated_client_has_a_model_of_every_body(app: FastAPI, generated: str) -> None:
    models = importlib.import_module(f"{generated}.models")
    for _, path, operation in operations(app):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            name = content["schema"]["$ref"].rpartition("/")[2]
            assert hasattr(models, name), (path, name)


async def test_a_generated_client_creates_a_schedule(generated: str, served: str, stack: Stack) -> None:
    key = await stack.services.keys.create(555, Role.EDITOR, user=None, name=None, expires_at=None)
    client_module = importlib.import_module(f"{generated}.client")
    models = importlib.import_module(f"{generated}.models")
    create_schedule = importlib.import_module(f"{generated}.api.schedules.create_schedule")
    get_schedule = importlib.import_module(f"{generated}.api.schedules.get_schedule")
    update_schedule = importlib.import_module(f"{generated}.api.schedules.update_schedule")

    async with client_module.AuthenticatedClient(base_url=served, token=key) as client:
        wanted = models.ScheduleInput(
            workflow_id=UUID(WORKFLOW_ID),
            schedule_type=models.ScheduleType.ONE_TIME,
            scheduled_time="2099-01-01T00:00:00Z",
            context_data=models.ScheduleInputContextDataType0.from_dict({"report": "daily"}),
            retry=models.RetryPolicyInput(max_retries=5),
        )
        stored = await create_schedule.asyncio(client=client, body=wanted, idempotency_key="made")
        assert isinstance(stored, models.Schedule)
        assert stored.next_execution_at == datetime(2099, 1, 1, tzinfo=UTC)
        assert stored.retry.max_retries == 5
        assert stored.context_data["report"] == "daily"
        assert await get_schedule.asyncio(stored.schedule_id, client=client) == stored
        change = models.SchedulePatch(name="renamed", coalesce=False)
        changed = await update_schedule.asyncio(stored.schedule_id, client=client, body=change, if_match='"1"')
        assert (changed.name, changed.coalesce, changed.revision) == ("renamed", False, 2)
        refused = await create_schedule.asyncio(client=client, body=replace_type(wanted, models))
        assert isinstance(refused, models.Problem)
        assert [each.field for each in refused.errors] == ["cron_expression", "scheduled_time"]


def replace_type(wanted: Any, models: ModuleType) -> Any:
    """The same definition under another type, which it does not fit."""
    return attrs.evolve(wanted, schedule_type=models.ScheduleType.CRON)
