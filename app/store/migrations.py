"""Bringing a database to the newest schema, by alembic; the only place where SQLAlchemy is used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.clock import Clock
from app.core.errors import ConfigurationException, StoreUnavailableException
from app.store.database import connect, knock, says_it_is_away
from app.store.schema import is_later, location

T = TypeVar("T")

_LOCK_TIMEOUT = "2s"
_LOCK_ATTEMPTS = 150
_LOCK_PAUSE_SECONDS = 2.0
_TURN_PAUSE_SECONDS = 0.2
_ANOTHER_IS_FIRST = ("55P03", "40P01")
"""A lock was not to be had in time; or a process of an older release, which waits for its turn within a statement, and
an index waited for each other.
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a database's schema stands to this code: the revisions that it lacks, oldest first, or its own later one."""

    missing: tuple[str, ...] = ()
    later: str | None = None


async def upgrade(database_url: str, clock: Clock) -> Standing:
    """Apply every migration that is missing. Two at once do each other no harm: the second one waits.

    A change of a table waits for whoever reads it, a dump for instance, and everyone else then waits behind the
    change. So it gives up after two seconds, lets the others by, and tries again, for ten minutes.

    Returns how the schema stands now: a later one than this code's is left as it is, old code runs on it.

    Raises StoreUnavailableException when it never got its turn or Postgres is away, and ConfigurationException where
    the database is another service's, or its user may not change it.
    """
    attempts, waits = 0, False
    while attempts < _LOCK_ATTEMPTS:
        try:
            stands = await _with_connection(database_url, _upgrade)
        except DBAPIError as refused:
            if getattr(refused.orig, "sqlstate", None) not in _ANOTHER_IS_FIRST:
                _explain(refused)
            attempts += 1
            await clock.sleep(_LOCK_PAUSE_SECONDS)
        else:
            if stands is not None:
                return stands
            if not waits:
                log.info("migrate_waits", category="SYSTEM", reason="another process migrates this database")
            waits = True
            await clock.sleep(_TURN_PAUSE_SECONDS)
    raise StoreUnavailableException("another transaction has held a table for ten minutes that is to be changed")


async def standing(database_url: str) -> Standing:
    """How the database's schema stands to this code.

    Raises StoreUnavailableException when Postgres is away, and ConfigurationException where the database is another
    service's, or its user may not look.
    """
    await knock(database_url)
    try:
        return await _with_connection(database_url, _standing)
    except DBAPIError as refused:
        _explain(refused)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(location()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> Standing | None:
    """How the schema stands now; null while another has its turn."""
    # Held until the connection closes, so that pods that start together migrate one after the other. Asked for again
    # and again instead of waited for: an index that is built beside a running service waits for every statement that
    # began before it, and that of a waiting pod would wait for the index.
    if not connection.exec_driver_sql("SELECT pg_try_advisory_lock(7305613091)").scalar():
        return None
    connection.exec_driver_sql(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
    # The user's own, where a pooler needs it to have one, is for the service: an index takes as long as it takes.
    connection.exec_driver_sql("SET statement_timeout = 0")
    connection.commit()
    found = _standing(connection)
    connection.commit()
    if not found.missing:
        return found
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return Standing()


def _standing(connection: Connection) -> Standing:
    script = ScriptDirectory.from_config(_config())
    current = MigrationContext.configure(connection).get_current_revision()
    steps = [step.revision for step in script.walk_revisions()]
    if current is None or current in steps:
        return Standing(missing=tuple(reversed(steps[: steps.index(current)] if current else steps)))
    if is_later(current):
        return Standing(later=current)
    raise ConfigurationException(
        f"the database is at the revision {current!r}, which is none of this service's: "
        "see whether DATABASE_URL names the right database"
    )


async def _with_connection(database_url: str, work: Callable[[Connection], T]) -> T:
    # asyncpg reads the URL here as everywhere else: SQLAlchemy has rules of its own for what follows a `?`.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(database_url), poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            done = await connection.run_sync(work)
            await connection.commit()
            return done
    finally:
        await engine.dispose()


def _explain(refused: DBAPIError) -> NoReturn:
    """Raise in our words what Postgres's state or the user's rights are to blame for, and all else as it is."""
    why = refused.orig.__cause__ if refused.orig else None
    # No schema: the user may use none of its search path.
    if isinstance(why, asyncpg.InsufficientPrivilegeError | asyncpg.InvalidSchemaNameError):
        raise ConfigurationException(f"DATABASE_URL: {why}") from refused
    if why is not None and says_it_is_away(why):
        raise StoreUnavailableException(f"Postgres is away: {why}") from refused
    raise refused
