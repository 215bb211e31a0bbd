"""What became of an instant that has a record: the execution that stands for it, and its attempts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.audit import AuditAction
from app.core.execution import Attempt, Execution, ExecutionStatus, Trigger
from app.core.explaining.delivery import answer, delivery
from app.core.explaining.untriggered import untriggered
from app.core.explaining.values import Case, Event, Fact, FactKind, Records, Verdict
from app.core.explaining.wording import Clockface, because, counted, lasting, roughly, sentence, who

ATTEMPTS_TOLD = 10
"""The newest attempts that are told one by one; all are in the execution."""

_VERDICTS = {
    ExecutionStatus.PENDING: Verdict.PENDING,
    ExecutionStatus.QUEUED: Verdict.QUEUED,
    ExecutionStatus.RUNNING: Verdict.RUNNING,
    ExecutionStatus.RETRYING: Verdict.RETRYING,
    ExecutionStatus.SUCCEEDED: Verdict.FIRED,
    ExecutionStatus.FAILED: Verdict.FAILED_DELIVERY,
    ExecutionStatus.MISSED: Verdict.MISSED,
    ExecutionStatus.SKIPPED: Verdict.SKIPPED,
    ExecutionStatus.TIMED_OUT: Verdict.TIMED_OUT,
    ExecutionStatus.CANCELLED: Verdict.CANCELLED,
}
_COMPLETED = AuditAction.EXECUTION_COMPLETE
_ENDS_OR_REOPENS = (_COMPLETED, AuditAction.EXECUTION_RETRY)
_UNTRIGGERED = {ExecutionStatus.MISSED: FactKind.MISSED, ExecutionStatus.SKIPPED: FactKind.SKIPPED}


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict, and what tells it."""

    verdict: Verdict
    summary: str
    facts: tuple[Fact, ...]


def is_untriggered(run: Execution) -> bool:
    """Whether it came to nothing: missed, skipped, or cancelled before anything was sent."""
    return run.status in _UNTRIGGERED or (run.status is ExecutionStatus.CANCELLED and not run.attempts)


def is_stopped(run: Execution) -> bool:
    """Whether that was decided before it was due, so that it never was."""
    decided_at = run.created_at if run.status in _UNTRIGGERED else run.finished_at
    return is_untriggered(run) and decided_at is not None and decided_at < run.due_at


