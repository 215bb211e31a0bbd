"""What one transaction does with a batch of claimed entries: everything is decided from the locked rows.

A wheel entry only says "look". So a batch that is looked at twice, by whomever, records each occurrence once.
Schedules come before executions, each in the order of their ids: two overlapping batches cannot deadlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from app.core.assignment import Assignment
from app.core.clock import Clock, to_ms
from app.core.firing import Decision, counts_unfinished, decide
from app.core.ids import execution_id, recorded_for
from app.store import firing, taking
from app.store.database import Connection
from app.store.firing import LockedSchedule, Moved, NewExecution

_HANDED_BACK_MS = 20
"""How long after the claim-ahead a row that another has locked is looked at again."""


@dataclass(slots=True)
class Look:
    """What became of a batch; nothing of it counts before the transaction has committed.

    `next_due_ms` has each entry's next due time, null for none. `unsent` are executions that were recorded as missed
    or skipped, `failed_schedules` and `failed_executions` what could not be computed, each with its reason. `in_vain`
    counts entries whose row was taken, gone, or not due.
    """

    assignments: list[Assignment] = field(default_factory=list)
    next_due_ms: dict[str, int | None] = field(default_factory=dict)
    unsent: list[NewExecution] = field(default_factory=list)
    failed_schedules: dict[UUID, str] = field(default_factory=dict)
    failed_executions: dict[UUID, str] = field(default_factory=dict)
    in_vain: int = 0

    def add(self, other: "Look") -> None:
        """Take in what became of another part of the batch."""
        self.assignments += other.assignments
        self.next_due_ms |= other.next_due_ms
        self.unsent += other.unsent
        self.failed_schedules |= other.failed_schedules
        self.failed_executions |= other.failed_executions
        self.in_vain += other.in_vain


class Looker:
    """Looks at claimed entries on behalf of one owner."""

    def __init__(self, clock: Clock, *, claim_ahead_ms: int) -> None:
        self._clock = clock
        self._claim_ahead_ms = claim_ahead_ms

    async def look(self, connection: Connection, members: Sequence[str], owner: UUID) -> Look:
        """Record what is due, take what waits, and say when each entry is due next; within the caller's transaction."""
        look = Look(next_due_ms=dict.fromkeys(members))
        schedules = [row_id for member in members if (row_id := schedule_of(member)) is not None]
        executions = [row_id for member in members if (row_id := execution_of(member)) is not None]
        look.in_vain += len(members) - len(schedules) - len(executions)
        if schedules:
            await self._look_at_schedules(connection, schedules, owner, look)
        if executions:
            await self._look_at_executions(connection, executions, owner, look)
        return look

    async def _look_at_schedules(
        self, connection: Connection, schedule_ids: list[UUID], owner: UUID, look: Look
    ) -> None:
        rows = await firing.lock_due(connection, schedule_ids)
        now = self._clock.now()
        horizon = now + timedelta(milliseconds=self._claim_ahead_ms)
        locked: list[LockedSchedule] = []
        seen: set[UUID] = set()
        for row in rows:
            seen.add(row["schedule_id"])
            if row["next_due_at"] > horizon:
                look.next_due_ms[f"s:{row['schedule_id']}"] = to_ms(row["next_due_at"])
                look.in_vain += 1
                continue
            try:
                locked.append(firing.locked_schedule(row))
            except Exception as poison:
                look.failed_schedules[row["schedule_id"]] = reason_of(poison)
        await self._note_unlocked(connection, [one for one in schedule_ids if one not in seen], look)
        await self._record(connection, await self._decide(connection, locked, look), owner, look)
        await firing.fail(connection, look.failed_schedules)

    async def _note_unlocked(self, connection: Connection, schedule_ids: list[UUID], look: Look) -> None:
        # Locked by another, or gone? SKIP LOCKED alone cannot tell, and what is gone must not come back for ever.
        if not schedule_ids:
            return
        look.in_vain += len(schedule_ids)
        again = self._clock.now_ms() + self._claim_ahead_ms + _HANDED_BACK_MS
        for schedule_id in await firing.still_active(connection, schedule_ids):
            look.next_due_ms[f"s:{schedule_id}"] = again

    async def _decide(
        self, connection: Connection, locked: list[LockedSchedule], look: Look
    ) -> list[tuple[LockedSchedule, Decision]]:
        counted = [schedule.due.schedule_id for schedule in locked if counts_unfinished(schedule.due)]
        unfinished = await firing.count_unfinished(connection, counted) if counted else {}
        now = self._clock.now()
        decisions = []
        for schedule in locked:
            try:
                decision = decide(schedule.due, unfinished=unfinished.get(schedule.due.schedule_id, 0), now=now)
            except Exception as poison:
                look.failed_schedules[schedule.due.schedule_id] = reason_of(poison)
            else:
                decisions.append((schedule, decision))
        return decisions

    async def _record(
        self, connection: Connection, decisions: list[tuple[LockedSchedule, Decision]], owner: UUID, look: Look
    ) -> None:
        new = [
            NewExecution(
                execution_id(schedule.due.schedule_id, recording.scheduled_for, recording.scheduled_for),
                schedule,
                recording,
                _following(decision, position),
            )
            for schedule, decision in decisions
            for position, recording in enumerate(decision.recordings)
        ]
        inserted = await firing.record(connection, new, owner=owner, now=self._clock.now())
        fired: dict[UUID, list[NewExecution]] = {}
        for execution in new:
            # Only what was really inserted is counted and delivered.
            if execution.execution_id not in inserted:
                continue
            if execution.recording.delivers:
                look.assignments.append(_assignment(execution, owner))
                fired.setdefault(execution.schedule.due.schedule_id, []).append(execution)
            else:
                look.unsent.append(execution)
        await firing.move_on(
            connection,
            [_moved(schedule, decision, fired.get(schedule.due.schedule_id, [])) for schedule, decision in decisions],
            now=self._clock.now(),
        )
        for schedule, decision in decisions:
            if decision.waiting is not None:
                look.next_due_ms[f"s:{schedule.due.schedule_id}"] = to_ms(decision.waiting.due_at)

    async def _look_at_executions(
        self, connection: Connection, execution_ids: list[UUID], owner: UUID, look: Look
    ) -> None:
        rows = await taking.lock_waiting(connection, execution_ids)
        now = self._clock.now()
        seen = {row.execution_id for row in rows}
        taken: list[Assignment] = []
        for row in rows:
            if row.wake_at > now:
                look.next_due_ms[f"x:{row.execution_id}"] = to_ms(row.wake_at)
                look.in_vain += 1
            elif row.takeable:
                try:
                    taken.append(row.taken_by(owner))
                except Exception as poison:
                    look.failed_executions[row.execution_id] = reason_of(poison)
        unlocked = [one for one in execution_ids if one not in seen]
        if unlocked:
            look.in_vain += len(unlocked)
            again = to_ms(now) + self._claim_ahead_ms + _HANDED_BACK_MS
            for waiting_id in await taking.still_waiting(connection, unlocked):
                look.next_due_ms[f"x:{waiting_id}"] = again
        await taking.take(connection, taken, owner=owner)
        await taking.fail(connection, look.failed_executions, now=now)
        look.assignments += taken


