"""Keeping several parts running: what ends by itself is started again, until all is to stop."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from app.children import Child, StopStep
from app.embedded.errors import EmbeddedServerException
from app.restarts import Restarts, spoken

_FIRST_DELAY_SECONDS = 0.5


class Part(Protocol):
    """Something that runs: an embedded server, or a program of this service."""

    @property
    def name(self) -> str:
        """For whoever sits at the terminal."""
        ...

    async def start(self) -> Any:
        """Start it, unless it runs."""
        ...

    async def wait(self) -> int:
        """Wait until it ends by itself; returns the exit status."""
        ...

    async def stop(self) -> None:
        """End it in order; nothing happens when it does not run."""
        ...

    def hurry(self) -> None:
        """Let a `stop` take no more time than it must."""
        ...


class Program:
    """A Python module of this service, as a child process that is killed when its parent dies.

    `mark` stands in its command line as an interpreter option without effect: by it orphans are recognised. What it
    prints goes to our stderr.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], *, environment: Mapping[str, str], mark: str, grace_seconds: float
    ) -> None:
        self._name = name
        self._command = [sys.executable, "-X", f"mark={mark}", "-m", *arguments]
        self._environment = environment
        self._steps = [StopStep(signal.SIGTERM, grace_seconds)]
        self._child: Child | None = None

    @property
    def name(self) -> str:
        """For whoever sits at the terminal."""
        return self._name

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        return None if self._child is None or self._child.exit_status is not None else self._child.pid

    async def start(self) -> None:
        """Start it, unless it runs."""
        if self.pid is None:
            self._child = await Child.start(
                self._command, death_signal=signal.SIGKILL, environment={**os.environ, **self._environment}
            )

    async def wait(self) -> int:
        """Wait until it ends by itself; returns the exit status."""
        assert self._child is not None, f"{self._name} was not started"
        return await self._child.wait()

    async def run(self) -> None:
        """Start it and wait until it is done.

        Raises EmbeddedServerException when it fails.
        """
        try:
            await self.start()
            status = await self.wait()
        finally:
            await self.stop()
        if status != 0:
            raise EmbeddedServerException(f"{self._name} failed with status {status}.")

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after its grace."""
        if self._child is not None:
            await self._child.stop(self._steps)

    def hurry(self) -> None:
        """Kill it."""
        if self._child is not None:
            self._child.send(signal.SIGKILL)


class Supervisor:
    """Starts parts and looks after them. Until `settle` is called, one that ends means that the start failed."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._parts: list[Part] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._settled = False
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, *parts: Part) -> None:
        """Start them at once and wait until all are up.

        Raises what the first one that fails raises.
        """
        self._parts.extend(parts)
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(part.start())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self._watchers.extend(asyncio.create_task(self._keep(part), name=part.name) for part in parts)

    def settle(self) -> None:
        """All are up: from now on, what ends is started again."""
        self._settled = True

    async def failure(self) -> None:
        """Wait until a part ends before all were up.

        Raises EmbeddedServerException that names it.
        """
        await asyncio.shield(self._failure)

    async def stop(self, *groups: Sequence[Part]) -> None:
        """Stop one group after the other, each as a whole; then nothing is started again."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for group in groups:
            await asyncio.gather(*(part.stop() for part in group))

    def hurry(self) -> None:
        """Cut a `stop` under way short: programs are killed, servers shut down at once."""
        for part in self._parts:
            part.hurry()

    async def _keep(self, part: Part) -> None:
        restarts, started_at = Restarts(first_delay_seconds=_FIRST_DELAY_SECONDS), time.monotonic()
        while True:
            outcome = f"ended with {spoken(await part.wait())}"
            if not self._settled:
                if not self._failure.done():
                    self._failure.set_exception(EmbeddedServerException(f"{part.name} {outcome} while starting."))
                    # Whoever waits for it may have gone already.
                    self._failure.exception()
                return
            ran_seconds = time.monotonic() - started_at
            while True:
                delay_seconds = restarts.delay_seconds(ran_seconds)
                self._say(f"{part.name} {outcome}; starting it again in {delay_seconds:g} s.")
                await asyncio.sleep(delay_seconds)
                try:
                    await part.start()
                    break
                except (EmbeddedServerException, OSError) as refused:
                    outcome, ran_seconds = f"did not start ({refused})", 0.0
            started_at = time.monotonic()
