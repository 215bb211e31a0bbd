"""Examples of executions, and of what is asked of them."""

from typing import Any

from app.api.examples.ids import EXECUTION_ID, INSTANT, SCHEDULE_ID, WORKFLOW_ID

EXECUTION: dict[str, Any] = {
    "execution_id": EXECUTION_ID,
    "schedule_id": SCHEDULE_ID,
    "workflow_id": WORKFLOW_ID,
    "community_id": 1,
    "trigger": "schedule",
    "scheduled_for": INSTANT,
    "due_at": INSTANT,
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
EXECUTION_PAGE: dict[str, Any] = {"items": [EXECUTION], "next_cursor": None}
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
TRIGGER: dict[str, Any] = {"context_data": {"report": "weekly"}}
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
RETRY_INPUT: dict[str, Any] = {"status": "failed", "from": "2026-11-23T17:00:00Z", "to": "2026-11-23T18:00:00Z"}
RETRIED: dict[str, Any] = {
    "dry_run": False,
    "count": 1,
    "execution_ids": [EXECUTION["execution_id"]],
    "next_cursor": None,
}
RETRIED_DRY_RUN: dict[str, Any] = RETRIED | {"dry_run": True}
