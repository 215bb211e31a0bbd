"""Computing the schedules anew that keep a calendar which was changed.

The calendar's own change is committed first. Which schedules are still to be computed is then written in
`calendar_uses`, so a process that dies on the way leaves work that any worker's keeper finishes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog

from app.core.calendars import Calendar, merged
from app.core.clock import Clock
from app.core.errors import InvalidScheduleException
from app.core.execution import Reason
from app.core.firing import ENDED_BY_DAYS, first_waiting
from app.core.occurrences import BusinessDays, OnDayOff, Timing
from app.core.recomputing import anew, same_past
from app.core.schedule import Schedule, ScheduleStatus
from app.metrics import Metrics
from app.service.restarting import (
    begin,
    end_on_days_off,
    limit_reached,
    record_superseded,
    take_back,
    waiting_of,
)
from app.service.transactions import Transactions, Work, by_itself
from app.store import calendar_uses, calendars, recomputing
from app.store.audit import Actor
from app.store.calendar_uses import Use
from app.store.database import Database, blames_the_row
from app.store.recomputing import Recomputed
from app.store.upkeep import FIRST_ID
from app.wheel.wheel import Wheel

CHUNK = 50
"""Schedules in one transaction: a worker that comes for one of them has to come again, so it must be over soon.

Also where each row holds the days of as many calendars, with as many ranges, as may be."""

_NOTHING_LEFT = "a calendar was changed, and no occurrence is left"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """A schedule that fires next at another instant than before; null where it does not fire any more."""

    schedule_id: UUID
    before: datetime | None
    after: datetime | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction did: how far it came in the order of the schedules, null at the end, and what it moved.

    `left` counts the schedules that it had to leave to another process, or release.
    """

    reached: UUID | None
    moved: tuple[Rescheduled, ...] = ()
    left: int = 0


class Recomputer:
    """Brings schedules to the present days of their calendars, each under its row's lock."""

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._transactions = Transactions(database, wheel, clock)
        self._clock = clock
        self._metrics = metrics

    async def recompute(self, calendar: Calendar, *, seconds: float) -> bool:
        """Compute the schedules that keep a calendar, as many as can be in that time. Returns whether all were.

        Those that this process cannot read or compute, or that newer zone rules than its own have computed, are left
        out.

        Raises StoreUnavailableException; what was done until then stays done.
        """
        until = self._clock.monotonic() + seconds
        actor = by_itself(calendar.community_id)
        reached: UUID | None = FIRST_ID
        left = 0
        while reached is not None:
            if self._clock.monotonic() > until:
                return False
            chunk = await self._compute(actor, calendar, reached)
            note_moved(
                self._metrics,
                "calendar",
                chunk.moved,
                community=calendar.community_id,
                calendar=calendar.name,
                calendar_revision=calendar.revision,
            )
            reached = chunk.reached
            left += chunk.left
        if left:
            return False
        async with self._database.transaction() as connection:
            await calendars.mark_recomputed(connection, calendar.calendar_id, calendar.days_revision)
        return True

    async def _compute(self, actor: Actor, calendar: Calendar, after: UUID) -> Chunk:
        """The next chunk; where it fails by what a row holds, a schedule at a time: that row alone is left out."""
        try:
            return await self._transactions.run(actor, partial(_chunk, calendar=calendar, after=after))
        except Exception as failed:
            if not blames_the_row(failed):
                raise
        async with self._database.connection() as connection:
            stale = await calendar_uses.stale(connection, calendar.calendar_id, calendar.days_revision, after, CHUNK)
        moved: list[Rescheduled] = []
        left = 0
        for schedule_id in stale:
            try:
                alone = partial(_chunk, calendar=calendar, after=after, only=schedule_id)
                chunk = await self._transactions.run(actor, alone)
            except Exception as poison:
                if not blames_the_row(poison):
                    raise
                note_unreadable("recompute_poison", {schedule_id: poison})
                left += 1
            else:
                moved += chunk.moved
                left += chunk.left
        return Chunk(stale[-1] if len(stale) == CHUNK else None, tuple(moved), left)


def note_moved(metrics: Metrics, cause: str, moves: Sequence[Rescheduled], **because: str | int) -> None:
    """Count and log the schedules that fire next at another instant; `because` says what moved them."""
    metrics.moved_schedules.labels(cause).inc(len(moves))
    for one in moves:
        log.info(
            "schedule_moved",
            category="SYSTEM",
            cause=cause,
            schedule_id=str(one.schedule_id),
            before=None if one.before is None else one.before.isoformat(),
            after=None if one.after is None else one.after.isoformat(),
            **because,
        )


def note_unreadable(event: str, unreadable: Mapping[UUID, Exception]) -> None:
    """Log the schedules that this process cannot read or compute; a worker that looks at one says so, in its status."""
    for schedule_id, poison in unreadable.items():
        log.error(event, category="ERROR", schedule_id=str(schedule_id), error=repr(poison.__cause__ or poison))


