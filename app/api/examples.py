"""The examples of the OpenAPI document."""

from typing import Any

SCHEDULE_ID = "01973c5e-7a10-7cc3-98b1-3f6d2c0a9e51"
WORKFLOW_ID = "8f14e45f-ceea-467f-9d3a-1c5b2a7e6f10"
EXECUTION_ID = "019ab1d0-9e40-8a7b-9c1d-52f4b1f0c6aa"
_INSTANT = "2026-11-23T17:00:00Z"
_CREATED = "2026-11-20T09:30:00.250Z"

CREATE: dict[str, Any] = {
    "workflow_id": WORKFLOW_ID,
    "name": "nightly-report",
    "schedule_type": "cron",
    "cron_expression": "0 12 * * MON-FRI",
    "timezone": "America/New_York",
    "context_data": {"report": "daily"},
    "tags": ["reports"],
}
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
    "status": "active",
    "is_active": True,
    "status_reason": None,
    "next_execution_at": _INSTANT,
    "next_due_at": _INSTANT,
    "last_execution_at": None,
    "last_execution_id": None,
    "max_executions": None,
    "execution_count": 0,
    "grace_period_seconds": 900,
    "coalesce": True,
    "max_instances": 3,
    "overlap_policy": "skip",
    "target": None,
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
    "created_at": _CREATED,
    "updated_at": _CREATED,
    "revision": 1,
}
SCHEDULE_PAGE: dict[str, Any] = {"items": [SCHEDULE], "next_cursor": None}
EXECUTION: dict[str, Any] = {
    "execution_id": EXECUTION_ID,
    "schedule_id": SCHEDULE_ID,
    "workflow_id": WORKFLOW_ID,
    "community_id": 1,
    "trigger": "schedule",
    "scheduled_for": _INSTANT,
    "due_at": _INSTANT,
    "covers_from": None,
    "status": "succeeded",
    "reason": None,
    "revision": 1,
    "attempts": [
        {"number": 1, "started_at": "2026-11-23T17:00:00.003Z", "duration_ms": 12, "status_code": 202, "error": None}
    ],
    "coalesced_count": 1,
    "lateness_ms": 3,
    "engine_execution_id": "wf-7781",
    "next_attempt_at": None,
    "result": None,
    "created_at": "2026-11-23T16:59:59.960Z",
    "started_at": "2026-11-23T17:00:00.003Z",
    "finished_at": "2026-11-23T17:00:00.015Z",
    "error": None,
}
RECORDED: dict[str, Any] = EXECUTION | {
    "trigger": "manual",
    "status": "pending",
    "attempts": [],
    "lateness_ms": None,
    "engine_execution_id": None,
    "started_at": None,
    "finished_at": None,
}
CANCELLED: dict[str, Any] = RECORDED | {
    "status": "cancelled",
    "reason": "cancelled_by_caller",
    "finished_at": "2026-11-23T17:00:00.015Z",
}
EXECUTION_PAGE: dict[str, Any] = {"items": [EXECUTION], "next_cursor": None}
PAUSE: dict[str, Any] = {"reason": "the target is being upgraded"}
TRIGGER: dict[str, Any] = {"context_data": {"report": "weekly"}}
PREVIEW: dict[str, Any] = {
    "schedule_type": "cron",
    "cron_expression": "0 12 * * MON-FRI",
    "timezone": "America/New_York",
    "count": 3,
}
OCCURRENCES: dict[str, Any] = {
    "occurrences": [_INSTANT, "2026-11-24T17:00:00Z", "2026-11-25T17:00:00Z"],
    "description": "At 12:00, Monday to Friday",
}
BATCH: dict[str, Any] = {"schedules": [CREATE], "atomic": True}
BATCH_RESULTS: dict[str, Any] = {"results": [{"status": 201, "schedule": SCHEDULE}]}
HEALTH: dict[str, Any] = {
    "status": "ok",
    "scheduler_running": True,
    "live_workers": 2,
    "database_connected": True,
    "redis_connected": True,
    "wheel_depth": 1204,
    "active_schedules": 310,
    "overdue_count": 0,
}
