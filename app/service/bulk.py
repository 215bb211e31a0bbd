"""Pausing, resuming or removing every schedule that matches a filter, a part at a time.

A part is one transaction. Its schedules are locked in the order of their ids before any of their executions is, and
those again in the order of theirs: so two calls, or a call and whatever else changes schedules, wait for each other and
do not deadlock. What somebody else has locked for long is left alone and told, and holds up no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.audit import AuditAction
from app.core.clock import in_turns
from app.core.errors import StateForbidsException
from app.core.queries import ScheduleFilter
from app.core.schedule import Schedule
from app.service import lifecycle
from app.service.finding import matching
from app.service.paging import cursor_of
from app.service.transactions import Work
from app.store import catalogue, ending

MOST_CANCELLED = 10_000
"""Waiting executions that one removal of several schedules cancels: a backfill alone may have a thousand of them."""


class BulkAction(StrEnum):
    """What is done to every schedule that matches."""

    PAUSE = "pause"
    RESUME = "resume"
    REMOVE = "remove"


class Because(StrEnum):
    """Why a schedule that matches is left alone."""

    ALREADY = "already"
    STATE_FORBIDS = "state_forbids"
    LOCKED = "locked"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """What a caller asks for: up to `limit` of the schedules that match, from the place that a cursor names on."""

    action: BulkAction
    filter: ScheduleFilter
    reason: str | None
    limit: int
    cursor: str | None
    dry_run: bool


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A schedule that matches and is not changed; `detail` says the reason in words."""

    schedule_id: UUID
    because: Because
    detail: str


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What is changed, or for a dry run would be, in the order of creation, what is not, and where the rest begins."""

    action: BulkAction
    dry_run: bool
    schedule_ids: tuple[UUID, ...]
    left_alone: tuple[LeftAlone, ...]
    next_cursor: str | None


@dataclass(slots=True)
class _Part:
    """The schedules of a part that are to be changed, and those that were found to be left alone."""

    schedules: list[Schedule]
    next_cursor: str | None
    left_alone: list[LeftAlone] = field(default_factory=list)

    def leave(self, because: Because, details: dict[UUID, str]) -> None:
        """Leave schedules alone, each for what is said of it."""
        self.left_alone += [LeftAlone(one, because, detail) for one, detail in details.items()]
        self.schedules = [one for one in self.schedules if one.schedule_id not in details]

    def end_before(self, schedules: Sequence[Schedule]) -> None:
        """Leave the last schedules of this part to the next one; at least one stays."""
        later = {one.schedule_id for one in schedules}
        self.schedules = [one for one in self.schedules if one.schedule_id not in later]
        last = self.schedules[-1].schedule_id
        self.left_alone = [one for one in self.left_alone if one.schedule_id < last]
        self.next_cursor = cursor_of(last)


async def act(work: Work, request: BulkRequest) -> BulkResult:
    """Do to each schedule of a part what its own operation would do; what that would refuse is left alone.

    A dry run goes by the status of each, and locks none.

    Raises InvalidScheduleException for a cursor that no page has named.
    """
    connection, community_id = work.connection, work.community_id
    found = await matching(connection, community_id, request.filter, limit=request.limit, cursor=request.cursor)
    if request.dry_run:
        read = await catalogue.readable(connection, community_id, found.places)
    else:
        read = await catalogue.lock(connection, community_id, request.filter, found.places)
    part = _Part(read.schedules, found.next_cursor)
    part.leave(Because.LOCKED, dict.fromkeys(read.held, "another change of it is under way"))
    part.leave(Because.UNREADABLE, dict.fromkeys(read.unreadable, "what is stored of it cannot be read"))
    already = _leave_unchangeable(part, request.action)
    if request.action is BulkAction.REMOVE:
        await _bound(work, part)
    if not request.dry_run:
        for one in already:
            # What its own operation does as well: a put that another process lost is made good.
            work.look_at(one)
        if request.action is BulkAction.REMOVE and part.schedules:
            await _leave_busy(work, part)
        await _change(work, part, request.action, request.reason, work.now())
    return BulkResult(
        request.action,
        request.dry_run,
        tuple(one.schedule_id for one in part.schedules),
        tuple(sorted(part.left_alone, key=lambda one: one.schedule_id)),
        part.next_cursor,
    )


def _leave_unchangeable(part: _Part, action: BulkAction) -> list[Schedule]:
    """Leave alone what the action does not change by its status; answers those that are already as it makes them."""
    if action is BulkAction.REMOVE:
        return []
    can_be = lifecycle.can_be_paused if action is BulkAction.PAUSE else lifecycle.can_be_resumed
    already: list[Schedule] = []
    forbidden: dict[UUID, str] = {}
    for current in part.schedules:
        try:
            if not can_be(current):
                already.append(current)
        except StateForbidsException as refused:
            forbidden[current.schedule_id] = refused.detail
    part.leave(Because.STATE_FORBIDS, forbidden)
    part.leave(Because.ALREADY, {one.schedule_id: f"it is {one.status} already" for one in already})
    return already


async def _bound(work: Work, part: _Part) -> None:
    """Leave to the next part what would have a removal cancel too many executions at once."""
    ids = [one.schedule_id for one in part.schedules]
    waiting = await ending.count_waiting(work.connection, work.community_id, ids)
    cancelled = 0
    for place, one in enumerate(part.schedules):
        cancelled += waiting.get(one.schedule_id, 0)
        if cancelled > MOST_CANCELLED and place > 0:
            part.end_before(part.schedules[place:])
            break


async def _leave_busy(work: Work, part: _Part) -> None:
    """Lock the executions that a removal cancels; leave alone whose another has locked."""
    held = await ending.lock_waiting(work.connection, work.community_id, [one.schedule_id for one in part.schedules])
    part.leave(Because.LOCKED, dict.fromkeys(sorted(held), "a run of it is just being changed"))


async def _change(work: Work, part: _Part, action: BulkAction, reason: str | None, now: datetime) -> None:
    """Change what is left of a part; what turns out not to be computable is left alone."""
    if action is BulkAction.REMOVE:
        if part.schedules:
            await lifecycle.remove(work, part.schedules, reason, now)
        return
    lives = []
    forbidden: dict[UUID, str] = {}
    async for current in in_turns(part.schedules):
        try:
            if action is BulkAction.PAUSE:
                life = await lifecycle.paused(work, current, reason, now)
            else:
                life = await lifecycle.resumed(work, current, now)
        except StateForbidsException as refused:
            forbidden[current.schedule_id] = refused.detail
        else:
            lives.append((current, life))
    part.leave(Because.STATE_FORBIDS, forbidden)
    if lives:
        audited = AuditAction.SCHEDULE_PAUSE if action is BulkAction.PAUSE else AuditAction.SCHEDULE_RESUME
        await lifecycle.move(work, audited, lives, reason)
