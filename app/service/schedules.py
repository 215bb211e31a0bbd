"""What callers can ask of schedules."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import NameTakenException, ScheduleServiceException
from app.core.execution import Execution
from app.core.occurrences import occurrences_after
from app.core.principal import Principal
from app.core.queries import Answer, Idempotency, Page, ScheduleFilter
from app.core.schedule import Definition, OverlapPolicy, Schedule
from app.service import applying, backfilling, bulk, changes, creating, skipping, triggering
from app.service.backfilling import BackfillRequest, BackfillResult
from app.service.bulk import BulkRequest, BulkResult
from app.service.changes import Changed
from app.service.finding import matching
from app.service.paging import cursor_of, read
from app.service.skipping import waits_for
from app.service.transactions import Transactions, Work, actor_of, by_itself
from app.store import catalogue, schedules
from app.store.database import Database
from app.store.refusals import refused_values
from app.wheel.wheel import Wheel


class ScheduleService:
    """Schedules, as far as a caller's community has them.

    Every change is one transaction with its audit row; the wheel is told after the commit. All methods raise
    StoreUnavailableException when Postgres is away. Whether the caller's role allows the call was decided before.
    """

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, *, quota: int = 0) -> None:
        """`quota`: how many schedules a community may have; 0: any number."""
        self._database = database
        self._transactions = Transactions(database, wheel, clock)
        self._quota = quota

    async def create(
        self,
        principal: Principal,
        definition: Definition,
        *,
        answer: Callable[[Schedule], Answer],
        idempotency: Idempotency | None,
        dry_run: bool = False,
    ) -> Answer:
        """Store a new schedule, and the answer to it under the request's idempotency key; nothing for a dry run.

        Raises InvalidScheduleException, NameTakenException, QuotaExceededException, IdempotencyKeyReusedException.
        """

        async def work(unit: Work) -> Answer:
            return answer(await creating.create(unit, definition, quota=self._quota))

        return await self._transactions.answer(actor_of(principal), idempotency, work, dry_run=dry_run)

    async def create_batch(
        self,
        principal: Principal,
        definitions: Sequence[Definition | ScheduleServiceException],
        *,
        atomic: bool,
        answer: Callable[[Sequence[Schedule | ScheduleServiceException]], Awaitable[Answer]],
        idempotency: Idempotency | None,
        dry_run: bool = False,
    ) -> Answer:
        """Store up to a thousand schedules in one transaction. What was refused before takes its place as it is.

        With `atomic` all or nothing, and the first refusal is raised, by its place; else one result each, in order.
        """
        if atomic:
            creating.raise_first(definitions)

        async def work(unit: Work) -> Answer:
            results = await creating.create_all(unit, definitions, quota=self._quota)
            if atomic:
                creating.raise_first(results)
            return await answer(results)

        return await self._transactions.answer(actor_of(principal), idempotency, work, dry_run=dry_run)

    async def apply(
        self,
        principal: Principal,
        name: str,
        define: Callable[[Schedule | None], Definition],
        *,
        check: Callable[[int | None], None],
        dry_run: bool = False,
    ) -> Changed:
        """Create the schedule of a name, or replace its definition. See `applying.apply`, which is done again when
        another one took the name in that moment: that one is there by then to be replaced.
        """
        while True:
            try:
                return await self._transactions.run(
                    actor_of(principal),
                    lambda unit: applying.apply(unit, name, define, check, quota=self._quota),
                    dry_run=dry_run,
                )
            except NameTakenException:
                continue

    async def get(self, principal: Principal, schedule_id: UUID) -> Schedule:
        """One schedule. Raises ScheduleNotFoundException."""
        async with self._database.connection() as connection:
            schedule = await schedules.get(connection, principal.community_id, schedule_id)
        if schedule is None:
            raise changes.not_found(schedule_id)
        return schedule

    async def find(
        self,
        principal: Principal,
        filter: ScheduleFilter,  # noqa: A002  the API's word
        *,
        limit: int,
        cursor: str | None,
    ) -> Page[Schedule]:
        """A page of the schedules that match, in the order of their creation; see `finding.matching`.

        Raises InvalidScheduleException for a cursor that no page has named.
        """
        community_id = principal.community_id
        with refused_values():
            async with self._database.connection() as connection:
                found = await matching(connection, community_id, filter, limit=limit, cursor=cursor)
                page = await read(found, partial(catalogue.these, connection, community_id), cursor_of)
        if filter.due_before is not None:
            page = replace(page, items=tuple(one for one in page.items if _is_due_before(one, filter.due_before)))
        return page

    async def change(
        self,
        principal: Principal,
        schedule_id: UUID,
        edit: Callable[[Schedule], Definition],
        *,
        expected_revision: int | None,
        dry_run: bool = False,
    ) -> Changed:
        """Replace or patch: `edit` is called under the row's lock, again when the transaction is repeated.

        See `changes.change`.
        """
        return await self._transactions.run(
            actor_of(principal),
            lambda unit: changes.change(unit, schedule_id, edit, expected_revision),
            dry_run=dry_run,
        )

    async def remove(self, principal: Principal, schedule_id: UUID, *, expected_revision: int | None = None) -> None:
        """Remove a schedule: no occurrence is recorded any more. See `changes.remove`."""
        await self._transactions.run(
            actor_of(principal), lambda unit: changes.remove(unit, schedule_id, expected_revision)
        )

    async def pause_gone(
        self, community_id: int, schedule_id: UUID, *, revision: int, execution_id: UUID, reason: str
    ) -> bool:
        """Pause a schedule whose target is gone, on the service's own behalf. See `changes.pause_gone`."""
        return await self._transactions.run(
            by_itself(community_id), lambda unit: changes.pause_gone(unit, schedule_id, revision, execution_id, reason)
        )

    async def pause(
        self, principal: Principal, schedule_id: UUID, *, reason: str | None, expected_revision: int | None = None
    ) -> Schedule:
        """Stop recording occurrences. See `changes.pause`."""
        return await self._transactions.run(
            actor_of(principal), lambda unit: changes.pause(unit, schedule_id, reason, expected_revision)
        )

    async def resume(
        self, principal: Principal, schedule_id: UUID, *, reason: str | None, expected_revision: int | None = None
    ) -> Schedule:
        """Go on from now; nothing is replayed. See `changes.resume`."""
        return await self._transactions.run(
            actor_of(principal), lambda unit: changes.resume(unit, schedule_id, reason, expected_revision)
        )

    async def act_on_matching(
        self,
        principal: Principal,
        request: BulkRequest,
        *,
        answer: Callable[[BulkResult], Answer],
        idempotency: Idempotency | None,
    ) -> Answer:
        """Pause, resume or remove every schedule that matches, a part at a time; none for a dry run. See `bulk.act`.

        Raises as `find` does, and IdempotencyKeyReusedException.
        """

        async def work(unit: Work) -> Answer:
            return answer(await bulk.act(unit, request))

        return await self._transactions.answer(actor_of(principal), idempotency, work)

    async def trigger(
        self,
        principal: Principal,
        schedule_id: UUID,
        *,
        context_override: Mapping[str, Any] | None,
        overlap_policy: OverlapPolicy | None,
        check: Callable[[Schedule], None] = lambda _: None,
        answer: Callable[[Execution], Answer],
        idempotency: Idempotency | None,
    ) -> Answer:
        """Run once now, beside the timing. See `triggering.trigger`."""

        async def work(unit: Work) -> Answer:
            return answer(await triggering.trigger(unit, schedule_id, context_override, overlap_policy, check))

        return await self._transactions.answer(actor_of(principal), idempotency, work)

    async def skip_next(
        self, principal: Principal, schedule_id: UUID, *, reason: str | None, expected_revision: int | None
    ) -> Schedule:
        """Skip exactly the next occurrence. See `skipping.skip_next`."""
        return await self._transactions.run(
            actor_of(principal), lambda unit: skipping.skip_next(unit, schedule_id, reason, expected_revision)
        )

    async def undo_skip_next(
        self, principal: Principal, schedule_id: UUID, *, expected_revision: int | None
    ) -> Schedule:
        """Have the next occurrence fire after all. See `skipping.undo`."""
        return await self._transactions.run(
            actor_of(principal), lambda unit: skipping.undo(unit, schedule_id, expected_revision)
        )

    async def backfill(
        self,
        principal: Principal,
        schedule_id: UUID,
        request: BackfillRequest,
        *,
        check: Callable[[Schedule], None] = lambda _: None,
        answer: Callable[[BackfillResult], Answer],
        idempotency: Idempotency | None,
    ) -> Answer:
        """Run every occurrence of a time span. See `backfilling.backfill`."""

        async def work(unit: Work) -> Answer:
            return answer(await backfilling.backfill(unit, schedule_id, request, check))

        return await self._transactions.answer(actor_of(principal), idempotency, work)

    async def upcoming(self, principal: Principal, schedule_id: UUID, count: int) -> list[datetime]:
        """The next nominal occurrences that are to fire, at most `count` and as many as `max_executions` leaves.

        Empty when the schedule is not active. Raises ScheduleNotFoundException.
        """
        schedule = await self.get(principal, schedule_id)
        if schedule.next_execution_at is None:
            return []
        limit = schedule.definition.max_executions
        if limit is not None:
            count = min(count, limit - schedule.execution_count)
        if count <= 0:
            return []
        if schedule.skip_next is not None:
            return occurrences_after(schedule.timing, schedule.next_execution_at, count)
        return [
            schedule.next_execution_at,
            *occurrences_after(schedule.timing, schedule.next_execution_at, count - 1),
        ]


def _is_due_before(schedule: Schedule, instant: datetime) -> bool:
    """Whether a schedule is due before an instant, as it is shown: what is to be skipped is not due.

    The rows know what they wait for, which comes before that: what they leave out is rightly left out.
    """
    waiting = waits_for(schedule)
    return waiting is not None and waiting.due_at < instant
