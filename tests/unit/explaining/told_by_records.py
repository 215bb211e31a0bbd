"""What is read aloud of an instant that has a record."""

from dataclasses import replace
from datetime import datetime, timedelta

from app.core.execution import Attempt, ExecutionStatus, Reason, Trigger
from app.core.explaining import Case, Records, Verdict
from app.core.schedule import ScheduleStatus
from tests.unit.explaining.cases import (
    NOON,
    NOW,
    RUN,
    berlin,
    case,
    change,
    refused,
    run,
)

ACTIVE, PAUSED = ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED
MONDAY, TUESDAY = berlin("11-23 12:00"), berlin("11-24 12:00")
DAY = timedelta(days=1)
ON = "on Wednesday 2026-11-25 at 12:00 (Europe/Berlin)"
FIRED = f"It fired {ON}, as its rule says: at 12:00, Monday to Friday. "
LEFT = "The request left 3 milliseconds after it was due, and "
TWO_MISSED = replace(
    run(status=ExecutionStatus.MISSED, reason=Reason.GRACE, attempts=(), created_at=berlin("11-25 14:20:00.800")),
    covers_from=TUESDAY,
    coalesced_count=2,
)

BY_RECORDS: list[tuple[Verdict, Case, Records, datetime, str]] = [
    (Verdict.FIRED, case(), Records(own=(run(),)), NOON, f"{FIRED}{LEFT}the target answered 202."),
    (
        Verdict.FIRED,
        case(),
        Records(own=(run(attempts=(refused(1), refused(2), Attempt(3, NOON + 9 * DAY / 86_400, 50, 202, None))),)),
        NOON,
        f"{FIRED}{LEFT}the target answered 202 at the 3rd attempt.",
    ),
    (
        Verdict.FIRED,
        case(),
        Records(own=(run(finished_at=NOON + timedelta(minutes=5, seconds=10)),)),
        NOON,
        f"{FIRED}{LEFT}the target answered 202. It ended 5 minutes and 10 seconds after it began.",
    ),
    (
        Verdict.FIRED,
        case(),
        Records(own=(run(covers_from=TUESDAY, coalesced_count=2),)),
        NOON,
        (
            f"{FIRED}{LEFT}the target answered 202. 2 occurrences, from Tuesday 2026-11-24 at 12:00 to Wednesday "
            "2026-11-25 at 12:00, came late together, and this run stands for all of them."
        ),
    ),
    (
        Verdict.FIRED,
        case(),
        Records(
            beside=(run(berlin("11-25 13:30"), trigger=Trigger.MANUAL),),
            events=(change(berlin("11-25 13:30"), "schedule_triggered", None, None, execution_id=RUN),),
        ),
        berlin("11-25 13:30"),
        (
            f"A run by hand was asked for on Wednesday 2026-11-25 at 13:30 (Europe/Berlin) by anna. {LEFT}the "
            "target answered 202."
        ),
    ),
    (
        Verdict.SKIPPED,
        case(),
        Records(
            beside=(
                run(
                    berlin("11-25 13:30"),
                    ExecutionStatus.SKIPPED,
                    trigger=Trigger.MANUAL,
                    reason=Reason.OVERLAP,
                    attempts=(),
                ),
            ),
            unfinished=(run(NOON),),
        ),
        berlin("11-25 13:30"),
        (
            "A run by hand was asked for on Wednesday 2026-11-25 at 13:30 (Europe/Berlin) by a caller. It was not "
            "triggered: its run for 12:00 had not ended, and its overlap policy skips what comes meanwhile."
        ),
    ),
    (
        Verdict.PENDING,
        case(),
        Records(own=(run(status=ExecutionStatus.PENDING, attempts=(), finished_at=None),)),
        NOON,
        f"{FIRED}It is recorded, and its delivery is under way.",
    ),
    (
        Verdict.PENDING,
        case(),
        Records(
            own=(
                run(
                    status=ExecutionStatus.PENDING,
                    attempts=(),
                    wake_at=NOW + timedelta(seconds=40),
                    finished_at=None,
                ),
            )
        ),
        NOON,
        f"{FIRED}It is due, and waits behind the limits of its target. The next look follows in 40 seconds.",
    ),
    (
        Verdict.PENDING,
        case(),
        Records(own=(run(status=ExecutionStatus.PENDING, attempts=(), due_at=NOW + timedelta(seconds=17)),)),
        NOON,
        f"{FIRED}It is recorded, and is sent when it is due, at 15:00:17.",
    ),
    (
        Verdict.QUEUED,
        case(),
        Records(own=(run(status=ExecutionStatus.QUEUED, attempts=(), finished_at=None),)),
        NOON,
        f"{FIRED}It waits in the queue for an earlier run of this schedule to end.",
    ),
    (
        Verdict.RUNNING,
        case(),
        Records(own=(run(status=ExecutionStatus.RUNNING, finished_at=None),)),
        NOON,
        f"{FIRED}It is running: the target answered 202, and has not reported the end of the work yet.",
    ),
    (
        Verdict.RETRYING,
        case(),
        Records(
            own=(
                run(
                    status=ExecutionStatus.RETRYING,
                    attempts=(refused(1), refused(2, None, "connection refused.\n")),
                    wake_at=NOW + timedelta(seconds=40),
                    finished_at=None,
                ),
            )
        ),
        NOON,
        (
            f"{FIRED}It has not been delivered yet: both attempts failed, the last one as no answer came (connection "
            "refused). The next attempt follows in 40 seconds."
        ),
    ),
    (
        Verdict.FAILED_DELIVERY,
        case(),
        Records(own=(run(status=ExecutionStatus.FAILED, attempts=tuple(map(refused, range(1, 5)))),)),
        NOON,
        (
            f"{FIRED}It could not be delivered: all 4 attempts failed, the last one as the target answered 503. It is "
            "not tried again by itself."
        ),
    ),
    (
        Verdict.FAILED_DELIVERY,
        case(),
        Records(own=(run(status=ExecutionStatus.FAILED, error="disk full"),)),
        NOON,
        f"{FIRED}{LEFT}the target answered 202, but the work failed (disk full).",
    ),
    (
        Verdict.FAILED_DELIVERY,
        case(),
        # Reported before the answer was there.
        Records(
            own=(run(status=ExecutionStatus.FAILED, error="disk full", attempts=(), lateness_ms=None),),
            events=(change(NOW, "execution_complete", None, None, execution_id=RUN),),
        ),
        NOON,
        f"{FIRED}The target took it, but the work failed (disk full).",
    ),
    (
        Verdict.FAILED_DELIVERY,
        case(),
        # Taken and never reported on, then delivered again by an operator and refused twice.
        Records(
            own=(
                run(
                    status=ExecutionStatus.FAILED,
                    attempts=(replace(refused(1), status_code=202, error=None), refused(2), refused(3)),
                ),
            ),
        ),
        NOON,
        (
            f"{FIRED}It could not be delivered: both attempts failed, the last one as the target answered 503. It is "
            "not tried again by itself."
        ),
    ),
    (
        Verdict.FAILED_DELIVERY,
        case(),
        # Reported, then delivered again and refused.
        Records(
            own=(run(status=ExecutionStatus.FAILED, attempts=(refused(1), refused(2))),),
            events=(
                change(NOW - DAY / 24, "execution_complete", None, None, execution_id=RUN),
                change(NOW, "execution_retry", None, None, execution_id=RUN),
            ),
        ),
        NOON,
        (
            f"{FIRED}It could not be delivered: both attempts failed, the last one as the target answered 503. It is "
            "not tried again by itself."
        ),
    ),
    (
        Verdict.TIMED_OUT,
        case(),
        Records(own=(run(status=ExecutionStatus.TIMED_OUT, finished_at=NOON + timedelta(hours=1)),)),
        NOON,
        (
            f"{FIRED}{LEFT}the target answered 202, but it reported no end of the work in time. It ended 1 hour after "
            "it began."
        ),
    ),
    (
        Verdict.CANCELLED,
        case(),
        Records(
            own=(run(status=ExecutionStatus.CANCELLED, reason=Reason.CANCELLED_BY_CALLER),),
            events=(change(NOW, "execution_cancel", None, None, execution_id=RUN, reason="wrong day"),),
        ),
        NOON,
        f'{FIRED}It was cancelled at 12:00 by anna ("wrong day"); it had been sent once.',
    ),
    (
        Verdict.CANCELLED,
        case(),
        Records(own=(run(status=ExecutionStatus.CANCELLED, reason=Reason.REMOVED, attempts=()),)),
        NOON,
        (
            f"It was to fire {ON}, as its rule says: at 12:00, Monday to Friday. It was cancelled at 12:00, when the "
            "schedule was removed; nothing had been sent."
        ),
    ),
    (
        Verdict.CANCELLED,
        case(),
        Records(own=(run(status=ExecutionStatus.CANCELLED, reason=Reason.CANCEL_RUNNING),)),
        NOON,
        (
            f"{FIRED}It made way at 12:00 for a later run, as its overlap policy says (cancel_running); it had been "
            "sent once."
        ),
    ),
    (
        Verdict.COALESCED,
        case(),
        Records(own=(run(covers_from=TUESDAY, coalesced_count=2),)),
        TUESDAY,
        (
            "It did not fire by itself on Tuesday 2026-11-24 at 12:00 (Europe/Berlin): 2 occurrences came late "
            f"together, and the run for Wednesday 2026-11-25 at 12:00 stands for all of them. {LEFT}the target "
            "answered 202."
        ),
    ),
    (
        Verdict.MISSED,
        case(),
        Records(own=(TWO_MISSED,)),
        TUESDAY,
        (
            "It did not fire on Tuesday 2026-11-24 at 12:00 (Europe/Berlin): it was missed. No worker looked at it "
            "until Wednesday 2026-11-25 at 14:20, 1 day and 2 hours later, which is beyond its grace period of 15 "
            "minutes. 2 occurrences, from Tuesday 2026-11-24 at 12:00 to Wednesday 2026-11-25 at 12:00, were missed "
            "together."
        ),
    ),
    (
        Verdict.MISSED,
        case(),
        Records(own=(replace(TWO_MISSED, covers_from=None, coalesced_count=1, reason=Reason.CATCH_UP_LIMIT),)),
        NOON,
        (
            f"It did not fire {ON}: it was missed. When a worker looked at it, at 14:20, so many were late that only "
            "the newest were triggered."
        ),
    ),
    (
        Verdict.SKIPPED,
        case(),
        Records(
            own=(run(status=ExecutionStatus.SKIPPED, reason=Reason.OVERLAP, attempts=()),),
            unfinished=(run(MONDAY), run(TUESDAY)),
        ),
        NOON,
        (
            f"It did not fire {ON}: its runs for Monday 2026-11-23 at 12:00 and Tuesday 2026-11-24 at 12:00 had not "
            "ended, and its overlap policy skips what comes meanwhile."
        ),
    ),
    (
        Verdict.SKIPPED,
        case(),
        Records(
            own=(run(status=ExecutionStatus.SKIPPED, reason=Reason.QUEUE_FULL, attempts=()),),
            unfinished=(run(berlin("11-25 09:00"), trigger=Trigger.MANUAL),),
        ),
        NOON,
        f"It did not fire {ON}: its run for 09:00 had not ended, and another run was waiting in the queue already.",
    ),
    (
        Verdict.SKIPPED,
        case(),
        Records(
            own=(
                run(
                    status=ExecutionStatus.SKIPPED,
                    reason=Reason.SKIP_NEXT,
                    reason_detail="by anna: stock-taking",
                    attempts=(),
                ),
            )
        ),
        NOON,
        f"It did not fire {ON}: it was to be skipped, as asked by anna: stock-taking.",
    ),
    (
        Verdict.SKIPPED,
        case(None, change(berlin("11-25 12:00:30"), "schedule_pause", ACTIVE, PAUSED)),
        Records(
            own=(
                run(
                    status=ExecutionStatus.SKIPPED,
                    reason=Reason.PAUSED,
                    attempts=(),
                    created_at=berlin("11-25 12:00:30"),
                ),
            )
        ),
        NOON,
        f"It did not fire {ON}: the schedule was paused at 12:00:30 by anna, before it was recorded.",
    ),
]
