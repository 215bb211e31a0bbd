"""The processes of a run: Postgres and Valkey of its own, workers and an API that reach them through proxies."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Set
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from app.core.clock import SystemClock
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from app.store.preparing import prepare
from app.workers.signals import Point
from tests.chaos.history import Harm, Jump, Suffering
from tests.chaos.proxy import Proxy
from tests.chaos.runner import signal_for
from tests.chaos.target import now_ms
from tests.processes import CHECKOUT

_SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "256MB"}
REQUEST_SECONDS = 3.0
"""How long workers wait for a target's answer."""
SHUTDOWN_SECONDS = 8.0
"""How long they have to end in order."""

# Every process asks Postgres for its clock by this name, and nothing else for the time: a function in front of it on
# the search path is a Postgres whose clock jumps.
_OWN_CLOCK = """
    CREATE SCHEMA jumping;
    CREATE TABLE jumping.ahead (by interval NOT NULL);
    INSERT INTO jumping.ahead VALUES ('0');
    CREATE FUNCTION jumping.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
        AS 'SELECT pg_catalog.clock_timestamp() + by FROM jumping.ahead';
"""


@dataclass(frozen=True, slots=True)
class Exit:
    """A process that ended although nobody had ended it. `status` is negative for a signal, as `subprocess` has it."""

    life: str
    status: int
    lived_seconds: float
    last_words: str


@dataclass
class Slot:
    """A place for a process, its way to the servers, and the life that it leads at present.

    `may_end_with` are the statuses with which this life may end: those of whoever ends it. No other is its own.
    """

    name: str
    postgres: Proxy
    redis: Proxy
    process: Process | None = None
    lives: int = 0
    may_end_with: set[int] = field(default_factory=set)
    errors: list[Path] = field(default_factory=list)

    @property
    def life(self) -> str:
        """Names one process of this place: it stands in the path of all that it delivers."""
        return f"{self.name}.{self.lives}"

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.returncode is None


