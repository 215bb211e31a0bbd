"""One database for all tests of statements, emptied for each: making one for each would take most of their time."""

from collections.abc import AsyncIterator

import pytest

from app.store.database import Database
from tests.integration.databases import copied


@pytest.fixture(scope="module")
async def shared_database(postgres_url: str, database_template: str) -> AsyncIterator[Database]:
    """A pool on a database that the tests of a file share."""
    async with copied(postgres_url, database_template) as url:
        database = await Database.open(url, pool_size=4)
        yield database
        await database.close()


@pytest.fixture
async def database(shared_database: Database) -> Database:
    """The shared one, without a row."""
    async with shared_database.connection() as connection:
        await connection.execute(
            "TRUNCATE workflow_schedules, executions, schedule_revisions, workers, idempotency_keys, audit_log"
        )
    return shared_database
