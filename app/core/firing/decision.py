"""What to record for a schedule that is due, and when it is due next: pure, from a locked row and the true now.

The rules are those of the firing protocol: every search starts strictly after `searched_to`, so that an instant that
was recorded ahead is never found again, and one record may stand for a run of occurrences.
"""

from dataclasses import replace
from datetime import datetime

from app.core.execution import ExecutionStatus, Reason, said
from app.core.firing.days_off import ENDED_BY_DAYS, ended_by_days, on_days_off
from app.core.firing.lateness import Late, late
from app.core.firing.overlap import NOTHING_STANDS, Overlap, Standing
from app.core.firing.values import Decision, DueSchedule, Waiting, first_waiting, record
from app.core.occurrences import ScheduleType, passed_over
from app.core.schedule import OverlapPolicy


def counts_unfinished(schedule: DueSchedule) -> bool:
    """Whether the decision depends on which executions are unfinished."""
    return schedule.overlap_policy is not OverlapPolicy.ALLOW


def decide(schedule: DueSchedule, *, standing: Standing = NOTHING_STANDS, now: datetime) -> Decision:
    """What to record for a schedule whose entry was claimed, by the true `now` and not by the claim-ahead horizon.

    The caller made sure that the schedule's due time is at most the claim-ahead away.
    """
    if schedule.skip_next is not None:
        decision = _decide_without_next(schedule, standing, now)
    else:
        decision = _decide(schedule, standing, now)
    return _with_days_off(schedule, decision)


def _decide_without_next(schedule: DueSchedule, standing: Standing, now: datetime) -> Decision:
    """Skip the occurrence that it waits for, however late it is, and go on with those after it."""
    first, asked = schedule.waiting, schedule.skip_next
    assert asked is not None
    skipped = record(first, first, 1, ExecutionStatus.SKIPPED, Reason.SKIP_NEXT, said(asked.by, asked.reason))
    searched_to = max(schedule.searched_to, first.occurrence)
    following = _next(schedule, searched_to)
    if following is None or following.due_at > now:
        return Decision((skipped,), searched_to, following)
    rest = replace(schedule, waiting=following, searched_to=searched_to, skip_next=None)
    decision = _decide(rest, standing, now)
    return replace(decision, recordings=(skipped, *decision.recordings))


def _decide(schedule: DueSchedule, standing: Standing, now: datetime) -> Decision:
    due: Late = late(schedule, now)
    overlap = Overlap(schedule.overlap_policy, schedule.max_instances, standing)
    left = _runs_left(schedule)
    for run in due.triggered:
        if left is not None and overlap.fired >= left:
            break
        overlap.place(run)
    recordings = tuple(overlap.recordings) if due.missed is None else (due.missed, *overlap.recordings)
    searched_to = max(schedule.searched_to, recordings[-1].scheduled_for) if recordings else schedule.searched_to
    if left is not None and overlap.fired >= left:
        waiting = None
    elif due.rest_from is not None:
        waiting = due.rest_from
    else:
        waiting = _next(schedule, searched_to)
    return Decision(recordings, searched_to, waiting, overlap.older_kept)


def _next(schedule: DueSchedule, searched_to: datetime) -> Waiting | None:
    if schedule.timing.schedule_type is ScheduleType.ONE_TIME:
        return None
    return first_waiting(schedule.timing, schedule.schedule_id, searched_to)


def _runs_left(schedule: DueSchedule) -> int | None:
    if schedule.max_executions is None:
        return None
    return max(schedule.max_executions - schedule.execution_count, 0)


def _with_days_off(schedule: DueSchedule, decision: Decision) -> Decision:
    """Record what was passed over because its day is off, when the schedule moves past it.

    Where nothing but days off is left, nothing will come by any more that would record them: they are recorded ahead.
    """
    timing = schedule.timing
    if timing.days is None:
        return decision
    recordings = list(decision.recordings)
    if (passed := passed_over(timing, schedule.searched_to, decision.searched_to)) is not None:
        recordings.insert(0, on_days_off(passed))
    reason = None
    if decision.waiting is None and not _limit_reached(schedule, decision):
        ended = ended_by_days(timing, decision.searched_to)
        if ended is not None:
            reason = ENDED_BY_DAYS
            if ended.recording is not None:
                recordings.insert(0, ended.recording)
    return replace(decision, recordings=tuple(recordings), status_reason=reason)


def _limit_reached(schedule: DueSchedule, decision: Decision) -> bool:
    left = _runs_left(schedule)
    return left is not None and sum(recording.fires for recording in decision.recordings) >= left
