"""Key rotation from the command line: each call opens the database, does its one thing, and closes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core.sealing import SecretBox
from app.service.commands import opened
from app.service.resealing import Resealed, Resealer
from app.settings import Settings


async def reseal(settings: Settings) -> Resealed:
    """Seal every stored secret with the newest key. Raises ConfigurationException, StoreUnavailableException."""
    async with _resealer(settings) as resealer:
        return await resealer.reseal()


async def left(settings: Settings) -> tuple[int, list[str]]:
    """How many values are not sealed with the newest key, and a line for each key that has sealed some.

    Raises ConfigurationException, StoreUnavailableException.
    """
    secrets = SecretBox.from_setting(settings.secret_key)
    async with _resealer(settings) as resealer:
        counted = await resealer.count()
    newest = secrets.newest_key_id
    lines = [f"{_named(key, secrets)}: {counted[key]} values" for key in (newest, *_others(counted, newest))]
    return counted.total() - counted[newest], lines


def _others(counted: dict[str | None, int], newest: str | None) -> list[str | None]:
    return sorted((key for key in counted if key != newest), key=lambda key: key or "")


def _named(key: str | None, secrets: SecretBox) -> str:
    if key is None:
        return "stored without a key"
    if key == secrets.newest_key_id:
        return f"key {key}, the newest"
    return f"key {key}" if secrets.holds(key) else f"key {key}, which SECRET_KEY does not hold"


@asynccontextmanager
async def _resealer(settings: Settings) -> AsyncIterator[Resealer]:
    settings.need("database_url", "secret_key")
    secrets = SecretBox.from_setting(settings.secret_key)
    async with opened(settings, name="reseal") as database:
        yield Resealer(database, secrets)
