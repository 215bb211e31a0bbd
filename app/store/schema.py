"""Which schema this code needs, without the migrations' machinery: for start-up checks and readiness."""

from functools import cache
from pathlib import Path

import asyncpg

from app.store.database import Connection

_PACKAGED = Path(__file__).parent.parent / "_migrations"
_IN_CHECKOUT = Path(__file__).parent.parent.parent / "migrations"


def location() -> Path:
    """Where the migrations are: beside the installed package, or in the checkout."""
    return _PACKAGED if _PACKAGED.exists() else _IN_CHECKOUT


@cache
def newest() -> str:
    """The newest revision: a migration's file begins with its number."""
    return max(path.name.partition("_")[0] for path in (location() / "versions").glob("[0-9]*_*.py"))


async def is_current(connection: Connection) -> bool:
    """Whether the database is at this code's schema, or past it: old code runs on a new schema."""
    try:
        found: str | None = await connection.fetchval("SELECT max(version_num) FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return False
    return found is not None and found >= newest()
