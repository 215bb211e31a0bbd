"""An example of an explanation."""

from typing import Any

from app.api.examples.executions import EXECUTION
from app.api.examples.ids import EXECUTION_ID, INSTANT, SCHEDULE_ID

EXPLANATION: dict[str, Any] = {
    "schedule_id": SCHEDULE_ID,
    "now": "2026-11-24T08:00:00Z",
    "at": INSTANT,
    "verdict": "fired",
    "summary": (
        "It fired on Monday 2026-11-23 at 12:00 (America/New_York), as its rule says: at 12:00, Monday to Friday. "
        "The request left 3 milliseconds after it was due, and the target answered 202."
    ),
    "facts": [
        {
            "kind": "rule",
            "text": (
                "By its rule it fires at 12:00, Monday to Friday, in the time zone America/New_York (0 12 * * MON-FRI)."
            ),
            "data": {
                "schedule_type": "cron",
                "cron_expression": "0 12 * * MON-FRI",
                "interval_seconds": None,
                "scheduled_time": None,
                "timezone": "America/New_York",
                "start_at": None,
                "end_at": None,
                "jitter_seconds": 0,
                "dst_policy": {
                    "gap": "after",
                    "fold": "once",
                },
                "calendars": None,
                "on_day_off": None,
                "revision": 1,
                "in_force_then": True,
            },
        },
        {
            "kind": "zone",
            "text": "On the clock of America/New_York that instant is Monday 2026-11-23 at 12:00, UTC-05:00.",
            "data": {
                "timezone": "America/New_York",
                "local_time": "2026-11-23T12:00:00-05:00",
            },
        },
        {
            "kind": "execution",
            "text": (
                "Its record, made on Monday 2026-11-23 at 11:59:59 (America/New_York), says succeeded; its id is "
                "019ab1d0-9e40-8a7b-9c1d-52f4b1f0c6aa."
            ),
            "data": {
                "execution_id": EXECUTION_ID,
                "trigger": "schedule",
                "status": "succeeded",
                "recorded_at": "2026-11-23T16:59:59.960Z",
                "lateness_ms": 3,
                "finished_at": "2026-11-23T17:00:00.015Z",
            },
        },
        {
            "kind": "attempt",
            "text": (
                "Attempt 1 began at 12:00:00.003 (America/New_York) and took 12 milliseconds: the target answered 202."
            ),
            "data": {
                "number": 1,
                "started_at": "2026-11-23T17:00:00.003Z",
                "duration_ms": 12,
                "status_code": 202,
                "error": None,
            },
        },
        {
            "kind": "previous",
            "text": "By its rule the occurrence before that is Friday 2026-11-20 at 12:00 (America/New_York).",
            "data": {
                "at": "2026-11-20T17:00:00Z",
            },
        },
        {
            "kind": "next",
            "text": "By its rule the occurrence after that is Tuesday 2026-11-24 at 12:00 (America/New_York).",
            "data": {
                "at": "2026-11-24T17:00:00Z",
            },
        },
    ],
    "execution": EXECUTION,
    "previous": "2026-11-20T17:00:00Z",
    "next": "2026-11-24T17:00:00Z",
}
