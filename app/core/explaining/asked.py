"""A question about an instant: what is known, which rule counts for it, and what that rule says of it."""

from dataclasses import dataclass
from datetime import datetime

from app.core.errors import InvalidScheduleException
from app.core.execution import Execution, Reason
from app.core.explaining.counting import Counted
from app.core.explaining.matching import Match, match
from app.core.explaining.rules import rule_at, rule_of
from app.core.explaining.values import Case, Records, Rule
from app.core.explaining.wording import Clockface


@dataclass(frozen=True, slots=True)
class Asked:
    """The question whether, and why, a schedule fires at an instant, with what its rule says of that.

    `found` is null where the rule cannot be computed any more; `refused` says why then. `record` is the own execution
    that stands for the instant. `counted` are the runs of occurrences before it, where they were counted already.
    """

    case: Case
    records: Records
    at: datetime
    now: datetime
    rule: Rule
    face: Clockface
    found: Match | None
    refused: str | None
    record: Execution | None
    counted: Counted | None

    @property
    def is_named(self) -> bool:
        """Whether the rule names the instant, so that it is an occurrence."""
        return self.found is not None and self.found.names_it


def ask(
    case: Case,
    records: Records,
    at: datetime,
    now: datetime,
    counted: Counted | None = None,
    *,
    rule: Rule | None = None,
) -> Asked:
    """The question, with the rule that was in force: by what was recorded, or where nothing was by the time.

    It may be asked by another `rule`: that of a run which was due then.
    """
    if rule is None:
        recorded = next((execution for execution in records.own if _reaches(execution, at)), None)
        rule = (None if recorded is None else rule_of(case, recorded.revision)) or rule_at(case, at)
    face = Clockface(rule.timing.timezone)
    found, refused = None, None
    try:
        found = match(rule.timing, at)
    except InvalidScheduleException as refusal:
        refused = refusal.detail
    return Asked(case, records, at, now, rule, face, found, refused, _record(records, at, found), counted)


def names_it(rule: Rule, at: datetime) -> bool:
    """Whether a rule names an instant; no, where it cannot be computed any more."""
    try:
        return match(rule.timing, at).names_it
    except InvalidScheduleException:
        return False


def _reaches(execution: Execution, at: datetime) -> bool:
    return (execution.covers_from or execution.scheduled_for) <= at <= execution.scheduled_for


def _record(records: Records, at: datetime, found: Match | None) -> Execution | None:
    """The own execution that stands for an instant: its own, or that of a run of occurrences of which it is one."""
    for execution in records.own:
        if at in (execution.scheduled_for, execution.covers_from):
            return execution
    if found is None or not (found.names_it or found.day_off):
        return None
    reaching = [execution for execution in records.own if _reaches(execution, at)]
    # What a calendar took out is recorded in runs of its own, which may interlace with those that were missed. Days
    # that became off since, or were so then, are told by what was recorded.
    fitting = [execution for execution in reaching if (execution.reason == Reason.CALENDAR) is found.day_off]
    return next(iter(fitting or reaching), None)