class Stack:
    """Starts all of it, and ends it; what breaks in between is the faults' part."""

    def __init__(self, folder: Path, *, workers: int = 3) -> None:
        self.postgres = EmbeddedPostgres(folder / "postgres", settings=_SETTINGS)
        self.valkey = EmbeddedValkey(folder / "valkey", persistent=False)
        self.target_url = ""
        self.api_port = free_port()
        self.sufferings: list[Suffering] = []
        self.jumps: list[Jump] = []
        self.exits: list[Exit] = []
        self.workers: list[Slot] = []
        self.api: Slot
        self._folder = folder
        self._number = workers
        self._watching: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()

    @property
    def api_url(self) -> str:
        """Where callers go."""
        return f"http://127.0.0.1:{self.api_port}/api/v1"

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(
                self._stack.enter_async_context(self.postgres), self._stack.enter_async_context(self.valkey)
            )
            await prepare(self.postgres.url, SystemClock())
            await self.execute(_OWN_CLOCK)
            await self.execute("ALTER DATABASE schedule_service SET search_path = jumping, pg_catalog, public")
            self.workers = [await self._slot(f"w{number}") for number in range(self._number)]
            self.api = await self._slot("api")
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for slot in (*self.workers, self.api):
            await self.kill(slot)
        await asyncio.gather(*self._watching)
        await self._stack.aclose()

    async def _slot(self, name: str) -> Slot:
        postgres = await self._stack.enter_async_context(Proxy(self.postgres.port))
        redis = await self._stack.enter_async_context(Proxy(self.valkey.port))
        return Slot(name, postgres, redis)

    # Processes

    async def start(self, slot: Slot) -> None:
        """A new life in this place."""
        slot.lives += 1
        slot.may_end_with = set()
        environment = {
            **os.environ,
            "DATABASE_URL": through(self.postgres.url, slot.postgres),
            "REDIS_URL": through(self.valkey.url, slot.redis),
            "LOG_LEVEL": "WARNING",
            "DATABASE_POOL_SIZE": "8",
            "WORKFLOW_ENGINE_URL": f"{self.target_url}/{slot.life}",
            "TRIGGER_REQUEST_TIMEOUT_SECONDS": str(REQUEST_SECONDS),
            "SHUTDOWN_GRACE_SECONDS": str(SHUTDOWN_SECONDS),
            "AUTH_MODE": "none",
        }
        errors = self._folder / f"{slot.life}.log"
        slot.errors.append(errors)
        arguments = ["app.cli", "api", "--port", str(self.api_port)] if slot is self.api else ["tests.chaos.runner"]
        with errors.open("wb") as file:
            slot.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *arguments, stdout=file, stderr=file, cwd=CHECKOUT, env=environment
            )
        # Whatever it meets and whoever starts the next one: an end that nobody asked for is noted.
        watching = asyncio.create_task(self._watch(slot.life, slot.process, slot.may_end_with, errors))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)

    async def _watch(self, life: str, process: Process, may_end_with: Set[int], errors: Path) -> None:
        started_ms = now_ms()
        status = await process.wait()
        if status not in may_end_with:
            self.exits.append(Exit(life, status, (now_ms() - started_ms) / 1000, _last_line(errors)))

    def send(self, slot: Slot, number: int) -> None:
        """Send its process a signal, which may be its end: one that is still starting has no handler yet.

        Nothing happens to one that is gone; that it is was noted.
        """
        assert slot.process is not None
        if number not in (signal.SIGSTOP, signal.SIGCONT):
            slot.may_end_with.add(-number)
        with contextlib.suppress(ProcessLookupError):
            slot.process.send_signal(number)

    def arm(self, slot: Slot, point: Point) -> None:
        """Have its process kill itself when it next passes a point."""
        slot.may_end_with.add(-signal.SIGKILL)
        self.send(slot, signal_for(point))

    async def kill(self, slot: Slot) -> None:
        """SIGKILL, and wait for the end."""
        if slot.process is not None and slot.running:
            self.suffer(slot, Harm.KILLED)
            self.send(slot, signal.SIGKILL)
            await slot.process.wait()

    def suffer(self, slot: Slot, harm: Harm, from_ms: float | None = None, until_ms: float | None = None) -> None:
        """Note a harm, from now on where nothing else is said."""
        self.sufferings.append(Suffering(slot.life, harm, now_ms() if from_ms is None else from_ms, until_ms))

    async def stop(self, slot: Slot, *, seconds: float = 20) -> int:
        """SIGTERM, and wait for the end; answers the exit status."""
        assert slot.process is not None
        slot.may_end_with.add(0)
        self.send(slot, signal.SIGTERM)
        async with asyncio.timeout(seconds):
            return await slot.process.wait()

    # Postgres, past the proxies

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of an operator at psql."""
        # One who may write where the service may not, as in a test that makes a replica of it.
        writes = {"default_transaction_read_only": "off"}
        return await asyncpg.connect(self.postgres.url, timeout=5, server_settings=writes)

    async def execute(self, statements: str) -> None:
        """Do something once, on a connection of its own."""
        connection = await self.connect()
        try:
            await connection.execute(statements)
        finally:
            await connection.close()

    @property
    def ahead_ms(self) -> float:
        """How far Postgres's clock is ahead of this machine's."""
        return self.jumps[-1].ahead_ms if self.jumps else 0.0

    async def jump(self, seconds: float) -> None:
        """Have Postgres's clock jump, ahead or back."""
        ahead_ms = self.ahead_ms + seconds * 1000
        jump = f"UPDATE jumping.ahead SET by = make_interval(secs => {ahead_ms / 1000})"
        if seconds > 0:
            # Noted first: a process may know it before the answer is here.
            self.jumps.append(Jump(now_ms(), ahead_ms))
            await self.execute(jump)
        else:
            await self.execute(jump)
            self.jumps.append(Jump(now_ms(), ahead_ms))

    def trouble_said(self) -> list[str]:
        """Errors that no process expected: whatever is broken around it, it has a line of its own for that."""
        said = []
        for slot in (*self.workers, self.api):
            for errors in slot.errors:
                said += [
                    f"{errors.name}: {line[:600]}"
                    for line in errors.read_text(errors="replace").splitlines()
                    if '"exception":"Traceback' in line and '"event":"library_log"' not in line
                ]
        return said


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()
    return lines[-1][:600] if lines else ""


def through(url: str, proxy: Proxy) -> str:
    """The same server behind a proxy."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{proxy.port}"))
