"""What callers can ask of calendars."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import UUID

import structlog

from app.core.calendars import Calendar, CalendarDefinition
from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.occurrences import BusinessDays
from app.core.principal import Principal
from app.core.queries import Answer, Idempotency, Page
from app.core.schedule import CalendarUse
from app.metrics import Metrics
from app.service import calendar_changes as changes
from app.service.calendar_changes import Refreshed, Replaced
from app.service.days import KnownCalendars
from app.service.paging import cursor_of, gather, id_of, read
from app.service.recomputing import Recomputer
from app.service.transactions import Transactions, Work, actor_of
from app.store import calendars
from app.store.database import Database
from app.store.looks import Seen
from app.wheel.wheel import Wheel

_RECOMPUTE_SECONDS = 5.0
"""How long a change waits until its schedules are computed; a worker's keeper does the others."""

log = structlog.get_logger()


class CalendarService:
    """Calendars, as far as a caller's community has them.

    A change is one transaction with its audit row. The schedules that keep the calendar are then computed anew, in
    transactions of their own. All methods raise StoreUnavailableException when Postgres is away.
    """

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._transactions = Transactions(database, wheel, clock)
        self._recomputer = Recomputer(database, wheel, clock, metrics)

    async def create(
        self,
        principal: Principal,
        definition: CalendarDefinition,
        *,
        answer: Callable[[Calendar], Answer],
        idempotency: Idempotency | None,
        dry_run: bool = False,
    ) -> Answer:
        """Store a new calendar, and the answer to it under the request's idempotency key; nothing for a dry run.

        Raises InvalidScheduleException, CalendarNameTakenException, IdempotencyKeyReusedException.
        """
        at_hand = await changes.copies(definition.fill)

        async def work(unit: Work) -> Answer:
            return answer(await changes.create(unit, definition, at_hand))

        return await self._transactions.answer(actor_of(principal), idempotency, work, dry_run=dry_run)

    async def get(self, principal: Principal, name: str) -> Calendar:
        """One calendar. Raises CalendarNotFoundException."""
        async with self._database.connection() as connection:
            calendar = await calendars.get(connection, principal.community_id, name)
        if calendar is None:
            raise changes.not_found(name)
        return calendar

    async def find(self, principal: Principal, *, limit: int, cursor: str | None) -> Page[Calendar]:
        """A page of the community's calendars, in the order of their creation.

        Raises InvalidScheduleException for a cursor that no page has named.
        """
        start = None if cursor is None else id_of(cursor)
        community_id = principal.community_id
        async with self._database.connection() as connection:

            async def look(after: UUID | None, wanted: int, window: int) -> Seen[UUID]:
                return await calendars.look(connection, community_id, after=after, limit=wanted, window=window)

            found = await gather(look, cursor_of, start=start, limit=limit, filtered=False)
            return await read(found, partial(calendars.these, connection, community_id), cursor_of)

    async def days(self, principal: Principal, use: CalendarUse | None) -> BusinessDays | None:
        """The days of the calendars that a timing names which is not stored; null where it names none.

        Raises InvalidScheduleException for a calendar that there is not.
        """
        if use is None:
            return None
        async with self._database.connection() as connection:
            found = await calendars.named(connection, principal.community_id, use.names)
        return KnownCalendars(found).days(use)

    async def replace(
        self,
        principal: Principal,
        name: str,
        definition: CalendarDefinition,
        *,
        expected_revision: int | None,
        dry_run: bool = False,
    ) -> Replaced:
        """Give a calendar another content; one that is equal changes nothing, not even the revision.

        What was copied stays as it is while the same holidays are asked for. After a dry run nothing is computed anew:
        what would be shows in that it is not `recomputed`.

        Raises CalendarNotFoundException, StaleRevisionException, InvalidScheduleException.
        """
        at_hand = await changes.copies(changes.newly_filled(definition, await self.get(principal, name)))
        replaced = await self._transactions.run(
            actor_of(principal),
            lambda unit: changes.replace(unit, name, definition, expected_revision, at_hand),
            dry_run=dry_run,
        )
        if dry_run:
            return replaced
        return replace(replaced, calendar=await self._recompute(replaced.calendar))

    async def refresh(
        self,
        principal: Principal,
        name: str,
        *,
        years: tuple[int, int] | None,
        apply: bool,
        expected_revision: int | None,
    ) -> Refreshed:
        """What copying the holidays again brings, of other years where they are given; written only with `apply`.

        Raises CalendarNotFoundException, StaleRevisionException, InvalidScheduleException, and StateForbidsException
        for a calendar that was not filled.
        """
        at_hand = await changes.copies(changes.refilled(await self.get(principal, name), years))
        refreshed = await self._transactions.run(
            actor_of(principal),
            lambda unit: changes.refresh(unit, name, years, expected_revision, at_hand, apply=apply),
        )
        if not apply:
            return refreshed
        return replace(refreshed, calendar=await self._recompute(refreshed.calendar))

    async def remove(self, principal: Principal, name: str, *, expected_revision: int | None) -> None:
        """Remove a calendar. Raises CalendarNotFoundException, StaleRevisionException, CalendarInUseException."""
        await self._transactions.run(actor_of(principal), lambda unit: changes.remove(unit, name, expected_revision))

    async def _recompute(self, calendar: Calendar) -> Calendar:
        if calendar.recomputed:
            return calendar
        try:
            done = await self._recomputer.recompute(calendar, seconds=_RECOMPUTE_SECONDS)
        except StoreUnavailableException as away:
            # The calendar is changed, and that is what the caller is told. A keeper finishes the work.
            log.warning("recompute_waits", category="ERROR", calendar=calendar.name, error=away.detail)
            done = False
        except Exception:
            log.exception("recompute_failed", category="ERROR", calendar=calendar.name)
            done = False
        return replace(calendar, recomputed_revision=calendar.days_revision) if done else calendar
