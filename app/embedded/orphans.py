"""Servers that outlived the process that started them: found by the mark in their command line, and ended.

On Linux there are hardly any, since children die with their parent. There are elsewhere, and a Postgres backend that
is busy computing does not notice for a long time that its postmaster was killed.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_POLL_SECONDS = 0.02
_GRACE_SECONDS = 5.0


def find_orphans(mark: str, uid: int) -> list[int]:
    """The processes of a user that carry a mark, unguessable to others, in their command line."""
    found = _linux_processes() if sys.platform == "linux" else _other_processes()
    own = os.getpid()
    return [pid for pid, owner, command in found if mark in command and owner == uid and pid != own]


async def end_orphans(mark: str, uid: int, gentle: signal.Signals) -> list[int]:
    """End them, by SIGKILL where the gentle signal has no effect within 5 s; returns which there were."""
    pids = find_orphans(mark, uid)
    for number in (gentle, signal.SIGKILL):
        left = find_orphans(mark, uid)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                # They are no children of ours, so there is nothing to wait on but their absence.
                while left := find_orphans(mark, uid):  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_SECONDS)
        if not left:
            break
    return pids


def _linux_processes() -> Iterator[tuple[int, int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        # A process may end while it is looked at.
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if command:
                yield int(entry.name), entry.stat().st_uid, command.decode(errors="replace")


def _other_processes() -> Iterator[tuple[int, int, str]]:
    listing = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,uid=,args="], capture_output=True, check=False)
    for line in listing.stdout.decode(errors="replace").splitlines():
        pid, uid, *command = line.split(maxsplit=2)
        yield int(pid), int(uid), "".join(command)
