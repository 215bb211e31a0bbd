"""How a schema stands to this code: older, the same, later, or another service's."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.core.clock import SystemClock
from app.core.errors import ConfigurationException
from app.store import schema
from app.store.migrations import Standing, standing, upgrade
from app.store.preparing import prepare

_AT = "UPDATE alembic_version SET version_num = $1"
_PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'executions'::regclass"


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.mark.parametrize("query", ["sslmode=disable", "sslmode=prefer", "application_name=x&sslmode=allow"])
async def test_a_url_is_read_as_asyncpg_reads_it_everywhere_else(database_url: str, query: str) -> None:
    assert await standing(f"{database_url}?{query}") == Standing()
    assert await prepare(f"{database_url}?{query}", SystemClock()) == Standing()


@pytest.mark.parametrize("later", ["0099", "10000"])
async def test_a_later_schema_lacks_nothing_and_is_left_as_it_is(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]", later: str
) -> None:
    await connection.execute(_AT, later)
    before = await connection.fetchval(_PARTITIONS)
    assert await standing(database_url) == Standing(later=later)
    assert await prepare(database_url, SystemClock()) == Standing(later=later)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == later
    # Whoever goes back to an older release goes on with it for days.
    assert await connection.fetchval(_PARTITIONS) > before
    assert await schema.is_current(connection)


@pytest.mark.parametrize("other", ["1975ea83b712", "abc", "0000"])
async def test_the_schema_of_another_service_is_refused_and_left_as_it_is(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]", other: str
) -> None:
    await connection.execute(_AT, other)
    for asked in (standing(database_url), upgrade(database_url, SystemClock())):
        with pytest.raises(ConfigurationException, match=f"at the revision '{other}', which is none of this service's"):
            await asked
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == other
    assert not await schema.is_current(connection)


async def test_a_user_without_rights_is_told_what_is_denied(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    parts = urlsplit(database_url)
    role = f"poor_{parts.path[1:]}"
    await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'poor'")
    try:
        poor = urlunsplit(parts._replace(netloc=f"{role}:poor@{parts.netloc.rpartition('@')[2]}"))
        for asked in (standing(poor), upgrade(poor, SystemClock())):
            with pytest.raises(
                ConfigurationException, match=r"^DATABASE_URL: permission denied for table alembic_version$"
            ):
                await asked
        await connection.execute(f"GRANT SELECT ON alembic_version TO {role}")
        assert await standing(poor) == Standing()
        with pytest.raises(ConfigurationException, match=r"^DATABASE_URL: permission denied for table executions"):
            await prepare(poor, SystemClock())
        await connection.execute("DROP TABLE alembic_version")
        with pytest.raises(ConfigurationException, match=r"^DATABASE_URL: permission denied for schema public$"):
            await upgrade(poor, SystemClock())
        await connection.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
        with pytest.raises(ConfigurationException, match=r"^DATABASE_URL: no schema has been selected to create in$"):
            await upgrade(poor, SystemClock())
    finally:
        await connection.execute(f"DROP ROLE {role}")
