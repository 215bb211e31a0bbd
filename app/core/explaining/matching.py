"""What a rule says of an instant: whether it names it, and why or why not."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from app.core.clock import MILLISECOND
from app.core.explaining.values import Fact, FactKind
from app.core.explaining.wording import sentence
from app.core.occurrences import Adjustment, AdjustmentCause, Timing, Why, adjusted_that_day, passed_over, why

_KINDS = {
    AdjustmentCause.GAP: FactKind.DAYLIGHT,
    AdjustmentCause.FOLD: FactKind.DAYLIGHT,
    AdjustmentCause.CALENDAR: FactKind.CALENDAR,
}


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a rule names an instant, its occurrences around it, and why in words and facts.

    `told` is what is to be said of it: of one that is named what moved it there and what the clock jumped over just
    then, mostly nothing; of another why it is not, to follow a colon. `day_off` says that only a calendar is why it is
    not named, `beyond_bounds` that it lies before `start_at` or after `end_at`. `days` are those that a calendar has to
    do with.
    """

    names_it: bool
    day_off: bool
    beyond_bounds: bool
    told: str
    previous: datetime | None
    next: datetime | None
    facts: tuple[Fact, ...]
    days: tuple[date, ...]


def match(timing: Timing, at: datetime) -> Match:
    """What a rule says of an instant.

    Raises InvalidScheduleException where it cannot be computed any more, as its zone is gone.
    """
    said = why(timing, at)
    if said.fires:
        moved = (*said.adjustments, *said.not_there)
    else:
        # One may have looked for another occurrence of the day there.
        of_that_day = adjusted_that_day(timing, said.at, (said.previous, said.next))
        moved = tuple(dict.fromkeys((*said.not_there, *of_that_day)))
    facts = [*_mismatches(said), *map(_adjustment, moved)]
    return Match(
        names_it=said.fires,
        day_off=not said.fires and at.year > 1 and passed_over(timing, at - MILLISECOND, at) is not None,
        beyond_bounds=said.bound is not None,
        told=" ".join(sentence(each.text) for each in moved) if said.fires else _why_not(said, moved),
        previous=said.previous,
        next=said.next,
        facts=tuple(facts),
        days=tuple(_calendar_days(moved)),
    )


def _why_not(said: Why, moved: tuple[Adjustment, ...]) -> str:
    clauses = [said.bound] if said.bound is not None else [mismatch.text for mismatch in said.mismatches]
    sentences = [sentence(each.text) for each in moved]
    return " ".join((f"{'; '.join(clauses)}.", *sentences) if clauses else sentences) or "its rule does not name it."


def _mismatches(said: Why) -> Iterator[Fact]:
    if said.bound is not None:
        yield Fact(FactKind.BOUNDS, sentence(said.bound))
    for mismatch in said.mismatches:
        data = {"field": mismatch.field, "value": mismatch.value, "allowed": mismatch.allowed}
        yield Fact(FactKind.MISMATCH, sentence(mismatch.text), data)


def _adjustment(adjustment: Adjustment) -> Fact:
    data = {"cause": adjustment.cause, "wall_times": list(adjustment.wall_times)}
    return Fact(_KINDS[adjustment.cause], sentence(adjustment.text), data)


def _calendar_days(moved: tuple[Adjustment, ...]) -> Iterator[date]:
    for adjustment in moved:
        if adjustment.cause is AdjustmentCause.CALENDAR:
            yield from (date.fromisoformat(wall_time[:10]) for wall_time in adjustment.wall_times)
