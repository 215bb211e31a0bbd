"""The target of a run: a workflow engine that takes notes, is often slow, and sometimes fails.

How it treats a delivery stands in the delivery's own `variables`, which the callers of a run choose: `mark` names the
definition, `work_ms` how long the work takes, `trouble` how many of a thousand deliveries go wrong, `reports` makes it
report completion by itself.
"""

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Self

import orjson
from aiohttp import web

from tests.chaos.history import Note, Stall

_LOOKS_SECONDS = 0.05
_STALL_SECONDS = 0.2


def now_ms() -> float:
    """This machine's clock."""
    return time.time() * 1000


class Target:
    """An HTTP server on loopback in the test's own loop."""

    def __init__(
        self, rng: random.Random, report: Callable[[str], Coroutine[Any, Any, None]], hang_seconds: float
    ) -> None:
        self.notes: dict[str, list[Note]] = {}
        self.stalls: list[Stall] = []
        self.url = ""
        self.number = 0
        self._rng = rng
        self._report = report
        self._hang_seconds = hang_seconds
        self._reports: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{worker}/api/v1/workflows/{workflow}/execute", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._watching = asyncio.create_task(self._watch_itself())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._runner is not None
        assert self._watching is not None
        await self._runner.cleanup()
        ending = [self._watching, *self._reports]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _watch_itself(self) -> None:
        """Note when this loop stood still: a machine that others share may keep it waiting for seconds."""
        before_ms = now_ms()
        while True:
            await asyncio.sleep(_LOOKS_SECONDS)
            if now_ms() - before_ms > (_LOOKS_SECONDS + _STALL_SECONDS) * 1000:
                self.stalls.append(Stall(before_ms, now_ms()))
            before_ms = now_ms()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        at_ms = now_ms()
        body = orjson.loads(await request.read())
        execution_id, variables = body["execution_id"], body["variables"]
        self.number += 1
        # One object each for the same words: a long run has a million notes.
        worker, mark = sys.intern(request.match_info["worker"]), sys.intern(variables["mark"])
        notes = self.notes.setdefault(execution_id, [])
        place = len(notes)
        notes.append(Note(worker, at_ms, None, None, mark))
        answer = await self._work(execution_id, variables)
        status = None if answer is None else answer.status
        notes[place] = Note(worker, at_ms, now_ms(), status, mark)
        if answer is None:
            # Taken, and the connection breaks before the answer.
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return answer

    async def _work(self, execution_id: str, variables: dict[str, Any]) -> web.Response | None:
        reports = variables.get("reports", "")
        if reports == "before":
            # The report overtakes the answer.
            await self._report(execution_id)
        draw = self._rng.randrange(1000)
        if draw < variables.get("trouble", 0):
            return await self._trouble(draw)
        if work_ms := variables.get("work_ms", 0):
            await asyncio.sleep(work_ms / 1000)
        if reports == "after":
            task = asyncio.create_task(self._report_later(execution_id, self._rng.random()))
            self._reports.add(task)
            task.add_done_callback(self._reports.discard)
        return web.json_response({"success": True}, status=202)

    async def _trouble(self, draw: int) -> web.Response | None:
        if draw % 4 == 0:
            return None
        if draw % 4 == 1 and draw % 8 == 1:
            await asyncio.sleep(self._hang_seconds)
            return None
        return web.Response(status=503, headers={"Retry-After": "1"} if draw % 2 else {})

    async def _report_later(self, execution_id: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(OSError):
            await self._report(execution_id)
