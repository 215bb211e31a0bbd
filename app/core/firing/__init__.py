"""What to record for a schedule, and when it is due next: values in, values out.

The worker calls `decide` under the row's lock, a caller's change calls `superseded`; neither knows a database.
`lateness` says what is missed and what is triggered, `overlap` what a run does beside others, `days_off` what calendars
keep from firing, `values` what it is all made of.
"""

from app.core.firing.days_off import ENDED_BY_DAYS, ended_by_days, left_on_days_off
from app.core.firing.decision import counts_unfinished, decide
from app.core.firing.lateness import CATCH_UP_LIMIT, RECORDED_IN_ONE_LOOK
from app.core.firing.overlap import NOTHING_STANDS, Overlap, Standing
from app.core.firing.superseding import superseded
from app.core.firing.values import Decision, DueSchedule, Recording, Waiting, first_waiting, record

__all__ = [
    "CATCH_UP_LIMIT",
    "ENDED_BY_DAYS",
    "NOTHING_STANDS",
    "RECORDED_IN_ONE_LOOK",
    "Decision",
    "DueSchedule",
    "Overlap",
    "Recording",
    "Standing",
    "Waiting",
    "counts_unfinished",
    "decide",
    "ended_by_days",
    "first_waiting",
    "left_on_days_off",
    "record",
    "superseded",
]
