"""Programs as processes of their own, each with all that it starts."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.processes import Process, all_gone


def environment(home: Path, binaries: Path, **more: str) -> dict[str, str]:
    """What a program is given: nothing of ours but the locale, and a home of its own."""
    path = os.pathsep.join((str(binaries), os.environ.get("PATH", "")))
    return {"PATH": path, "HOME": str(home), "LANG": os.environ.get("LANG", "C.UTF-8"), "TZ": "UTC", **more}


async def run_to_end(*command: str, env: Mapping[str, str], log: Path) -> str:
    """What a command says on stdout; fails with all that it said where it fails."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors, env=env
        )
        told, _ = await process.communicate()
    assert process.returncode == 0, told.decode() + _end_of(log)
    return told.decode()


@asynccontextmanager
async def running(
    *command: str, env: Mapping[str, str], log: Path, ready: str, seconds: float = 240
) -> AsyncIterator[None]:
    """A program, from when `ready` answers with a 2xx; ended when left, with all that it started."""
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said, env=env, start_new_session=True
        )
    try:
        async with asyncio.timeout(seconds), httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while not await _answers(client, ready):
                assert process.returncode is None, _end_of(log)
                await asyncio.sleep(0.2)
        yield
    finally:
        await _end(process)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    every = [*Process(process.pid).children(recursive=True)]
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(20):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    for child in await all_gone(every, seconds=5):
        child.kill()
    assert await all_gone(every, seconds=5) == []
