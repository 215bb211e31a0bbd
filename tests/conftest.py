"""Real servers for the tests: embedded ones, or those that TEST_DATABASE_URL and TEST_REDIS_URL name.

Only what asks for a fixture waits for its server: unit tests start nothing.
"""

import logging
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import structlog
from redis.asyncio import Redis

from app.core.clock import SystemClock
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from app.store.migrations import upgrade
from tests.folders import server_folder
from tests.processes import all_gone, living_children

_UNSAFE = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"}
"""Commits are synchronous as in production, but the disk is not waited for."""


_WAITS_LONGEST_FIRST = ("chaos", "integration", "contract", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for a minute is begun first: at the end it would hold up a run on several cores by itself."""

    def place(item: pytest.Item) -> int:
        kind = item.path.relative_to(Path(__file__).parent).parts[0]
        return _WAITS_LONGEST_FIRST.index(kind) if kind in _WAITS_LONGEST_FIRST else len(_WAITS_LONGEST_FIRST)

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
async def no_process_is_left() -> AsyncIterator[None]:
    """Fail the session when a child process is still there after every other fixture is gone."""
    yield
    left = await all_gone(living_children(), seconds=5)
    for child in left:
        child.kill()
    assert not left, f"left behind: {[child.cmdline() for child in left]}"


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """The same logging for each test, whatever the one before it has set up.

    With plain tracebacks: drawing one with every local value takes seconds.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )


@pytest.fixture(scope="session")
def server_dir() -> Iterator[Path]:
    """A folder for the session's servers; not below pytest's own, which it closes to the users servers run as."""
    with server_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
async def postgres(server_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    """The session's embedded Postgres."""
    async with EmbeddedPostgres(server_dir / "postgres", settings=_UNSAFE) as server:
        yield server


@pytest.fixture(scope="session")
async def valkey(server_dir: Path) -> AsyncIterator[EmbeddedValkey]:
    """The session's embedded Valkey, which forgets all when it stops."""
    async with EmbeddedValkey(server_dir / "valkey", persistent=False) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """A Postgres on which databases may be created."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given
    server: EmbeddedPostgres = request.getfixturevalue("postgres")
    return server.url


@pytest.fixture(scope="session")
async def database_template(postgres_url: str) -> AsyncIterator[str]:
    """The name of a database at the newest schema, migrated once a session, to be copied."""
    name = f"template_{secrets.token_hex(6)}"
    await _on_server(postgres_url, f"CREATE DATABASE {name}")
    await upgrade(_url_of(postgres_url, name), SystemClock())
    yield name
    await _on_server(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(postgres_url: str, database_template: str) -> AsyncIterator[str]:
    """A database of this test alone, empty and at the newest schema."""
    name = f"test_{secrets.token_hex(6)}"
    await _on_server(postgres_url, f"CREATE DATABASE {name} TEMPLATE {database_template}")
    yield _url_of(postgres_url, name)
    await _on_server(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def redis_server_url(request: pytest.FixtureRequest) -> str:
    """A Redis or Valkey whose whole content belongs to the tests."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        return given
    server: EmbeddedValkey = request.getfixturevalue("valkey")
    return server.url


@pytest.fixture
async def redis_url(redis_server_url: str) -> str:
    """The Redis of the session, emptied for this test."""
    async with Redis.from_url(redis_server_url) as redis:
        await redis.flushall()
    return redis_server_url


async def _on_server(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _url_of(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
