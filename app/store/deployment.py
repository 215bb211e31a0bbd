"""Which database this is: what tells one deployment from another where they share a Redis."""

import asyncpg

from app.store.database import Connection

_DEPLOYMENT = "SELECT system_identifier || '/' || current_database() FROM pg_control_system()"


async def deployment_of(connection: Connection) -> str:
    """The cluster's identifier, which its replicas share, and the database's name; empty where it is not told."""
    try:
        name: str = await connection.fetchval(_DEPLOYMENT)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFunctionError):
        return ""
    return name
