"""What `schedule-service migrate` does: the newest schema, and the partitions of the coming days."""

import asyncpg

from app.core.clock import Clock
from app.core.errors import ConfigurationException
from app.store import migrations, partitions
from app.store.database import Database, wait_until_up
from app.store.outage import Outage

_PATIENCE_SECONDS = 60.0


async def prepare(database_url: str, clock: Clock) -> migrations.Standing:
    """Migrate, and make the partitions that are missing. Returns how the schema stands now.

    Raises StoreUnavailableException when Postgres does not answer for a minute, and ConfigurationException where it
    refuses what the URL says, or its user may not make them.
    """
    await wait_until_up(database_url, clock, Outage(clock, "start_waits"), patience_seconds=_PATIENCE_SECONDS)
    standing = await migrations.upgrade(database_url, clock)
    database = await Database.open(database_url, pool_size=1)
    try:
        async with database.connection() as connection:
            days = await partitions.missing_days(connection, clock.now().date())
        for day in days:
            await partitions.make(database, day)
    except asyncpg.InsufficientPrivilegeError as refused:
        raise ConfigurationException(f"DATABASE_URL: {refused}") from refused
    finally:
        await database.close()
    return standing
