"""Two deployments whose operators gave both the same Redis, and nothing else in common: real workers of each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.embedded.ports import free_port
from app.store.database import Database
from tests.integration.databases import copied
from tests.integration.store.rows import add_schedule
from tests.processes import Script
from tests.receiver import Receiver

FIRINGS = 5
"""Of a schedule that fires each second: longer than it takes until a lost entry is found overdue."""


async def test_each_fires_what_is_its_own_and_takes_nothing_from_the_other(
    postgres_url: str, database_template: str, redis_url: str, tmp_path: Path
) -> None:
    async with (
        copied(postgres_url, database_template) as first_url,
        copied(postgres_url, database_template) as second_url,
        Receiver() as first,
        Receiver() as second,
    ):
        await fire_each_second(first_url)
        await fire_each_second(second_url)
        async with (
            worker(first_url, redis_url, first.url, tmp_path / "first") as first_metrics,
            worker(second_url, redis_url, second.url, tmp_path / "second") as second_metrics,
        ):
            before = len(first.received)
            await second.wait_for(FIRINGS, within_seconds=60)
            await first.wait_for(before + FIRINGS, within_seconds=60)
            first_figures, second_figures = await figures(first_metrics), await figures(second_metrics)
    assert {received.json["schedule_id"] for received in first.received}.isdisjoint(
        received.json["schedule_id"] for received in second.received
    )
    for receiver in (first, second):
        assert set(receiver.deliveries().values()) == {1}
    # Whoever comes second fires without a wheel, and says so; none finds what the other threw away.
    assert first_figures["schedule_service_claiming_from_postgres"] == 0
    assert second_figures["schedule_service_claiming_from_postgres"] == 1
    assert first_figures["schedule_service_swept_entries_total"] == 0
    assert second_figures["schedule_service_swept_entries_total"] == 0


async def fire_each_second(database_url: str) -> None:
    """A schedule that does, from now on."""
    now = datetime.now(UTC).replace(microsecond=0)
    database = await Database.open(database_url, pool_size=1)
    async with database.transaction() as connection:
        await add_schedule(
            connection,
            interval_seconds=1,
            created_at=now - timedelta(days=1),
            searched_to=now,
            next_execution_at=now + timedelta(seconds=1),
            next_due_at=now + timedelta(seconds=1),
        )
    await database.close()


@asynccontextmanager
async def worker(database_url: str, redis_url: str, engine_url: str, errors: Path) -> AsyncIterator[str]:
    """A worker that is ready; the URL of its metrics port."""
    port = free_port()
    environment = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "WORKFLOW_ENGINE_URL": engine_url}
    script = await Script.start("-m", "app.cli", "worker", "--metrics-port", str(port), errors=errors, **environment)
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while not await is_ready(client, url):
                assert script.process.returncode is None, f"it ended: {errors}"
                await asyncio.sleep(0.05)
        yield url
    finally:
        await script.end()


async def is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def figures(url: str) -> dict[str, float]:
    """What a worker shows of itself, without what has labels."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}/metrics")).text
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }
