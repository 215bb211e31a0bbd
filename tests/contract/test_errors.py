"""Every row of the error table: status, problem details, headers."""

import gzip
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.api.app import Services
from app.api.edge import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES
from app.core.clock import SystemClock
from app.core.limits import Limits
from app.core.principal import Role
from app.service.auditing import AuditService
from app.service.calendars import CalendarService
from app.service.executions import ExecutionService
from app.service.explaining import ExplainingService
from app.service.forecasting import ForecastService
from app.service.health import HealthService
from app.service.keys import KeyService
from app.service.schedules import ScheduleService
from app.service.targets import TargetService
from app.store.database import Database
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from tests.contract.calls import (
    EXECUTIONS,
    SCHEDULES,
    UNKNOWN_ID,
    Connect,
    Records,
    Stack,
    application,
    client_of,
    create,
    cron,
    fields_of,
)


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a whole problem of that kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail", "code", "errors", "request_id"}
    assert problem["type"] == f"https://schedule-service.dev/problems/{code.lower().replace('_', '-')}"
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["title"]
    assert "\n" not in problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


async def test_broken_json_is_400(client: httpx.AsyncClient) -> None:
    answer = await client.post(SCHEDULES, content=b"{", headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, "BROKEN_JSON")


async def test_a_refused_value_is_400_with_its_field_value_and_range(client: httpx.AsyncClient) -> None:
    answer = await client.post(SCHEDULES, json=cron(cron_expression="61 * * * *"))
    problem = assert_problem(answer, 400, "INVALID_SCHEDULE")
    assert problem["title"] == "Invalid schedule configuration"
    assert "61" in problem["detail"]
    assert "0-59" in problem["detail"]
    assert fields_of(problem) == ["cron_expression"]


async def test_an_instant_in_a_problem_is_written_as_in_answers(client: httpx.AsyncClient) -> None:
    stored = await create(client, cron_expression="* * * * *")
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
    once = {"schedule_type": "one_time", "cron_expression": None}
    for path, body, said in (
        (f"{SCHEDULES}/{stored['schedule_id']}/backfill", span, "go up to 2026-01-01T16:40:00Z first"),
        (SCHEDULES, cron(**once, scheduled_time="2020-01-01T01:00:00.5+01:00"), "'2020-01-01T00:00:00.500Z' is in the"),
        (SCHEDULES, cron(end_at="2020-01-01T01:00:00+01:00"), "end_at '2020-01-01T00:00:00Z': no occurrence"),
        (
            SCHEDULES,
            cron(start_at="2027-01-01T01:00:00+01:00", end_at="2026-12-31T00:00:00-01:00"),
            "end_at '2026-12-31T01:00:00Z' is before start_at '2027-01-01T00:00:00Z'",
        ),
    ):
        problem = assert_problem(await client.post(path, json=body), 400, "INVALID_SCHEDULE")
        assert said in problem["detail"]


async def test_every_refused_field_is_named_at_once(client: httpx.AsyncClient) -> None:
    body = cron(
        timezone="Nowhere", cron_expression="x", jitter_seconds=-1, end_at="soon", retry={"max_backoff_seconds": 1}
    )
    body["retry"]["initial_backoff_seconds"] = 2
    problem = assert_problem(await client.post(SCHEDULES, json=body), 400, "INVALID_SCHEDULE")
    assert {"timezone", "cron_expression", "jitter_seconds", "end_at"} <= set(fields_of(problem))


