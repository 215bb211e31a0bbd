"""Why an occurrence was recorded and not triggered: missed, or skipped for the reason that its record names."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.core.errors import InvalidScheduleException
from app.core.execution import Execution, ExecutionStatus, Reason
from app.core.explaining.rules import rule_of
from app.core.explaining.values import Case, Event
from app.core.explaining.wording import Clockface, because, lasting, one_line, roughly, who
from app.core.occurrences import nominal_days
from app.core.occurrences.words import day_in_words, listed


def untriggered(
    at: datetime, execution: Execution, case: Case, unfinished: Sequence[Execution], face: Clockface
) -> str:
    """Why `at`, which a missed or skipped execution stands for, was not triggered; to follow a colon."""
    why = _missed if execution.status is ExecutionStatus.MISSED else _skipped
    return f"{why(at, execution, case, unfinished, face)}."


def _missed(at: datetime, execution: Execution, case: Case, _unfinished: Sequence[Execution], face: Clockface) -> str:
    looked, later = roughly(execution.created_at), f"{lasting(execution.created_at - at)} later"
    if execution.reason == Reason.CATCH_UP_LIMIT:
        when = face.when(looked, at)
        return (
            f"it was missed. When a worker looked at it, {when}, so many were late that only the newest were triggered"
        )
    late = f"it was missed. No worker looked at it until {face.then(looked, at)}, {later}"
    return f"{late}, which is beyond its grace period{_grace(execution, case)}"


def _grace(execution: Execution, case: Case) -> str:
    schedule = case.schedule
    if schedule is None or schedule.revision != execution.revision:
        return ""
    return f" of {lasting(timedelta(seconds=schedule.definition.grace_period_seconds))}"


def _skipped(at: datetime, execution: Execution, case: Case, unfinished: Sequence[Execution], face: Clockface) -> str:
    match execution.reason:
        case Reason.PAUSED:
            return _interrupted("paused", at, execution, case, face)
        case Reason.REPLACED:
            return _interrupted("changed", at, execution, case, face)
        case Reason.REMOVED:
            return _interrupted("removed", at, execution, case, face)
        case Reason.SKIP_NEXT:
            asked = "" if execution.reason_detail is None else f", as asked {one_line(execution.reason_detail)}"
            return f"it was to be skipped{asked}"
        case Reason.CALENDAR:
            return f"{_days_off(at, execution, case, face)} off{_calendars(execution, case)}"
        case Reason.NOT_COMPUTED:
            return f"the schedule could not be computed when it was due, and failed{because(execution.reason_detail)}"
        case Reason.OVERLAP:
            return f"{_in_the_way(at, unfinished, face)}, and its overlap policy skips what comes meanwhile"
        case Reason.QUEUE_FULL:
            return f"{_in_the_way(at, unfinished, face)}, and another run was waiting in the queue already"
        case _:
            return f"it was skipped{because(execution.reason)}"


def _interrupted(how: str, at: datetime, execution: Execution, case: Case, face: Clockface) -> str:
    """A pause, change or removal that came before the occurrence was recorded, and recorded it."""
    told = f"the schedule was {how} {face.when(roughly(execution.created_at), at)}"
    event = _made_by(execution, case)
    by = "" if event is None else f" {who(event.by, automatic=event.automatic)}{because(event.reason)}"
    return f"{told}{by}, before it was recorded"


def _made_by(execution: Execution, case: Case) -> Event | None:
    return next((event for event in case.events if event.at == execution.created_at), None)


def _days_off(at: datetime, execution: Execution, case: Case, face: Clockface) -> str:
    """The day of the time that its rule names, which is another than the clock shows where a gap ended at midnight."""
    rule = rule_of(case, execution.revision)
    try:
        days = () if rule is None else nominal_days(rule.timing, at)
    except InvalidScheduleException:
        days = ()
    if not days or days == (face.local(at).date(),):
        return "that day is"
    return f"{listed(day_in_words(day.toordinal()) for day in days)} {'is' if len(days) == 1 else 'are'}"


def _calendars(execution: Execution, case: Case) -> str:
    rule = rule_of(case, execution.revision)
    if rule is None or rule.calendars is None:
        return ""
    names = rule.calendars.names
    return f" in its {'calendar' if len(names) == 1 else 'calendars'} {listed(names)}"


def _in_the_way(at: datetime, unfinished: Sequence[Execution], face: Clockface) -> str:
    if not unfinished:
        return "as many of its runs as may be at once had not ended"
    runs = "its run" if len(unfinished) == 1 else "its runs"
    return f"{runs} for {listed([face.then(run.scheduled_for, at) for run in unfinished])} had not ended"