async def _chunk(work: Work, calendar: Calendar, after: UUID, only: UUID | None = None) -> Chunk:
    """Compute the next schedules after an id, or one alone, in one transaction.

    Schedules are locked before calendars, as always.
    """
    connection = work.connection
    await calendar_uses.await_turn(connection, calendar.calendar_id)
    if only is None:
        stale = await calendar_uses.stale(connection, calendar.calendar_id, calendar.days_revision, after, CHUNK)
    else:
        stale = [only]
    if not stale:
        return Chunk(None)
    found = await recomputing.lock(connection, stale)
    locked = found.schedules
    note_unreadable("recompute_poison", found.unreadable)
    kept = await calendar_uses.of(connection, [schedule.schedule_id for schedule in locked])
    everyone = sorted({calendar_id for one in kept.values() for calendar_id in one})
    known = {one.calendar_id: one for one in await calendars.share_ids(connection, everyone)}
    now = work.now()
    days = _Days(known)
    recomputed: list[Recomputed] = []
    uses: list[Use] = []
    for schedule in locked:
        use, keeps = schedule.definition.calendars, kept.get(schedule.schedule_id, [])
        if use is None or not keeps:
            continue
        uses += [Use(one, schedule.schedule_id, known[one].revision) for one in keeps]
        present = days.of(keeps, use.on_day_off)
        if present != schedule.business_days:
            recomputed.append(await _recomputed(work, schedule, present, now))
    await recomputing.write(connection, recomputed, now=now)
    await calendar_uses.keep(connection, uses)
    there = {*found.unreadable, *found.newer, *(schedule.schedule_id for schedule in locked)}
    await calendar_uses.drop(connection, [one for one in stale if one not in there])
    moved = [one for one in recomputed if _next(one) != one.schedule.next_execution_at]
    for one in recomputed:
        if one.waiting is not None:
            work.look_at(replace(one.schedule, next_due_at=one.waiting.due_at))
    reached = stale[-1] if len(stale) == CHUNK else None
    return Chunk(
        reached,
        tuple(Rescheduled(one.schedule.schedule_id, one.schedule.next_execution_at, _next(one)) for one in moved),
        len(found.unreadable) + len(found.newer),
    )


class _Days:
    """The merged days of calendars, worked out once for all schedules that keep the same ones."""

    def __init__(self, known: dict[UUID, Calendar]) -> None:
        self._known = known
        self._merged: dict[tuple[frozenset[UUID], OnDayOff], BusinessDays] = {}

    def of(self, calendar_ids: Sequence[UUID], on_day_off: OnDayOff) -> BusinessDays:
        key = frozenset(calendar_ids), on_day_off
        if key not in self._merged:
            self._merged[key] = merged([self._known[one] for one in calendar_ids], on_day_off)
        return self._merged[key]


async def _recomputed(work: Work, schedule: Schedule, days: BusinessDays, now: datetime) -> Recomputed:
    """How a locked schedule goes on with other days.

    An active one waits for what they make its next occurrence. Where they leave nothing it is completed at once, and
    what it would have fired is recorded as skipped; other days that leave something bring it back, and take that record
    back as far as its instants are to come. Any other one stays as it is.
    """
    waiting, searched_to = waiting_of(schedule), schedule.searched_to
    timing = schedule.definition.timing(schedule.created_at, days)
    as_it_is = Recomputed(schedule, days, schedule.status, schedule.status_reason, waiting, searched_to)
    because: str | None = None
    try:
        if waiting is None:
            return await _begun_again(work, as_it_is, timing, now)
        if not same_past(schedule.timing, timing, searched_to, now):
            searched_to = await record_superseded(work, schedule, Reason.REPLACED, now)
            waiting, searched_to = await begin(
                work, schedule, timing, searched_to, now, passed=Reason.REPLACED, late=True
            )
        else:
            waiting = anew(schedule, timing, waiting, now)
        if waiting is None:
            because = await end_on_days_off(work.connection, schedule, timing, searched_to, now)
    except InvalidScheduleException as refused:
        # Its zone vanished: the worker that looks at it next says so, in its status.
        log.warning("recompute_refused", category="ERROR", schedule_id=str(schedule.schedule_id), error=refused.detail)
        return replace(as_it_is, searched_to=searched_to)
    if waiting is None:
        status, because = ScheduleStatus.COMPLETED, because or _NOTHING_LEFT
        return Recomputed(schedule, days, status, because, None, searched_to)
    return Recomputed(schedule, days, schedule.status, schedule.status_reason, waiting, searched_to)


async def _begun_again(work: Work, stays: Recomputed, timing: Timing, now: datetime) -> Recomputed:
    """How a schedule goes on that does not wait: as it is, unless its days off alone completed it."""
    schedule = stays.schedule
    if schedule.status is not ScheduleStatus.COMPLETED or schedule.status_reason != ENDED_BY_DAYS:
        return stays
    waiting = first_waiting(timing, schedule.schedule_id, max(now, schedule.searched_to))
    if waiting is None or limit_reached(schedule, schedule.definition):
        return stays
    searched_to = await take_back(work, schedule, now)
    return replace(stays, status=ScheduleStatus.ACTIVE, status_reason=None, waiting=waiting, searched_to=searched_to)


def _next(one: Recomputed) -> datetime | None:
    return None if one.waiting is None else one.waiting.occurrence
