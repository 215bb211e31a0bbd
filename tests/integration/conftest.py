"""A deployment's databases, as it finds them, and who operates it."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.integration.operating import Operator
from tests.receiver import Receiver


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """A database without a schema."""
    name = f"empty_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def operator(empty_database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Operator]:
    async with Receiver() as receiver:
        yield Operator(
            {
                "DATABASE_URL": empty_database_url,
                "REDIS_URL": redis_url,
                "WORKFLOW_ENGINE_URL": receiver.url,
                "AUTH_MODE": "api_key",
            },
            tmp_path,
        )
