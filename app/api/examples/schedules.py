"""Examples of schedules."""

from typing import Any

from app.api.examples.ids import CREATED, INSTANT, SCHEDULE_ID, WORKFLOW_ID

CREATE: dict[str, Any] = {
    "workflow_id": WORKFLOW_ID,
    "name": "nightly-report",
    "schedule_type": "cron",
    "cron_expression": "0 12 * * MON-FRI",
    "timezone": "America/New_York",
    "context_data": {"report": "daily"},
    "tags": ["reports"],
}
APPLY: dict[str, Any] = {field: value for field, value in CREATE.items() if field != "name"}
PATCH: dict[str, Any] = {"cron_expression": "30 12 * * MON-FRI", "retry": {"max_retries": 5}}
SCHEDULE: dict[str, Any] = {
    "schedule_id": SCHEDULE_ID,
    "workflow_id": WORKFLOW_ID,
    "name": "nightly-report",
    "description": None,
    "schedule_type": "cron",
    "cron_expression": "0 12 * * MON-FRI",
    "interval_seconds": None,
    "scheduled_time": None,
    "timezone": "America/New_York",
    "start_at": None,
    "end_at": None,
    "jitter_seconds": 0,
    "dst_policy": {"gap": "after", "fold": "once"},
    "calendars": None,
    "status": "active",
    "is_active": True,
    "status_reason": None,
    "next_execution_at": INSTANT,
    "next_due_at": INSTANT,
    "skip_next": None,
    "last_execution_at": None,
    "last_execution_id": None,
    "max_executions": None,
    "execution_count": 0,
    "grace_period_seconds": 900,
    "coalesce": True,
    "max_instances": 3,
    "overlap_policy": "skip",
    "target": None,
    "failure_target": None,
    "completion": "response",
    "timeout_seconds": 3600,
    "retry": {
        "max_retries": 3,
        "initial_backoff_seconds": 1,
        "max_backoff_seconds": 300,
        "multiplier": 2,
        "max_age_seconds": 86400,
    },
    "after_completion": "keep",
    "context_data": {"report": "daily"},
    "tags": ["reports"],
    "community_id": 1,
    "created_by": "42",
    "created_at": CREATED,
    "updated_at": CREATED,
    "revision": 1,
}
SCHEDULE_PAGE: dict[str, Any] = {"items": [SCHEDULE], "next_cursor": None}
SKIPPING: dict[str, Any] = SCHEDULE | {
    "next_execution_at": "2026-11-24T17:00:00Z",
    "next_due_at": "2026-11-24T17:00:00Z",
    "skip_next": {"scheduled_for": INSTANT, "by": "42", "reason": "stock-taking", "at": "2026-11-23T08:00:00Z"},
    "revision": 2,
}
PAUSE: dict[str, Any] = {"reason": "the target is being upgraded"}
BATCH: dict[str, Any] = {"schedules": [CREATE], "atomic": True}
BATCH_RESULTS: dict[str, Any] = {"results": [{"status": 201, "schedule": SCHEDULE}]}
BULK_INPUT: dict[str, Any] = {
    "action": "pause",
    "target_host": "payments.example",
    "reason": "payments.example is being repaired",
    "dry_run": True,
}
BULK_ACTED: dict[str, Any] = {
    "action": "pause",
    "dry_run": True,
    "count": 1,
    "schedule_ids": [SCHEDULE_ID],
    "left_alone": [
        {
            "schedule_id": "019ab1d0-9e40-7a7b-9c1d-52f4b1f0c6ab",
            "because": "already",
            "detail": "it is paused already",
        }
    ],
    "next_cursor": None,
}
