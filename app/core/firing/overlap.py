"""What a new run does while others of its schedule are unfinished."""

from dataclasses import dataclass, replace

from app.core.execution import ExecutionStatus, Reason
from app.core.firing.values import Recording
from app.core.schedule import OverlapPolicy

MOST_QUEUED = 1
"""Runs of one schedule that may wait in its queue; backfills are groups of their own."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The runs of a schedule that have not ended: those that run or wait for delivery, and those in its queue.

    Backfilled runs are none of them.
    """

    unfinished: int = 0
    queued: int = 0


NOTHING_STANDS = Standing()


class Overlap:
    """Places new runs one after the other, each counting for the next."""

    def __init__(self, policy: OverlapPolicy, max_instances: int, standing: Standing) -> None:
        self._policy = policy
        self._max_instances = max_instances
        self._older = standing.unfinished
        self._queued = standing.queued
        self._placed: list[Recording] = []
        self._cancelled = 0

    @property
    def recordings(self) -> list[Recording]:
        """The runs in their order, each as it is to be recorded."""
        return self._placed

    @property
    def fired(self) -> int:
        """How many of them are triggered, and count towards `max_executions`."""
        return sum(recording.fires for recording in self._placed)

    @property
    def older_kept(self) -> int | None:
        """How many of the older runs go on, the newest of them; null where none has to make way.

        Not how many make way: by the time they do, some may have ended, and have made room themselves.
        """
        return self._older - self._cancelled if self._cancelled else None

    def place(self, run: Recording) -> None:
        """Take in the next run."""
        full = self._older - self._cancelled + self._pending() >= self._max_instances
        if self._policy is OverlapPolicy.SKIP and full:
            run = replace(run, status=ExecutionStatus.SKIPPED, reason=Reason.OVERLAP)
        elif self._policy is OverlapPolicy.QUEUE and (full or self._queued > 0):
            # One that waits is not overtaken, also where there is room: its turn comes in a moment.
            if self._queued >= MOST_QUEUED:
                run = replace(run, status=ExecutionStatus.SKIPPED, reason=Reason.QUEUE_FULL)
            else:
                run = replace(run, status=ExecutionStatus.QUEUED)
                self._queued += 1
        elif self._policy is OverlapPolicy.CANCEL_RUNNING and full:
            self._make_way()
        self._placed.append(run)

    def _make_way(self) -> None:
        surplus = self._older - self._cancelled + self._pending() - self._max_instances + 1
        older = min(surplus, self._older - self._cancelled)
        self._cancelled += older
        # The rest are runs of this same look, recorded and cancelled at once.
        for position, placed in enumerate(self._placed):
            if surplus == older:
                return
            if placed.delivers:
                self._placed[position] = replace(placed, status=ExecutionStatus.CANCELLED, reason=Reason.CANCEL_RUNNING)
                older += 1

    def _pending(self) -> int:
        return sum(recording.delivers for recording in self._placed)
