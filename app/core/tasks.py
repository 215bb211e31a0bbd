"""Ending tasks for certain."""

import asyncio
from typing import Any

_AGAIN_SECONDS = 1.0


async def end(*tasks: "asyncio.Task[Any]") -> list[BaseException]:
    """Cancel tasks until each has ended. Returns what those raised that did not end by it.

    Once is not always enough: until Python 3.12 `asyncio.wait_for` loses a cancellation that comes in the instant of
    its answer (CPython issue 86296), and whatever library awaits with it then goes on as if nothing had been said. A
    task that runs for ever would be waited for as long.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)
    return [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]


async def end_at(event: asyncio.Event, task: "asyncio.Task[Any]") -> list[BaseException]:
    """Wait for the end of a task; the event ends it before. Returns what it raised, as `end` does."""
    coming = asyncio.create_task(event.wait())
    await asyncio.wait((task, coming), return_when=asyncio.FIRST_COMPLETED)
    return await end(task, coming)
