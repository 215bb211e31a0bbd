"""Starting queued runs: the oldest of a group first, as many as there is room for."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from app.core.assignment import Assignment
from app.core.clock import Clock, to_ms
from app.core.execution import Wake
from app.store import queueing, taking
from app.store.database import Connection, on_behalf_of, wait_briefly
from app.store.queueing import HEAD_LOOKS_AFTER, OTHERS_LOOK_AFTER, Group, Queued
from app.wheel.members import execution_member
from app.workers.look import Look, reason_of


class Queue:
    """Looks for room on behalf of queued runs, each group under its schedule's lock."""

    def __init__(self, clock: Clock, *, back_after_ms: int) -> None:
        self._clock = clock
        self._back_after_ms = back_after_ms

    async def look(self, connection: Connection, queued: Sequence[Queued], owner: UUID, look: Look) -> None:
        """Start what there is room for in the groups of these runs, also where another of the group comes first.

        Raises StoreUnavailableException, with these runs, where another has locked what they wait for.
        """
        now = self._clock.now()
        due = [one for one in queued if one.wake_at <= now]
        for one in queued:
            if one.wake_at > now:
                look.next_due_ms[execution_member(one.execution_id)] = to_ms(one.wake_at)
                look.in_vain += 1
        if not due:
            return
        locked = await queueing.lock_schedules(connection, {one.group.schedule_id for one in due})
        await self._note_unlocked(connection, [one for one in due if one.group.schedule_id not in locked], look)
        limits: dict[Group, int] = {}
        for one in due:
            if one.group.schedule_id in locked:
                limits[one.group] = one.max_parallel or locked[one.group.schedule_id]
        if limits:
            looked_at = [one.execution_id for one in due if one.group in limits]
            await wait_briefly(connection)
            with on_behalf_of(looked_at):
                await self._start(connection, limits, looked_at, owner, look)

    async def _start(
        self, connection: Connection, limits: dict[Group, int], looked_at: list[UUID], owner: UUID, look: Look
    ) -> None:
        # Marked before it is counted: a run that ends after this wakes the queue, one that ended before is room.
        standing = await queueing.await_room(connection, limits)
        chosen: list[UUID] = []
        behind: list[UUID] = []
        for group, limit in limits.items():
            room = max(limit - standing[group], 0)
            oldest = await queueing.oldest_queued(connection, group, room + 1)
            chosen += oldest[:room]
            behind += oldest[room:]
        started = await self._take(connection, chosen, owner, look) if chosen else set()
        now = self._clock.now()
        # One that was cancelled at this moment has left its room to the next, whose wake must not be lost.
        room_left = len(started) < len(chosen)
        next_look = timedelta(milliseconds=self._back_after_ms) if room_left else HEAD_LOOKS_AFTER
        # Whoever is next looks again soon, woken or not; the others only because nothing waits without a time.
        others = [one for one in looked_at if one not in started and one not in behind]
        wakes = await queueing.look_later(connection, behind, at=now + next_look)
        wakes += await queueing.look_later(connection, others, at=now + OTHERS_LOOK_AFTER)
        self._note(wakes, look)

    async def _take(self, connection: Connection, chosen: list[UUID], owner: UUID, look: Look) -> set[UUID]:
        taken: list[Assignment] = []
        failed: dict[UUID, str] = {}
        now = self._clock.now()
        for row in await taking.lock_queued(connection, chosen):
            try:
                taken.append(row.taken_by(owner, started_at=now))
            except Exception as poison:
                failed[row.execution_id] = reason_of(poison)
        await taking.start(connection, taken, owner=owner, now=now)
        look.assignments += taken
        look.failed_executions |= failed
        return {one.execution_id for one in taken} | failed.keys()

    async def _note_unlocked(self, connection: Connection, queued: list[Queued], look: Look) -> None:
        if not queued:
            return
        look.in_vain += len(queued)
        present = await queueing.present(connection, {one.group.schedule_id for one in queued})
        orphaned: dict[UUID, str] = {}
        for one in queued:
            if one.group.schedule_id in present:
                look.next_due_ms[execution_member(one.execution_id)] = self._clock.now_ms() + self._back_after_ms
            else:
                orphaned[one.execution_id] = "its schedule does not exist any more"
        # A removal cancels what is queued. Whatever left one behind, it must not look for room for ever.
        look.failed_executions |= orphaned

    @staticmethod
    def _note(wakes: Sequence[Wake], look: Look) -> None:
        for wake in wakes:
            member = execution_member(wake.execution_id)
            if member in look.next_due_ms:
                look.next_due_ms[member] = to_ms(wake.wake_at)
            else:
                look.wakes.append(wake)
