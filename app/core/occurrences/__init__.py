"""At what instants a schedule fires. Pure: no I/O but reading zone rules from a package, and no clock.

`timing` is the value; `search` answers when; `daylight` is the rule for changes of the clocks, over `wall_clock` (the
matches of an expression, on days that `listed_days` may have moved) and `zones`; `cron_grammar` and `cron_fields` read
an expression. `passed_over` counts what days off leave out, `on_days_off` says where they move it to; `adjustments` and
`why` say it all in words.
"""

from app.core.occurrences.adjustments import adjustments, reading_adjusted
from app.core.occurrences.business_days import BusinessDays, OnDayOff
from app.core.occurrences.describe import describe
from app.core.occurrences.jitter import due_at
from app.core.occurrences.lost_times import lost_times
from app.core.occurrences.mismatches import Mismatch
from app.core.occurrences.never import never_occurs
from app.core.occurrences.nominal import nominal_days
from app.core.occurrences.on_days_off import moved_to_nothing
from app.core.occurrences.one_time import resolve_wall_clock
from app.core.occurrences.passed_over import PassedOver, passed_over
from app.core.occurrences.policy import DEFAULT_POLICY, DstPolicy, Fold, Gap
from app.core.occurrences.reasons import Adjustment, AdjustmentCause
from app.core.occurrences.rfc3339 import parse_instant, wall_reading
from app.core.occurrences.search import count_occurrences, latest_occurrence, next_occurrence, occurrences_after
from app.core.occurrences.that_day import adjusted_that_day
from app.core.occurrences.timing import ScheduleType, Timing, check_timing
from app.core.occurrences.why import Why, why
from app.core.occurrences.zones import tzdata_version

__all__ = [
    "DEFAULT_POLICY",
    "Adjustment",
    "AdjustmentCause",
    "BusinessDays",
    "DstPolicy",
    "Fold",
    "Gap",
    "Mismatch",
    "OnDayOff",
    "PassedOver",
    "ScheduleType",
    "Timing",
    "Why",
    "adjusted_that_day",
    "adjustments",
    "check_timing",
    "count_occurrences",
    "describe",
    "due_at",
    "latest_occurrence",
    "lost_times",
    "moved_to_nothing",
    "never_occurs",
    "next_occurrence",
    "nominal_days",
    "occurrences_after",
    "parse_instant",
    "passed_over",
    "reading_adjusted",
    "resolve_wall_clock",
    "tzdata_version",
    "wall_reading",
    "why",
]
