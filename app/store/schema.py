"""Which schema this code needs, without the migrations' machinery: for start-up checks and readiness."""

from functools import cache
from pathlib import Path

import asyncpg

from app.core.errors import ConfigurationException
from app.store.database import Connection, granted

_PACKAGED = Path(__file__).parent.parent / "_migrations"
_IN_CHECKOUT = Path(__file__).parent.parent.parent / "migrations"


def location() -> Path:
    """Where the migrations are: beside the installed package, or in the checkout."""
    return _PACKAGED if _PACKAGED.exists() else _IN_CHECKOUT


@cache
def newest() -> str:
    """The newest revision: a migration's file begins with its number."""
    return max(path.name.partition("_")[0] for path in (location() / "versions").glob("[0-9]*_*.py"))


def is_later(revision: str) -> bool:
    """Whether a revision is one of later code; this service numbers its own."""
    return revision.isdecimal() and int(revision) > int(newest())


async def is_current(connection: Connection) -> bool:
    """Whether the database is at this code's schema, or past it: old code runs on a new schema."""
    try:
        found: str | None = await connection.fetchval("SELECT max(version_num) FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return False
    return found is not None and (found == newest() or is_later(found))


async def refuse_older(connection: Connection) -> None:
    """Refuse a database that lacks a migration.

    Raises ConfigurationException, also where its user may not see which it has.
    """
    with granted():
        current = await is_current(connection)
    if not current:
        raise ConfigurationException("the database has an older schema: run `schedule-service migrate` first")
