"""The steps that callers and targets take."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.execution import Execution, Reason
from app.core.execution import ExecutionStatus as Status
from app.core.occurrences import ScheduleType, next_occurrence
from app.core.queries import Answer
from app.core.schedule import Definition, OverlapPolicy
from app.service.backfilling import BackfillRequest
from tests.integration.workers.life.book import Book, firing
from tests.integration.workers.life.life import CALLER, Life
from tests.integration.workers.life.seen import Run
from tests.integration.workers.life.wanted import Wanted, patched

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Replace:
    """PUT: another definition, timing and all."""

    of: int
    wanted: Wanted

    async def take(self, life: Life) -> None:
        await _change(life, life.book(self.of), self.wanted.definition(life.now))


@dataclass(frozen=True, slots=True)
class Patch:
    """PATCH: other values for a few fields, or for none."""

    of: int
    fields: dict[str, Any]

    async def take(self, life: Life) -> None:
        book = life.book(self.of)
        await _change(life, book, patched(book.definition, self.fields))


async def _change(life: Life, book: Book, asked: Definition) -> None:
    definition = asked if asked == book.definition else life.numbered(asked)
    kept, reached = life.kept(book), life.reached(book)

    def then() -> None:
        assert kept is not None
        if definition.max_instances > book.definition.max_instances:
            # Nobody is woken by that: whoever waits looks by itself.
            book.roomier_until = life.now + timedelta(seconds=5)
        book.changed(definition, life.days(definition), reached, life.now, kept)

    await life.asked(
        life.schedules.change(CALLER, book.schedule_id, lambda _: definition, expected_revision=None), then
    )


@dataclass(frozen=True, slots=True)
class Pause:
    of: int

    async def take(self, life: Life) -> None:
        book = life.book(self.of)
        kept, reached = life.kept(book), life.reached(book)

        def then() -> None:
            if not book.paused:
                assert kept is not None
                book.pauses(reached, kept)

        await life.asked(life.schedules.pause(CALLER, book.schedule_id, reason="a step"), then)
        assert book.paused or book.removed or life.seen.schedules[book.schedule_id].status == "completed"


@dataclass(frozen=True, slots=True)
class Resume:
    of: int

    async def take(self, life: Life) -> None:
        book = life.book(self.of)
        reached = life.reached(book)

        def then() -> None:
            if book.paused:
                book.resumes(reached)

        await life.asked(life.schedules.resume(CALLER, book.schedule_id, reason="a step"), then)
        assert not book.paused or book.removed


@dataclass(frozen=True, slots=True)
class Remove:
    of: int

    async def take(self, life: Life) -> None:
        book = life.book(self.of)
        kept, reached = life.kept(book), life.reached(book)

        def then() -> None:
            assert kept is not None
            book.ends(reached, kept)
            book.removed = True

        def may(old: Run, new: Run) -> bool:
            waits = old.schedule_id == book.schedule_id and old.status in (Status.QUEUED, Status.RETRYING)
            return waits and (new.status, new.reason) == (Status.CANCELLED, Reason.REMOVED)

        await life.asked(life.schedules.remove(CALLER, book.schedule_id), then, may)
        assert book.removed


@dataclass(frozen=True, slots=True)
class SkipNext:
    of: int

    async def take(self, life: Life) -> None:
        book = life.book(self.of)
        kept = life.kept(book)

        def then() -> None:
            assert kept is not None
            if book.skips is None:
                book.skips = kept.next_execution_at
                book.raised()

        call = life.schedules.skip_next(CALLER, book.schedule_id, reason="a step", expected_revision=None)
        await life.asked(call, then)
        assert kept is None or (book.skips is not None) == (kept.next_execution_at is not None)


@dataclass(frozen=True, slots=True)
class UndoSkip:
    of: int

    async def take(self, life: Life) -> None:
        book = life.book(self.of)

        def then() -> None:
            assert book.skips is not None
            book.skips = None
            book.raised()

        await life.asked(life.schedules.undo_skip_next(CALLER, book.schedule_id, expected_revision=None), then)
        assert book.skips is None or book.removed


@dataclass(frozen=True, slots=True)
class Trigger:
    """A manual run, beside the others or, where a policy is named, among them."""

    of: int
    policy: OverlapPolicy | None = None

    async def take(self, life: Life) -> None:
        book = life.book(self.of)
        group = (book.schedule_id, None)
        before, limit = life.seen, book.definition.max_instances
        full, waits = len(before.standing(group)) >= limit, bool(before.queue(group))
        context = {"override": len(life.target.overrides)}
        triggered: list[UUID] = []

        def answer(execution: Execution) -> Answer:
            triggered.append(execution.execution_id)
            return Answer(202, {}, b"")

        def may(old: Run, new: Run) -> bool:
            makes_way = self.policy is OverlapPolicy.CANCEL_RUNNING and full and old.stands and old.group == group
            return makes_way and (new.status, new.reason) == (Status.CANCELLED, Reason.CANCEL_RUNNING)

        def then() -> None:
            life.target.overrides[triggered[0]] = context

        call = life.schedules.trigger(
            CALLER,
            book.schedule_id,
            context_override=context,
            overlap_policy=self.policy,
            answer=answer,
            idempotency=None,
        )
        await life.asked(call, then, may)
        if book.removed:
            assert not triggered
            return
        (run,) = life.seen.new_since(before)
        assert (run.execution_id, run.trigger, run.revision) == (triggered[0], "manual", book.revision)
        assert (run.status, run.reason) == _placed(self.policy, full=full, waits=waits)
        if self.policy is OverlapPolicy.CANCEL_RUNNING:
            assert len(life.seen.standing(group)) <= limit


def _placed(policy: OverlapPolicy | None, *, full: bool, waits: bool) -> tuple[str, str | None]:
    if policy is OverlapPolicy.SKIP and full:
        return Status.SKIPPED, Reason.OVERLAP
    if policy is OverlapPolicy.QUEUE and waits:
        return Status.SKIPPED, Reason.QUEUE_FULL
    if policy is OverlapPolicy.QUEUE and full:
        return Status.QUEUED, None
    return Status.PENDING, None


@dataclass(frozen=True, slots=True)
class Backfill:
    """The next few occurrences after an instant some seconds ago, once more."""

    of: int
    ago: float
    runs: int
    parallel: int

    async def take(self, life: Life) -> None:
        book = life.book(self.of)
        start = life.now - timedelta(seconds=self.ago)
        instants = _first_of(book, start, self.runs)
        end = instants[-1] + _MILLISECOND if instants else start + timedelta(seconds=1)
        before = life.seen
        request = BackfillRequest(start, end, self.parallel, dry_run=False, context_override=None)
        call = life.schedules.backfill(
            CALLER, book.schedule_id, request, answer=lambda _: Answer(202, {}, b""), idempotency=None
        )
        await life.asked(call, lambda: None)
        new = life.seen.new_since(before)
        assert [run.scheduled_for for run in new] == ([] if book.removed else instants)
        assert all(run.queued and run.trigger == "backfill" and run.max_parallel == self.parallel for run in new)
        assert len({run.group_id for run in new}) <= 1


def _first_of(book: Book, start: datetime, count: int) -> list[datetime]:
    timing = book.timing
    if timing.schedule_type is ScheduleType.ONE_TIME:
        single = next_occurrence(timing, start - _MILLISECOND)
        return [] if single is None or single > start + timedelta(days=1) else [single]
    return firing(timing, start - _MILLISECOND, start + timedelta(hours=6))[:count]


@dataclass(frozen=True, slots=True)
class Cancel:
    which: int

    async def take(self, life: Life) -> None:
        run = life.run(self.which, Status.QUEUED, Status.PENDING, Status.RUNNING, Status.RETRYING)
        if run is not None:
            await cancel(life, run.execution_id)


async def cancel(life: Life, execution_id: UUID) -> None:
    """A caller cancels a run."""

    def may(old: Run, new: Run) -> bool:
        ends = old.execution_id == execution_id and old.finished_at is None
        return ends and (new.status, new.reason) == (Status.CANCELLED, Reason.CANCELLED_BY_CALLER)

    await life.asked(life.executions.cancel(CALLER, execution_id, reason="a step"), lambda: None, may)
    assert life.seen.runs[execution_id].finished_at is not None


@dataclass(frozen=True, slots=True)
class Complete:
    """The target reports the end of a run."""

    which: int
    failed: bool = False

    async def take(self, life: Life) -> None:
        run = life.run(self.which, Status.RUNNING, Status.PENDING, Status.RETRYING)
        if run is not None:
            await complete(life, run.execution_id, failed=self.failed)


async def complete(life: Life, execution_id: UUID, *, failed: bool) -> None:
    """The target reports the end of a run."""
    before = life.seen.runs[execution_id]

    def may(old: Run, new: Run) -> bool:
        ends = old.execution_id == execution_id and old.stands
        return ends and new.status == (Status.FAILED if failed else Status.SUCCEEDED)

    def then() -> None:
        life.reported.add(execution_id)

    call = life.executions.complete(CALLER, execution_id, failed=failed, result=None, error=None)
    await life.asked(call, then, may)
    assert before.queued or life.seen.runs[execution_id].finished_at is not None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    which: int

    async def take(self, life: Life) -> None:
        run = life.run(self.which, Status.RUNNING)
        if run is None:
            return
        timeout = life.books[run.schedule_id].revisions[run.revision].timeout_seconds

        def may(old: Run, new: Run) -> bool:
            assert old.wake_at is not None
            later = max(old.wake_at, life.now + timedelta(seconds=timeout))
            return old == run and old.status == new.status == Status.RUNNING and new.wake_at == later

        await life.asked(life.executions.heartbeat(CALLER, run.execution_id), lambda: None, may)


@dataclass(frozen=True, slots=True)
class Retry:
    """An operator has a failed run delivered again."""

    which: int

    async def take(self, life: Life) -> None:
        run = life.run(self.which, Status.FAILED, Status.TIMED_OUT)
        if run is None:
            return

        def may(old: Run, new: Run) -> bool:
            reopened = old == run and old.status in (Status.FAILED, Status.TIMED_OUT)
            fresh = (new.status, new.failures, new.wake_at, new.attempt) == (Status.PENDING, 0, life.now, old.attempt)
            return reopened and fresh

        call = life.executions.retry(CALLER, run.execution_id, answer=lambda _: Answer(202, {}, b""), idempotency=None)
        await life.asked(call, lambda: None, may)
