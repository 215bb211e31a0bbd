"""Asking why a schedule fired, or did not, and what an answer holds."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.core.explaining import Explanation, FactKind, Overview, Verdict
from app.core.principal import Principal, Role
from app.core.queries import Answer
from app.core.schedule import Definition, Schedule
from app.metrics import Metrics
from app.service.calendars import CalendarService
from app.service.explaining import ExplainingService
from app.workers.loop import Worker
from tests.integration.workers.rig import Rig
from tests.integration.workers.stages import look_and_send

ANNA = Principal(community_id=1, user="anna", role=Role.ADMIN)
BOB = replace(ANNA, user="bob")
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Asking:
    """A rig, and the service that explains what happens on it."""

    rig: Rig
    service: ExplainingService
    calendars: CalendarService

    @classmethod
    def on(cls, rig: Rig) -> "Asking":
        """The services over a rig's servers and clock; executions are kept for 30 days."""
        return cls(
            rig,
            ExplainingService(rig.database, rig.clock, execution_days=30),
            CalendarService(rig.database, rig.wheel, rig.clock, Metrics()),
        )

    async def create(self, definition: Definition) -> Schedule:
        """A schedule of Anna's."""
        created: list[Schedule] = []

        def keep(schedule: Schedule) -> Answer:
            created.append(schedule)
            return Answer(201, {}, b"")

        await self.rig.schedules.create(ANNA, definition, answer=keep, idempotency=None)
        return created[-1]

    async def change(self, schedule: Schedule, definition: Definition) -> None:
        """Replace a schedule's definition, as Anna."""
        await self.rig.schedules.change(ANNA, schedule.schedule_id, lambda _: definition, expected_revision=None)

    async def fire(self, worker: Worker, at: datetime) -> None:
        """Let an instant come, and have the worker record and deliver what is due then."""
        self.rig.clock.move_to(at)
        await worker.keepers.window.run_once()
        await look_and_send(self.rig, worker)

    async def at(self, schedule: Schedule, at: datetime) -> Explanation:
        """Why it fired at an instant, or did not."""
        found, _ = await self.service.at(ANNA, schedule.schedule_id, at)
        return found

    async def between(self, schedule: Schedule, start: datetime, end: datetime) -> Overview:
        """The same within a time span."""
        found, _ = await self.service.between(ANNA, schedule.schedule_id, start, end)
        return found

    async def verdicts(self, schedule: Schedule, instants: Iterable[datetime]) -> list[Verdict]:
        """The verdicts alone."""
        return [(await self.at(schedule, at)).verdict for at in instants]


def no_answer(_result: object) -> Answer:
    """An answer that nobody reads."""
    return Answer(202, {}, b"")


def kinds(found: Explanation) -> set[FactKind]:
    """What the facts are about."""
    return {fact.kind for fact in found.facts}


def data_of(found: Explanation, kind: FactKind) -> dict[str, Any]:
    """The data of the first fact of that kind."""
    return dict(next(fact.data for fact in found.facts if fact.kind is kind))


def utc(text: str) -> datetime:
    """An instant, written without its offset."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
