"""`worker --processes N`: a parent that starts N worker processes, and looks after them.

Each is a whole worker, a program of its own that was started and not forked, with its own connections and its own row
in `workers`. The parent passes signals on, starts again who ended by itself, and serves one `/metrics` for all of them.
When the parent is killed, the kernel kills them with it (on Linux): no worker is left that nobody looks after.
"""

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import structlog

from app.children import Child
from app.core.clock import Clock
from app.listening import EVERY_INTERFACE, bound
from app.metrics import ParentMetrics
from app.restarts import Restarts, spoken
from app.settings import Settings
from app.workers.gathering import Gathering

_AFTER_FAILURE_SECONDS = 10.0
_READY_POLL_SECONDS = 0.1
_START_SECONDS = 120.0
"""How long one may take to claim: it waits a minute for Postgres by itself."""
_LIVE_POLL_SECONDS = 10.0
_SILENT_POLLS = 3
_GRACE_MARGIN_SECONDS = 5.0
"""What a worker may take beyond its grace, to settle and to leave, before it is killed."""

log = structlog.get_logger()


async def run_processes(settings: Settings, clock: Clock, *, processes: int, metrics_port: int = 0) -> int:
    """Run worker processes until SIGTERM or SIGINT; a second one is passed on too. Returns the exit status.

    That is 0 when every process ended in order, and 1 when one had to be killed or could not start: one that ends
    by itself before it was ready for the first time ends them all, so that a wrong setting is seen as it is with one
    process. One that was killed is started again.

    Raises ConfigurationException where a setting is missing, or the port is taken.
    """
    settings.need("database_url", "redis_url", "workflow_engine_url")
    sockets = bound(EVERY_INTERFACE, metrics_port) if metrics_port else []
    folder = Path(tempfile.mkdtemp(prefix="schedule-service-"))
    try:
        return await _Processes(settings, clock, folder, processes, sockets).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Processes:
    """One parent and its processes, numbered from 1."""

    def __init__(
        self, settings: Settings, clock: Clock, folder: Path, count: int, sockets: list[socket.socket]
    ) -> None:
        self._metrics_token = settings.metrics_token
        self._grace_seconds = settings.shutdown_grace_seconds + _GRACE_MARGIN_SECONDS
        self._clock = clock
        self._sockets = {number: folder / f"{number}.sock" for number in range(1, count + 1)}
        self._metrics = ParentMetrics()
        self._gathering = Gathering(self._sockets, self._metrics, self._stopping)
        self._listening = sockets
        self._children: dict[int, Child] = {}
        self._stopped = asyncio.Event()
        self._failed = False

    def _stopping(self) -> bool:
        return self._stopped.is_set()

    async def run(self) -> int:
        """Until a signal, or until one cannot start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        serving = None
        if self._listening:
            server = self._gathering.server(self._metrics_token)
            serving = asyncio.create_task(server.serve(sockets=self._listening), name="http")
        keepers = [asyncio.create_task(self._keep(number), name=f"process-{number}") for number in self._sockets]
        await self._stopped.wait()
        # Whatever ends now is not started again; whoever is just being started is stopped too.
        await asyncio.gather(*keepers, return_exceptions=True)
        if serving is not None:
            server.finish()
            await serving
        await self._gathering.close()
        return int(self._failed)

    def _on_signal(self) -> None:
        self._stopped.set()
        for child in self._children.values():
            child.send(signal.SIGTERM)

    async def _keep(self, number: int) -> None:
        """Look after one process until all are to stop, whatever comes up."""
        while not self._stopped.is_set():
            try:
                await self._run(number)
            except Exception:
                log.exception("worker_process_lost", category="ERROR", process=number)
                self._metrics.restarts.inc()
                child = self._children.get(number)
                if child is not None and child.exit_status is None:
                    child.send(signal.SIGKILL)
                    await child.wait()
                await self._pause(_AFTER_FAILURE_SECONDS)

    async def _run(self, number: int) -> None:
        """Run one process, again and again until all are to stop."""
        restarts, was_ready = Restarts(), False
        while not self._stopped.is_set():
            started_at = self._clock.monotonic()
            refuses = True
            try:
                child = await self._start(number)
            except OSError as refused:
                outcome = f"did not start: {refused}"
            else:
                was_ready = await self._ready_or_ended(number, child) or was_ready
                status = await self._ended(number, child)
                outcome = spoken(status)
                # It said that it cannot start. One that was killed may do so the next time.
                refuses = status > 0
                if self._stopped.is_set():
                    # By the signal itself, where that came before it listened to it: nothing was claimed yet.
                    self._failed |= status not in (0, -signal.SIGTERM)
                    return
            if refuses and not was_ready:
                log.error("worker_process_failed", category="ERROR", process=number, outcome=outcome)
                self._failed = True
                self._on_signal()
                return
            delay_seconds = restarts.delay_seconds(self._clock.monotonic() - started_at)
            self._metrics.restarts.inc()
            log.error(
                "worker_process_ended", category="ERROR", process=number, outcome=outcome, again_seconds=delay_seconds
            )
            await self._pause(delay_seconds)

    async def _start(self, number: int) -> Child:
        path = self._sockets[number]
        path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "app.cli", "worker", "--metrics-socket", str(path)]
        child = self._children[number] = await Child.start(command, death_signal=signal.SIGKILL)
        log.info("worker_process_started", category="SYSTEM", process=number, pid=child.pid)
        if self._stopped.is_set():
            # The signal came while it was being started.
            child.send(signal.SIGTERM)
        return child

    async def _ready_or_ended(self, number: int, child: Child) -> bool:
        until = self._clock.monotonic() + _START_SECONDS
        while child.exit_status is None and not self._stopped.is_set():
            if await self._gathering.ready(number):
                return True
            if self._clock.monotonic() > until:
                log.error("worker_process_silent", category="ERROR", process=number, pid=child.pid)
                child.send(signal.SIGKILL)
                return False
            await self._clock.sleep(_READY_POLL_SECONDS)
        return False

    async def _ended(self, number: int, child: Child) -> int:
        """The exit status, once it ends.

        It is killed where it takes too long after it was told to, and where it has said nothing for half a minute.
        """
        waiting = asyncio.create_task(child.wait(), name="wait")
        stopping = asyncio.create_task(self._stopped.wait(), name="stopping")
        silent = 0
        while not (waiting.done() or stopping.done()):
            await asyncio.wait((waiting, stopping), timeout=_LIVE_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            silent = 0 if waiting.done() or await self._gathering.lives(number) else silent + 1
            if silent == _SILENT_POLLS:
                log.error("worker_process_silent", category="ERROR", process=number, pid=child.pid)
                child.send(signal.SIGKILL)
        stopping.cancel()
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(waiting), None if waiting.done() else self._grace_seconds)
        log.error("worker_process_killed", category="ERROR", pid=child.pid, grace_seconds=self._grace_seconds)
        child.send(signal.SIGKILL)
        return await waiting

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
