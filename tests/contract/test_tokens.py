"""Callers with a JWT: what they may, whom they are told apart from, and every way of making one up."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from jwt import get_algorithm_by_name

from app.core.callbacks import CallbackTokens
from app.core.principal import Role
from app.core.tasks import end
from app.issuer import Issuer
from app.metrics import Metrics
from app.service.issuer_keys import IssuerKeys
from app.service.tokens import TokenService
from app.settings import AuthMode, Settings
from tests.contract.calls import EXECUTIONS, SCHEDULES, UNKNOWN_ID, Stack, application, client_of, create, cron
from tests.contract.test_access import OPERATIONS, example_of, headers_of, operations
from tests.issuers import AUDIENCE, LoopbackIssuer, Signing, base64url, encoded

RS, ES, ED = Signing.known("RS256", "rs"), Signing.known("ES256", "es"), Signing.known("EdDSA", "ed")
SECRET = "k" * 32
NEVER = 4_102_444_800
"""The end of the century."""


class Tokens:
    """An application that takes the tokens of an issuer, and what makes them."""

    def __init__(self, app: FastAPI, issuer: LoopbackIssuer) -> None:
        self.app = app
        self.issuer = issuer

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a good token says."""
        said = {"iss": self.issuer.url, "aud": AUDIENCE, "exp": NEVER, "sub": "ada", "community_id": 2, "role": "admin"}
        return {name: value for name, value in {**said, **changes}.items() if value is not ...}

    def bearing(self, signing: Signing = ES, /, **changes: Any) -> httpx.AsyncClient:
        """A caller with a token of that key."""
        return client_of(self.app, Authorization=f"Bearer {signing.token(self.claims(**changes))}")

    async def answer(self, token: str) -> httpx.Response:
        """What a caller with that token gets."""
        async with client_of(self.app) as caller:
            return await caller.get(SCHEDULES, headers=[(b"Authorization", b"Bearer " + token.encode())])


def issued_by(issuer: LoopbackIssuer, **settings: Any) -> Settings:
    """The settings of a deployment whose callers have tokens of that issuer."""
    return Settings(
        auth_mode=AuthMode.JWT,
        jwt_issuer=issuer.url,
        jwt_audience=AUDIENCE,
        jwt_algorithms="RS256,ES256,EdDSA",
        secret_key=SECRET,
        **settings,
    )


@pytest.fixture
async def tokens(stack: Stack) -> AsyncIterator[Tokens]:
    async with LoopbackIssuer(RS, ES, ED) as issuer, Issuer.reached(issuer.url, "") as reached:
        settings, clock = issued_by(issuer), stack.services.clock
        keys = IssuerKeys(reached.keys, clock, Metrics())
        service = TokenService(keys, clock, settings.jwt_rules, settings.jwt_naming)
        services = replace(stack.services, tokens=service)
        keeping = asyncio.create_task(keys.keep())
        yield Tokens(application(replace(stack, services=services), **settings.model_dump()), issuer)
        assert await end(keeping) == []


def assert_refused(answer: httpx.Response, why: str, token: str) -> None:
    """A 401 as RFC 6750 has it, that shows nothing of the token."""
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (401, "INVALID_TOKEN"), problem
    assert answer.headers["www-authenticate"] == 'Bearer realm="schedule-service", error="invalid_token"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert why in problem["detail"]
    assert not any(part and part in answer.text for part in token.split("."))


@pytest.mark.parametrize("signing", [RS, ES, ED], ids=lambda signing: signing.algorithm)
async def test_a_token_is_a_caller_of_its_community(tokens: Tokens, signing: Signing) -> None:
    async with tokens.bearing(signing, community_id="9001", sub="ada") as caller:
        stored = await create(caller)
        assert (stored["community_id"], stored["created_by"]) == (9001, "ada")
        entries = (await caller.get("/api/v1/audit")).json()["items"]
    assert (entries[0]["user"], entries[0]["role"], entries[0]["action"]) == ("ada", "admin", "schedule_create")


@pytest.mark.parametrize("role", list(Role))
async def test_each_operation_lets_in_its_role_and_those_above(tokens: Tokens, role: Role) -> None:
    async with tokens.bearing(role=["uma_authorization", role.value]) as caller:
        for method, path, operation in operations(tokens.app):
            needed = OPERATIONS[operation["operationId"]]
            address = path.format(schedule_id=UNKNOWN_ID, execution_id=UNKNOWN_ID, workflow_id=UNKNOWN_ID, name="no")
            answer = await caller.request(method, address, json=example_of(operation), headers=headers_of(operation))
            assert (answer.status_code == 403) is (needed is not None and not role.includes(needed)), (method, path)
            assert answer.status_code != 401


