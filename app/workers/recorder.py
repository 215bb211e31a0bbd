"""Recording what is due of locked schedules, and moving the schedules on."""

from datetime import datetime, timedelta
from uuid import UUID

from app.core.assignment import Assignment
from app.core.clock import Clock, to_ms
from app.core.execution import ExecutionStatus, Wake
from app.core.firing import NOTHING_STANDS, Decision, counts_unfinished, decide
from app.core.ids import execution_id
from app.store import firing, notices, queueing
from app.store.database import Connection, wait_briefly
from app.store.firing import LockedSchedule, Moved, NewExecution
from app.store.queueing import HEAD_LOOKS_AFTER, Group
from app.wheel.members import schedule_member
from app.workers.look import Look, reason_of


class Recorder:
    """Decides for schedules under their locks, and writes what was decided; within the caller's transaction."""

    def __init__(self, clock: Clock, *, claim_ahead_ms: int, reach_ms: int, back_after_ms: int) -> None:
        self._clock = clock
        self._claim_ahead_ms = claim_ahead_ms
        self._reach_ms = reach_ms
        self._back_after_ms = back_after_ms

    async def look(self, connection: Connection, schedule_ids: list[UUID], owner: UUID, look: Look) -> None:
        """Record what is due of these schedules, owned by `owner` where it is to be delivered."""
        rows = await firing.lock_due(connection, schedule_ids)
        now = self._clock.now()
        horizon = now + timedelta(milliseconds=self._reach_ms)
        locked: list[LockedSchedule] = []
        seen: set[UUID] = set()
        for row in rows:
            seen.add(row["schedule_id"])
            if row["next_due_at"] > horizon:
                look.next_due_ms[schedule_member(row["schedule_id"])] = to_ms(row["next_due_at"])
                look.in_vain += 1
                continue
            try:
                locked.append(firing.locked_schedule(row))
            except Exception as poison:
                look.failed_schedules[row["schedule_id"]] = reason_of(poison)
        await self._note_unlocked(connection, [one for one in schedule_ids if one not in seen], look)
        decisions = await self._decide(connection, locked, look)
        await self._record(connection, decisions, owner, look)
        await firing.fail(connection, look.failed_schedules, now=self._clock.now())

    async def _note_unlocked(self, connection: Connection, schedule_ids: list[UUID], look: Look) -> None:
        # Locked by another, or gone? SKIP LOCKED alone cannot tell, and what is gone must not come back for ever.
        if not schedule_ids:
            return
        look.in_vain += len(schedule_ids)
        again = self._clock.now_ms() + self._back_after_ms
        for schedule_id in await firing.still_active(connection, schedule_ids):
            look.next_due_ms[schedule_member(schedule_id)] = again

    async def _decide(
        self, connection: Connection, locked: list[LockedSchedule], look: Look
    ) -> list[tuple[LockedSchedule, Decision]]:
        counted = [schedule.due.schedule_id for schedule in locked if counts_unfinished(schedule.due)]
        standing = await firing.count_standing(connection, counted) if counted else {}
        now = self._clock.now()
        decisions = []
        for schedule in locked:
            stands = standing.get(schedule.due.schedule_id, NOTHING_STANDS)
            try:
                decision = decide(schedule.due, standing=stands, now=now)
            except Exception as poison:
                look.failed_schedules[schedule.due.schedule_id] = reason_of(poison)
            else:
                decide_at = to_ms(schedule.due.waiting.due_at) - self._claim_ahead_ms
                if decide_at > to_ms(now) and not decision.plain:
                    # Claimed further ahead, beside a crowd: what stands in its way now may end until then.
                    look.early[schedule_member(schedule.due.schedule_id)] = decide_at
                else:
                    decisions.append((schedule, decision))
        return decisions

    async def _record(
        self, connection: Connection, decisions: list[tuple[LockedSchedule, Decision]], owner: UUID, look: Look
    ) -> None:
        new = [execution for schedule, decision in decisions for execution in _new(schedule, decision)]
        # Before the new ones are there: they are younger than all that make way for them.
        await self._make_way(connection, decisions, look)
        now = self._clock.now()
        inserted = await firing.record(connection, new, owner=owner, now=now)
        fired: dict[UUID, list[NewExecution]] = {}
        queued: list[NewExecution] = []
        for execution in new:
            # Only what was really inserted is counted and delivered.
            inserted_id = inserted.get(execution.execution_id)
            if inserted_id is None:
                continue
            if execution.recording.fires:
                fired.setdefault(execution.schedule.due.schedule_id, []).append(execution)
            if execution.recording.delivers:
                look.assignments.append(_assignment(execution, inserted_id, owner))
            else:
                look.unsent.append(execution)
            if execution.recording.status is ExecutionStatus.QUEUED:
                queued.append(execution)
        if queued:
            await self._await_room(connection, queued, now, look)
        await firing.move_on(
            connection,
            [_moved(schedule, decision, fired.get(schedule.due.schedule_id, [])) for schedule, decision in decisions],
            now=self._clock.now(),
        )
        for schedule, decision in decisions:
            if decision.waiting is not None:
                look.next_due_ms[schedule_member(schedule.due.schedule_id)] = to_ms(decision.waiting.due_at)

    @staticmethod
    async def _await_room(connection: Connection, queued: list[NewExecution], now: datetime, look: Look) -> None:
        """Mark what the queued runs wait for; where that has ended meanwhile, there is room already."""
        groups = {Group(one.schedule.due.schedule_id, None): one.schedule.due.max_instances for one in queued}
        await wait_briefly(connection)
        standing = await queueing.await_room(connection, groups)
        look.made_room |= {group for group, limit in groups.items() if standing[group] < limit}
        look.wakes += [Wake(one.schedule.community_id, one.execution_id, now + HEAD_LOOKS_AFTER) for one in queued]

    async def _make_way(
        self, connection: Connection, decisions: list[tuple[LockedSchedule, Decision]], look: Look
    ) -> None:
        kept = {
            schedule.due.schedule_id: decision.older_kept
            for schedule, decision in decisions
            if decision.older_kept is not None
        }
        if kept:
            await wait_briefly(connection)
            now = self._clock.now()
            cancelled = await queueing.make_way(connection, kept, now=now)
            look.wakes += await notices.tell_of(connection, cancelled, now=now)
            look.cancelled += cancelled


