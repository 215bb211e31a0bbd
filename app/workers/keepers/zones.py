"""Bringing schedules to newer zone rules, and to calendars that were changed.

Both change when schedules fire without any caller having changed them. A worker whose zone rules are newer than those
a schedule was computed by computes it anew; towards older rules it never does, so that workers of two releases may run
side by side. A calendar's change computes its schedules itself; what it left undone, by dying, is finished here.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from app.core.calendars import Calendar
from app.core.clock import Clock
from app.core.errors import InvalidScheduleException, StoreUnavailableException
from app.core.occurrences import tzdata_version
from app.core.recomputing import anew, is_older
from app.core.schedule import Schedule
from app.metrics import Metrics
from app.service.recomputing import Recomputer, Rescheduled, note_moved, note_unreadable
from app.service.restarting import end_on_days_off, waiting_of
from app.store import calendars, recomputing, upkeep
from app.store.database import Connection, Database, blames_the_row
from app.store.upkeep import FIRST_ID, Keeper
from app.wheel.entries import Entry, schedule_entry
from app.wheel.wheel import Wheel

PASS_SECONDS = 2.0
RULES_SECONDS = 3600.0
"""How often all schedules are looked through for older zone rules: a worker of an older release leaves such behind."""
UNFINISHED_SECONDS = 60.0
"""When to look again where another worker had the turn, a row was locked, or something failed."""
_PAGE = 5_000
_CHUNK = 200
"""Schedules in one transaction: a worker that comes for one of them has to come again, so it must be over soon."""
_RECOMPUTE_SECONDS = 30.0
_COMPLETED = "no occurrence is left under the zone rules of {}"

log = structlog.get_logger()


class Zones:
    """Computes anew what new zone rules and changed calendars concern."""

    def __init__(self, database: Database, wheel: Wheel, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        self._recomputer = Recomputer(database, wheel, clock, metrics)
        self._look_at = -float("inf")
        self._failed: dict[UUID, float] = {}

    async def run_once(self) -> int:
        """One pass. Returns how many schedules fire next at another instant because of new zone rules.

        Raises StoreUnavailableException.
        """
        await self._finish_calendars()
        if self._clock.monotonic() < self._look_at:
            return 0
        moved, finished = await self._bring_to_new_rules()
        self._look_at = self._clock.monotonic() + (RULES_SECONDS if finished else UNFINISHED_SECONDS)
        return moved

    async def _finish_calendars(self) -> None:
        after = FIRST_ID
        while True:
            async with self._database.connection() as connection:
                calendar = await calendars.next_stale(connection, after)
            if calendar is None:
                return
            after = calendar.calendar_id
            if self._clock.monotonic() >= self._failed.get(calendar.calendar_id, 0.0):
                await self._finish(calendar)

    async def _finish(self, calendar: Calendar) -> None:
        began = self._clock.monotonic()
        try:
            done = await self._recomputer.recompute(calendar, seconds=_RECOMPUTE_SECONDS)
        except StoreUnavailableException as away:
            # Postgres is away, which the next statement says too; or a row is locked for long.
            log.warning("recompute_waits", category="ERROR", calendar=calendar.name, error=away.detail)
            return
        except Exception:
            # What goes wrong with one calendar keeps no other from its turn.
            self._failed[calendar.calendar_id] = self._clock.monotonic() + UNFINISHED_SECONDS
            log.exception("recompute_failed", category="ERROR", calendar=calendar.name)
            return
        self._failed.pop(calendar.calendar_id, None)
        if not done and self._clock.monotonic() - began < _RECOMPUTE_SECONDS:
            # There was time for more: what is left can only be computed by a worker of another release.
            self._failed[calendar.calendar_id] = self._clock.monotonic() + UNFINISHED_SECONDS
        if done:
            log.info("calendar_recomputed", category="SYSTEM", calendar=calendar.name, revision=calendar.revision)

    async def _bring_to_new_rules(self) -> tuple[int, bool]:
        """Look through all schedules. Returns how many were moved, and whether none was left."""
        reached, moved, finished = 0, 0, True
        while True:
            async with self._database.transaction() as connection:
                if not await upkeep.try_turn(connection, Keeper.ZONES):
                    return moved, False
                page = await recomputing.page_of_other_rules(connection, reached, _PAGE)
            versions = [version for version in page.by_version if is_older(version, tzdata_version())]
            older = sorted(schedule_id for version in versions for schedule_id in page.by_version[version])
            for start in range(0, len(older), _CHUNK):
                chunk = older[start : start + _CHUNK]
                try:
                    moves, locked = await self._bring_all(chunk, versions)
                except StoreUnavailableException:
                    raise
                except Exception:
                    log.exception("rezone_failed", category="ERROR", schedules=len(chunk))
                    finished = False
                    continue
                # The others are another's at this moment, who may have older rules.
                finished = finished and locked == len(chunk)
                moved += len(moves)
                note_moved(self._metrics, "zone", moves, tzdata_version=tzdata_version())
            if page.reached is None:
                return moved, finished
            reached = page.reached

    async def _bring_all(self, chunk: Sequence[UUID], versions: Sequence[str]) -> tuple[list[Rescheduled], int]:
        """A chunk; where it fails by what a row holds, a schedule at a time: that row alone is left as it is."""
        try:
            return await self._bring(chunk, versions)
        except Exception as failed:
            if not blames_the_row(failed):
                raise
        moves: list[Rescheduled] = []
        brought = 0
        for schedule_id in chunk:
            try:
                moved, locked = await self._bring([schedule_id], versions)
            except Exception as poison:
                if not blames_the_row(poison):
                    raise
                note_unreadable("rezone_poison", {schedule_id: poison})
                moved, locked = [], 1
            moves += moved
            brought += locked
        return moves, brought

    async def _bring(self, schedule_ids: Sequence[UUID], versions: Sequence[str]) -> tuple[list[Rescheduled], int]:
        """Compute some schedules by the present rules, in one transaction. Returns what moved, and how many it had."""
        moves: list[Rescheduled] = []
        entries: list[Entry] = []

        async def bring(connection: Connection) -> int:
            moves.clear()
            entries.clear()
            found = await recomputing.lock_at(connection, schedule_ids, versions)
            note_unreadable("rezone_poison", found.unreadable)
            now = self._clock.now()
            # What is due so soon is in some worker's hands.
            until = now + timedelta(milliseconds=self._wheel.claim_ahead_ms)
            written = []
            for schedule in found.schedules:
                before = waiting_of(schedule)
                assert before is not None, "an active schedule waits"
                try:
                    after = anew(schedule, schedule.timing, before, until)
                    because = None if after is not None else await self._completed_by(connection, schedule, now)
                except InvalidScheduleException as refused:
                    # Its zone is gone: the worker that looks at it next says so, in its status.
                    _log_refused(schedule, refused)
                    continue
                written.append((schedule.schedule_id, after, because))
                if after is None or after.occurrence != before.occurrence:
                    occurrence = None if after is None else after.occurrence
                    moves.append(Rescheduled(schedule.schedule_id, before.occurrence, occurrence))
                if after is not None and after.due_at != before.due_at:
                    entries.append(schedule_entry(schedule.community_id, schedule.schedule_id, after.due_at))
            await recomputing.rezone(connection, written, now=now)
            # What cannot be read, or computed, is not looked at again before the next look through all.
            return len(found.schedules) + len(found.unreadable)

        locked = await self._database.run(bring)
        await self._wheel.put(entries)
        return moves, locked

    @staticmethod
    async def _completed_by(connection: Connection, schedule: Schedule, now: datetime) -> str:
        """Why nothing is left of a schedule; what its days off keep from firing is recorded ahead of its time."""
        by_days = await end_on_days_off(connection, schedule, schedule.timing, schedule.searched_to, now)
        return by_days or _COMPLETED.format(tzdata_version())


def _log_refused(schedule: Schedule, refused: InvalidScheduleException) -> None:
    log.warning("rezone_refused", category="ERROR", schedule_id=str(schedule.schedule_id), error=refused.detail)
