"""The state of the service, its metrics and its documentation."""

import re

import httpx
import pytest
from fastapi import FastAPI

from tests.contract.calls import SCHEDULES, UNKNOWN_ID, client_of


async def test_liveness_and_readiness_answer(app: FastAPI) -> None:
    async with client_of(app) as probe:
        live = await probe.get("/livez")
        assert (live.status_code, live.json()) == (200, {"status": "ok"})
        ready = await probe.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready", "warnings": []})


async def test_a_stopping_process_is_not_ready_and_alive(app: FastAPI) -> None:
    app.state.parts.stopping = True
    try:
        async with client_of(app) as probe:
            ready = await probe.get("/readyz")
            assert (ready.status_code, int(ready.headers["retry-after"]) > 0) == (503, True)
            assert (await probe.get("/livez")).status_code == 200
    finally:
        app.state.parts.stopping = False


async def test_requests_are_counted_by_the_templates_of_their_routes(client: httpx.AsyncClient) -> None:
    await client.get(f"{SCHEDULES}/{UNKNOWN_ID}")
    await client.request("PROPFIND", f"/{'x' * 50}")
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    route = re.escape('method="GET",route="/api/v1/schedules/{schedule_id}",status="404"')
    assert re.search(rf"^schedule_service_http_requests_total\{{{route}\}} [1-9]", text, re.MULTILINE)
    assert 'method="other",route="unmatched",status="404"' in text
    assert "schedule_service_running 1.0" in text
    assert UNKNOWN_ID not in text
    assert "xxx" not in text


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/docs", "text/html"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/swagger-ui.css", "text/css"),
        ("/docs/favicon.png", "image/png"),
        ("/openapi.json", "application/json"),
    ],
)
async def test_documentation_needs_no_address_outside(app: FastAPI, path: str, media_type: str) -> None:
    async with client_of(app) as reader:
        answer = await reader.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    if path == "/docs":
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        for asset in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
            assert asset.startswith("/docs/")


@pytest.mark.parametrize("asset", ["nothing.js", "..%2fcore.py", "redoc.standalone.js", "%2e%2e", "__init__.py"])
async def test_no_other_file_is_served(app: FastAPI, asset: str) -> None:
    async with client_of(app) as reader:
        assert (await reader.get(f"/docs/{asset}")).status_code == 404