@dataclass(frozen=True, slots=True)
class Outcome:
    """Tells what became of `at`, which `execution` stands for; `rule_words` is the rule, where it names `at`.

    `opening` is the sentence to begin with where another instant than `at` was asked for.
    """

    at: datetime
    execution: Execution
    case: Case
    records: Records
    face: Clockface
    now: datetime
    rule_words: str | None = None
    opening: str | None = None

    def told(self) -> Told:
        """The verdict and its facts."""
        execution, face = self.execution, self.face
        verdict = _VERDICTS[execution.status]
        if verdict in (Verdict.MISSED, Verdict.SKIPPED) and execution.trigger is not Trigger.SCHEDULE:
            summary = f"{self._fired()} It was not triggered: {self._untriggered()}"
        elif verdict in (Verdict.MISSED, Verdict.SKIPPED):
            summary = f"It did not fire on {face.named(self.at)}: {self._untriggered()}"
            summary += self._run_of(f"were {verdict} together")
        elif execution.trigger is Trigger.SCHEDULE and execution.scheduled_for != self.at:
            verdict = Verdict.COALESCED
            summary = (
                f"It did not fire by itself on {face.named(self.at)}: {self._number()} came late together, and the run "
                f"for {face.then(execution.scheduled_for, self.at)} stands for all of them. {self._delivery()}"
            )
        else:
            stands_for = self._run_of("came late together, and this run stands for all of them")
            summary = f"{self._fired()} {self._held_back()}{self._delivery()}{stands_for}"
        return Told(verdict, summary, tuple(self._facts()))

    def _fired(self) -> str:
        if self.opening is not None:
            return self.opening
        execution, told = self.execution, self.face.named(self.execution.scheduled_for)
        match execution.trigger:
            case Trigger.MANUAL:
                return f"A run by hand was asked for on {told}{self._asked()}."
            case Trigger.BACKFILL:
                return f"A backfill made up for {told}, asked for{self._asked()}."
            case Trigger.SCHEDULE:
                by_rule = "" if self.rule_words is None else f", as its rule says: {self.rule_words}"
        if execution.status is ExecutionStatus.CANCELLED and not execution.attempts:
            return f"It was to fire on {told}{by_rule}."
        fires = "is about to fire" if execution.scheduled_for > self.now else "fired"
        return f"It {fires} on {told}{by_rule}."

    def _held_back(self) -> str:
        """That it was due later than at its own instant, which the opening names."""
        execution = self.execution
        delay = execution.due_at - execution.scheduled_for
        if not delay or execution.trigger is not Trigger.SCHEDULE or self.opening or execution.due_at > self.now:
            return ""
        return f"It was due {self.face.when(execution.due_at, self.at)}, {lasting(delay)} after its instant. "

    def _asked(self) -> str:
        """Who asked for a run, of which a backfill is audited as a whole."""
        execution = self.execution
        events = [event for event in self.case.events if event.backfilled and event.at == execution.created_at]
        event = self._event(AuditAction.SCHEDULE_TRIGGERED) or next(iter(events), None)
        if event is None:
            return " by a caller"
        when = "" if event.at == execution.scheduled_for else f" {self.face.when(roughly(event.at), self.at)}"
        return f"{when} {who(event.by)}{because(event.reason)}"

    def _untriggered(self) -> str:
        return untriggered(self.at, self.execution, self.case, self.records.unfinished, self.face)

    def _delivery(self) -> str:
        cancelled = self._event(AuditAction.EXECUTION_CANCEL)
        return delivery(
            self.execution, self.face, told=self.at, cancelled=cancelled, now=self.now, reported=self._is_reported()
        )

    def _is_reported(self) -> bool:
        """Whether its end was reported, and it was not delivered again since."""
        own = self.execution.execution_id
        actions = [event.action for event in self.records.events if event.execution_id == own]
        last = next((action for action in reversed(actions) if action in _ENDS_OR_REOPENS), None)
        return last == _COMPLETED

    def _event(self, action: AuditAction) -> Event | None:
        own = self.execution.execution_id
        found = (event for event in reversed(self.records.events) if event.execution_id == own)
        return next((event for event in found if event.action == action), None)

    def _number(self) -> str:
        return counted(self.execution.coalesced_count, "occurrence")

    def _run_of(self, how: str) -> str:
        """What more the record stands for, as a further sentence."""
        first, last = self.execution.covers_from, self.execution.scheduled_for
        if first is None:
            return ""
        return f" {self._number()}, from {self.face.day_and_time(first)} to {self.face.day_and_time(last)}, {how}."

    def _facts(self) -> Iterator[Fact]:
        execution, face = self.execution, self.face
        delay = execution.due_at - execution.scheduled_for
        if delay and execution.trigger is Trigger.SCHEDULE and execution.scheduled_for == self.at:
            was = "would have been" if is_stopped(execution) else "is" if execution.due_at > self.now else "was"
            text = f"It {was} due at {face.time(execution.due_at)} ({face.name}), {lasting(delay)} after its instant."
            yield Fact(FactKind.DUE, text, {"due_at": execution.due_at, "delay_seconds": delay / timedelta(seconds=1)})
        if execution.status in _UNTRIGGERED:
            yield Fact(_UNTRIGGERED[execution.status], sentence(self._untriggered()), self._reason_data())
        elif execution.status is ExecutionStatus.CANCELLED:
            yield Fact(FactKind.CANCELLED, self._delivery(), self._reason_data())
        yield self._execution_fact()
        if execution.covers_from is not None:
            span = f"from {face.day_and_time(execution.covers_from)} to {face.day_and_time(execution.scheduled_for)}"
            yield Fact(
                FactKind.COALESCED,
                f"That one record stands for {self._number()}, {span} ({face.name}).",
                {
                    "covers_from": execution.covers_from,
                    "covers_to": execution.scheduled_for,
                    "count": execution.coalesced_count,
                },
            )
        for run in self.records.unfinished:
            text = f"The run for {face.named(run.scheduled_for)} had not ended when this one was recorded."
            data = {"execution_id": run.execution_id, "scheduled_for": run.scheduled_for, "status": run.status}
            yield Fact(FactKind.OVERLAP, text, data)
        retried = self._event(AuditAction.EXECUTION_RETRY)
        if retried is not None:
            text = f"On {face.named(roughly(retried.at))} it was asked {who(retried.by)} that it be delivered again."
            yield Fact(FactKind.EXECUTION, text, {"action": retried.action, "at": retried.at, "by": retried.by})
        for attempt in execution.attempts[-ATTEMPTS_TOLD:]:
            yield self._attempt_fact(attempt)

    def _reason_data(self) -> dict[str, object]:
        execution = self.execution
        late = max(execution.created_at - self.at, timedelta()) / timedelta(seconds=1)
        cancelled = self._event(AuditAction.EXECUTION_CANCEL)
        return {
            "reason": execution.reason,
            "detail": execution.reason_detail,
            "by": None if cancelled is None else cancelled.by,
            "recorded_at": execution.created_at,
            "recorded_late_seconds": late,
        }

    def _execution_fact(self) -> Fact:
        execution = self.execution
        reason = "" if execution.reason is None else f" ({execution.reason})"
        made = f"made on {self.face.named(roughly(execution.created_at))}"
        return Fact(
            FactKind.EXECUTION,
            f"Its record, {made}, says {execution.status}{reason}; its id is {execution.execution_id}.",
            {
                "execution_id": execution.execution_id,
                "trigger": execution.trigger,
                "status": execution.status,
                "recorded_at": execution.created_at,
                "lateness_ms": execution.lateness_ms,
                "finished_at": execution.finished_at,
            },
        )

    def _attempt_fact(self, attempt: Attempt) -> Fact:
        took, when = lasting(timedelta(milliseconds=attempt.duration_ms)), self.face.when(attempt.started_at, self.at)
        return Fact(
            FactKind.ATTEMPT,
            f"Attempt {attempt.number} began {when} ({self.face.name}) and took {took}: {answer(attempt)}.",
            {
                "number": attempt.number,
                "started_at": attempt.started_at,
                "duration_ms": attempt.duration_ms,
                "status_code": attempt.status_code,
                "error": attempt.error,
            },
        )
