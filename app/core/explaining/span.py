"""Why a schedule did, did not, will or will not fire within a time span: each occurrence, and all of them in words."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from operator import attrgetter
from uuid import UUID

from app.core.clock import MILLISECOND
from app.core.errors import InvalidScheduleException
from app.core.execution import Execution, Reason
from app.core.explaining.asked import ask
from app.core.explaining.counting import Counted, counted_before
from app.core.explaining.instant import Judged, judge
from app.core.explaining.life import pause_text, pauses_within, removal
from app.core.explaining.rules import rule_at
from app.core.explaining.values import Case, FactKind, Records, Verdict
from app.core.explaining.wording import Clockface, because, counted, roughly, times, who
from app.core.occurrences import Adjustment, Timing, lost_times, moved_to_nothing, next_occurrence
from app.core.occurrences.words import listed

MOST_OCCURRENCES = 100
"""Occurrences that one answer tells of."""
RECORDS_NEEDED = MOST_OCCURRENCES + 8
"""Own executions, from the span's start on, that those may need: each its own, and the one that stands for the last."""

STAND_IN = 4
"""Own executions, from an instant on, one of which may stand for it: runs of missed and of days off interlace."""
_PAUSES_TOLD = 3
_GAPS_TOLD = 3
_MOVES_TOLD = 3
_WORDS = {
    Verdict.FIRED: "fired",
    Verdict.PENDING: "being delivered",
    Verdict.QUEUED: "queued",
    Verdict.RUNNING: "running",
    Verdict.RETRYING: "being tried again",
    Verdict.FAILED_DELIVERY: "fired but failed",
    Verdict.TIMED_OUT: "timed out",
    Verdict.CANCELLED: "cancelled",
    Verdict.COALESCED: "covered by a later run",
    Verdict.MISSED: "missed",
    Verdict.SKIPPED: "skipped",
    Verdict.WILL_FIRE: "to come",
    Verdict.WILL_BE_SKIPPED: "to be skipped",
    Verdict.DUE: "due and not recorded yet",
    Verdict.NOT_AN_OCCURRENCE: "not named by the rule",
    Verdict.NOT_CREATED_YET: "before its creation",
    Verdict.PAUSED: "during a pause",
    Verdict.LIMIT_REACHED: "beyond its limit of runs",
    Verdict.COMPLETED: "after its completion",
    Verdict.FAILED: "not computable",
    Verdict.REMOVED: "after its removal",
    Verdict.RECORD_EXPIRED: "older than the records that are kept",
    Verdict.CALENDAR_CHANGED: "fitting only its calendars of today",
    Verdict.UNEXPLAINED: "without a record",
}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An occurrence of a time span, and what became of it."""

    at: datetime
    verdict: Verdict
    summary: str
    execution_id: UUID | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What became of the occurrences from `start` to before `end`; `next_from` is where more begin, null if none."""

    start: datetime
    end: datetime
    summary: str
    occurrences: tuple[Occurrence, ...]
    counts: dict[Verdict, int]
    next_from: datetime | None


@dataclass(frozen=True, slots=True)
class Span:
    """A time span from `start` to before `end`: its occurrences, `instants`, are explained one by one, then summed up.

    A hundred explanations are more than anyone's turn may take, the more so where calendars list thousands of days: who
    has others to serve gives way in between. `own` are the schedule's first `RECORDS_NEEDED` own executions, oldest
    first, from `start` on.
    """

    case: Case
    own: Sequence[Execution]
    start: datetime
    end: datetime
    now: datetime
    instants: tuple[datetime, ...]
    next_from: datetime | None
    counted: Counted | None

    @classmethod
    def of(cls, case: Case, own: Sequence[Execution], start: datetime, end: datetime, now: datetime) -> "Span":
        """The span, with the occurrences of the rules in force then and those recorded, within the schedule's life."""
        found = _instants(case, own, start, end)
        following = found[MOST_OCCURRENCES] if len(found) > MOST_OCCURRENCES else None
        instants = tuple(found[:MOST_OCCURRENCES])
        return cls(case, own, start, end, now, instants, following, counted_before(case.schedule, start))

    def judged(self, at: datetime) -> Judged:
        """What became, or will become, of one of the occurrences."""
        place = bisect_left(self.own, at, key=attrgetter("scheduled_for"))
        records = Records(own=tuple(self.own[place : place + STAND_IN]))
        return judge(ask(self.case, records, at, self.now, self.counted))

    def overview(self, judged: Sequence[Judged]) -> Overview:
        """What became of all of them, as each was judged, in their order."""
        told = tuple(_told(at, found) for at, found in zip(self.instants, judged, strict=True))
        reasons = Counter((found.verdict, _reason(found)) for found in judged)
        sentences = _sentences(self.case, self.start, self.end, reasons, more=self.next_from is not None)
        # A jump into which a day off was moved may be within the span as well.
        until = self.next_from or self.end
        without = dict.fromkeys((*_moved(self.case, self.start, until), *_lost(self.case, self.start, until)))
        summary = " ".join((*sentences, *without))
        counts = Counter(one.verdict for one in told)
        return Overview(self.start, self.end, summary, told, dict(counts), self.next_from)


def _told(at: datetime, found: Judged) -> Occurrence:
    execution = found.execution
    return Occurrence(at, found.verdict, found.summary, None if execution is None else execution.execution_id)


