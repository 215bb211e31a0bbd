"""What must hold of the rows, whatever happened: none twice, none lost, counts exact, an end is an end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from hypothesis import reject

from app.core.execution import ExecutionStatus as Status
from app.core.execution import Reason
from app.core.occurrences import ScheduleType
from app.core.schedule import OverlapPolicy
from tests.integration.workers.life.book import Book
from tests.integration.workers.life.seen import Group, Kept, Run, Seen

Books = Mapping[UUID, Book]
Allowed = Callable[[Run, Run], bool]

_UNTRIGGERED = {Reason.OVERLAP, Reason.QUEUE_FULL, Reason.CANCEL_RUNNING}
"""Why an occurrence that came in time was not triggered after all."""


def always(books: Books, before: Seen, after: Seen) -> None:
    """What holds after each transaction, whoever's it was."""
    for run in after.runs.values():
        _stands_as_it_may(run)
    for book in books.values():
        kept = after.schedules.get(book.schedule_id)
        assert (kept is None) == book.removed
        _count(book, before, after, kept)
        _instants(book, after, kept)
        if kept is not None:
            _schedule(book, before, kept)
    for group in after.groups():
        assert group[1] is not None or len(after.queue(group)) == 1, "more than one run is queued"


def only(before: Seen, after: Seen, allowed: Allowed) -> None:
    """Of the runs that were there none changed but as allowed; when a queued one looks again is its own matter."""
    for key, old in before.runs.items():
        new = after.runs[key]
        if old == new or (old.queued and new.queued and _without_wake(old) == _without_wake(new)):
            continue
        assert allowed(old, new), f"nobody may make {new} of {old}"


def noted(old: Run, new: Run) -> bool:
    """Whether a run that has ended has got the attempt whose answer came after its end, and nothing else."""
    attempts, were = orjson.loads(new.attempts), orjson.loads(old.attempts)
    same = replace(new, attempts=old.attempts, started_at=old.started_at) == old
    return same and attempts[:-1] == were and attempts[-1]["number"] == old.attempt


def nothing(_old: Run, _new: Run) -> bool:
    """No run may change."""
    return False


def _without_wake(run: Run) -> tuple[object, ...]:
    return tuple(getattr(run, name) for name in run.__slots__ if name != "wake_at")


def _stands_as_it_may(run: Run) -> None:
    ended = run.status not in (Status.PENDING, Status.QUEUED, Status.RUNNING, Status.RETRYING)
    assert ended == (run.finished_at is not None), run
    assert run.owner is None or run.status == Status.PENDING, run
    # What has not ended waits for a time, or is in a worker's hands.
    assert (run.wake_at is None) == (ended or run.owner is not None), run


def _count(book: Book, before: Seen, after: Seen, kept: Kept | None) -> None:
    """Counts what was triggered since the last look, and compares."""
    fired = [run for run in after.new_since(before) if run.schedule_id == book.schedule_id and run.own and run.fires]
    book.fired += len(fired)
    for run in fired:
        most = book.definition.max_executions
        assert most is None or book.fired <= most, "it ran more often than it may"
        book.last_fired = run.scheduled_for
    if kept is not None:
        assert kept.execution_count == book.fired
        assert kept.last_execution_at == book.last_fired
        assert kept.last_execution_id is None or after.runs[kept.last_execution_id].scheduled_for == book.last_fired


def _instants(book: Book, after: Seen, kept: Kept | None) -> None:
    """Each instant that is to have a record has exactly one."""
    if kept is not None and book.completed_by_days(kept) and not book.exhausted:
        # These books do not follow a record that stands ahead and is taken back: test_recomputing does.
        reject()
    expected = book.expected(kept)
    recorded = sorted(after.own(book.schedule_id), key=lambda run: run.first)
    singles = [run for run in recorded if run.scheduled_for in expected.singles and run.count == 1]
    assert {run.scheduled_for for run in singles} == expected.singles
    others = [run for run in recorded if run not in singles]
    _tile("off", expected.off, [run for run in others if run.reason == Reason.CALENDAR])
    _tile("firing", expected.firing, [run for run in others if run.reason != Reason.CALENDAR])


def _tile(what: str, expected: Sequence[datetime], recorded: Sequence[Run]) -> None:
    position = 0
    for run in recorded:
        covered = expected[position : position + run.count]
        position += run.count
        assert covered, f"{what}: {run} stands for nothing that was to come"
        assert (covered[0], covered[-1]) == (run.first, run.scheduled_for), f"{what}: {run} is to stand for {covered}"
        assert len(covered) == run.count, f"{what}: {run} stands for {len(covered)}"
    assert position == len(expected), f"{what}: lost {expected[position:]}"


def _schedule(book: Book, before: Seen, kept: Kept) -> None:
    former = before.schedules.get(book.schedule_id)
    assert former is None or former.searched_to <= kept.searched_to
    assert kept.revision == book.revision
    assert (kept.status == "paused") == book.paused
    if book.skips is not None and kept.next_execution_at != book.skips:
        book.skips = None  # what would be the next was moved, or recorded
    assert kept.skips_next == (book.skips is not None)
    if book.paused:
        return
    following = None if book.open is None or book.exhausted else book.following(kept.searched_to)
    if kept.status == "completed":
        single = None if book.open is None else book.open.single
        assert following is None or following == single, f"completed, and {following} is left"
        return
    assert kept.status == "active"
    assert kept.next_execution_at == following
    assert kept.next_execution_at is not None
    assert kept.next_due_at is not None
    jitter = timedelta(seconds=book.definition.jitter_seconds)
    late = book.definition.schedule_type is ScheduleType.ONE_TIME  # accepted past its time, and due then
    assert kept.next_execution_at <= kept.next_due_at <= kept.next_execution_at + jitter or late


