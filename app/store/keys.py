"""Statements about API keys; what is stored of a key is its prefix and a hash."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.principal import Role
from app.store.database import Connection

_COLUMNS = "key_id, prefix, community_id, role, user_id, name, created_at, expires_at, revoked_at"
_INSERT = """
    INSERT INTO api_keys (key_id, prefix, secret_sha256, community_id, role, user_id, name, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
# The unique index on prefix.
_BY_PREFIX = f"SELECT {_COLUMNS}, secret_sha256 FROM api_keys WHERE prefix = $1"
_LIST = f"SELECT {_COLUMNS} FROM api_keys WHERE $1::bigint IS NULL OR community_id = $1 ORDER BY created_at, key_id"
_REVOKE = f"""
    UPDATE api_keys SET revoked_at = $2
     WHERE (key_id::text = $1 OR prefix = $1) AND revoked_at IS NULL
    RETURNING {_COLUMNS}
"""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret: `prefix` is the part of it that may be shown and logged."""

    key_id: UUID
    prefix: str
    community_id: int
    role: Role
    user: str | None
    name: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def insert(connection: Connection, key: ApiKey, secret_sha256: bytes) -> None:
    """Store a new key."""
    await connection.execute(
        _INSERT,
        key.key_id,
        key.prefix,
        secret_sha256,
        key.community_id,
        key.role.value,
        key.user,
        key.name,
        key.created_at,
        key.expires_at,
    )


async def by_prefix(connection: Connection, prefix: str) -> tuple[ApiKey, bytes] | None:
    """The key with that prefix, and the hash of the whole key."""
    row = await connection.fetchrow(_BY_PREFIX, prefix)
    return None if row is None else (_key(row), row["secret_sha256"])


async def every(connection: Connection, community_id: int | None) -> list[ApiKey]:
    """The keys of one community, or of all, oldest first; revoked and expired ones too."""
    return [_key(row) for row in await connection.fetch(_LIST, community_id)]


async def revoke(connection: Connection, key_id_or_prefix: str, *, now: datetime) -> ApiKey | None:
    """Revoke a key; null when there is none like that, or it is revoked already."""
    row = await connection.fetchrow(_REVOKE, key_id_or_prefix, now)
    return None if row is None else _key(row)


def _key(row: "asyncpg.Record") -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        prefix=row["prefix"],
        community_id=row["community_id"],
        role=Role(row["role"]),
        user=row["user_id"],
        name=row["name"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
