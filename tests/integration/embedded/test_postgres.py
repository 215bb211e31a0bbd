"""The embedded Postgres: its life, and every way in which an earlier life may have ended."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.embedded import server as embedded_server
from app.embedded.errors import DataDirInUseException, EmbeddedServerException
from app.embedded.orphans import find_orphans
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres
from tests.processes import Process, Script, all_gone, is_gone

FAST = {"fsync": "off"}


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """One folder for all tests here, since setting up a cluster takes the longest."""
    made = Path(tempfile.mkdtemp(prefix="schedule-service-test-")).resolve()
    yield made / "postgres"
    shutil.rmtree(made, ignore_errors=True)


async def remember(server: EmbeddedPostgres, note: str) -> None:
    connection = await asyncpg.connect(server.url)
    await connection.execute("CREATE TABLE IF NOT EXISTS notes (note text)")
    await connection.execute("INSERT INTO notes VALUES ($1)", note)
    await connection.close()


async def remembered(server: EmbeddedPostgres) -> set[str]:
    connection = await asyncpg.connect(server.url)
    notes = {row[0] for row in await connection.fetch("SELECT note FROM notes")}
    await connection.close()
    return notes


async def answers(server: EmbeddedPostgres) -> bool:
    connection = await asyncpg.connect(server.url)
    answer = await connection.fetchval("SELECT true")
    await connection.close()
    return bool(answer)


async def test_data_is_kept_over_stop_and_start(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        await remember(server, "stopped")
        process = Process(server.pid)
    assert is_gone(process)
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        assert "stopped" in await remembered(server)


async def test_a_restart_keeps_data_and_url(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        await remember(server, "restarted")
        url, pid = server.url, server.pid
        await server.restart()
        assert server.url == url
        assert server.pid != pid
        assert "restarted" in await remembered(server)


async def test_what_was_committed_is_there_after_a_kill(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        await remember(server, "killed")
        url = server.url
        await server.kill()
        assert not server.is_running
        await server.start()
        assert server.url == url
        assert "killed" in await remembered(server)


async def test_a_busy_backend_of_a_killed_postmaster_does_not_keep_the_next_one_from_starting(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        connection, watcher = await asyncpg.connect(server.url), await asyncpg.connect(server.url)
        backend = Process(await connection.fetchval("SELECT pg_backend_pid()"))
        # It computes, and so does not look whether its postmaster lives.
        busy = asyncio.create_task(connection.execute("SELECT count(*) FROM generate_series(1, 1000000000000)"))
        while await watcher.fetchval("SELECT state FROM pg_stat_activity WHERE pid = $1", backend.pid) != "active":
            pass
        watcher.terminate()
        await server.kill()
        assert not is_gone(backend)
        await server.start()
        assert is_gone(backend)
        with pytest.raises((asyncpg.PostgresError, ConnectionError)):
            await busy


async def test_a_folder_in_use_is_refused_with_its_holder(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        with pytest.raises(DataDirInUseException, match=f"{data_dir} is in use by process {os.getpid()}"):
            await EmbeddedPostgres(data_dir).start()
        assert await answers(server)


async def test_a_stale_lock_file_with_a_pid_that_belongs_to_another_now_is_no_obstacle(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        home = server.home
        lock_file = (home / "postmaster.pid").read_text()
    stale = home / "postmaster.pid"
    stale.write_text("\n".join(["1", *lock_file.splitlines()[1:]]) + "\n")
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        assert await answers(server)


async def test_strangers_of_the_same_machine_are_kept_out(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url.replace(server.password, "guess"))
        assert stat.S_IMODE((data_dir / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
        assert not any(server.password in part for part in Process(server.pid).cmdline())
        assert {at.laddr.ip for at in Process(server.pid).net_connections()} == {"127.0.0.1"}


async def test_a_failed_start_shows_the_end_of_the_log_and_gives_the_folder_back(data_dir: Path) -> None:
    with pytest.raises(EmbeddedServerException, match=r'invalid value for parameter "shared_buffers"'):
        await EmbeddedPostgres(data_dir, settings={"shared_buffers": "plenty"}).start()
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        assert await answers(server)


async def test_a_port_taken_in_between_makes_it_choose_another(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        choices = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr(embedded_server, "free_port", lambda: next(choices))
        async with EmbeddedPostgres(data_dir, settings=FAST) as server:
            assert server.port != taken.getsockname()[1]
            assert await answers(server)


async def test_root_steps_down_and_opens_folders_to_search_only(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    said: list[str] = []
    async with EmbeddedPostgres(closed / "postgres", settings=FAST, say=said.append) as server:
        assert (server.account is not None) == (os.geteuid() == 0)
        uid = os.getuid() if server.account is None else server.account.uid
        assert uid != 0
        assert set(Process(server.pid).uids()) == {uid}
        assert stat.S_IMODE(closed.stat().st_mode) == (0o700 if server.account is None else 0o701)
        told = [line for line in said if f"{closed} to search" in line]
        assert len(told) == (0 if server.account is None else 1)


_AS_NORMAL_USER = """
import asyncio, encodings.idna, os, pwd, sys, asyncpg
from pathlib import Path
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey

if os.geteuid() == 0:
    nobody = pwd.getpwnam("nobody")
    os.chown(sys.argv[1], nobody.pw_uid, nobody.pw_gid)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)

async def main():
    async with EmbeddedPostgres(Path(sys.argv[1], "postgres"), settings={"fsync": "off"}) as server:
        async with EmbeddedValkey(Path(sys.argv[1], "valkey")):
            connection = await asyncpg.connect(server.url, ssl=False)
            print(os.geteuid(), server.account, await connection.fetchval("SELECT 6 * 7"), flush=True)
            await connection.close()

asyncio.run(main())
"""


async def test_a_normal_user_just_runs_it_and_root_goes_on_with_it_as_that_user(folder: Path) -> None:
    script = await Script.start("-c", _AS_NORMAL_USER, str(folder), errors=folder / "errors", HOME=str(folder))
    uid, account, answer = (await script.line()).split()
    assert int(uid) != 0
    assert (account, answer) == ("None", "42")
    assert await script.end(signal.SIGCONT) == 0, script.errors.read_text()
    async with EmbeddedPostgres(folder / "postgres", settings=FAST) as server:
        assert Process(server.pid).uids().real == int(uid)


_KILLED_PARENT = """
import asyncio, sys
from pathlib import Path
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey

async def main():
    async with EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"}) as postgres:
        async with EmbeddedValkey(Path(sys.argv[1] + "-valkey")) as valkey:
            print(postgres.mark, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_servers_die_with_a_killed_parent_and_start_again_elsewhere(data_dir: Path, folder: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        await remember(server, "before the kill")
    script = await Script.start("-c", _KILLED_PARENT, str(data_dir), errors=folder / "errors")
    mark = await script.line()
    children = script.descendants()
    assert len(children) > 5
    await script.end()
    assert await all_gone(children) == []
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        assert server.mark == mark
        assert "before the kill" in await remembered(server)


async def test_an_orphan_that_outlived_its_parent_is_ended_before_the_next_start(data_dir: Path) -> None:
    first = EmbeddedPostgres(data_dir, settings=FAST)
    await first.start()
    orphan = Process(first.pid)
    # As after a kill of its parent on a system where children do not die with it: the lock is free, it still runs.
    assert first._lock is not None
    first._lock.release()
    said: list[str] = []
    async with EmbeddedPostgres(data_dir, settings=FAST, say=said.append) as second:
        assert await all_gone([orphan]) == []
        assert any(f"Ended Postgres process {orphan.pid}" in line for line in said)
        assert second.pid != orphan.pid
    await first.stop()
    uid = os.getuid() if first.account is None else first.account.uid
    assert find_orphans(first.mark, uid) == []