async def test_a_token_of_community_2_sees_nothing_of_1(tokens: Tokens) -> None:
    async with tokens.bearing(community_id=1) as owner, tokens.bearing(community_id=2) as stranger:
        stored = await create(owner, name="private-of-1", tags=["private-of-1"])
        run = (await owner.post(f"{SCHEDULES}/{stored['schedule_id']}/trigger")).json()
        await owner.post("/api/v1/calendars", json={"name": "private-of-1"})
        for path in (
            f"{SCHEDULES}/{stored['schedule_id']}",
            f"{SCHEDULES}/{stored['schedule_id']}/executions",
            f"{EXECUTIONS}/{run['execution_id']}",
            "/api/v1/calendars/private-of-1",
        ):
            assert (await owner.get(path)).status_code == 200
            assert (await stranger.get(path)).status_code == 404, path
        for path in (f"{SCHEDULES}?tag=private-of-1", EXECUTIONS, "/api/v1/audit", "/api/v1/calendars"):
            assert stored["schedule_id"] not in (await stranger.get(path)).text, path
        for method, path in (
            ("DELETE", f"{SCHEDULES}/{stored['schedule_id']}"),
            ("DELETE", "/api/v1/calendars/private-of-1"),
        ):
            assert (await stranger.request(method, path)).status_code == 404
        paused = await stranger.post(f"{SCHEDULES}/bulk", json={"action": "pause", "tag": "private-of-1"})
        assert paused.json()["schedule_ids"] == []
        assert (await owner.get(f"{SCHEDULES}/{stored['schedule_id']}")).json()["status"] == "active"


