"""What `schedule-service migrate` does: the newest schema, and the partitions of the coming days."""

from app.core.clock import Clock
from app.store import migrations, partitions
from app.store.database import Database, granted, wait_until_up
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
        with granted():
            async with database.connection() as connection:
                days = await partitions.missing_days(connection, clock.now().date())
            for day in days:
                await partitions.make(database, day)
    finally:
        await database.close()
    return standing
