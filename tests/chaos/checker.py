"""The checker: what should have happened against what did, one to one. Pure.

Expected occurrences come from the pure occurrence function and from the definitions in force, recorded ones from
Postgres, deliveries from the target's notes. Of a change that raced with a firing both orders are admissible, because
a record names the revision that made it; but its instant is in one record, never in two and never in none.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from app.core.clock import to_ms
from app.core.occurrences import ScheduleType, Timing, next_occurrence
from tests.chaos.history import Acknowledged, Era, Harm, Jump, Life, Note, Record, Stall, Suffering, Verdict

_LEAST_MS = {Harm.FROZEN: 5_000, Harm.CUT_OFF: 10_000}
"""How long a harm must have lasted to explain anything. An answer that comes to a worker which is frozen past its lease
is too late for it. One that is cut off from Postgres keeps its answers, until it is declared dead after some 15 s."""
_CLOCK_KNOWN_AFTER_MS = 90_000
"""A process asks for Postgres's clock every 10 s, and a small correction waits for the last six answers."""
_AFTER_STALL_MS = 1_000
"""How long a target that stood still takes to note all that had come meanwhile."""
_NEVER_SENT = frozenset({"missed", "skipped"})
_SENT = frozenset({"succeeded", "failed", "timed_out"})
_SUPERSEDED = frozenset({"paused", "replaced", "removed"})


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What happened around the deliveries: harms, stalls, jumps of the clock, and how the product was set up.

    `ahead` is how long before its instant an occurrence may be recorded, `patience_ms` how long a worker waits for a
    target's answer.
    """

    sufferings: Sequence[Suffering] = ()
    stalls: Sequence[Stall] = ()
    jumps: Sequence[Jump] = ()
    ahead: timedelta = timedelta(milliseconds=50)
    patience_ms: float = 30_000


def check_schedule(
    life: Life, records: Sequence[Record], notes: Mapping[str, Sequence[Note]], around: Circumstances, verdict: Verdict
) -> None:
    """Add to the verdict what is to be said of one schedule: of all its records, and of their deliveries."""
    own = [record for record in records if record.trigger == "schedule"]
    if life.eras[0].timing.schedule_type is ScheduleType.ONE_TIME:
        _check_one_time(life, own, around, verdict)
    else:
        _check_recurring(life, own, around, verdict)
    marks = {era.revision: era.mark for era in life.eras}
    for record in records:
        verdict.records += 1
        verdict.statuses[record.status] = verdict.statuses.get(record.status, 0) + 1
        _check_record(record, verdict)
        _check_deliveries(record, marks, notes.get(record.execution_id, ()), around, verdict)


def _check_recurring(life: Life, records: Sequence[Record], around: Circumstances, verdict: Verdict) -> None:
    by_revision: dict[int, list[Record]] = {}
    for record in records:
        by_revision.setdefault(record.revision, []).append(record)
    consumed, recorded = life.eras[0].at, Counter[datetime]()
    for position, era in enumerate(life.eras):
        following = life.eras[position + 1] if position + 1 < len(life.eras) else None
        ends_at = life.until if following is None else following.at
        if position and _begins_anew(life.eras[position - 1], era):
            consumed = max(consumed, era.at)
        mine = by_revision.pop(era.revision, [])
        if not era.active:
            for record in mine:
                verdict.broken(f"{life.schedule_id}: {record} was recorded while it was paused")
            continue
        last = max((record.scheduled_for for record in mine), default=consumed)
        stops = following is None or not following.active or following.timing != era.timing
        expected = list(_between(era.timing, consumed, max(last, ends_at) if stops else last))
        _match(life, era, expected, mine, recorded, verdict)
        verdict.occurrences += len(expected)
        lost = [instant for instant in expected if not recorded[instant]]
        verdict.lost += len(lost)
        for instant in lost[:3]:
            verdict.broken(f"{life.schedule_id}: {instant} of revision {era.revision} is in no record")
        if stops and last > ends_at + around.ahead:
            verdict.broken(f"{life.schedule_id}: {last} was recorded under revision {era.revision}, over at {ends_at}")
        consumed = max(consumed, last, *([ends_at] if stops else []))
    for left in by_revision.values():
        verdict.broken(f"{life.schedule_id}: {left[0]} names a revision that there was not")
    twice = [instant for instant, times in recorded.items() if times > 1]
    verdict.recorded_twice += len(twice)
    for instant in twice[:3]:
        verdict.broken(f"{life.schedule_id}: {instant} is in {recorded[instant]} records")


def _begins_anew(before: Era, after: Era) -> bool:
    return before.timing != after.timing or before.active != after.active


def _match(
    life: Life, era: Era, expected: list[datetime], records: list[Record], recorded: Counter[datetime], verdict: Verdict
) -> None:
    """Count for each expected instant the records that stand for it."""
    place = {instant: position for position, instant in enumerate(expected)}
    skipped = {one.skips for one in life.eras}
    for record in records:
        first = record.covers_from or record.scheduled_for
        if first not in place or record.scheduled_for not in place:
            # What was consumed before is expected no more: an instant of an earlier revision, for a second time.
            if recorded[record.scheduled_for]:
                recorded[record.scheduled_for] += 1
            else:
                verdict.broken(f"{life.schedule_id}: {record} stands for nothing that is expected")
            continue
        run = expected[place[first] : place[record.scheduled_for] + 1]
        if len(run) != record.coalesced_count or (record.covers_from is not None) != (len(run) > 1):
            verdict.broken(f"{life.schedule_id}: {record} stands for {len(run)} occurrences")
        if len(run) > 1 and not era.coalesce and record.status not in _NEVER_SENT:
            verdict.broken(f"{life.schedule_id}: {record} was coalesced, against its definition")
        for instant in run:
            recorded[instant] += 1
        if era.skips in run and record.reason not in _SUPERSEDED | {"skip_next"}:
            verdict.broken(f"{life.schedule_id}: {record} was to be skipped")
        if record.reason == "skip_next" and record.scheduled_for not in skipped:
            verdict.broken(f"{life.schedule_id}: {record} was skipped, and nobody wished it")
        late = record.created_at - record.due_at
        if record.reason == "grace" and late < timedelta(seconds=era.grace_seconds):
            verdict.broken(f"{life.schedule_id}: {record} was missed within its grace of {era.grace_seconds} s")


def _check_one_time(life: Life, records: Sequence[Record], around: Circumstances, verdict: Verdict) -> None:
    """One instant, in one record where the schedule was active at it, or resumed after it."""
    instant = life.eras[0].timing.scheduled_time
    assert instant is not None
    assert all(era.timing == life.eras[0].timing for era in life.eras), "no caller of a run retimes a one-time"
    ends = [*(era.at for era in life.eras[1:]), life.until]
    due = any(
        (era.active and ends_at >= instant) or (position and era.active and era.at >= instant)
        for position, (era, ends_at) in enumerate(zip(life.eras, ends, strict=True))
    )
    nearly_due = any(
        era.active and ends_at + around.ahead >= instant for era, ends_at in zip(life.eras, ends, strict=True)
    )
    verdict.occurrences += len(records[:1])
    if due and not records:
        verdict.lost += 1
        verdict.broken(f"{life.schedule_id}: its only instant {instant} is in no record")
    if len(records) > 1:
        verdict.recorded_twice += 1
        verdict.broken(f"{life.schedule_id}: its only instant {instant} is in {len(records)} records")
    for record in records:
        if record.scheduled_for != instant or record.coalesced_count != 1:
            verdict.broken(f"{life.schedule_id}: {record} stands for nothing that is expected")
        elif not nearly_due:
            verdict.broken(f"{life.schedule_id}: {record} was recorded although it was not active then")


def _check_record(record: Record, verdict: Verdict) -> None:
    if record.finished_at is None:
        verdict.unfinished += 1
        verdict.broken(f"{record} is unfinished")
    if record.lateness_ms is not None and record.lateness_ms < 0:
        verdict.broken(f"{record} was sent before its time by its worker's own clock")


def _check_deliveries(
    record: Record, marks: Mapping[int, str], notes: Sequence[Note], around: Circumstances, verdict: Verdict
) -> None:
    verdict.deliveries += len(notes)
    if record.status in _NEVER_SENT and notes:
        verdict.broken(f"{record} was delivered: {notes[0]}")
    if record.status in _SENT and not notes:
        verdict.lost += 1
        verdict.broken(f"{record} was never delivered")
    for note in notes:
        if note.mark != (defined := marks.get(record.revision)):
            verdict.broken(f"{record} was defined as {defined!r}, and delivered as {note.mark!r}")
        if _is_early(to_ms(record.due_at), note, around.jumps):
            verdict.early += 1
            verdict.broken(f"{record} came before its time: {note}")
    for first, second in pairwise(sorted(notes, key=lambda note: note.at_ms)):
        verdict.delivered_again += 1
        explanation = explain(first, second, around)
        if explanation is None:
            verdict.unexplained += 1
            verdict.broken(f"{record} came again without a reason: {first}, {second}")
        else:
            verdict.explained[explanation] = verdict.explained.get(explanation, 0) + 1


def explain(first: Note, second: Note, around: Circumstances) -> str | None:
    """Why the second delivery is no broken promise; null when it is one."""
    if first.status is not None and not 200 <= first.status < 300:
        return "the answer before was a failure"
    if first.status is None:
        return "the connection broke before the answer"
    if first.answered_ms is None or first.answered_ms - first.at_ms > around.patience_ms:
        return "the answer before took too long"
    if first.answered_ms - _came_ms(first, around.stalls) > around.patience_ms:
        return "the target stood still, and the answer before took too long"
    for suffering in around.sufferings:
        if _explains(suffering, first, second):
            return f"its worker was {suffering.harm}"
    return None


def _came_ms(note: Note, stalls: Sequence[Stall]) -> float:
    """When it may have come at the earliest: one that is noted after a stall may have waited for the end of it."""
    waited = (stall.from_ms for stall in stalls if stall.from_ms <= note.at_ms <= stall.until_ms + _AFTER_STALL_MS)
    return min(waited, default=note.at_ms)


def _explains(suffering: Suffering, first: Note, second: Note) -> bool:
    from_ms, until_ms = first.at_ms, second.at_ms
    if suffering.harm in (Harm.KILLED, Harm.STOPPED):
        return suffering.worker == first.worker and from_ms - 1_000 <= suffering.from_ms <= until_ms
    # The former owner before it had settled, or the later one between its last look and its sending.
    if suffering.worker not in (first.worker, second.worker):
        return False
    ended_ms = until_ms if suffering.until_ms is None else suffering.until_ms
    lasted_ms = ended_ms - suffering.from_ms
    return lasted_ms >= _LEAST_MS[suffering.harm] and suffering.from_ms <= until_ms and ended_ms >= from_ms - 1_000


def _is_early(due_ms: int, note: Note, jumps: Sequence[Jump]) -> bool:
    """Whether it came before its due time by Postgres's clock, or by what a worker could know of that."""
    return note.at_ms + max(_known(note.at_ms, jumps)) < due_ms


