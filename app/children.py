"""A child process that does not outlive its parent, and ends when it is told to: a server of `dev`, or a worker."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

_PR_SET_PDEATHSIG = 1
_STDERR = 2
# Loaded before any fork: the child may do no more than call it.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class User(Protocol):
    """Whom a child runs as."""

    @property
    def uid(self) -> int:
        """The user's number."""
        ...

    @property
    def gid(self) -> int:
        """Its group's number."""
        ...


@dataclass(frozen=True, slots=True)
class StopStep:
    """A signal, and how long a child has to end after it."""

    signal: signal.Signals
    seconds: float


class Child:
    """A running child process, in a session of its own: a terminal's Ctrl-C does not reach it.

    On Linux the kernel sends it `death_signal` when its parent dies, however that happens. The kernel means the thread
    that started the child, so that has to be one that lives as long as the process: the main one.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls,
        arguments: Sequence[str],
        *,
        death_signal: signal.Signals,
        account: User | None = None,
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | int | None = None,
        standard_input: bytes = b"",
    ) -> "Child":
        """Start it as the account (None: as who we are), output and errors to `output` (None: our stderr).

        Raises OSError when the program cannot be run.
        """
        user = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": [account.gid]}
        destination = _STDERR if output is None else output
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE if standard_input else asyncio.subprocess.DEVNULL,
            stdout=destination,
            stderr=destination,
            env=None if environment is None else dict(environment),
            start_new_session=True,
            umask=0o077,
            preexec_fn=_ties_to_parent(os.getpid(), death_signal),
            **user,  # type: ignore[arg-type]
        )
        if process.stdin is not None:
            process.stdin.write(standard_input)
            with contextlib.suppress(ConnectionError):
                await process.stdin.drain()
            process.stdin.close()
        return cls(process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """As `subprocess` has it: negative for a signal; None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end."""
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self, steps: Sequence[StopStep]) -> int:
        """Send each signal in turn until it ends, SIGKILL at last; returns its exit status."""
        for step in steps:
            if self.exit_status is not None:
                break
            self.send(step.signal)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(step.seconds):
                    return await self.wait()
        self.send(signal.SIGKILL)
        return await self.wait()


def _ties_to_parent(parent: int, death_signal: signal.Signals) -> Callable[[], None] | None:
    """What runs in the child between fork and exec, after the change of user, which would undo it."""
    if _libc is None:
        return None
    prctl = _libc.prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, death_signal.value, 0, 0, 0)
        # The parent may have died before that; then nobody would ever send the signal.
        if os.getppid() != parent:
            os._exit(1)

    return tie
