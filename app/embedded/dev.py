"""`schedule-service dev`: everything on one machine, nothing to install.

The servers and programs are children in sessions of their own, so a terminal's Ctrl-C reaches this process alone and is
passed on in order. What is printed on stdout is for scripts too: three lines, when all is up.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from app.core.errors import ScheduleServiceException
from app.embedded.errors import EmbeddedServerException, PortTakenException
from app.embedded.kept import kept_mark, kept_secret
from app.embedded.lock import DirectoryLock
from app.embedded.orphans import end_orphans
from app.embedded.ports import LOOPBACK, free_port, is_free
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.readiness import api_is_ready, workers_are_up
from app.embedded.server import say_on_stderr
from app.embedded.supervisor import Part, Program, Supervisor
from app.embedded.valkey import EmbeddedValkey

_START_SECONDS = 120.0
_DEFAULT_GRACE_SECONDS = 35.0
_GRACE_MARGIN_SECONDS = 5.0


def run_dev(*, data_dir: Path, host: str, port: int, engine_port: int, workers: int) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP; returns the exit status: 0, or 1 when it could not start.

    A second signal ends it at once. Why it could not start is said on stderr.
    """
    try:
        return asyncio.run(_run(data_dir.absolute(), host, port, engine_port, workers))
    except ScheduleServiceException as refused:
        say_on_stderr(f"schedule-service: {refused.detail}")
        return 1


async def _run(data_dir: Path, host: str, port: int, engine_port: int, workers: int) -> int:
    return await _Dev(data_dir, host, port, engine_port, workers).run()


class _Dev:
    """One run of `dev`."""

    def __init__(self, data_dir: Path, host: str, port: int, engine_port: int, workers: int) -> None:
        self._data_dir = data_dir
        self._host = host
        self._port = port or free_port()
        self._engine_port = engine_port
        self._worker_count = workers
        self._lock: DirectoryLock | None = None
        self._stopping = asyncio.Event()
        self._supervisor = Supervisor(say_on_stderr)
        # In the order of their start; the last ones stop first.
        self._groups: list[list[Part]] = []

    async def run(self) -> int:
        """Start, say so, wait for a signal, stop; returns the exit status.

        Raises EmbeddedServerException when it cannot start, after what did start was stopped.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        starting = asyncio.create_task(self._start())
        failing = asyncio.create_task(self._supervisor.failure())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({starting, failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping not in done:
                for task in done:
                    await task
                await stopping
        finally:
            for task in (starting, failing, stopping):
                task.cancel()
            await asyncio.gather(starting, failing, stopping, return_exceptions=True)
            await self._supervisor.stop(*reversed(self._groups))
            if self._lock is not None:
                self._lock.release()
        return 0

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._supervisor.hurry()
        else:
            say_on_stderr("Stopping; a second signal stops at once.")
            self._stopping.set()

    async def _start(self) -> None:
        mark = self._take_folder()
        for pid in await end_orphans(mark, os.geteuid(), signal.SIGTERM):
            say_on_stderr(f"Ended process {pid}, left behind by a dev that was killed.")
        self._check_ports()
        environment = await self._start_servers(mark)
        await self._program("migrate", ["app.cli", "migrate"], environment, mark).run()
        api = self._program(
            "API", ["app.cli", "api", "--host", self._host, "--port", str(self._port)], environment, mark
        )
        workers = [
            self._program(f"Worker {number}", ["app.cli", "worker"], environment, mark)
            for number in range(1, self._worker_count + 1)
        ]
        self._groups.append([api, *workers])
        await self._supervisor.start(api, *workers)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await api_is_ready(self._url(self._host, self._port))
                await workers_are_up(environment["DATABASE_URL"], [w.pid for w in workers if w.pid])
        except TimeoutError:
            raise EmbeddedServerException(f"Not ready within {_START_SECONDS:g} s; what was logged says why.") from None
        self._supervisor.settle()
        _print_line(f"API {self._url(self._host, self._port)}")
        _print_line(f"Engine {environment['WORKFLOW_ENGINE_URL']}")
        _print_line("Ready")

    def _take_folder(self) -> str:
        """Make it ours; returns the mark by which its processes are recognised."""
        try:
            # Root's is open to search, for the user that the servers run as.
            self._data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            self._data_dir = self._data_dir.resolve()
            lock = DirectoryLock(self._data_dir)
            lock.acquire()
            self._lock = lock
            return kept_mark(self._data_dir / "mark")
        except OSError as refused:
            raise EmbeddedServerException(f"Cannot use the folder {self._data_dir}: {refused.strerror}.") from None

    def _check_ports(self) -> None:
        wanted = [(self._host, self._port, "--port")]
        if self._engine_port and not os.environ.get("WORKFLOW_ENGINE_URL"):
            wanted.append((LOOPBACK, self._engine_port, "--engine-port"))
        for host, port, option in wanted:
            try:
                free = is_free(host, port)
            except (OSError, UnicodeError) as refused:
                why = refused.strerror if isinstance(refused, OSError) else refused
                raise EmbeddedServerException(f"Cannot listen on {host} port {port}: {why}.") from None
            if not free:
                raise PortTakenException(
                    f"Port {port} on {host} is taken: stop what listens there, or choose another with {option}."
                )

    async def _start_servers(self, mark: str) -> dict[str, str]:
        """What the environment does not name already; returns the environment of the programs."""
        given = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL", "WORKFLOW_ENGINE_URL")}
        postgres = EmbeddedPostgres(self._data_dir / "postgres")
        valkey = EmbeddedValkey(self._data_dir / "valkey")
        engine_port = self._engine_port or free_port()
        engine = self._program(
            "Engine", ["app.embedded.engine", "--host", LOOPBACK, "--port", str(engine_port)], {}, mark
        )
        parts: dict[str, Part] = {"DATABASE_URL": postgres, "REDIS_URL": valkey, "WORKFLOW_ENGINE_URL": engine}
        self._groups = [[part] for name, part in parts.items() if not given[name]]
        await self._supervisor.start(*(part for group in self._groups for part in group))
        return {
            "DATABASE_URL": given["DATABASE_URL"] or postgres.url,
            "REDIS_URL": given["REDIS_URL"] or valkey.url,
            "WORKFLOW_ENGINE_URL": given["WORKFLOW_ENGINE_URL"] or self._url(LOOPBACK, engine_port),
            "PUBLIC_URL": os.environ.get("PUBLIC_URL") or self._url(self._host, self._port),
            "SECRET_KEY": os.environ.get("SECRET_KEY") or kept_secret(self._data_dir / "secret-key"),
            "AUTH_MODE": os.environ.get("AUTH_MODE") or "none",
            "LOG_FORMAT": os.environ.get("LOG_FORMAT") or "text",
        }

    def _program(self, name: str, arguments: list[str], environment: Mapping[str, str], mark: str) -> Program:
        return Program(name, arguments, environment=environment, mark=mark, grace_seconds=_grace_seconds())

    def _url(self, host: str, port: int) -> str:
        # A wildcard is no address to connect to.
        reachable = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104
        return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _grace_seconds() -> float:
    """A little more than the programs give themselves, so that they can still say what they left."""
    try:
        return float(os.environ.get("SHUTDOWN_GRACE_SECONDS") or _DEFAULT_GRACE_SECONDS) + _GRACE_MARGIN_SECONDS
    except ValueError:
        return _DEFAULT_GRACE_SECONDS


def _print_line(line: str) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
