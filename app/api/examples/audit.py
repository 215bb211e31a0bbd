"""An example of the audit trail."""

from typing import Any

from app.api.examples.ids import INSTANT, SCHEDULE_ID
from app.api.examples.schedules import PAUSE, SCHEDULE

_AUDITED_BEFORE: dict[str, Any] = {
    "revision": 1,
    "status": "active",
    "status_reason": None,
    "next_execution_at": INSTANT,
    "definition": {
        name: SCHEDULE[name]
        for name in (
            *("workflow_id", "name", "description", "schedule_type", "cron_expression", "interval_seconds"),
            *("scheduled_time", "timezone", "start_at", "end_at", "jitter_seconds", "dst_policy", "calendars"),
            *("max_executions", "grace_period_seconds", "coalesce", "max_instances", "overlap_policy"),
            *("failure_target", "completion", "timeout_seconds", "retry", "after_completion", "context_data", "tags"),
        )
    }
    | {
        "target": {
            "url": "https://hooks.example/runs/{{ execution_id }}",
            "method": "POST",
            "headers": {"Authorization": "********"},
            "body": None,
            "cancel_url": None,
        }
    },
}
AUDIT_PAGE: dict[str, Any] = {
    "items": [
        {
            "audit_id": 1205,
            "at": "2026-11-23T08:00:00Z",
            "user": "42",
            "role": "editor",
            "action": "schedule_pause",
            "schedule_id": SCHEDULE_ID,
            "execution_id": None,
            "before": _AUDITED_BEFORE,
            "after": _AUDITED_BEFORE
            | {
                "revision": 2,
                "status": "paused",
                "status_reason": PAUSE["reason"],
                "next_execution_at": None,
            },
            "reason": PAUSE["reason"],
            "request_id": "5f0c8a52-7f6b-4b5e-9d6e-0f3a1f2b7c11",
        }
    ],
    "next_cursor": None,
}
