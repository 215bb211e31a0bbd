"""Bringing a database to the newest schema, by alembic; the only place where SQLAlchemy is used."""

from collections.abc import Callable

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.store.schema import location

_LOCK_TIMEOUT = "2s"
_LOCK_ATTEMPTS = 150
_LOCK_PAUSE_SECONDS = 2.0
_LOCK_NOT_AVAILABLE = "55P03"


async def upgrade(database_url: str, clock: Clock) -> None:
    """Apply every migration that is missing. Two at once do each other no harm: the second one waits.

    A change of a table waits for whoever reads it, a dump for instance, and everyone else then waits behind the
    change. So it gives up after two seconds, lets the others by, and tries again, for ten minutes.

    Raises StoreUnavailableException when it never got its turn.
    """
    for _ in range(_LOCK_ATTEMPTS):
        try:
            return await _with_connection(database_url, _upgrade)
        except DBAPIError as refused:
            if getattr(refused.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            await clock.sleep(_LOCK_PAUSE_SECONDS)
    raise StoreUnavailableException("another transaction has held a table for ten minutes that is to be changed")


async def missing(database_url: str) -> list[str]:
    """The revisions that the database lacks, oldest first; empty when it is at the newest schema."""
    found: list[str] = []
    await _with_connection(database_url, lambda connection: found.extend(_missing(connection)))
    return found


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(location()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    # Held until the connection closes, so that pods that start together migrate one after the other.
    connection.exec_driver_sql("SELECT pg_advisory_lock(7305613091)")
    connection.exec_driver_sql(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
    connection.commit()
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _missing(connection: Connection) -> list[str]:
    script = ScriptDirectory.from_config(_config())
    current = MigrationContext.configure(connection).get_current_revision()
    return [step.revision for step in reversed(list(script.iterate_revisions("head", current)))]


async def _with_connection(database_url: str, work: Callable[[Connection], None]) -> None:
    url = make_url(database_url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(work)
            await connection.commit()
    finally:
        await engine.dispose()
