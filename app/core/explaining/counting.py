"""How many runs lie ahead of an occurrence, counted once and no further than that matters.

A count over thousands of years takes a zone with daylight saving many milliseconds, and one for each of a hundred
occurrences would hold up every other caller.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.clock import MILLISECOND
from app.core.errors import InvalidScheduleException
from app.core.occurrences import count_occurrences
from app.core.schedule import Schedule

COUNTED_AHEAD = timedelta(days=3653)
"""How far occurrences are counted for nothing but to be told: ten years."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many runs the occurrences up to and at an instant take, from the one that is waited for on, if all fire."""

    until: datetime
    runs: int


def runs_left(schedule: Schedule) -> int | None:
    """What `max_executions` leaves; null without it."""
    most = schedule.definition.max_executions
    return None if most is None else max(most - schedule.execution_count, 0)


def counted_to(schedule: Schedule, waits_for: datetime, at: datetime, known: Counted | None = None) -> Counted | None:
    """The runs up to and at an instant, which is not before `waits_for`, going on from what is `known` of earlier ones.

    Null where no limit asks for them and they are too far ahead to be counted for nothing.
    """
    counted = known or Counted(waits_for, 0 if schedule.skip_next is not None else 1)
    left = runs_left(schedule)
    if left is None and at - waits_for > COUNTED_AHEAD:
        return None
    if at == counted.until or (left is not None and counted.runs > left):
        # Those before use up what is left: by how much they do does not matter.
        return counted
    return Counted(at, counted.runs + count_occurrences(schedule.timing, counted.until, at))


def counted_before(schedule: Schedule | None, start: datetime) -> Counted | None:
    """The runs before a time span, for its occurrences to go on from; null where nothing is known or to be counted."""
    waits_for = None if schedule is None else schedule.next_execution_at
    if schedule is None or waits_for is None or start <= waits_for:
        return None
    try:
        return counted_to(schedule, waits_for, max(start - MILLISECOND, waits_for))
    except InvalidScheduleException:
        # Its zone is gone, and each of its occurrences says so.
        return None