def looked(books: Books, before: Seen, after: Seen, worker_id: UUID) -> None:
    """What a worker's look may do: record in time, start in order, within the limits."""
    only(before, after, lambda old, new: _may_look(books, after.at, worker_id, old, new))
    for book in books.values():
        new = [run for run in after.new_since(before) if run.schedule_id == book.schedule_id]
        for run in new:
            assert run.own
            assert run.status != Status.PENDING or (run.owner, run.attempt) == (worker_id, 1)
            _recorded_in_time(book, run, after.at)
        _skipped(book, before, after, new)
        _beside_others(book, before, after, new)
    for group in before.groups():
        _in_turn(books, before, after, group)


def _may_look(books: Books, now: datetime, worker_id: UUID, old: Run, new: Run) -> bool:
    if old.finished_at is not None:
        return False
    due = old.wake_at is not None and old.wake_at <= now
    if new.status == Status.PENDING:
        free = old.status == Status.RETRYING or (old.status == Status.PENDING and old.owner is None)
        taken = (new.owner, new.attempt) == (worker_id, old.attempt + 1)
        return taken and (old.queued or (free and due))
    if new.status == Status.TIMED_OUT:
        return old.status == Status.RUNNING and due
    policy = books[old.schedule_id].definition.overlap_policy
    makes_way = policy is OverlapPolicy.CANCEL_RUNNING and old.group_id is None and old.stands
    return makes_way and (new.status, new.reason) == (Status.CANCELLED, Reason.CANCEL_RUNNING)


def _recorded_in_time(book: Book, run: Run, now: datetime) -> None:
    """Late past the grace is missed, and nothing else is."""
    definition = book.definition
    late = now - run.due_at > timedelta(seconds=definition.grace_period_seconds)
    jitter = timedelta(seconds=definition.jitter_seconds)
    if run.reason in (Reason.CALENDAR, Reason.SKIP_NEXT, Reason.CATCH_UP_LIMIT):
        return
    assert late == (run.status == Status.MISSED), run
    assert run.due_at - jitter <= run.scheduled_for or definition.schedule_type is ScheduleType.ONE_TIME
    if not late:
        assert run.fires or run.reason in _UNTRIGGERED, run
    if not late and run.count > 1:
        assert definition.coalesce, run
        assert now - (run.first + jitter) <= timedelta(seconds=definition.grace_period_seconds), run


def _skipped(book: Book, before: Seen, after: Seen, new: Sequence[Run]) -> None:
    skips = [run for run in new if run.reason == Reason.SKIP_NEXT]
    asked = before.schedules.get(book.schedule_id)
    if asked is None or not asked.skips_next:
        assert not skips
    elif after.schedules[book.schedule_id].next_execution_at != asked.next_execution_at:
        assert [(run.scheduled_for, run.count) for run in skips] == [(asked.next_execution_at, 1)]


def _beside_others(book: Book, before: Seen, after: Seen, new: Sequence[Run]) -> None:
    """What the overlap policy made of the new runs."""
    group, limit, policy = (book.schedule_id, None), book.definition.max_instances, book.definition.overlap_policy
    pending = [run for run in new if run.status == Status.PENDING]
    placed = len(before.standing(group)) + len(pending)
    reasons = {run.reason for run in new}
    if policy in (OverlapPolicy.SKIP, OverlapPolicy.QUEUE) and pending:
        assert placed <= limit, "recorded beside too many"
    if Reason.OVERLAP in reasons:
        assert policy is OverlapPolicy.SKIP
        assert placed >= limit, "skipped with room"
    queued = [run for run in new if run.queued]
    if queued or Reason.QUEUE_FULL in reasons:
        assert policy is OverlapPolicy.QUEUE
        assert placed >= limit or before.queue(group), "queued with room"
        assert not (pending and before.queue(group)), "overtook the one that waits"
    if policy is OverlapPolicy.CANCEL_RUNNING and pending:
        assert len(after.standing(group)) <= limit, "too few made way"
    cancelled = [
        run
        for run in after.runs.values()
        if run.group == group
        and run.reason == Reason.CANCEL_RUNNING
        and (run.execution_id not in before.runs or before.runs[run.execution_id].finished_at is None)
    ]
    if cancelled:
        assert policy is OverlapPolicy.CANCEL_RUNNING
        assert placed >= limit, "made way without need"


def _in_turn(books: Books, before: Seen, after: Seen, group: Group) -> None:
    """Queued runs start in their order, as many as there is room for."""
    queue = before.queue(group)
    started = [run for run in queue if not after.runs[run.execution_id].queued]
    assert started == queue[: len(started)], "started out of turn"
    if started:
        assert len(after.standing(group)) <= limit_of(books, queue[0]), "started without room"


def limit_of(books: Books, run: Run) -> int:
    """How many of a run's group may run at once."""
    return run.max_parallel or books[run.schedule_id].definition.max_instances


def nothing_waits_in_vain(books: Books, seen: Seen) -> None:
    """Where there is room a queued run looks for it now: whoever made the room woke it."""
    for group in seen.groups():
        head = seen.queue(group)[0]
        if len(seen.standing(group)) < limit_of(books, head):
            assert head.wake_at is not None
            assert head.wake_at <= max(seen.at, books[head.schedule_id].roomier_until), f"{head} was not woken"


def nothing_is_overdue(seen: Seen, until: datetime) -> None:
    """Nobody waits for an instant that has passed."""
    for kept in seen.schedules.values():
        assert kept.next_due_at is None or kept.next_due_at > until, f"overdue: {kept}"
    for run in seen.unfinished():
        assert run.wake_at is None or run.wake_at > until, f"overdue: {run}"