async def test_a_wrong_type_decides_the_status_and_refused_values_are_named_too(client: httpx.AsyncClient) -> None:
    problem = assert_problem(
        await client.post(SCHEDULES, json=cron(coalesce="yes", max_instances=0, target={}, extra=1)),
        422,
        "MALFORMED_REQUEST",
    )
    assert set(fields_of(problem)) == {"coalesce", "extra", "max_instances", "target.url"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer  "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic dTpw"},
        {"Authorization": "\xe9"},
        {"X-API-Key": ""},
        {"X-API-Key": "ss_aaaaaaaaaaaa_" + "a" * 43},
        {"X-API-Key": "x" * 10_000},
        {"X-API-Key": "ss_%' OR 1=1 --"},
    ],
)
async def test_missing_or_wrong_credentials_are_401(app: FastAPI, headers: dict[str, str]) -> None:
    async with client_of(app) as nobody:
        for path in (SCHEDULES, EXECUTIONS, f"{SCHEDULES}/{UNKNOWN_ID}"):
            raw = {name: value.encode("latin-1") for name, value in headers.items()}
            answer = await nobody.get(path, headers=raw)  # type: ignore[arg-type]
            assert_problem(answer, 401, "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_expired_or_revoked_key_is_401(app: FastAPI, stack: Stack) -> None:
    keys = stack.services.keys
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired = await keys.create(1, Role.ADMIN, user=None, name=None, expires_at=past)
    revoked = await keys.create(1, Role.ADMIN, user=None, name=None, expires_at=None)
    async with client_of(app) as caller:
        assert (await caller.get(SCHEDULES, headers={"X-API-Key": revoked})).status_code == 200
        await keys.revoke(revoked)
        for key in (expired, revoked):
            assert_problem(await caller.get(SCHEDULES, headers={"X-API-Key": key}), 401, "UNAUTHENTICATED")


async def test_a_role_that_does_not_allow_it_is_403(connect_as: Connect) -> None:
    viewer = await connect_as(Role.VIEWER)
    problem = assert_problem(await viewer.post(SCHEDULES, json=cron()), 403, "FORBIDDEN")
    assert "editor" in problem["detail"]


@pytest.mark.parametrize(
    "schedule_id", [UNKNOWN_ID, "1", "not-a-uuid", "%00", "null", "0" * 36, UNKNOWN_ID + "0", "..%2f"]
)
async def test_an_unknown_or_malformed_id_is_404(client: httpx.AsyncClient, schedule_id: str) -> None:
    path = f"{SCHEDULES}/{schedule_id}"
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] in ("SCHEDULE_NOT_FOUND", "NOT_FOUND")
    assert (await client.put(path, json=cron())).status_code == 404
    assert (await client.post(f"{path}/pause")).status_code == 404
    assert (await client.get(f"{path}/executions")).status_code == 404


@pytest.mark.parametrize(
    "execution_id",
    [UNKNOWN_ID, "ffffffff-ffff-8fff-bfff-ffffffffffff", "019ab1d0-9e40-8a7b-9c1d-52f4b1f0c6aa", "x", "%00"],
)
async def test_an_unknown_execution_is_404(client: httpx.AsyncClient, execution_id: str) -> None:
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry")):
        answer = await client.request(method, f"{EXECUTIONS}/{execution_id}{path}")
        assert_problem(answer, 404, "EXECUTION_NOT_FOUND" if len(execution_id) == 36 else "NOT_FOUND")


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/api/v2/schedules", f"{SCHEDULES}/", "//", "/api/v1/schedules/%2e%2e"]
)
async def test_an_unknown_path_is_404(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_a_path_with_a_newline_behind_it_is_another_path(client: httpx.AsyncClient, records: Records) -> None:
    stored = f"{SCHEDULES}/{(await create(client))['schedule_id']}"
    before = await records()
    for method, path in (
        ("GET", stored),
        ("DELETE", stored),
        ("POST", f"{stored}/pause"),
        ("GET", SCHEDULES),
        ("GET", "/api/v1/calendars/firm"),
        ("GET", "/livez"),
    ):
        assert_problem(await client.request(method, f"{path}%0A"), 404, "NOT_FOUND")
    assert await records() == before


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", SCHEDULES, {"GET", "HEAD", "POST"}),
        ("POST", f"{SCHEDULES}/{UNKNOWN_ID}", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        ("GET", f"{SCHEDULES}/{UNKNOWN_ID}/pause", {"POST"}),
        ("PUT", f"{EXECUTIONS}/{UNKNOWN_ID}", {"GET", "HEAD"}),
        ("POST", "/livez", {"GET", "HEAD"}),
        ("OPTIONS", SCHEDULES, {"GET", "HEAD", "POST"}),
        ("TRACE", SCHEDULES, {"GET", "HEAD", "POST"}),
        ("BREW", SCHEDULES, {"GET", "HEAD", "POST"}),
        ("POST", "/docs", {"GET", "HEAD"}),
        ("PUT", f"{SCHEDULES}/preview", {"POST"}),
        ("GET", f"{SCHEDULES}/batch", {"POST"}),
    ],
)
async def test_a_wrong_method_is_405_and_names_those_that_there_are(
    client: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, path)
    problem = assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert problem["detail"] == f"This path does not have this method; it has {answer.headers['allow']}."


