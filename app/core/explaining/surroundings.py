"""What else bears on an instant, whatever became of it: the local time, changes of the rule, days off, neighbours."""

from collections.abc import Iterator

from app.core.execution import Execution, ExecutionStatus, Reason
from app.core.explaining.asked import Asked, names_it
from app.core.explaining.days import changes_since, days_off
from app.core.explaining.rules import change_after, change_before, change_fact
from app.core.explaining.values import Fact, FactKind
from app.core.explaining.wording import offset_text
from app.core.occurrences import nominal_days

_BECAME = {
    ExecutionStatus.PENDING: "it fired, and its delivery is under way",
    ExecutionStatus.QUEUED: "it fired, and waits in the queue",
    ExecutionStatus.RUNNING: "it fired, and is running",
    ExecutionStatus.RETRYING: "it fired, and is tried again",
    ExecutionStatus.SUCCEEDED: "it fired, and succeeded",
    ExecutionStatus.FAILED: "it fired, and failed",
    ExecutionStatus.MISSED: "it was missed",
    ExecutionStatus.SKIPPED: "it was skipped",
    ExecutionStatus.TIMED_OUT: "it fired, and timed out",
    ExecutionStatus.CANCELLED: "it was cancelled",
}


def zone_fact(asked: Asked) -> Fact:
    """What the clock of the schedule's zone shows at the instant."""
    face = asked.face
    local, shown = face.local(asked.at), face.day_and_time(asked.at)
    text = f"On the clock of {face.name} that instant is {shown}, {offset_text(local)}."
    return Fact(
        FactKind.ZONE,
        f"In UTC that instant is {shown}." if face.name == "UTC" else text,
        {"timezone": asked.rule.timing.timezone, "local_time": local.isoformat()},
    )


def changes(asked: Asked) -> Iterator[Fact]:
    """The changes of the rule before and after the instant, where the other rule says otherwise of it."""
    case, rule, at = asked.case, asked.rule, asked.at
    before, after = change_before(case, rule), change_after(case, rule)
    if before is not None and names_it(before, at) is not asked.is_named:
        would = "would not" if asked.is_named else "would"
        relevance = f"By the rule before, that {would} have been an occurrence."
        # Not the rule's own revision: those in between may have changed something else, as a pause does.
        changed = case.rules[case.rules.index(before) + 1]
        yield change_fact(case, before, changed, asked.face, relevance=relevance)
    if after is not None and names_it(after, at) is not asked.is_named:
        relevance = "By the rule after, that would not be an occurrence."
        if not asked.is_named:
            relevance = "By the rule after, that would be an occurrence, but it was not in force yet."
        yield change_fact(case, rule, after, asked.face, relevance=relevance)


def calendar_days(asked: Asked) -> Iterator[Fact]:
    """What the calendars call the days that they have off and that bear on the instant."""
    found, record = asked.found, asked.record
    days = [] if found is None else list(found.days)
    if record is not None and record.reason == Reason.CALENDAR:
        local = (asked.face.local(asked.at).date(),)
        days += local if found is None else nominal_days(asked.rule.timing, asked.at)
    yield from days_off(asked.case.calendars, asked.rule, days)


def other_days(asked: Asked) -> Iterator[Fact]:
    """Where a record was made by other days off than those of today: that it was, and what is known of the change.

    The record is told as it was, and what today's days say of the instant would contradict it.
    """
    record, found, rule = asked.record, asked.found, asked.rule
    if record is None or found is None or rule.calendars is None:
        return
    if (record.reason == Reason.CALENDAR) is not found.names_it:
        return
    changed = tuple(changes_since(asked.case.calendars, rule, asked.at, asked.face))
    if not (found.names_it or changed or found.days):
        return
    # A rule that was changed is kept with the days that it had then.
    days = "are off today" if rule.until is None else "were off when that rule ended"
    text = f"By the days that {days} it would {'' if found.names_it else 'not '}be an occurrence."
    yield Fact(FactKind.CALENDAR, text, {"is_an_occurrence": found.names_it})
    yield from changed


def neighbours(asked: Asked) -> Iterator[Fact]:
    """The rule's occurrences before and after the instant, and what became of them where that is known."""
    if asked.found is None:
        return
    for kind, instant, side in (
        (FactKind.PREVIOUS, asked.found.previous, "before"),
        (FactKind.NEXT, asked.found.next, "after"),
    ):
        if instant is None:
            yield Fact(kind, f"By its rule there is no occurrence {side} that.", {"at": None})
            continue
        record = next((each for each in _known(asked) if each.scheduled_for == instant), None)
        became = "" if record is None else f": {_BECAME[record.status]}"
        data = {"at": instant} if record is None else {"at": instant, "execution_id": record.execution_id}
        yield Fact(kind, f"By its rule the occurrence {side} that is {asked.face.named(instant)}{became}.", data)


def _known(asked: Asked) -> Iterator[Execution]:
    if asked.records.before is not None:
        yield asked.records.before
    yield from asked.records.own
