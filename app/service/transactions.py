"""A caller's change as one transaction: rows, audit and idempotency together, the wheel only after the commit."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

import structlog

from app.core.audit import AuditAction
from app.core.clock import Clock
from app.core.execution import Execution, Wake
from app.core.principal import NotCaller, Principal
from app.core.queries import Answer, Idempotency
from app.core.schedule import Schedule
from app.store import audit, idempotency
from app.store.audit import Actor, Change
from app.store.database import Connection, Database
from app.store.refusals import refused_values
from app.wheel.entries import Entry, execution_entry, schedule_entry
from app.wheel.wheel import Wheel

T = TypeVar("T")


class _DryRunOver(Exception):
    """Ends a transaction whose work is done and is not to be kept."""


log = structlog.get_logger()


class Work:
    """One transaction under way, and what is to be done once it is committed.

    A transaction that is repeated after a deadlock begins with a new one of these.
    """

    def __init__(self, connection: Connection, actor: Actor, clock: Clock) -> None:
        self.connection = connection
        self.community_id = actor.community_id
        self.user = actor.user
        self.entries: list[Entry] = []
        self.logged: list[tuple[AuditAction, Sequence[Change]]] = []
        self._actor = actor
        self._clock = clock

    def now(self) -> datetime:
        """The current instant. To be asked after the row is locked: waiting for a lock takes time."""
        return self._clock.now()

    def look_at(self, waiting: Schedule | Execution) -> None:
        """Put a schedule or an execution into the wheel after the commit, if it waits for a time.

        Also where its time did not change: a put that another process lost is made good by the next one.
        """
        if isinstance(waiting, Schedule):
            if waiting.next_due_at is not None:
                self.entries.append(schedule_entry(waiting.community_id, waiting.schedule_id, waiting.next_due_at))
        elif waiting.wake_at is not None:
            self.entries.append(execution_entry(waiting.community_id, waiting.execution_id, waiting.wake_at))

    def wake(self, wakes: Sequence[Wake]) -> None:
        """Put executions into the wheel after the commit that were set to be looked at."""
        self.entries += [execution_entry(one.community_id, one.execution_id, one.wake_at) for one in wakes]

    async def audit(self, action: AuditAction, *changes: Change, reason: str | None = None, at: datetime) -> None:
        """Write the audit rows of an action into this transaction, and its log line after the commit."""
        await audit.record(self.connection, self._actor, action, changes, reason=reason, at=at)
        self.logged.append((action, changes))


class Transactions:
    """Runs the work of callers."""

    def __init__(self, database: Database, wheel: Wheel | None, clock: Clock) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock

    async def run(self, actor: Actor, work: Callable[[Work], Awaitable[T]], *, dry_run: bool = False) -> T:
        """Do `work` in one transaction, repeated after a deadlock; then put into the wheel what it asked for.

        A dry run does the same work, and takes it back: what it answers and refuses is what would be answered and
        refused, and nothing is stored, audited, logged or put into the wheel.

        Raises what `work` raises, and StoreUnavailableException; nothing is stored then, save where the connection
        broke at the commit.
        """
        done: list[Work] = []
        values: list[T] = []

        async def attempt(connection: Connection) -> T:
            done[:] = [Work(connection, actor, self._clock)]
            values[:] = [await work(done[0])]
            if dry_run:
                raise _DryRunOver
            return values[0]

        with refused_values():
            try:
                value = await self._database.run(attempt)
            except _DryRunOver:
                return values[0]
        # From here on the change is made. What happens to the process now costs at most the sweep's two seconds.
        if self._wheel is not None:
            await self._wheel.put(done[0].entries)
        for action, changes in done[0].logged:
            _log(actor, action, changes)
        return value

    async def answer(
        self,
        actor: Actor,
        request: Idempotency | None,
        work: Callable[[Work], Awaitable[Answer]],
        *,
        dry_run: bool = False,
    ) -> Answer:
        """Do `work` as `run` does, but only once for an idempotency key: a repeated request gets the first answer.

        Only a success is kept: what is refused leaves no trace of the key. A dry run neither keeps its answer nor gets
        one that was kept.

        Raises IdempotencyKeyReusedException, and what `run` raises.
        """
        if request is None or dry_run:
            return await self.run(actor, work, dry_run=dry_run)
        known = request

        async def once(unit: Work) -> Answer:
            stored = await idempotency.claim(
                unit.connection, unit.community_id, known, now=unit.now(), surely=self._clock.surely()
            )
            if stored is not None:
                return stored
            answer = await work(unit)
            await idempotency.keep(unit.connection, unit.community_id, known, answer)
            return answer

        return await self.run(actor, once)


def by_itself(community_id: int) -> Actor:
    """The service itself, as the audit names it."""
    return Actor(community_id, NotCaller.SERVICE.value, None, None)


def actor_of(principal: Principal) -> Actor:
    """A caller, as the audit names one."""
    return Actor(principal.community_id, principal.user, principal.role.value, principal.request_id)


def _log(actor: Actor, action: AuditAction, changes: Sequence[Change]) -> None:
    ids: dict[str, str | int] = {}
    if len(changes) == 1:
        (change,) = changes
        if change.schedule_id is not None:
            ids["schedule_id"] = str(change.schedule_id)
        if change.execution_id is not None:
            ids["execution_id"] = str(change.execution_id)
        if change.calendar is not None:
            ids["calendar"] = change.calendar
    else:
        # A batch is one line; the audit has a row for each.
        ids["count"] = len(changes)
    log.info(
        action.value,
        category="AUDIT",
        community=actor.community_id,
        user=actor.user,
        action=action.value,
        result="success",
        request_id=actor.request_id,
        **ids,
    )
