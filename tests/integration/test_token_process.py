"""`schedule-service api` with AUTH_MODE=jwt, as an operator runs it: its start, and an issuer that comes later."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded.ports import free_port
from tests.issuers import AUDIENCE, LoopbackIssuer, Signing
from tests.processes import CHECKOUT, Script

KEY = Signing.known("ES256", "k")
PAGE = CHECKOUT / "docs" / "access.md"


@pytest.fixture
async def issuer() -> AsyncIterator[LoopbackIssuer]:
    async with LoopbackIssuer(KEY) as here:
        yield here


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    """What an API that takes tokens needs, but for the issuer."""
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "AUTH_MODE": "jwt", "JWT_AUDIENCE": AUDIENCE}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"JWT_ISSUER": ""}, "JWT_ISSUER is not set: Who issues the tokens"),
        ({"JWT_AUDIENCE": ""}, "JWT_AUDIENCE is not set: What tokens for this service"),
        ({"JWT_ISSUER": "http://id.example"}, "JWT_ISSUER='http://id.example': must begin with https://"),
        ({"JWT_ALGORITHMS": "RS256,HS256"}, "JWT_ALGORITHMS='RS256,HS256': 'HS256' is none of RS256, "),
        ({"JWT_ALGORITHMS": "none"}, "JWT_ALGORITHMS='none': 'none' is none of RS256, "),
    ],
)
async def test_a_wrong_or_missing_setting_stops_the_start_with_one_line_before_anything_is_waited_for(
    tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    nobody = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    values = {**nobody, "AUTH_MODE": "jwt", "JWT_ISSUER": "https://id.example", "JWT_AUDIENCE": AUDIENCE, **wrong}
    script = await Script.start("-m", "app.cli", "api", errors=tmp_path / "errors", **values)
    assert await script.process.wait() == 1
    (line,) = (tmp_path / "errors").read_text().splitlines()
    assert line.startswith(f"schedule-service: {said}")


@pytest.mark.fault("28")
async def test_it_starts_without_its_issuer_and_takes_tokens_once_it_comes(
    environment: dict[str, str], issuer: LoopbackIssuer, tmp_path: Path
) -> None:
    await issuer.close()
    port, errors = free_port(), tmp_path / "errors"
    url = f"http://127.0.0.1:{port}"
    values = {**environment, "JWT_ISSUER": issuer.url}
    script = await Script.start("-m", "app.cli", "api", "--port", str(port), errors=errors, **values)
    lasting = {"iss": issuer.url, "aud": [AUDIENCE], "exp": 4_102_444_800}
    token = KEY.token({**lasting, "sub": "ada", "community_id": 5, "role": "admin"})
    try:
        await script.until_ready(url)
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as caller:
            away = await caller.get("/api/v1/schedules")
            assert (away.status_code, away.json()["code"]) == (503, "ISSUER_UNAVAILABLE")
            await issuer.listen(issuer.port)
            async with asyncio.timeout(30):
                while (answer := await caller.get("/api/v1/schedules")).status_code == 503:
                    await asyncio.sleep(0.1)
            assert (answer.status_code, answer.json()["items"]) == (200, [])
            assert await _curl(port, token) == {"items": [], "next_cursor": None}
            shown = (await caller.get("/metrics")).text
        assert 'schedule_service_jwks_fetches_total{outcome="succeeded"} 1.0' in shown
        assert "schedule_service_jwks_age_seconds" in shown
    finally:
        await script.end()
    said = errors.read_text()
    assert '"event":"jwks_away"' in said
    assert '"event":"jwks_fetched"' in said
    assert not any(part in said for part in token.split("."))


async def _curl(port: int, token: str) -> Any:
    """What the page's call answers."""
    (call,) = re.findall(r"```sh\n(curl .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    process = await asyncio.create_subprocess_shell(
        call.replace("127.0.0.1:8000", f"127.0.0.1:{port}"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TOKEN": token},
    )
    out, _ = await process.communicate()
    return json.loads(out)
