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
    "next_execution_at": _INSTANT,
    "next_due_at": _INSTANT,
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
    "reason_detail": None,
    "backfill_id": None,
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
    "reason_detail": "by 42: started by mistake",
    "finished_at": "2026-11-23T17:00:00.015Z",
}
COMPLETE: dict[str, Any] = {"status": "succeeded", "result": {"rows": 1204}}
RUNNING: dict[str, Any] = EXECUTION | {"status": "running", "finished_at": None}
COMPLETED: dict[str, Any] = EXECUTION | {"result": {"rows": 1204}, "finished_at": "2026-11-23T17:04:10.250Z"}
BACKFILL_INPUT: dict[str, Any] = {"from": "2026-11-16T00:00:00Z", "to": "2026-11-18T00:00:00Z", "max_parallel": 2}
BACKFILL: dict[str, Any] = {
    **BACKFILL_INPUT,
    "backfill_id": "019ab1d0-a1c2-7d11-8f0a-6b1f3c7e0d11",
    "schedule_id": SCHEDULE_ID,
    "dry_run": False,
    "count": 2,
    "runs": [
        {"scheduled_for": "2026-11-16T17:00:00Z", "execution_id": "019ab1d0-a1c2-8a7b-9c1d-52f4b1f0c6aa"},
        {"scheduled_for": "2026-11-17T17:00:00Z", "execution_id": "019ab1d0-a1c2-8e03-a44d-0d6c1f9e7b52"},
    ],
}
BACKFILL_DRY_RUN: dict[str, Any] = BACKFILL | {
    "backfill_id": None,
    "dry_run": True,
    "runs": [
        {"scheduled_for": "2026-11-16T17:00:00Z", "execution_id": None},
        {"scheduled_for": "2026-11-17T17:00:00Z", "execution_id": None},
    ],
}
SKIPPING: dict[str, Any] = SCHEDULE | {
    "next_execution_at": "2026-11-24T17:00:00Z",
    "next_due_at": "2026-11-24T17:00:00Z",
    "skip_next": {"scheduled_for": _INSTANT, "by": "42", "reason": "stock-taking", "at": "2026-11-23T08:00:00Z"},
    "revision": 2,
}
TARGET_HOSTS: dict[str, Any] = {
    "items": [
        {
            "host": "hooks.example.com",
            "schedules": 12,
            "circuit": "open",
            "failures": 11,
            "open_until": "2026-11-23T17:00:04Z",
            "last_error": "HTTP 503",
            "waiting": 40,
            "in_flight": 0,
            "workers_open": 2,
            "max_concurrent": 20,
            "rate_limit": None,
        }
    ],
    "next_cursor": None,
}
EXECUTION_PAGE: dict[str, Any] = {"items": [EXECUTION], "next_cursor": None}
EXPLANATION: dict[str, Any] = {
    "schedule_id": SCHEDULE_ID,
    "now": "2026-11-24T08:00:00Z",
    "at": _INSTANT,
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
    "adjusted": [],
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
CALENDAR_CREATE: dict[str, Any] = {
    "name": "bavaria",
    "days_off": ["2026-12-24", {"from": "2026-12-28", "to": "2026-12-30", "label": "Company holidays"}],
    "fill": {"country": "DE", "region": "BY", "years": {"from": 2026, "to": 2026}},
}
CALENDAR_REPLACE: dict[str, Any] = {
    "days_off": ["2026-12-24", "2026-12-31"],
    "fill": {"country": "DE", "region": "BY", "years": {"from": 2026, "to": 2027}},
}
_FILL: dict[str, Any] = {"country": "DE", "region": "BY", "years": {"from": 2026, "to": 2026}}
_CHRISTMAS: dict[str, Any] = {"from": "2026-12-25", "to": "2026-12-25", "label": "Christmas Day"}
CALENDAR: dict[str, Any] = {
    "calendar_id": "019aa1b2-3c4d-7e5f-8a6b-7c8d9e0f1a2b",
    "name": "bavaria",
    "description": None,
    "days_off": [
        {"from": "2026-12-24", "to": "2026-12-24", "label": None, "from_source": False},
        _CHRISTMAS | {"from_source": True},
        {"from": "2026-12-28", "to": "2026-12-30", "label": "Company holidays", "from_source": False},
    ],
    "days_worked": [],
    "weekend": ["SUN", "SAT"],
    "fill": _FILL,
    "source": _FILL | {"package_version": "0.109", "filled_at": _CREATED},
    "recomputed": True,
    "community_id": 1,
    "created_by": "42",
    "created_at": _CREATED,
    "updated_at": _CREATED,
    "revision": 1,
}
CALENDAR_PAGE: dict[str, Any] = {"items": [CALENDAR], "next_cursor": None}
REFRESH: dict[str, Any] = {"apply": False, "years": {"from": 2026, "to": 2027}}
REFRESHED: dict[str, Any] = {
    "added": [{"from": "2027-01-01", "to": "2027-01-01", "label": "New Year's Day", "worked": False}],
    "removed": [],
    "kept_own": 2,
    "applied": False,
    "package_version": "0.109",
    "schedules_affected": 12,
    "revision": 1,
}

RETRY_INPUT: dict[str, Any] = {"status": "failed", "from": "2026-11-23T17:00:00Z", "to": "2026-11-23T18:00:00Z"}
RETRIED: dict[str, Any] = {
    "dry_run": False,
    "count": 1,
    "execution_ids": [EXECUTION["execution_id"]],
    "next_cursor": None,
}
RETRIED_DRY_RUN: dict[str, Any] = RETRIED | {"dry_run": True}

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

TARGET_TEST_INPUT: dict[str, Any] = {
    "target": {
        "url": "https://hooks.example/runs/{{ execution_id }}",
        "method": "PUT",
        "headers": {"Authorization": "Bearer of-your-target"},
        "body": {"report": "{{ report }}", "at": "{{ scheduled_for }}"},
    },
    "context_data": {"report": "daily"},
}
TARGET_TEST: dict[str, Any] = {
    "meaning": "delivered",
    "error": None,
    "duration_ms": 41,
    "request": {
        "method": "PUT",
        "url": f"https://hooks.example/runs/{EXECUTION_ID}",
        "headers": {
            "Host": "hooks.example",
            "User-Agent": "schedule-service/1.0.0",
            "Accept": "*/*",
            "Content-Length": "46",
            "Authorization": "********",
            "Content-Type": "application/json",
            "Idempotency-Key": EXECUTION_ID,
            "webhook-id": EXECUTION_ID,
            "webhook-timestamp": "1795453200",
            "traceparent": "00-019ab1d09e408a7b9c1d52f4b1f0c6aa-8d2c5a7e31f0b964-01",
            "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        },
        "body": '{"report":"daily","at":"2026-11-23T17:00:00Z"}',
    },
    "response": {
        "status": 202,
        "headers": [["Content-Type", "application/json"], ["Content-Length", "14"]],
        "body": '{"taken":true}',
    },
}

_AUDITED_BEFORE: dict[str, Any] = {
    "revision": 1,
    "status": "active",
    "status_reason": None,
    "next_execution_at": _INSTANT,
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
