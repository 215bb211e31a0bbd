"""When an execution that cannot be sent now is looked at again, and whether that is too late for it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from app.core.assignment import Assignment
from app.core.clock import truncate_to_ms
from app.core.values import value
from app.workers.lane import SOON_SECONDS, Due, Lane

_SPREAD_SECONDS = 20.0
_SPREAD_OF_COOL_DOWN = 4
_AWAY_AT_MOST_SECONDS = 300.0
"""How far ahead turns are trusted: those before them may be cancelled meanwhile, and a place stay empty."""


class Behind(StrEnum):
    """What it waited behind, as the metric's label has it."""

    CIRCUIT = "circuit"
    CONCURRENCY = "concurrency"
    RATE = "rate"


_WORDS = {
    Behind.CIRCUIT: "open circuit",
    Behind.CONCURRENCY: "concurrency limit",
    Behind.RATE: "rate limit",
}


@value
class Later:
    """An execution that is given back until `wake_at`, or, where that is too late for it, ends with an error."""

    assignment: Assignment
    wake_at: datetime
    behind: Behind
    error: str | None


def later(due: Due, now: float, instant: datetime, draw: Callable[[], float]) -> Later:
    """Behind an open circuit: some time after the next probe, the longer the host has been away. Else: in its turn.

    `now` is the lane's monotonic time, `instant` the same as an instant, `draw` chance, 0 to 1.
    """
    lane = due.lane
    if not lane.breaker.closed:
        behind = Behind.CIRCUIT
        spread = min(lane.breaker.cool_down_seconds * _SPREAD_OF_COOL_DOWN, _SPREAD_SECONDS)
        at = max(lane.breaker.open_until, now + SOON_SECONDS) + draw() * spread
    else:
        behind = Behind.CONCURRENCY if lane.rate is None or lane.taken >= lane.bound else Behind.RATE
        at = lane.gives_turn(now)
        if at > now + _AWAY_AT_MOST_SECONDS:
            lane.free_at = now + _AWAY_AT_MOST_SECONDS
            at = lane.free_at - draw() * _AWAY_AT_MOST_SECONDS / 2
    wake_at = truncate_to_ms(instant + timedelta(seconds=at - now))
    error = _reason(lane, due.assignment, behind) if too_late(due.assignment, wake_at) else None
    return Later(due.assignment, wake_at, behind, error)


def too_late(assignment: Assignment, wake_at: datetime) -> bool:
    """Whether its time to be tried is over by then."""
    return wake_at > assignment.retry_since + timedelta(seconds=assignment.retry.max_age_seconds)


def _reason(lane: Lane, assignment: Assignment, behind: Behind) -> str:
    said = (
        f"it waited behind the {_WORDS[behind]} of {lane.host or 'the workflow engine'} and was never answered "
        f"within max_age_seconds ({assignment.retry.max_age_seconds})"
    )
    if behind is Behind.CIRCUIT and lane.last_error:
        said += f"; the last that was tried there: {lane.last_error}"
    return said
