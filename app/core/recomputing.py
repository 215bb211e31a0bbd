"""What becomes of a schedule whose timing changed though nobody changed it: its calendar did, or its zone's rules.

Pure. What is past is never computed anew: an instant that has passed without a record, because workers were late or
away, stays what it was.
"""

import re
from datetime import datetime

from app.core.clock import MILLISECOND
from app.core.firing import Waiting, first_waiting
from app.core.occurrences import (
    ScheduleType,
    Timing,
    count_occurrences,
    latest_occurrence,
    next_occurrence,
    passed_over,
)
from app.core.schedule import Schedule

_VERSION = re.compile(r"(\d{4})([a-z]+)")


def same_past(old: Timing, new: Timing, searched_to: datetime, now: datetime) -> bool:
    """Whether what has passed and has no record is the same under both timings.

    It is for nearly every change of a calendar, which is about days to come. What waits then, however late, is left
    to be recorded as it would have been.

    Raises InvalidScheduleException for a timing that cannot be computed any more.
    """
    if now <= searched_to:
        return True
    count = count_occurrences(old, searched_to, now)
    if count != count_occurrences(new, searched_to, now):
        return False
    if count and (
        next_occurrence(old, searched_to) != next_occurrence(new, searched_to)
        or latest_occurrence(old, now) != latest_occurrence(new, now)
    ):
        return False
    return passed_over(old, searched_to, now) == passed_over(new, searched_to, now)


def anew(schedule: Schedule, timing: Timing, waiting: Waiting, until: datetime) -> Waiting | None:
    """What an active schedule waits for under a timing that changed by itself; null when no occurrence is left.

    What waits and has its instant up to `until` stays: it is recorded as it is, and the search after it is by the new
    timing. The search starts strictly after `searched_to`, never at the current time.

    Raises InvalidScheduleException for a zone that is not there any more.
    """
    if waiting.occurrence <= until:
        return waiting
    searched_to = schedule.searched_to
    if timing.schedule_type is ScheduleType.ONE_TIME:
        # Its instant is not searched for: that of a schedule which was recurring may lie before what was searched.
        searched_to = min(searched_to, waiting.occurrence - MILLISECOND)
    return first_waiting(timing, schedule.schedule_id, searched_to)


def is_older(version: str, than: str) -> bool:
    """Whether one release of the zone rules came before another: `2026a` before `2026b` before `2027a`.

    What is not named like a release is not known to be older than anything.
    """
    one, other = _VERSION.fullmatch(version), _VERSION.fullmatch(than)
    return one is not None and other is not None and _release(one) < _release(other)


def _release(named: "re.Match[str]") -> tuple[int, int, str]:
    # After z comes za.
    return int(named[1]), len(named[2]), named[2]