def _reason(found: Judged) -> str | None:
    """Why it did not run, where the verdict alone does not say it."""
    if found.execution is not None:
        return found.execution.reason
    if found.verdict not in (Verdict.SKIPPED, Verdict.WILL_BE_SKIPPED):
        return None
    is_asked_for = any(fact.kind is FactKind.SKIP_NEXT for fact in found.facts)
    return Reason.SKIP_NEXT if is_asked_for else Reason.CALENDAR


def _instants(case: Case, own: Sequence[Execution], start: datetime, end: datetime) -> list[datetime]:
    """The occurrences of the span, one more than are told of, to know whether there are more."""
    found = {execution.scheduled_for for execution in own if execution.scheduled_for < end}
    found |= {
        execution.covers_from for execution in own if execution.covers_from and start <= execution.covers_from < end
    }
    schedule = case.schedule
    if schedule is not None and schedule.next_execution_at is not None and start <= schedule.next_execution_at < end:
        found.add(schedule.next_execution_at)
    named = chain.from_iterable(
        _walk(_whole(timing), *reign) for timing, *reign in _reigns(case, start, end - MILLISECOND)
    )
    found.update(islice(named, MOST_OCCURRENCES + 1))
    return sorted(found)[: MOST_OCCURRENCES + 1]


def _reigns(case: Case, start: datetime, until: datetime) -> Iterator[tuple[Timing, datetime, datetime]]:
    """Each rule with the part of a time, both its ends included, in which it was in force: after one, up to another."""
    first = max(start, case.created_at + MILLISECOND) - MILLISECOND
    last = min(until, case.removed_at or until)
    begins = first
    for rule in case.rules:
        ends = last if rule.until is None else min(last, rule.until)
        if begins < ends:
            yield rule.timing, begins, ends
            begins = ends


def _whole(timing: Timing) -> Timing:
    """The rule with what a calendar takes out of it: that is told of too, as skipped."""
    if timing.days is None or timing.days.moves:
        return timing
    return replace(timing, days=None)


def _walk(timing: Timing, after: datetime, last: datetime) -> Iterator[datetime]:
    while True:
        try:
            following = next_occurrence(timing, after)
        except InvalidScheduleException:
            # Its zone is gone: only what was recorded is known of it.
            return
        if following is None or following > last:
            return
        yield following
        after = following


def _lost(case: Case, start: datetime, end: datetime) -> Iterator[str]:
    """What the clocks jump over in the span and nothing fires for: no occurrence of it tells that.

    A jump comes after the times that it takes, so one at the very end belongs to the span, and one at its start to the
    span before.
    """
    reigns = _reigns(case, start + MILLISECOND, end)
    found = (each.text for timing, after, last in reigns for each in _lost_to_gaps(timing, after + MILLISECOND, last))
    yield from islice(found, _GAPS_TOLD)
    if next(found, None) is not None:
        yield "The clocks jump over more of its times after that."


def _moved(case: Case, start: datetime, end: datetime) -> Iterator[str]:
    """Which days off of the span are moved out of it, or out of the bounds, to where nothing fires for them."""
    reigns = _reigns(case, start, end - MILLISECOND)
    found = (each for timing, after, last in reigns for each in _moved_to_nothing(timing, after + MILLISECOND, last))
    yield from (each.text for each in islice(found, _MOVES_TOLD))


def _moved_to_nothing(timing: Timing, first: datetime, last: datetime) -> Iterator[Adjustment]:
    try:
        yield from moved_to_nothing(timing, first, last)
    except InvalidScheduleException:
        return  # its zone is gone


def _lost_to_gaps(timing: Timing, first: datetime, last: datetime) -> Iterator[Adjustment]:
    try:
        yield from lost_times(timing, first, last)
    except InvalidScheduleException:
        return  # its zone is gone


def _sentences(
    case: Case, start: datetime, end: datetime, reasons: Counter[tuple[Verdict, str | None]], *, more: bool
) -> Iterator[str]:
    face = Clockface(rule_at(case, start).timing.timezone)
    number = sum(reasons.values())
    within = f"from {face.day_and_time(start)} to {face.day_and_time(end)} ({face.name})"
    if not number:
        yield f"No occurrence {within}."
    else:
        became = listed([f"{count:,} {_WORDS[verdict]}{_why(reason)}" for (verdict, reason), count in _sorted(reasons)])
        first = "The first " if more else ""
        yield f"{first}{counted(number, 'occurrence')} {within}: {became}."
    if start <= case.created_at:
        yield f"The schedule was created on {face.day_and_time(roughly(case.created_at))} {who(case.created_by)}."
    pauses = pauses_within(case, start, end)
    yield from (f"The schedule {pause_text(pause, face)}." for pause in pauses[:_PAUSES_TOLD])
    if len(pauses) > _PAUSES_TOLD:
        yield f"It was paused {times(len(pauses) - _PAUSES_TOLD)} more in that time."
    if case.removed_at is not None and case.removed_at < end:
        event = removal(case)
        by = who(None, automatic=True) if event is None else f"{who(event.by)}{because(event.reason)}"
        yield f"It was removed on {face.day_and_time(roughly(case.removed_at))} {by}."


def _why(reason: str | None) -> str:
    return "" if reason is None else f" ({reason})"


def _sorted(
    reasons: Counter[tuple[Verdict, str | None]],
) -> list[tuple[tuple[Verdict, str | None], int]]:
    order = list(Verdict)
    return sorted(reasons.items(), key=lambda item: (order.index(item[0][0]), item[0][1] or ""))
