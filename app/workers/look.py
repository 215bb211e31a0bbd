"""What became of a batch of claimed entries."""

from dataclasses import dataclass, field
from uuid import UUID

from app.core.assignment import Assignment
from app.core.execution import Wake
from app.store.firing import NewExecution
from app.store.queueing import Group


@dataclass(slots=True)
class Look:
    """What became of a batch; nothing of it counts before the transaction has committed.

    `next_due_ms` has each entry's next due time, null for none. `wakes` are executions beside the claimed entries that
    want a look. `unsent` are executions that were recorded as missed, skipped, cancelled or queued; `cancelled` those
    that made way, `timed_out` those that were not reported on in time, `failed_schedules` and `failed_executions` what
    could not be computed, each with its reason: whoever finds one only notes it, and it is ended last. `set_back` are
    entries that could not even be looked at. `made_room` are groups of runs in which one ended that a queued run may
    wait for. `early` are entries whose schedules are not to be decided before the claim-ahead, each with that instant
    in ms. `in_vain` counts entries whose row was taken, gone, or not due.
    """

    assignments: list[Assignment] = field(default_factory=list)
    next_due_ms: dict[str, int | None] = field(default_factory=dict)
    wakes: list[Wake] = field(default_factory=list)
    unsent: list[NewExecution] = field(default_factory=list)
    timed_out: dict[UUID, str] = field(default_factory=dict)
    cancelled: list[UUID] = field(default_factory=list)
    failed_schedules: dict[UUID, str] = field(default_factory=dict)
    failed_executions: dict[UUID, str] = field(default_factory=dict)
    set_back: set[str] = field(default_factory=set)
    made_room: set[Group] = field(default_factory=set)
    early: dict[str, int] = field(default_factory=dict)
    in_vain: int = 0

    def add(self, other: "Look") -> None:
        """Take in what became of another part of the batch."""
        self.assignments += other.assignments
        self.next_due_ms |= other.next_due_ms
        self.wakes += other.wakes
        self.unsent += other.unsent
        self.timed_out |= other.timed_out
        self.cancelled += other.cancelled
        self.failed_schedules |= other.failed_schedules
        self.failed_executions |= other.failed_executions
        self.set_back |= other.set_back
        self.made_room |= other.made_room
        self.early |= other.early
        self.in_vain += other.in_vain


def reason_of(poison: Exception) -> str:
    """Why a row could not be computed, short enough to be stored."""
    return f"{type(poison).__name__}: {poison}"[:1000].replace("\x00", "�")
