"""The database of one test."""

from collections.abc import AsyncIterator

import pytest

from app.store.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on a database of this test alone."""
    database = await Database.open(database_url, pool_size=4)
    yield database
    await database.close()
