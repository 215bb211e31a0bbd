"""The world of one test."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from tests.integration.databases import copied
from tests.integration.service.world import World

_EMPTIED = (
    "workflow_schedules",
    "executions",
    "schedule_revisions",
    "audit_log",
    "api_keys",
    "workers",
    "idempotency_keys",
    "calendars",
    "calendar_uses",
)


@pytest.fixture(scope="session")
async def shared_database(postgres_url: str, database_template: str) -> AsyncIterator[str]:
    """One database for all tests of the services."""
    async with copied(postgres_url, database_template) as url:
        yield url


@pytest.fixture
async def database_url(shared_database: str) -> str:
    """That database, emptied for this test."""
    connection = await asyncpg.connect(shared_database)
    try:
        await connection.execute(";".join(f"DELETE FROM {table}" for table in _EMPTIED))
    finally:
        await connection.close()
    return shared_database


@pytest.fixture
async def world(database_url: str, redis_url: str) -> AsyncIterator[World]:
    """The services over a database and a wheel of this test alone."""
    async with AsyncExitStack() as stack:
        yield await World.open(stack, database_url, redis_url)
