"""API keys from the command line: each call opens the database, does its one thing, and closes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from app.core.clock import SystemClock
from app.core.principal import Role
from app.service.commands import opened
from app.service.keys import KeyService
from app.settings import Settings


async def create(
    settings: Settings,
    community_id: int,
    role: Role,
    *,
    user: str | None,
    name: str | None,
    expires_at: datetime | None,
) -> str:
    """A new key. Raises as `opened` does."""
    async with _keys(settings) as keys:
        return await keys.create(community_id, role, user=user, name=name, expires_at=expires_at)


async def lines(settings: Settings, community_id: int | None) -> list[str]:
    """One line a key, without its secret. Raises as `opened` does."""
    async with _keys(settings) as keys:
        found = await keys.keys(community_id)
    heads = ("KEY ID", "PREFIX", "COMMUNITY", "ROLE", "USER", "NAME", "CREATED", "EXPIRES", "REVOKED")
    rows = [
        heads,
        *(
            (
                str(key.key_id), key.prefix, str(key.community_id), key.role.value, key.user or "-", key.name or "-",
                _day(key.created_at), _day(key.expires_at), _day(key.revoked_at),
            )
            for key in found
        ),
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


async def revoke(settings: Settings, key_id_or_prefix: str) -> bool:
    """Whether there was a key to revoke. Raises as `opened` does."""
    async with _keys(settings) as keys:
        return await keys.revoke(key_id_or_prefix)


@asynccontextmanager
async def _keys(settings: Settings) -> AsyncIterator[KeyService]:
    async with opened(settings, name="keys") as database:
        yield KeyService(database, SystemClock())


def _day(instant: datetime | None) -> str:
    return "-" if instant is None else instant.isoformat(timespec="seconds").replace("+00:00", "Z")
