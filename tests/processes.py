"""Processes of the tests that do not belong to the test process: started, watched, and seen to be gone."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import psutil

Process = psutil.Process
NoSuchProcess = psutil.NoSuchProcess

CHECKOUT = Path(__file__).parents[1]


def is_gone(process: Process) -> bool:
    """Whether it has ended; one that init has not collected yet counts as ended."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def all_gone(processes: Sequence[Process], *, seconds: float = 10) -> list[Process]:
    """Wait until all have ended; returns those that have not after that time."""
    try:
        async with asyncio.timeout(seconds):
            # They are not our children: nobody tells us.
            while not all(is_gone(process) for process in processes):
                await asyncio.sleep(0.02)
    except TimeoutError:
        pass
    return [process for process in processes if not is_gone(process)]


def living_children() -> list[Process]:
    """The children of this process, and theirs, that have not ended."""
    return [child for child in Process().children(recursive=True) if not is_gone(child)]


class Script:
    """A Python program in a process of its own that prints lines, and whose stderr goes to a file."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path) -> None:
        self.process = process
        self.errors = errors

    @classmethod
    async def start(cls, *arguments: str, errors: Path, **environment: str) -> "Script":
        """`python *arguments`, in the checkout."""
        with errors.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=file,
                cwd=CHECKOUT,
                env={**os.environ, **environment},
            )
        return cls(process, errors)

    async def line(self, *, seconds: float = 60) -> str:
        """The next line of its stdout; fails with what it said on stderr when there is none."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            line = await self.process.stdout.readline()
        assert line, self.errors.read_text()
        return line.decode().rstrip("\n")

    async def until_ready(self, url: str, *, seconds: float = 60) -> None:
        """Wait until its `/readyz` says yes; fails with what it said on stderr when it has ended."""
        async with asyncio.timeout(seconds), httpx.AsyncClient() as client:
            while not await _says_yes(client, f"{url}/readyz"):
                assert self.process.returncode is None, self.errors.read_text()
                await asyncio.sleep(0.05)

    def descendants(self) -> list[Process]:
        """Its children, and theirs."""
        found: list[Process] = Process(self.process.pid).children(recursive=True)
        return found

    async def end(self, number: signal.Signals = signal.SIGKILL, *, seconds: float = 30) -> int:
        """Send it a signal and wait for its end; returns its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(seconds):
            return await self.process.wait()


async def _says_yes(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False
