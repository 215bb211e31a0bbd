"""The run that an instant belongs to although its rule names an earlier one: held back till then, or sent then."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.execution import Execution, ExecutionStatus
from app.core.explaining.ahead import Ahead
from app.core.explaining.asked import Asked, ask
from app.core.explaining.outcome import Outcome, Told, is_stopped, is_untriggered
from app.core.explaining.rules import rule_of
from app.core.explaining.values import Verdict
from app.core.explaining.wording import lasting, until
from app.core.occurrences import ScheduleType, Timing, due_at

_WILL_NOT_BE = {Verdict.WILL_BE_SKIPPED: "is to be skipped", Verdict.LIMIT_REACHED: "is beyond its limit of runs"}


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The run for `occurrence`, which came before the instant that is asked for, and was not sent before it.

    `why` says what held it back, empty where it was due at its own instant. `record` is null while there is none.
    """

    occurrence: datetime
    due_at: datetime
    why: str
    record: Execution | None

    def is_of(self, at: datetime) -> bool:
        """Whether the instant is the one at which it was due, or was sent."""
        return at in (self.due_at, None if self.record is None else self.record.started_at)


def spans(run: Execution, at: datetime) -> bool:
    """Whether an instant lies after a run's own, and not after the one at which it was due and sent."""
    return run.scheduled_for < at <= max(run.due_at, run.started_at or run.due_at)


def held_back(asked: Asked) -> HeldBack | None:
    """The run that spans an instant which is no occurrence itself, if there is one."""
    if asked.is_named or (asked.found is not None and asked.found.day_off):
        return None
    case, at, run = asked.case, asked.at, asked.records.before
    if run is not None and spans(run, at):
        timing = (rule_of(case, run.revision) or asked.rule).timing
        return HeldBack(
            run.scheduled_for, run.due_at, _why(timing, case.schedule_id, run.scheduled_for, run.due_at), run
        )
    schedule, occurrence = case.schedule, None if asked.found is None else asked.found.previous
    waits_for = None if schedule is None else schedule.next_execution_at
    if schedule is None or waits_for is None or occurrence is None or occurrence < waits_for:
        return None
    due = schedule.next_due_at if occurrence == waits_for else due_at(schedule.timing, schedule.schedule_id, occurrence)
    if due is None or not occurrence < at <= due:
        return None
    return HeldBack(occurrence, due, _why(schedule.timing, schedule.schedule_id, occurrence, due), None)


def by_its_own_rule(asked: Asked) -> Asked:
    """The question by the rule of the recorded run that was due, or sent, at the instant; else as it is.

    The rule may have been changed between the run's own instant and that one. What the new one names around it has
    nothing to do with the run.
    """
    held = _answering(asked)
    rule = None if held is None or held.record is None else rule_of(asked.case, held.record.revision)
    if rule is None or rule == asked.rule:
        return asked
    again = ask(asked.case, asked.records, asked.at, asked.now, asked.counted, rule=rule)
    return again if _answering(again) is not None else asked


def _answering(asked: Asked) -> HeldBack | None:
    """The run that is the answer: nothing was recorded for the very instant, and it was due or sent then."""
    if asked.record is not None or asked.records.beside:
        return None
    held = held_back(asked)
    return held if held is not None and held.is_of(asked.at) else None


def told_of(held: HeldBack, asked: Asked) -> Told:
    """The verdict on the instant at which a run was due or sent: that of the run."""
    at, face = asked.at, asked.face
    if held.record is not None:
        run = held.record
        untriggered = run.status in (ExecutionStatus.MISSED, ExecutionStatus.SKIPPED)
        opening = None if untriggered else f"{_fires(run, asked)} on {face.named(at)}: {_clause(held, asked)}."
        told = Outcome(held.occurrence, run, asked.case, asked.records, face, asked.now, opening=opening).told()
        return told if opening is not None else _led(held, asked, told)
    told = _ahead(held, asked)
    if told.verdict in _WILL_NOT_BE:
        return _led(held, asked, told, verb="would be")
    if told.verdict is not Verdict.WILL_FIRE:
        return _led(held, asked, told)
    summary = f"It will fire on {face.named(at)}, {until(at, asked.now)}: {_clause(held, asked)}."
    return Told(told.verdict, summary, told.facts)


def remark(held: HeldBack, asked: Asked) -> str:
    """What is to be known of the run where the instant is another than that at which it was due or sent."""
    face, run = asked.face, held.record
    which = f"The run for {face.then(held.occurrence, asked.at)}"
    due = f"due {face.when(held.due_at, asked.at)}"
    if asked.at < held.due_at:
        if run is None and (instead := _WILL_NOT_BE.get(_ahead(held, asked).verdict)):
            return f"{which}, {held.why}, would be {due}, but {instead}."
        verb, instead = _verb(held, held.due_at, asked.now), ""
        if run is not None and is_untriggered(run):
            instead = f", {'but' if is_stopped(run) else 'and'} was {run.status}"
        return f"{which}, {held.why}, {verb} {due}{instead}."
    assert run is not None, "it was sent later"
    assert run.started_at is not None, "it was sent later"
    return f"{which}, {due}, was sent {face.when(run.started_at, asked.at)}."


def _ahead(held: HeldBack, asked: Asked) -> Told:
    schedule = asked.case.schedule
    assert schedule is not None, "it waits for an occurrence"
    assert schedule.next_execution_at is not None, "it waits for an occurrence"
    return Ahead(held.occurrence, schedule, schedule.next_execution_at, asked.face, asked.now, asked.counted).told()


def _led(held: HeldBack, asked: Asked, told: Told, verb: str | None = None) -> Told:
    lead = _clause(held, asked, f"on {asked.face.named(asked.at)}", verb)
    return Told(told.verdict, f"{lead[:1].upper()}{lead[1:]}. {told.summary}", told.facts)


def _clause(held: HeldBack, asked: Asked, when: str = "then", verb: str | None = None) -> str:
    late = f", {held.why}," if held.why else ""
    became = "due" if asked.at == held.due_at else "sent"
    verb = verb or _verb(held, asked.at, asked.now)
    return f"the run for {asked.face.then(held.occurrence, asked.at)}{late} {verb} {became} {when}"


def _verb(held: HeldBack, at: datetime, now: datetime) -> str:
    if held.record is not None and is_stopped(held.record):
        return "would have been"
    return "is" if at > now else "was"


def _fires(run: Execution, asked: Asked) -> str:
    if run.status is ExecutionStatus.CANCELLED and not run.attempts:
        return "It was to fire"
    return "It is about to fire" if asked.at > asked.now else "It fired"


def _why(timing: Timing, schedule_id: UUID, occurrence: datetime, due: datetime) -> str:
    if due == occurrence:
        return ""
    late = lasting(due - occurrence)
    if timing.jitter_seconds and due_at(timing, schedule_id, occurrence) == due:
        return f"held back {late} by its jitter"
    return f"accepted {late} late" if timing.schedule_type is ScheduleType.ONE_TIME else f"held back {late}"
