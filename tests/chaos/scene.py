"""A stack with callers and a target around it, and the checker at its end: what a storm and a single fault share."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Self

import asyncpg

from tests.chaos.callers import Callers
from tests.chaos.checker import Circumstances, check_acknowledged, check_schedule
from tests.chaos.history import Verdict
from tests.chaos.reading import read_lives, read_records
from tests.chaos.stack import REQUEST_SECONDS, Slot, Stack
from tests.chaos.target import Target

_AHEAD_SECONDS = 0.6
"""How long before its instant an occurrence may be recorded: half a second, when workers claim from Postgres."""
_CALM_SECONDS = 60.0
_STOP_SECONDS = 30.0
_OVERDUE = "SELECT count(*) FROM workflow_schedules WHERE next_due_at < clock_timestamp() - interval '3 seconds'"
_UNFINISHED = "SELECT count(*) FROM executions WHERE finished_at IS NULL"


class Scene:
    """Everything up and firing; `end` has it calm down and checks. `verdict` collects what went wrong meanwhile."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.stack = Stack(folder)
        self.target = Target(random.Random(f"target-{seed}"), self._report, REQUEST_SECONDS + 2)
        self.callers = Callers(self.stack.api_url, random.Random(f"callers-{seed}"))
        self.verdict = Verdict()
        self._held: dict[str, asyncio.Lock] = {}
        self._supervising: asyncio.Task[None] | None = None
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            for part in (self.stack, self.target, self.callers):
                await self._parts.enter_async_context(part)
            self.stack.target_url = self.target.url
            await asyncio.gather(*(self.stack.start(slot) for slot in self._slots()))
            await self.callers.wait_until_up()
            await self._until("SELECT count(*) >= $1 FROM workers", len(self.stack.workers))
        except BaseException:
            await self._parts.aclose()
            raise
        self._supervising = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._stop_supervising()
        await self._parts.aclose()

    @asynccontextmanager
    async def holding(self, things: Sequence[str]) -> AsyncIterator[None]:
        """Have these things for oneself: no two faults break the same one, and none is started again meanwhile."""
        async with AsyncExitStack() as stack:
            for thing in sorted(things):
                await stack.enter_async_context(self._held.setdefault(thing, asyncio.Lock()))
            # A fault breaks what lives.
            for slot in self._slots():
                if slot.name in things and not slot.running:
                    await self.stack.start(slot)
            yield

    async def end(self) -> Verdict:
        """Let what is overdue catch up, have nothing fire any more, wait until all has ended, and check."""
        # Whatever does not get on is said, and the rest is checked all the same: the verdict of a long run is not lost.
        try:
            await self.callers.wait_until_up()
            await self._none(_OVERDUE, "schedules are overdue, long after everything was mended")
            async with asyncio.timeout(_CALM_SECONDS):
                await self._pause_all()
        except TimeoutError:
            self.verdict.broken("the API or Postgres does not answer, long after everything was mended")
        await self._none(_UNFINISHED, "executions are unfinished, long after everything was mended")
        await self._stop_supervising()
        for slot in self._slots():
            await self._stop(slot)
        for one in self.stack.exits:
            self.verdict.broken(
                f"{one.life} exited by itself after {one.lived_seconds:.1f} s, with {one.status}: {one.last_words}"
            )
        for line in self.stack.trouble_said():
            self.verdict.broken(line)
        await self._check()
        return self.verdict

    async def rows(self, question: str, *arguments: object) -> list[asyncpg.Record]:
        """What Postgres answers, past the proxies."""
        connection = await self.stack.connect()
        try:
            return await connection.fetch(question, *arguments)
        finally:
            await connection.close()

    async def _until(self, question: str, *arguments: object) -> None:
        async with asyncio.timeout(60):
            while not (await self.rows(question, *arguments))[0][0]:
                await asyncio.sleep(0.1)

    async def _pause_all(self) -> None:
        active = await self.rows("SELECT schedule_id FROM workflow_schedules WHERE status = 'active'")
        await self.callers.pause_all([str(row[0]) for row in active])

    async def _none(self, question: str, complaint: str) -> None:
        left = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_CALM_SECONDS):
                while left := (await self.rows(question))[0][0]:
                    await asyncio.sleep(0.2)
        if left:
            self.verdict.broken(f"{left} {complaint}")

    # Processes

    def _slots(self) -> tuple[Slot, ...]:
        return (*self.stack.workers, self.stack.api)

    async def _supervise(self) -> None:
        """Start again what has exited, so that the run goes on; the stack has noted it, and nothing may ever exit."""
        while True:
            await asyncio.sleep(0.2)
            for slot in self._slots():
                held = self._held.setdefault(slot.name, asyncio.Lock())
                if slot.running or held.locked():
                    continue
                async with held:
                    if not slot.running:
                        await self.stack.start(slot)

    async def _stop(self, slot: Slot) -> None:
        try:
            status = await self.stack.stop(slot, seconds=_STOP_SECONDS)
        except TimeoutError:
            self.verdict.broken(f"{slot.life} did not end in {_STOP_SECONDS:.0f} s when it was told to stop")
            return
        if status:
            self.verdict.broken(f"{slot.life} ended with {status} when it was told to stop")

    async def _stop_supervising(self) -> None:
        if self._supervising is None:
            return
        self._supervising.cancel()
        (failed,) = await asyncio.gather(self._supervising, return_exceptions=True)
        self._supervising = None
        if isinstance(failed, Exception):
            raise failed

    async def _report(self, execution_id: str) -> None:
        await self.callers.report(execution_id)

    # The checker

    async def _check(self) -> None:
        for refused in self.callers.acknowledged.refused:
            self.verdict.broken(f"the API answered what it never may: {refused}")
        aheads = [0.0, *(jump.ahead_ms for jump in self.stack.jumps)]
        around = Circumstances(
            sufferings=self.stack.sufferings,
            stalls=self.target.stalls,
            jumps=self.stack.jumps,
            # By two clocks of which one does not know of a jump yet.
            ahead=timedelta(seconds=_AHEAD_SECONDS, milliseconds=max(aheads) - min(aheads)),
            patience_ms=REQUEST_SECONDS * 1000,
        )
        connection = await self.stack.connect()
        try:
            await self._check_all(connection, around)
        finally:
            await connection.close()

    async def _check_all(self, connection: "asyncpg.Connection[asyncpg.Record]", around: Circumstances) -> None:
        notes = self.target.notes
        lives = await read_lives(connection, await connection.fetchval("SELECT clock_timestamp()"))
        seen: set[str] = set()
        async for some in read_records(connection, lives):
            for life, records in some:
                check_schedule(life, records, notes, around, self.verdict)
                seen.update(record.execution_id for record in records)
        for execution_id in notes.keys() - seen:
            self.verdict.broken(f"{execution_id} was delivered and has no record: {notes[execution_id]}")
        check_acknowledged(self.callers.acknowledged, lives, seen, self.verdict)