async def test_an_idempotency_key_used_for_another_request_is_409(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k"}
    assert (await client.post(SCHEDULES, json=cron(), headers=headers)).status_code == 201
    answer = await client.post(SCHEDULES, json=cron(name="other"), headers=headers)
    assert_problem(answer, 409, "IDEMPOTENCY_KEY_REUSED")


async def test_a_stale_if_match_is_412(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    answer = await client.delete(f"{SCHEDULES}/{stored['schedule_id']}", headers={"If-Match": '"7"'})
    assert_problem(answer, 412, "STALE_REVISION")


@pytest.mark.parametrize(("path", "limit"), [(SCHEDULES, MAX_BODY_BYTES), (f"{SCHEDULES}/batch", MAX_BATCH_BODY_BYTES)])
async def test_a_body_over_its_limit_is_413(client: httpx.AsyncClient, records: Records, path: str, limit: int) -> None:
    async def streamed(size: int) -> AsyncIterator[bytes]:
        chunk = b" " * 65_536
        for _ in range(size // len(chunk)):
            yield chunk
        yield b" " * (size % len(chunk))

    before = await records()
    json_type = {"Content-Type": "application/json"}
    declared = await client.post(path, content=b" " * (limit + 1), headers=json_type)
    assert_problem(declared, 413, "BODY_TOO_LARGE")
    undeclared = await client.post(path, content=streamed(limit + 1), headers=json_type)
    assert_problem(undeclared, 413, "BODY_TOO_LARGE")
    lied = await client.post(path, content=streamed(limit + 1), headers=json_type | {"Content-Length": "2"})
    assert_problem(lied, 413, "BODY_TOO_LARGE")
    assert lied.headers["connection"] == "close"
    at_the_limit = await client.post(path, content=streamed(limit), headers=json_type)
    assert_problem(at_the_limit, 400, "BROKEN_JSON")
    assert await records() == before


@pytest.mark.parametrize(
    "media_type",
    [
        "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml",
        "application/json; charset=latin-1", "application/json-patch+json", "json", "application/", "*/*",
        "application/jsonx", "text/json", ";", "application/json; charset=utf-16",
    ],
)  # fmt: skip
async def test_a_body_that_is_not_json_by_its_media_type_is_415(client: httpx.AsyncClient, media_type: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    stored = await create(client)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    for method, where in (("POST", SCHEDULES), ("PUT", path), ("PATCH", path), ("POST", f"{path}/pause")):
        answer = await client.request(method, where, content=b'{"reason": null}', headers=headers)
        assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_that_is_packed_is_415_and_says_so(client: httpx.AsyncClient) -> None:
    packed = gzip.compress(b"{}")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await client.post(SCHEDULES, content=packed, headers=headers)
    assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer.json()["detail"] == "The body must not be encoded; its Content-Encoding is 'gzip'."
    plain = await client.post(SCHEDULES, json=cron(), headers={"Content-Encoding": "identity"})
    assert plain.status_code == 201


async def test_a_merge_patch_is_not_a_create(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = await client.post(SCHEDULES, content=b"{}", headers=headers)
    assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.fixture
async def cut_off(stack: Stack, database_url: str, redis_server_url: str) -> AsyncIterator[tuple[FastAPI, str]]:
    """An application whose database has gone away after the start, and a key that it once knew."""
    clock = SystemClock()
    database = await Database.open(database_url)
    wheel = Wheel(connect(redis_server_url), clock, shards=1, window_seconds=3600, claim_ahead_ms=50)
    services = Services(
        ScheduleService(database, wheel, clock),
        ExecutionService(database, wheel, clock, stack.metrics),
        CalendarService(database, wheel, clock, stack.metrics),
        ExplainingService(database, clock, execution_days=30),
        ForecastService(database),
        AuditService(database),
        KeyService(database, clock),
        HealthService(database, wheel, clock),
        TargetService(database, Limits(20, {})),
        stack.services.trying,
        clock,
    )
    key = await services.keys.create(1, Role.ADMIN, user=None, name=None, expires_at=None)
    await database.close()
    yield application(Stack(database_url, database, wheel, services, stack.metrics)), key
    await wheel.close()
    await wheel.client.connection_pool.disconnect()


@pytest.mark.fault("11")
async def test_while_the_database_is_away_everything_is_503_with_retry_after(cut_off: tuple[FastAPI, str]) -> None:
    app, key = cut_off
    async with client_of(app, Authorization=f"Bearer {key}") as caller:
        for method, path, body in (
            ("GET", SCHEDULES, None),
            ("POST", SCHEDULES, cron()),
            ("GET", f"{EXECUTIONS}/{UNKNOWN_ID}", None),
        ):
            answer = await caller.request(method, path, json=body)
            assert_problem(answer, 503, "DATABASE_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
        health = await caller.get("/api/v1/health")
        assert health.status_code == 503
        assert health.json()["status"] == "unavailable"
        assert health.json()["database_connected"] is False
        ready = await caller.get("/readyz")
        assert (ready.status_code, int(ready.headers["retry-after"]) > 0) == (503, True)
        assert (await caller.get("/livez")).status_code == 200
        assert (await caller.get("/metrics")).status_code == 200


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-1.2_3", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("", False),
        ("a\nb", False),
        ("é", False),
    ],
)
async def test_a_sane_request_id_is_kept_and_any_other_replaced(app: FastAPI, sent: str, kept: bool) -> None:
    async with client_of(app) as nobody:
        answer = await nobody.get(SCHEDULES, headers={b"X-Request-Id": sent.encode("latin-1")})
    assert (answer.headers["x-request-id"] == sent) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", answer.headers["x-request-id"])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.fixture
async def without_redis(stack: Stack, database_url: str) -> AsyncIterator[tuple[FastAPI, str]]:
    """An application whose Redis is not there, and a key."""
    clock = SystemClock()
    database = await Database.open(database_url)
    wheel = Wheel(connect("redis://127.0.0.1:1/0"), clock, shards=1, window_seconds=3600, claim_ahead_ms=50)
    services = Services(
        ScheduleService(database, wheel, clock),
        ExecutionService(database, wheel, clock, stack.metrics),
        CalendarService(database, wheel, clock, stack.metrics),
        ExplainingService(database, clock, execution_days=30),
        ForecastService(database),
        AuditService(database),
        KeyService(database, clock),
        HealthService(database, wheel, clock),
        TargetService(database, Limits(20, {})),
        stack.services.trying,
        clock,
    )
    key = await services.keys.create(1, Role.EDITOR, user=None, name=None, expires_at=None)
    yield application(Stack(database_url, database, wheel, services, stack.metrics)), key
    await wheel.close()
    await database.close()


async def test_while_redis_is_away_requests_are_served_and_a_warning_says_so(
    without_redis: tuple[FastAPI, str],
) -> None:
    app, key = without_redis
    async with client_of(app, Authorization=f"Bearer {key}") as caller:
        assert (await caller.post(SCHEDULES, json=cron())).status_code == 201
        ready = await caller.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        assert ["Redis does not answer" in warning for warning in ready.json()["warnings"]] == [True]
        health = await caller.get("/api/v1/health")
        assert health.status_code == 200
        assert health.json()["status"] == "degraded"
        assert (health.json()["redis_connected"], health.json()["wheel_depth"]) == (False, None)
