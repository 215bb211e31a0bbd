"""The target of every delivery: answers as a step says, and checks what it is sent against the rows."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from aiohttp import web

from app.core.assignment import Assignment
from app.core.clock import to_ms, utc
from tests.clocks import ManualClock
from tests.integration.workers.life.book import Book
from tests.integration.workers.life.seen import Seen
from tests.receiver import Received

Attempt = tuple[UUID, int]
"""An execution, and the number of an attempt of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An attempt that was answered and is not settled yet; `sent_at` in milliseconds since the epoch."""

    assignment: Assignment
    status_code: int
    sent_at_ms: int


@dataclass(slots=True)
class Sending:
    """What a worker sends in one step: the attempts it may make, how each is answered, and what happens meanwhile."""

    attempts: Mapping[Attempt, Assignment]
    status_codes: Mapping[Attempt, int]
    meanwhile: Callable[[UUID], Awaitable[None]]
    answered: list[Outcome]


class Target:
    """Reads each request as a distrustful target would. What is wrong is raised by `check`, in the test's own task."""

    def __init__(self, clock: ManualClock, books: Mapping[UUID, Book], seen: Callable[[], Seen]) -> None:
        self.sending: Sending | None = None
        self.overrides: dict[UUID, dict[str, Any]] = {}
        self.received: set[UUID] = set()
        self._clock = clock
        self._books = books
        self._seen = seen
        self._bodies: dict[UUID, dict[str, Any]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._wrong: list[str] = []

    async def answer(self, received: Received) -> web.Response:
        """The behaviour of a `Receiver`."""
        try:
            async with self._one_at_a_time:
                return web.Response(status=await self._take(received))
        except Exception:
            self._wrong.append(traceback.format_exc())
            return web.Response(status=500)

    def check(self) -> None:
        """Raise what was wrong with anything received."""
        assert not self._wrong, "\n".join(self._wrong)

    async def _take(self, received: Received) -> int:
        body = received.json
        execution_id, attempt = UUID(received.headers["Idempotency-Key"]), body["attempt"]
        assert self.sending is not None, "nobody was asked to send"
        assert (execution_id, attempt) in self.sending.attempts, "sent by one who never had it, or twice"
        self._compare(execution_id, body)
        self.received.add(execution_id)
        assignment = self.sending.attempts[execution_id, attempt]
        status_code = self.sending.status_codes[execution_id, attempt]
        await self.sending.meanwhile(execution_id)
        self.sending.answered.append(Outcome(assignment, status_code, self._clock.now_ms()))
        return status_code

    def _compare(self, execution_id: UUID, body: dict[str, Any]) -> None:
        run = self._seen().runs[execution_id]
        assert self._clock.now_ms() >= to_ms(run.due_at), "sent before it was due"
        book = self._books[run.schedule_id]
        context = self.overrides.get(execution_id, dict(book.revisions[run.revision].context_data))
        assert body["variables"].items() >= context.items(), "sent with another definition"
        assert (body["execution_id"], body["schedule_id"]) == (str(execution_id), str(run.schedule_id))
        assert (body["scheduled_for"], body["trigger"]) == (utc(run.scheduled_for), run.trigger)
        assert body["coalesced_count"] == run.count
        assert body["timezone"] == book.revisions[run.revision].timezone
        # The same at every attempt, but for what tells the attempts apart.
        del body["triggered_at"], body["attempt"], body["variables"]["triggered_at"]
        assert orjson.dumps(self._bodies.setdefault(execution_id, body)) == orjson.dumps(body)
