"""What is read aloud of an instant that has no record."""

from dataclasses import replace
from datetime import datetime

from app.core.explaining import Case, Records, Verdict
from app.core.occurrences import BusinessDays, OnDayOff
from app.core.schedule import CalendarUse, ScheduleStatus, SkipNext
from tests.unit.explaining.cases import (
    NOON,
    NOW,
    WEEKDAYS,
    berlin,
    calendar,
    case,
    change,
    resting,
    schedule,
)

ACTIVE, PAUSED = ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED
COMPLETED, FAILED = ScheduleStatus.COMPLETED, ScheduleStatus.FAILED
TUESDAY = berlin("11-24 12:00")
ON = "on Wednesday 2026-11-25 at 12:00 (Europe/Berlin)"
PAUSE = change(berlin("11-24 18:00"), "schedule_pause", ACTIVE, PAUSED, reason="stock-taking")
RESUME = change(berlin("11-27 08:00"), "schedule_resume", PAUSED, ACTIVE, by="bob")
GONE = change(
    berlin("11-24 12:00:01"),
    "schedule_pause",
    ACTIVE,
    PAUSED,
    by="schedule-service",
    automatic=True,
    reason="the target answered HTTP 410: gone",
)

MOVED = schedule(
    replace(WEEKDAYS, calendars=CalendarUse(("firm",), OnDayOff.NEXT_BUSINESS_DAY)),
    business_days=BusinessDays(OnDayOff.NEXT_BUSINESS_DAY, (), (), frozenset({6, 0})),
)
OTHER_DAYS = calendar(updated_at=NOON, days_revision=2)

WITHOUT_RECORDS: list[tuple[Verdict, Case, Records, datetime, str]] = [
    (
        Verdict.WILL_FIRE,
        case(),
        Records(),
        berlin("11-30 12:00"),
        (
            "It will fire on Monday 2026-11-30 at 12:00 (Europe/Berlin), in 4 days and 21 hours, as its rule says: "
            "at 12:00, Monday to Friday."
        ),
    ),
    (
        Verdict.WILL_BE_SKIPPED,
        case(schedule(skip_next=SkipNext("anna", "fair", NOW))),
        Records(),
        berlin("11-26 12:00"),
        (
            "It will not fire on Thursday 2026-11-26 at 12:00 (Europe/Berlin): it is to be skipped, as asked by anna "
            '("fair").'
        ),
    ),
    (
        Verdict.DUE,
        case(schedule(next_execution_at=NOON, next_due_at=NOON)),
        Records(),
        NOON,
        (
            "It has been due since Wednesday 2026-11-25 at 12:00 (Europe/Berlin), for 3 hours, and is not recorded "
            "yet. Its grace period of 15 minutes is over: it will be recorded as missed. A worker looks within "
            "milliseconds, so look whether one is running."
        ),
    ),
    (
        Verdict.NOT_AN_OCCURRENCE,
        case(),
        Records(),
        berlin("11-28 13:00"),
        (
            "It will not fire on Saturday 2026-11-28 at 13:00 (Europe/Berlin): the hour is 13, and the expression "
            "says 12; the day of week is 6 (Saturday), and the expression says MON-FRI."
        ),
    ),
    (
        Verdict.NOT_CREATED_YET,
        case(),
        Records(),
        berlin("11-19 12:00"),
        (
            "It did not fire on Thursday 2026-11-19 at 12:00 (Europe/Berlin): the schedule did not exist yet. It was "
            "created on Friday 2026-11-20 at 09:30 by anna."
        ),
    ),
    (
        Verdict.PAUSED,
        case(None, PAUSE, RESUME),
        Records(),
        NOON,
        (
            f'It did not fire {ON}: the schedule was paused on Tuesday 2026-11-24 at 18:00 by anna ("stock-taking") '
            "and resumed on Friday 2026-11-27 at 08:00 by bob."
        ),
    ),
    (
        Verdict.PAUSED,
        case(resting(PAUSED), GONE),
        Records(),
        berlin("11-30 12:00"),
        (
            "It will not fire on Monday 2026-11-30 at 12:00 (Europe/Berlin) unless it is resumed before: the "
            'schedule was paused on Tuesday 2026-11-24 at 12:00:01 by the service itself ("the target answered HTTP '
            '410: gone") and has not been resumed since.'
        ),
    ),
    (
        Verdict.LIMIT_REACHED,
        case(resting(COMPLETED, replace(WEEKDAYS, max_executions=3)), completed_at=TUESDAY),
        Records(),
        NOON,
        (
            f"It did not fire {ON}: the schedule had completed on Tuesday 2026-11-24 at 12:00, when all of its 3 runs "
            "were used (max_executions)."
        ),
    ),
    (
        Verdict.LIMIT_REACHED,
        case(schedule(replace(WEEKDAYS, max_executions=4))),
        Records(),
        berlin("11-27 12:00"),
        (
            "It will not fire on Friday 2026-11-27 at 12:00 (Europe/Berlin): it may run 4 times in all, 3 are used, "
            "and the occurrences before this one use up the rest."
        ),
    ),
    (
        Verdict.COMPLETED,
        case(resting(COMPLETED, replace(WEEKDAYS, end_at=TUESDAY)), completed_at=TUESDAY),
        Records(),
        NOON,
        f"It did not fire {ON}: the schedule had completed on Tuesday 2026-11-24 at 12:00: no occurrence was left.",
    ),
    (
        Verdict.FAILED,
        case(
            resting(
                FAILED,
                replace(WEEKDAYS, timezone="Mars/Base"),
                status_reason="timezone 'Mars/Base': no such IANA time zone",
            )
        ),
        Records(),
        berlin("11-30 12:00"),
        (
            "It will not fire on Monday 2026-11-30 at 11:00 (UTC): the schedule has failed, because it cannot be "
            "computed any more: timezone 'Mars/Base': no such IANA time zone. Once that is repaired, a change or a "
            "resume lets it go on."
        ),
    ),
    (
        Verdict.REMOVED,
        case(
            None,
            change(berlin("11-24 18:00"), "schedule_remove", ACTIVE, None),
            schedule=None,
            removed_at=berlin("11-24 18:00"),
        ),
        Records(),
        NOON,
        f"It did not fire {ON}: the schedule was removed on Tuesday 2026-11-24 at 18:00 by anna.",
    ),
    (
        Verdict.RECORD_EXPIRED,
        case(records_from=berlin("11-25 01:00")),
        Records(),
        TUESDAY,
        (
            "By its rule it should have fired on Tuesday 2026-11-24 at 12:00 (Europe/Berlin); its record is not kept "
            "any more."
        ),
    ),
    (
        Verdict.CALENDAR_CHANGED,
        case(MOVED, calendars=(OTHER_DAYS,)),
        Records(),
        TUESDAY,
        (
            "It did not fire on Tuesday 2026-11-24 at 12:00 (Europe/Berlin). By the days that are off today it should "
            "have; which were off then is not known any more. The calendar firm was last changed on Wednesday "
            "2026-11-25 at 12:00 (Europe/Berlin); its days of before are not kept."
        ),
    ),
    (
        Verdict.UNEXPLAINED,
        case(),
        Records(),
        TUESDAY,
        (
            "By its rule it should have fired on Tuesday 2026-11-24 at 12:00 (Europe/Berlin), but there is no record "
            "of it, and nothing that says why. It waits for Thursday 2026-11-26 at 12:00. The rules of its time zone "
            "may have changed meanwhile."
        ),
    ),
]
