"""Postgres as a command has it: one connection, known to be let in and to be at this code's schema."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.settings import Settings
from app.store.database import Database, granted, knock
from app.store.schema import refuse_older


@asynccontextmanager
async def opened(settings: Settings, *, name: str) -> AsyncIterator[Database]:
    """Open the database for one command, which waits for nothing, and close it.

    Raises ConfigurationException where DATABASE_URL is missing or refused, the schema is old or its user lacks
    a right, and StoreUnavailableException where Postgres does not answer.
    """
    settings.need("database_url")
    await knock(settings.database_url, pooler=settings.database_pooler)
    database = await Database.open(
        settings.database_url, pool_size=1, pooler=settings.database_pooler, name=f"schedule-service {name}"
    )
    try:
        async with database.connection() as connection:
            await refuse_older(connection)
        with granted():
            yield database
    finally:
        await database.close()
