"""Runs for instants that a schedule had, or would have had: a backfill."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.core.audit import AuditAction
from app.core.clock import MILLISECOND, to_ms, utc
from app.core.errors import InvalidScheduleException, StateForbidsException
from app.core.ids import execution_id, new_id
from app.core.occurrences import next_occurrence, occurrences_after
from app.core.schedule import Schedule
from app.service.changes import locked
from app.service.transactions import Work
from app.store import backfilling, schedules
from app.store.audit import Change
from app.store.backfilling import Backfill
from app.store.refusals import json_text

MOST_RUNS = 1000
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
"""No arithmetic on an instant reaches beyond the calendar."""


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What a caller asks for: every occurrence from `start` up to, not including, `end`; aware instants."""

    start: datetime
    end: datetime
    max_parallel: int
    dry_run: bool
    context_override: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """The runs, in order, as (scheduled for, execution id); `backfill_id` and the ids are null for a dry run."""

    schedule_id: UUID
    request: BackfillRequest
    backfill_id: UUID | None
    runs: tuple[tuple[datetime, UUID | None], ...]


async def backfill(
    work: Work, schedule_id: UUID, request: BackfillRequest, check: Callable[[Schedule], None]
) -> BackfillResult:
    """Record every occurrence of a time span as a queued run, beside the schedule's timing and whatever its status.

    The schedule's present rule, calendars included, decides which instants these are; jitter and grace have no say,
    and what was recorded of them before is no hindrance. They run in order, `max_parallel` at a time, as a group of
    their own: they neither count as unfinished for the schedule's overlap nor wait for its other runs. `check` refuses,
    by what it raises, runs that this schedule's target cannot be sent.

    Raises ScheduleNotFoundException, InvalidScheduleException for more than a thousand, and StateForbidsException for
    a schedule that cannot be computed.
    """
    schedule = await locked(work, schedule_id)
    check(schedule)
    instants = _instants(schedule, request)
    if request.dry_run:
        return BackfillResult(schedule_id, request, None, tuple((instant, None) for instant in instants))
    now = work.now()
    trigger_key = await schedules.count_trigger(work.connection, schedule)
    planned = Backfill(
        backfill_id=new_id(to_ms(now)),
        runs=[(execution_id(schedule_id, instant, now, trigger_key), instant) for instant in instants],
        following=next_occurrence(schedule.timing, instants[-1]) if instants else None,
        trigger_key=trigger_key,
        max_parallel=request.max_parallel,
        context_override=None
        if request.context_override is None
        else json_text("context_data", request.context_override),
        at=now,
    )
    work.wake(await backfilling.record(work.connection, schedule, planned))
    after = {
        "backfill_id": planned.backfill_id,
        "from": request.start,
        "to": request.end,
        "runs": len(instants),
        "max_parallel": request.max_parallel,
    }
    await work.audit(AuditAction.SCHEDULE_BACKFILL, Change(schedule_id=schedule_id, after=after), at=now)
    runs = tuple((instant, run_id) for run_id, instant in planned.runs)
    return BackfillResult(schedule_id, request, planned.backfill_id, runs)


def _instants(schedule: Schedule, request: BackfillRequest) -> list[datetime]:
    timing = schedule.timing
    last = max(request.end, _EARLIEST) - MILLISECOND
    if timing.scheduled_time is None:
        timing = replace(timing, end_at=last if timing.end_at is None else min(last, timing.end_at))
    try:
        found = occurrences_after(timing, max(request.start, _EARLIEST) - MILLISECOND, MOST_RUNS + 1)
    except InvalidScheduleException as refused:
        raise StateForbidsException(f"the schedule cannot be computed: {refused.detail}") from refused
    instants = [instant for instant in found if instant <= last]
    if len(instants) > MOST_RUNS:
        raise InvalidScheduleException.of(
            "to", f"to: more than {MOST_RUNS} occurrences lie before it; go up to {utc(instants[-1])} first"
        )
    return instants