def _moved(schedule: LockedSchedule, decision: Decision, fired: list[NewExecution]) -> Moved:
    status = decision.status
    last = fired[-1] if fired else None
    return Moved(
        schedule_id=schedule.due.schedule_id,
        decision=decision,
        status=status,
        fired=len(fired),
        last_at=None if last is None else last.recording.scheduled_for,
        last_id=None if last is None else last.execution_id,
    )


def _following(decision: Decision, position: int) -> datetime | None:
    """The schedule's next occurrence after a recording, as its delivery tells the target."""
    if position + 1 < len(decision.recordings):
        return decision.recordings[position + 1].scheduled_for
    return None if decision.waiting is None else decision.waiting.occurrence


def _assignment(execution: NewExecution, owner: UUID) -> Assignment:
    schedule, recording = execution.schedule, execution.recording
    return Assignment(
        execution_id=execution.execution_id,
        recorded_for=recording.scheduled_for,
        schedule_id=schedule.due.schedule_id,
        community_id=schedule.community_id,
        workflow_id=schedule.workflow_id,
        trigger="schedule",
        scheduled_for=recording.scheduled_for,
        due_ms=to_ms(recording.due_at),
        coalesced_count=recording.coalesced_count,
        last_scheduled_for=schedule.last_execution_at,
        next_execution_at=execution.next_execution_at,
        timezone=schedule.due.timing.timezone,
        context_json=schedule.context_json,
        retry=schedule.retry,
        retry_since=recording.due_at,
        revision=schedule.revision,
        owner=owner,
        attempt=1,
        failures=0,
    )


def schedule_of(member: str) -> UUID | None:
    """The schedule that an entry names; null for another's, and for what a stranger left in the wheel."""
    return _id_of(member) if member.startswith("s:") else None


def execution_of(member: str) -> UUID | None:
    """The execution that an entry names; null for another's, and for an id that no execution can have."""
    row_id = _id_of(member) if member.startswith("x:") else None
    return None if row_id is None or recorded_for(row_id) is None else row_id


def _id_of(member: str) -> UUID | None:
    try:
        return UUID(member[2:])
    except ValueError:
        return None


def reason_of(poison: Exception) -> str:
    """Why a row could not be computed, short enough to be stored."""
    return f"{type(poison).__name__}: {poison}"[:1000].replace("\x00", "�")
