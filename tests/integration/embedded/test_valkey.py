"""The embedded Valkey."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from app.embedded.errors import DataDirInUseException, EmbeddedServerException
from app.embedded.valkey import EmbeddedValkey
from tests.processes import Process


@pytest.fixture
def data_dir() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="schedule-service-test-")).resolve()
    yield made / "valkey"
    shutil.rmtree(made, ignore_errors=True)


async def test_keys_are_kept_over_stop_and_start(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir) as server, Redis.from_url(server.url) as redis:
        await redis.set("note", "kept")
    async with EmbeddedValkey(data_dir) as server, Redis.from_url(server.url) as redis:
        assert await redis.get("note") == b"kept"


async def test_a_kill_loses_nothing_that_reached_the_file_and_the_url_stays(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir) as server:
        async with Redis.from_url(server.url) as redis:
            await redis.set("note", "kept")
            assert await redis.waitaof(1, 0, 5000) == [1, 0]
        url = server.url
        await server.kill()
        assert not server.is_running
        await server.start()
        assert server.url == url
        async with Redis.from_url(server.url) as redis:
            assert await redis.get("note") == b"kept"


async def test_without_persistence_it_forgets(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir, persistent=False) as server:
        async with Redis.from_url(server.url) as redis:
            await redis.set("note", "lost")
        await server.restart()
        async with Redis.from_url(server.url) as redis:
            assert await redis.get("note") is None


async def test_it_never_evicts_and_flushes_its_file_every_second(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir) as server, Redis.from_url(server.url, decode_responses=True) as redis:
        shown = await redis.config_get("maxmemory-policy", "appendonly", "appendfsync", "bind")
    assert shown == {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "bind": "127.0.0.1",
    }


async def test_strangers_of_the_same_machine_are_kept_out(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir) as server:
        async with Redis.from_url(server.url.replace(server.password, "guess")) as redis:
            with pytest.raises(AuthenticationError):
                await redis.ping()
        process = Process(server.pid)
        assert not any(server.password in part for part in process.cmdline())
        assert 0 not in process.uids()
        assert stat.S_IMODE(server.home.stat().st_mode) == 0o700


async def test_a_folder_in_use_is_refused_with_its_holder(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir):
        with pytest.raises(DataDirInUseException, match=f"{data_dir} is in use by process {os.getpid()}"):
            await EmbeddedValkey(data_dir).start()


async def test_a_failed_start_shows_what_the_server_said(data_dir: Path) -> None:
    with pytest.raises(EmbeddedServerException, match="maxmemory-policy"):
        await EmbeddedValkey(data_dir, settings={"maxmemory-policy": "perhaps"}).start()
