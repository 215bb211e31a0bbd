"""One example: schedules, their callers, two workers and a target, on real servers and a clock moved by hand."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from redis.asyncio import Redis

from app.core.assignment import Assignment
from app.core.errors import InvalidScheduleException, ScheduleNotFoundException, StateForbidsException
from app.core.execution import ExecutionStatus
from app.core.occurrences import BusinessDays
from app.core.principal import Principal, Role
from app.core.queries import Answer
from app.core.schedule import Definition, Schedule
from app.delivery.sender import Sender
from app.delivery.signing import Signer
from app.delivery.transport import Transport
from app.metrics import Metrics
from app.service.calendars import CalendarService
from app.service.executions import ExecutionService
from app.service.schedules import ScheduleService
from app.settings import Settings
from app.store.database import Database
from app.wheel.wheel import Wheel
from app.workers.loop import Worker
from tests.clocks import ManualClock
from tests.integration.calendars import calendar, stored
from tests.integration.workers.life import rules, seen
from tests.integration.workers.life.book import Book
from tests.integration.workers.life.rules import Allowed
from tests.integration.workers.life.seen import Kept, Run, Seen
from tests.integration.workers.life.target import Attempt, Outcome, Target
from tests.integration.workers.life.wanted import CALENDAR, Wanted
from tests.receiver import Receiver

T = TypeVar("T")

CALLER = Principal(community_id=1, user="ada", role=Role.ADMIN)
CLAIM_AHEAD = timedelta(milliseconds=50)
CONCURRENCY = 5
REFUSALS = (StateForbidsException, ScheduleNotFoundException, InvalidScheduleException)
_SETTINGS = Settings(max_concurrent_workflows=CONCURRENCY)
_EMPTIED = (
    "workflow_schedules",
    "executions",
    "schedule_revisions",
    "calendar_uses",
    "calendars",
    "workers",
    "audit_log",
)
_FIRST_DAY = date(2026, 11, 23)


@dataclass(frozen=True, slots=True)
class Servers:
    """What all examples share."""

    database: Database
    redis: Redis
    receiver: Receiver
    transport: Transport


class Crew:
    """A worker, what it has in its hands, and what was answered and is not settled."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.hands: dict[Attempt, Assignment] = {}
        self.answered: list[Outcome] = []


class Life:
    """All that there is in one example."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.database = servers.database
        self.clock = ManualClock()
        self.wheel = Wheel(servers.redis, self.clock, shards=2, window_seconds=3600, claim_ahead_ms=50)
        self.schedules = ScheduleService(self.database, self.wheel, self.clock)
        self.executions = ExecutionService(self.database, self.wheel, self.clock, Metrics())
        self.calendars = CalendarService(self.database, self.wheel, self.clock, Metrics())
        self.books: dict[UUID, Book] = {}
        self.days_off: frozenset[date] = frozenset()
        self.crews: list[Crew] = []
        self.seen = Seen(self.clock.now(), {}, {})
        self.target = Target(self.clock, self.books, lambda: self.seen)
        self.lossy = False
        self.leased_until = self.clock.now()
        self.reported: set[UUID] = set()
        servers.receiver.behaviour = self.target.answer

    async def begin(self, wanted: list[Wanted], days_off: frozenset[int]) -> None:
        """Empty servers, a calendar with these days off, counted from the first one, two workers, and the schedules."""
        self.days_off = frozenset(_FIRST_DAY + timedelta(days=day) for day in days_off)
        async with self.database.transaction() as connection:
            await connection.execute(";".join(f"DELETE FROM {table}" for table in _EMPTIED))
        await self.servers.redis.flushall()
        await stored(self.calendars, CALLER, calendar(CALENDAR, *sorted(day.isoformat() for day in self.days_off)))
        for _ in range(2):
            self.crews.append(await self.hire())
        await self.crews[0].worker.keepers.window.run_once()
        for one in wanted:
            await self.create(one.definition(self.clock.now()))

    async def hire(self) -> Crew:
        """A new worker."""
        sender = Sender(self.servers.transport, Signer([]), self.clock, engine_url=self.servers.receiver.url)
        worker = Worker(_SETTINGS, self.database, self.wheel, sender, self.clock, Metrics())
        await worker.presence.register()
        return Crew(worker)

    async def create(self, definition: Definition) -> None:
        """A new schedule, unless nothing of it is left."""
        created: list[Schedule] = []

        def keep(schedule: Schedule) -> Answer:
            created.append(schedule)
            return Answer(201, {}, b"")

        definition = self.numbered(definition)
        try:
            await self.schedules.create(CALLER, definition, answer=keep, idempotency=None)
        except InvalidScheduleException:
            return
        new = Book(created[0].schedule_id, self.clock.now(), definition, self.days(definition))
        new.revisions[1] = definition
        new.begins(self.clock.now())
        self.books[new.schedule_id] = new
        await self.saw()

    def numbered(self, definition: Definition) -> Definition:
        """A definition whose context says which one it is."""
        number = sum(len(book.revisions) for book in self.books.values())
        return replace(definition, context_data={"number": number})

    def days(self, definition: Definition) -> BusinessDays | None:
        """The days of the calendar, where a definition keeps it."""
        if definition.calendars is None:
            return None
        return BusinessDays.merged(definition.calendars.on_day_off, days_off=[(day, day) for day in self.days_off])

    # What a step needs

    @property
    def now(self) -> datetime:
        """The instant."""
        return self.clock.now()

    def book(self, number: int) -> Book:
        """One of the schedules."""
        return list(self.books.values())[number % len(self.books)]

    def kept(self, book: Book) -> Kept | None:
        """A schedule's row."""
        return self.seen.schedules.get(book.schedule_id)

    def run(self, number: int, *statuses: ExecutionStatus) -> Run | None:
        """One of the runs, of these statuses where there is one."""
        runs = list(self.seen.runs.values())
        chosen = [run for run in runs if run.status in statuses] or runs
        return chosen[number % len(chosen)] if chosen else None

    def reached(self, book: Book) -> datetime:
        """Up to where a schedule's timing counts if it is changed now: what was recorded ahead is not undone."""
        recorded = max((run.scheduled_for for run in self.seen.own(book.schedule_id)), default=self.now)
        assert recorded <= self.now + CLAIM_AHEAD, "recorded far ahead: a new timing would have to wait"
        return max(self.now, recorded)

    async def asked(self, call: Awaitable[T], then: Callable[[], None], may: Allowed = rules.nothing) -> T | None:
        """What a caller asked for, and what it makes of the books. Null where it was refused, and changed nothing."""
        before = self.seen
        try:
            answer = await call
        except REFUSALS:
            async with self.database.connection() as connection:
                after = await seen.look(connection, self.now)
            assert (after.schedules, after.runs) == (before.schedules, before.runs), "refused, and yet it was done"
            return None
        then()
        await self.saw(may)
        return answer

    async def saw(self, may: Allowed = rules.nothing) -> Seen:
        """Look at all rows, and compare them with the books. Returns what was seen before."""
        before = self.seen
        async with self.database.connection() as connection:
            self.seen = await seen.look(connection, self.now)
        rules.always(self.books, before, self.seen)
        rules.only(before, self.seen, may)
        rules.nothing_waits_in_vain(self.books, self.seen)
        return before