async def test_api_keys_and_callback_tokens_go_on_opening_what_they_do(tokens: Tokens, stack: Stack) -> None:
    key = await stack.services.keys.create(2, Role.VIEWER, user=None, name="machine", expires_at=None)
    async with client_of(tokens.app) as machine, tokens.bearing() as caller:
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
            assert (await machine.get(SCHEDULES, headers=headers)).status_code == 200
        for headers in (
            {"Authorization": "Bearer ss_no"},
            {"X-API-Key": "no"},
            {"X-API-Key": ES.token(tokens.claims())},
        ):
            refused = await machine.get(SCHEDULES, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")
            assert refused.headers["www-authenticate"] == 'Bearer realm="schedule-service"'
        nothing = await machine.get(SCHEDULES)
        assert nothing.status_code == 401
        assert nothing.headers["www-authenticate"] == 'Bearer realm="schedule-service"'
        assert "Send a JWT or an API key" in nothing.json()["detail"]

        stored = await create(caller, completion="callback")
        run = (await caller.post(f"{SCHEDULES}/{stored['schedule_id']}/trigger")).json()
        path = f"{EXECUTIONS}/{run['execution_id']}"
        token = CallbackTokens.from_setting(SECRET).token(UUID(run["execution_id"]))
        bearing = {"Authorization": f"Bearer {token}"}
        assert (await machine.get(path, headers=bearing)).status_code == 401
        assert (await machine.post(f"{path}/heartbeat", headers=bearing)).status_code == 200
        assert (await caller.post(f"{path}/complete", json={"status": "succeeded"})).status_code == 200


async def test_a_good_token_without_rights_here_is_403_and_meets_what_is_open(tokens: Tokens) -> None:
    for without in ({"role": ...}, {"community_id": ...}, {"sub": ...}, {"role": "root"}, {"community_id": 2**63}):
        async with tokens.bearing(**without) as caller:
            answer = await caller.post(SCHEDULES, json=cron())
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
            assert f"its claim '{next(iter(without))}' must" in answer.json()["detail"]
            health = await caller.get("/api/v1/health")
            assert (health.status_code, health.json()["active_schedules"]) == (200, None)
    async with tokens.bearing(exp=1) as expired, tokens.bearing() as caller:
        assert (await expired.get("/api/v1/health")).status_code == 401
        assert (await caller.get("/api/v1/health")).json()["active_schedules"] is not None


async def test_a_made_up_token_is_refused_and_says_why(tokens: Tokens) -> None:
    claims, header = tokens.claims(), ES.header()
    own = Signing.new("ES256", "es")
    unsigned = f"{encoded(header)}.{encoded(claims)}"
    evil = f"{tokens.issuer.url}/evil"
    twice = json.dumps(claims)[:-1] + ', "community_id": 1}'
    pem = RS.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hmac = f"{encoded(RS.header(alg='HS256'))}.{encoded(claims)}"
    hmac += "." + base64url(get_algorithm_by_name("HS256").sign(hmac.encode(), pem))
    for token, why in (
        (f"{encoded({**header, 'alg': 'none'})}.{encoded(claims)}.", "algorithm (alg) is 'none'"),
        (f"{encoded({**header, 'alg': 'nOnE'})}.{encoded(claims)}.{base64url(b'x')}", "algorithm (alg)"),
        (f"{unsigned}.", "signature"),
        (f"{unsigned}.{base64url(bytes(64))}", "signature"),
        (hmac, "algorithm (alg) is 'HS256'"),
        (own.token(claims), "signature"),
        (own.token(claims, jwk=own.jwk(), jku=evil, x5u=evil), "signature"),
        (ES.token(claims, kid="rs"), "none of its algorithm ES256"),
        (Signing("PS256", RS.private, "rs").token(claims), "algorithm (alg) is 'PS256'"),
        (Signing("ES256", ES.private, "ed").token(claims), "none of its algorithm"),
        (ES.token(claims, crit=["exp"]), "(crit)"),
        (ES.token(claims, typ="logout+jwt"), "(typ)"),
        (ES.token(tokens.claims(iss="https://id.example")), "another issuer"),
        (ES.token(tokens.claims(aud=["other"])), "another audience"),
        (ES.token(tokens.claims(exp=1)), "expired at 1970-01-01T00:00:01Z"),
        (ES.token(tokens.claims(exp=...)), "must say when it expires"),
        (ES.token(tokens.claims(exp=str(NEVER))), "exp must be a number"),
        (ES.token(json.dumps(tokens.claims(exp=float("nan")))), "payload must be a JSON object"),
        (ES.token(tokens.claims(nbf=NEVER)), "not valid before"),
        (ES.token(tokens.claims(iat=10**30)), "which is to come"),
        (ES.token(twice), "each name once"),
        (ES.token('{"a":' + "[" * 5000), "payload must be"),
        (ES.token(b"\xff\xfe{}"), "payload must be"),
        (ES.token({"pad": "x" * 20_000}), "at most 16384 characters"),
        ("a" * (1 << 20), "at most 16384 characters"),
        ("é.é.é", "is no JWT"),
        ("not-a-token", "is no JWT"),
        (".." , "is no JWT"),
    ):  # fmt: skip
        assert_refused(await tokens.answer(token), why, token)
    assert "/evil" not in tokens.issuer.asked
    assert (await tokens.answer(ES.token(claims))).status_code == 200


async def test_a_refused_token_stores_nothing_and_is_looked_at_first(tokens: Tokens) -> None:
    async with tokens.bearing(exp=1, community_id=9002) as expired, tokens.bearing(community_id=9002) as caller:
        assert (await expired.post(SCHEDULES, content=b"{")).status_code == 401
        assert (await expired.post(SCHEDULES, json=cron())).status_code == 401
        assert (await caller.get(SCHEDULES)).json()["items"] == []


@pytest.mark.fault("28")
async def test_where_the_keys_are_not_known_it_is_503_and_an_api_key_opens_all_the_same(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await stack.services.keys.create(2, Role.VIEWER, user=None, name=None, expires_at=None)
    async with LoopbackIssuer() as issuer, Issuer.reached(issuer.url, "") as reached:
        settings, clock = issued_by(issuer), stack.services.clock
        keys = IssuerKeys(reached.keys, clock, Metrics())
        service = TokenService(keys, clock, settings.jwt_rules, settings.jwt_naming)
        app = application(replace(stack, services=replace(stack.services, tokens=service)), **settings.model_dump())
        await issuer.close()
        tokens = Tokens(app, issuer)
        token = ES.token(tokens.claims())
        for _ in range(3):
            answer = await tokens.answer(token)
            assert (answer.status_code, answer.json()["code"]) == (503, "ISSUER_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
            assert "127.0.0.1" not in answer.text
        async with client_of(app) as machine, tokens.bearing() as caller:
            assert (await machine.get(SCHEDULES, headers={"X-API-Key": key})).status_code == 200
            assert (await caller.get("/api/v1/health")).status_code == 200
            assert (await caller.get("/readyz")).status_code == 200
    said = capsys.readouterr()
    assert "jwks_away" in said.out
    assert not any(part in said.out + said.err for part in token.split("."))


async def test_the_document_has_a_scheme_for_tokens_wherever_a_key_opens(tokens: Tokens, app: FastAPI) -> None:
    document = tokens.app.openapi()
    scheme = document["components"]["securitySchemes"]["jwt"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    assert tokens.issuer.url in scheme["description"]
    assert {"jwt": []} in document["security"]
    for _, path, operation in operations(tokens.app):
        assert {"jwt": []} in operation.get("security", document["security"]), path
        assert ({} in operation.get("security", ())) is (OPERATIONS[operation["operationId"]] is None)
    # The routes' own lists are as they were.
    assert "jwt" not in json.dumps([app.openapi()["security"], app.openapi()["components"]["securitySchemes"]])
    assert all({"jwt": []} not in operation.get("security", ()) for _, _, operation in operations(app))


async def test_without_an_issuer_a_jwt_is_an_api_key_that_is_not_valid(app: FastAPI) -> None:
    async with client_of(app, Authorization=f"Bearer {ES.token({'sub': 'ada'})}") as caller:
        answer = await caller.get(SCHEDULES)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
