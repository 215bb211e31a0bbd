"""Why a schedule did, did not, will or will not fire at an instant: from its rule, its life and its records."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from app.core.execution import Execution
from app.core.explaining.absence import absence
from app.core.explaining.asked import Asked, ask
from app.core.explaining.held_back import HeldBack, by_its_own_rule, held_back, remark, told_of
from app.core.explaining.matching import match
from app.core.explaining.outcome import Outcome, Told
from app.core.explaining.rules import in_words, is_kept, rule_fact
from app.core.explaining.surroundings import calendar_days, changes, neighbours, other_days, zone_fact
from app.core.explaining.values import Case, Explanation, Fact, FactKind, Records, Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on an instant, what is read aloud of it, and the facts that these come of."""

    verdict: Verdict
    summary: str
    execution: Execution | None
    facts: tuple[Fact, ...]


def explain(case: Case, records: Records, at: datetime, now: datetime) -> Explanation:
    """Why a schedule did or did not fire at an instant of the past, or will or will not at one to come.

    What was recorded counts for more than what today's rules say: a record is told even where the rules of the time
    zone have changed since, or the definition of that time is not kept any more.
    """
    asked = by_its_own_rule(ask(case, records, at, now))
    judged = judge(asked)
    facts = (
        rule_fact(asked.rule, kept=is_kept(case, asked.rule, at), face=asked.face),
        zone_fact(asked),
        *judged.facts,
        *neighbours(asked),
    )
    previous, following = (None, None) if asked.found is None else (asked.found.previous, asked.found.next)
    return Explanation(at, judged.verdict, judged.summary, facts, judged.execution, previous, following)


def judge(asked: Asked) -> Judged:
    """The verdict: by the instant's own record, else by a run for it that a caller asked for, else by what is missing.

    A caller's run is the answer only where the rule does not name the instant; else it comes beside. So is a run for an
    earlier instant that was due, or was sent, at this one.
    """
    beside = [(run, _outcome(asked, run)) for run in asked.records.beside]
    by_rule = () if asked.found is None else asked.found.facts
    execution: Execution | None
    if asked.record is not None:
        execution, told = asked.record, _outcome(asked, asked.record)
    elif beside and not asked.is_named:
        (execution, told), *beside = beside
    elif (held := held_back(asked)) is not None and held.is_of(asked.at):
        execution, told, by_rule = held.record, told_of(held, asked), ()
    else:
        execution, told = None, absence(asked)
        told = _with_remark(told, held, asked)
    days, changed = tuple(calendar_days(asked)), tuple(changes(asked))
    if others := tuple(other_days(asked)):
        days = others
        if asked.found is not None and asked.found.day_off:
            # What the clocks did was done, and would not only have been.
            by_rule = match(replace(asked.rule.timing, days=None), asked.at).facts
        by_rule = tuple(fact for fact in by_rule if fact.kind is not FactKind.CALENDAR)
    clocks = [fact.text for fact in by_rule if fact.kind is FactKind.DAYLIGHT]
    remarks = _remarks(asked, told, days, changed, clocks, [outcome for _, outcome in beside])
    facts = (
        *by_rule,
        *days,
        *changed,
        *told.facts,
        *(_beside_fact(run, outcome) for run, outcome in beside),
    )
    return Judged(told.verdict, " ".join((told.summary, *remarks)), execution, facts)


def _with_remark(told: Told, held: HeldBack | None, asked: Asked) -> Told:
    """Also the run that was held back over the instant, or sent late, where that is no answer in itself."""
    if held is None or told.verdict is not Verdict.NOT_AN_OCCURRENCE:
        return told
    text = remark(held, asked)
    fact = Fact(FactKind.DUE, text, {"occurrence": held.occurrence, "due_at": held.due_at})
    return Told(told.verdict, f"{told.summary} {text}", (*told.facts, fact))


def _outcome(asked: Asked, execution: Execution) -> Told:
    rule_words = in_words(asked.rule.timing) if asked.is_named else None
    return Outcome(asked.at, execution, asked.case, asked.records, asked.face, asked.now, rule_words).told()


def _remarks(
    asked: Asked, told: Told, days: tuple[Fact, ...], changed: tuple[Fact, ...], clocks: list[str], beside: list[Told]
) -> Iterator[str]:
    """What belongs to the summary beside the verdict: what moved the occurrence, and what else became of it."""
    if asked.is_named and asked.found is not None and asked.found.told:
        yield asked.found.told
    elif asked.record is not None and asked.found is not None and asked.found.day_off:
        # The record says nothing of the clock.
        yield from clocks
    yield from (day.text for day in days[:2])
    if told.verdict is Verdict.NOT_AN_OCCURRENCE:
        yield from (change.text for change in changed[:1])
    yield from (outcome.summary for outcome in beside[:1])


def _beside_fact(run: Execution, outcome: Told) -> Fact:
    data = {"execution_id": run.execution_id, "trigger": run.trigger, "status": run.status}
    return Fact(FactKind.BESIDE, outcome.summary, data)