def _known(at_ms: float, jumps: Sequence[Jump]) -> Iterator[float]:
    """How far Postgres's clock was ahead, now and while a worker may last have asked."""
    ahead_ms = 0.0
    for jump in jumps:
        if jump.at_ms > at_ms:
            break
        if jump.at_ms > at_ms - _CLOCK_KNOWN_AFTER_MS:
            yield ahead_ms
        ahead_ms = jump.ahead_ms
    yield ahead_ms


def _between(timing: Timing, after: datetime, until: datetime) -> Iterator[datetime]:
    instant = next_occurrence(timing, after)
    while instant is not None and instant <= until:
        yield instant
        instant = next_occurrence(timing, instant)


def check_acknowledged(said: Acknowledged, lives: Sequence[Life], executions: Set[str], verdict: Verdict) -> None:
    """Whether all that the API said yes to is there, and each creation once, however often it was asked for."""
    known = {str(life.schedule_id): life for life in lives}
    for schedule_id in said.created:
        if schedule_id not in known:
            verdict.broken(f"{schedule_id} was acknowledged and does not exist")
    for schedule_id, revision in said.revisions:
        if schedule_id not in known or all(era.revision != revision for era in known[schedule_id].eras):
            verdict.broken(f"{schedule_id}: revision {revision} was acknowledged and does not exist")
    for schedule_id in said.removed:
        if not known[schedule_id].removed:
            verdict.broken(f"{schedule_id}: its removal was acknowledged and did not happen")
    for execution_id in said.executions:
        if execution_id not in executions:
            verdict.broken(f"execution {execution_id} was acknowledged and does not exist")
    marks = Counter(life.eras[0].mark for life in lives)
    for mark, times in marks.items():
        if times > 1:
            verdict.broken(f"the schedule {mark} was created {times} times under one Idempotency-Key")