def _moved(schedule: LockedSchedule, decision: Decision, fired: list[NewExecution]) -> Moved:
    last = fired[-1] if fired else None
    return Moved(
        schedule_id=schedule.due.schedule_id,
        decision=decision,
        status=decision.status,
        fired=len(fired),
        last_at=None if last is None else last.recording.scheduled_for,
        last_id=None if last is None else last.execution_id,
    )


def _new(schedule: LockedSchedule, decision: Decision) -> list[NewExecution]:
    """What is to be recorded, each with what fired before it and what follows, as its delivery tells the target."""
    following: list[datetime | None] = [recording.scheduled_for for recording in decision.recordings[1:]]
    following.append(None if decision.waiting is None else decision.waiting.occurrence)
    last = schedule.last_execution_at
    new = []
    for recording, after in zip(decision.recordings, following, strict=False):
        at = recording.scheduled_for
        new.append(NewExecution(execution_id(schedule.due.schedule_id, at, at), schedule, recording, last, after))
        if recording.fires:
            last = at
    return new


def _assignment(execution: NewExecution, inserted_id: UUID, owner: UUID) -> Assignment:
    schedule, recording = execution.schedule, execution.recording
    return Assignment(
        execution_id=inserted_id,
        recorded_for=recording.scheduled_for,
        schedule_id=schedule.due.schedule_id,
        community_id=schedule.community_id,
        workflow_id=schedule.workflow_id,
        trigger="schedule",
        scheduled_for=recording.scheduled_for,
        due_ms=to_ms(recording.due_at),
        coalesced_count=recording.coalesced_count,
        last_scheduled_for=execution.last_scheduled_for,
        next_execution_at=execution.next_execution_at,
        timezone=schedule.due.timing.timezone,
        context_json=schedule.context_json,
        retry=schedule.retry,
        completion=schedule.completion,
        timeout_seconds=schedule.timeout_seconds,
        retry_since=recording.due_at,
        revision=schedule.revision,
        owner=owner,
        attempt=1,
        failures=0,
        target=schedule.target,
    )
