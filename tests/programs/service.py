"""The whole service, as a user starts it, with targets allowed on loopback."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from app.embedded.ports import free_port
from tests.processes import Script

SIGNING_SECRET = "whsec_" + "QUJD" * 8
_ENDED = ("succeeded", "failed", "timed_out", "cancelled", "missed", "skipped")


class Service:
    """A `dev` that is ready: API, worker, Postgres and Valkey."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self.api = api

    async def run(self, target: Any, *, within_seconds: float = 60) -> dict[str, Any]:
        """The execution, once it has ended, of a schedule with that target that is due once and at once."""
        due = datetime.now(UTC) + timedelta(seconds=2)
        wanted = {
            "schedule_type": "one_time",
            "scheduled_time": due.isoformat(),
            "context_data": {"report": "daily"},
            "retry": {"max_retries": 1, "initial_backoff_seconds": 1},
            "target": target,
        }
        answer = await self.api.post("/api/v1/schedules", json=wanted)
        assert answer.status_code == 201, answer.text
        path = f"/api/v1/schedules/{answer.json()['schedule_id']}/executions"
        async with asyncio.timeout(within_seconds):
            # Over HTTP nobody tells.
            while not (items := (await self.api.get(path)).json()["items"]) or items[0]["status"] not in _ENDED:
                await asyncio.sleep(0.1)
        execution: dict[str, Any] = items[0]
        return execution


@asynccontextmanager
async def serving() -> AsyncIterator[Service]:
    """One on a folder and a port of its own; ended when left."""
    port = free_port()
    # Not below pytest's own folder, which servers of another user cannot search.
    with tempfile.TemporaryDirectory(prefix="schedule-service-test-", ignore_cleanup_errors=True) as folder:
        script = await Script.start(
            *("-m", "app.cli", "dev", "--data-dir", str(Path(folder, "data")), "--port", str(port)),
            errors=Path(folder, "errors"),
            DATABASE_URL="",
            REDIS_URL="",
            WORKFLOW_ENGINE_URL="",
            TARGET_ALLOWED_NETWORKS="127.0.0.0/8",
            WEBHOOK_SIGNING_SECRETS=SIGNING_SECRET,
        )
        try:
            assert [await script.line(seconds=180) for _ in range(3)][2] == "Ready"
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as api:
                yield Service(api)
        finally:
            await script.end(signal.SIGTERM, seconds=60)
