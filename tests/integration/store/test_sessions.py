"""A session of the service's is as the service needs it, whatever its database or its user has as a default."""

import asyncio
import secrets
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.store.database import Connection, Database


@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
async def test_who_waits_for_a_row_goes_on_from_what_it_is_then(database_url: str, isolation: str) -> None:
    administrator = await asyncpg.connect(database_url)
    name = f"counted_{secrets.token_hex(4)}"
    await administrator.execute(
        f"ALTER DATABASE {urlsplit(database_url).path[1:]} SET default_transaction_isolation = '{isolation}'"
    )
    await administrator.execute(f"CREATE TABLE {name} AS SELECT 0 AS number")
    database = await Database.open(database_url, pool_size=2)

    async def add(connection: Connection) -> None:
        await connection.execute(f"UPDATE {name} SET number = number + 1")

    try:
        async with administrator.transaction():
            await administrator.execute(f"UPDATE {name} SET number = 10")
            async with database.transaction() as connection:
                # Begun before the other ends.
                assert await connection.fetchval(f"SELECT number FROM {name}") == 0
                adding = asyncio.create_task(add(connection))
                async with asyncio.timeout(10), database.connection() as other:
                    while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                        await asyncio.sleep(0.01)
                await administrator.execute("COMMIT")
                await adding
                assert await connection.fetchval(f"SELECT number FROM {name}") == 11
                await administrator.execute("BEGIN")
    finally:
        await database.close()
        await administrator.close()
