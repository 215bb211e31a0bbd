"""What will become of an occurrence that has no record yet, of an active schedule: due by now, or to come."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.explaining.counting import Counted, counted_to, runs_left
from app.core.explaining.outcome import Told
from app.core.explaining.rules import in_words
from app.core.explaining.values import Fact, FactKind, Verdict
from app.core.explaining.wording import Clockface, because, counted, lasting, roughly, times, until, who
from app.core.occurrences import due_at, next_occurrence
from app.core.schedule import OverlapPolicy, Schedule, SkipNext

_UNREMARKABLE = timedelta(seconds=5)
"""How long an occurrence may be due and unrecorded before somebody should look at the workers."""
_OVERLAP = {
    OverlapPolicy.SKIP: "it is skipped",
    OverlapPolicy.QUEUE: "it waits in the queue",
    OverlapPolicy.CANCEL_RUNNING: "the oldest of them is cancelled",
}


@dataclass(frozen=True, slots=True)
class Ahead:
    """Tells what will become of `at`, an occurrence of an active schedule that has not come to it yet.

    `waits_for` is the occurrence that the schedule waits for: `at`, or one before it. `counted` are the runs of
    occurrences before it, where they were counted already.
    """

    at: datetime
    schedule: Schedule
    waits_for: datetime
    face: Clockface
    now: datetime
    counted: Counted | None = None

    def told(self) -> Told:
        """The verdict and its facts."""
        asked = self.schedule.skip_next
        if asked is not None and self.at == self.waits_for:
            return self._to_be_skipped(asked)
        number, left = self._number(), runs_left(self.schedule)
        if left is not None and number is not None and number > left:
            return self._beyond_limit(left)
        due = self._due()
        facts = tuple(self._facts(due, number, left))
        if due <= self.now:
            return Told(Verdict.DUE, self._overdue(due), facts)
        if self.at <= self.now:
            told = f"Its instant, {self.face.named(self.at)}, has come; its jitter holds it back"
            return Told(Verdict.WILL_FIRE, f"{told} until {self.face.then(due, self.at)}, and then it fires.", facts)
        rule = in_words(self.schedule.timing)
        told = f"It will fire on {self.face.named(self.at)}, {until(self.at, self.now)}, as its rule says: {rule}."
        if due > self.at:
            told += f" Its jitter holds it back until {self.face.then(due, self.at)}."
        return Told(Verdict.WILL_FIRE, told, facts)

    def _to_be_skipped(self, asked: SkipNext) -> Told:
        text = (
            f"On {self.face.named(roughly(asked.at))} it was asked {who(asked.by)} that the next occurrence be skipped"
            f"{because(asked.reason)}."
        )
        fact = Fact(FactKind.SKIP_NEXT, text, {"at": asked.at, "by": asked.by, "reason": asked.reason})
        summary = (
            f"It will not fire on {self.face.named(self.at)}: it is to be skipped, as asked {who(asked.by)}"
            f"{because(asked.reason)}."
        )
        return Told(Verdict.WILL_BE_SKIPPED, summary, (fact,))

    def _beyond_limit(self, left: int) -> Told:
        most = self.schedule.definition.max_executions
        summary = (
            f"It will not fire on {self.face.named(self.at)}: it may run {times(most or 0)} in all, "
            f"{self.schedule.execution_count:,} are used, and the occurrences before this one use up the rest."
        )
        return Told(Verdict.LIMIT_REACHED, summary, (self._limit_fact(left),))

    def _overdue(self, due: datetime) -> str:
        late = self.now - due
        grace = timedelta(seconds=self.schedule.definition.grace_period_seconds)
        told = f"It has been due since {self.face.named(due)}, for {lasting(late)}, and is not recorded yet. "
        if late > grace:
            told += f"Its grace period of {lasting(grace)} is over: it will be recorded as missed."
        elif self.schedule.definition.coalesce and self._others_are_due():
            told += "Later occurrences are due as well: one run will stand for all of them."
        else:
            told += f"It still fires if a worker looks at it by {self.face.then(due + grace, due)}."
        if late > _UNREMARKABLE:
            told += " A worker looks within milliseconds, so look whether one is running."
        return told

    def _facts(self, due: datetime, number: int | None, left: int | None) -> Iterator[Fact]:
        definition = self.schedule.definition
        if due != self.at:
            most = lasting(timedelta(seconds=definition.jitter_seconds))
            why = f"its jitter of up to {most} makes that {lasting(due - self.at)}"
            if due_at(self.schedule.timing, self.schedule.schedule_id, self.at) != due:
                # A single instant that had passed when it was accepted is due at once, without jitter.
                why = f"it was accepted {lasting(due - self.at)} after its instant"
            text = f"It is due at {self.face.time(due)} ({self.face.name}): {why}."
            yield Fact(FactKind.DUE, text, {"due_at": due, "delay_seconds": (due - self.at) / timedelta(seconds=1)})
        if left is not None:
            yield self._limit_fact(left)
        if number is not None and number > 1:
            come = f"{counted(number - 1, 'occurrence')} {'comes' if number == 2 else 'come'} before it"
            text = f"{come}, the first on {self.face.named(self.waits_for)}."
            yield Fact(FactKind.WAITING, text, {"before": number - 1, "waits_for": self.waits_for})
        if definition.overlap_policy in _OVERLAP:
            runs = counted(definition.max_instances, "run")
            text = (
                f"If {runs} of this schedule {'has' if definition.max_instances == 1 else 'have'} not ended by then, "
                f"{_OVERLAP[definition.overlap_policy]} (max_instances, overlap_policy {definition.overlap_policy})."
            )
            data = {"max_instances": definition.max_instances, "overlap_policy": definition.overlap_policy}
            yield Fact(FactKind.OVERLAP, text, data)

    def _limit_fact(self, left: int) -> Fact:
        most, used = self.schedule.definition.max_executions, self.schedule.execution_count
        text = f"It may have {counted(most or 0, 'run')} in all (max_executions): {used:,} used, {left:,} left."
        return Fact(FactKind.LIMIT, text, {"max_executions": most, "execution_count": used, "left": left})

    def _number(self) -> int | None:
        """1 for the next one that fires, if all before it do; null where that does not matter and is far away."""
        counted = counted_to(self.schedule, self.waits_for, self.at, self.counted)
        return None if counted is None else counted.runs

    def _due(self) -> datetime:
        if self.at == self.waits_for and self.schedule.next_due_at is not None:
            return self.schedule.next_due_at
        return due_at(self.schedule.timing, self.schedule.schedule_id, self.at)

    def _others_are_due(self) -> bool:
        following = next_occurrence(self.schedule.timing, self.at)
        return following is not None and following <= self.now
