"""Stored values as JSON. Written by hand and encoded by orjson: a model per answer would cost more than the insert."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import orjson
from starlette.responses import Response

from app.api.target_rendering import target_json
from app.core.clock import in_turns, utc
from app.core.errors import ScheduleServiceException
from app.core.execution import Attempt, Execution, ExecutionStatus, Trigger
from app.core.occurrences import ScheduleType
from app.core.queries import Answer, Page
from app.core.schedule import Definition, RetryPolicy, Schedule, ScheduleStatus
from app.service.backfilling import BackfillResult
from app.service.bulk import BulkResult
from app.service.changes import Changed
from app.service.dead_letters import RetryResult
from app.service.skipping import waits_for

T = TypeVar("T")
PREFIX = "/api/v1"
_JSON = "application/json"


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else utc(instant)


def schedule_json(schedule: Schedule) -> dict[str, Any]:
    """A schedule as `GET` shows it."""
    defined = schedule.definition
    return {
        "schedule_id": schedule.schedule_id,
        "workflow_id": defined.workflow_id,
        "name": defined.name,
        "description": defined.description,
        "schedule_type": defined.schedule_type,
        "cron_expression": defined.cron_expression,
        "interval_seconds": defined.interval_seconds,
        "scheduled_time": _instant(defined.scheduled_time),
        "timezone": defined.timezone,
        "start_at": _instant(defined.start_at),
        "end_at": _instant(defined.end_at),
        "jitter_seconds": defined.jitter_seconds,
        "dst_policy": _policy_json(defined),
        "calendars": defined.calendars,
        "status": schedule.status,
        "is_active": schedule.status is ScheduleStatus.ACTIVE,
        "status_reason": schedule.status_reason,
        **_next_json(schedule),
        "last_execution_at": _instant(schedule.last_execution_at),
        "last_execution_id": schedule.last_execution_id,
        "max_executions": defined.max_executions,
        "execution_count": schedule.execution_count,
        "grace_period_seconds": defined.grace_period_seconds,
        "coalesce": defined.coalesce,
        "max_instances": defined.max_instances,
        "overlap_policy": defined.overlap_policy,
        "target": target_json(defined.target),
        "failure_target": target_json(defined.failure_target),
        "completion": defined.completion,
        "timeout_seconds": defined.timeout_seconds,
        "retry": retry_json(defined.retry),
        "after_completion": defined.after_completion,
        "context_data": defined.context_data,
        "tags": defined.tags,
        "community_id": schedule.community_id,
        "created_by": schedule.created_by,
        "created_at": utc(schedule.created_at),
        "updated_at": utc(schedule.updated_at),
        "revision": schedule.revision,
    }


def _policy_json(defined: Definition) -> dict[str, Any] | None:
    if defined.schedule_type is not ScheduleType.CRON:
        return None
    return {"gap": defined.dst_policy.gap, "fold": defined.dst_policy.fold}


def _next_json(schedule: Schedule) -> dict[str, Any]:
    """When it fires next. What the schedule waits for and is to be skipped is told beside that."""
    skip, skipped, waiting = schedule.skip_next, schedule.next_execution_at, waits_for(schedule)
    return {
        "next_execution_at": None if waiting is None else utc(waiting.occurrence),
        "next_due_at": None if waiting is None else utc(waiting.due_at),
        "skip_next": None
        if skip is None or skipped is None
        else {"scheduled_for": utc(skipped), "by": skip.by, "reason": skip.reason, "at": utc(skip.at)},
    }


def retry_json(retry: RetryPolicy) -> dict[str, Any]:
    """A retry policy; whole numbers of seconds without a fraction."""
    return {
        "max_retries": retry.max_retries,
        "initial_backoff_seconds": _number(retry.initial_backoff_seconds),
        "max_backoff_seconds": _number(retry.max_backoff_seconds),
        "multiplier": _number(retry.multiplier),
        "max_age_seconds": retry.max_age_seconds,
    }


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def execution_json(execution: Execution) -> dict[str, Any]:
    """An execution as `GET` shows it, with its delivery attempts."""
    # One that is queued looks for room at its `wake_at`, and one that runs has it for a deadline.
    waits = execution.status in (ExecutionStatus.RETRYING, ExecutionStatus.PENDING)
    return {
        "execution_id": execution.execution_id,
        "schedule_id": execution.schedule_id,
        "workflow_id": execution.workflow_id,
        "community_id": execution.community_id,
        "trigger": execution.trigger,
        "scheduled_for": utc(execution.scheduled_for),
        "due_at": utc(execution.due_at),
        "covers_from": _instant(execution.covers_from),
        "status": execution.status,
        "reason": execution.reason,
        "reason_detail": execution.reason_detail,
        "backfill_id": execution.group_id if execution.trigger is Trigger.BACKFILL else None,
        "revision": execution.revision,
        "attempts": [_attempt_json(attempt) for attempt in execution.attempts],
        "coalesced_count": execution.coalesced_count,
        "lateness_ms": execution.lateness_ms,
        "engine_execution_id": execution.engine_execution_id,
        "next_attempt_at": _instant(execution.wake_at) if waits else None,
        "result": execution.result,
        "created_at": utc(execution.created_at),
        "started_at": _instant(execution.started_at),
        "finished_at": _instant(execution.finished_at),
        "error": execution.error,
    }


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": utc(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "status_code": attempt.status_code,
        "error": attempt.error,
    }


def _encode(content: Any) -> bytes:
    return orjson.dumps(content, default=_plain)


def _plain(value: Any) -> str:
    # asyncpg's UUIDs are of a class of their own, which the encoder does not know.
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"not JSON: {type(value)}")


def page_json(page: Page[T], item: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """A part of a list."""
    return {"items": [item(each) for each in page.items], "next_cursor": page.next_cursor}


def json_response(content: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(_encode(content), status_code=status, media_type=_JSON)


def schedule_response(schedule: Schedule) -> Response:
    """A schedule with its ETag."""
    return answer_response(_schedule_answer(schedule, 200, {"etag": etag(schedule.revision)}))


def changed_response(changed: Changed, *, dry_run: bool) -> Response:
    """A schedule that was created or changed; after a dry run with the ETag of what is still stored."""
    if changed.created:
        return answer_response(created(changed.schedule, dry_run=dry_run))
    revision = changed.revision_before if dry_run else changed.schedule.revision
    return answer_response(_schedule_answer(changed.schedule, 200, {"etag": etag(revision)}))


def created(schedule: Schedule, *, dry_run: bool = False) -> Answer:
    """The answer to a create: 201 with `Location` and `ETag`; without them for a dry run, after which there is none."""
    headers = {"etag": etag(schedule.revision), "location": f"{PREFIX}/schedules/{schedule.schedule_id}"}
    return _schedule_answer(schedule, 201, {} if dry_run else headers)


def accepted(execution: Execution) -> Answer:
    """The answer to a run that was asked for: 202 with `Location`."""
    headers = {"content-type": _JSON, "location": f"{PREFIX}/executions/{execution.execution_id}"}
    return Answer(202, headers, _encode(execution_json(execution)))


def backfill_answer(result: BackfillResult) -> Answer:
    """The answer to a backfill: 202, or 200 for a dry run."""
    asked = result.request
    content = {
        "backfill_id": result.backfill_id,
        "schedule_id": result.schedule_id,
        "from": utc(asked.start),
        "to": utc(asked.end),
        "max_parallel": asked.max_parallel,
        "dry_run": asked.dry_run,
        "count": len(result.runs),
        "runs": [{"scheduled_for": utc(instant), "execution_id": run_id} for instant, run_id in result.runs],
    }
    return Answer(200 if asked.dry_run else 202, {"content-type": _JSON}, _encode(content))


def retried(result: RetryResult) -> Answer:
    """The answer to a retry of all that match: 202, or 200 for a dry run."""
    content = {
        "dry_run": result.dry_run,
        "count": len(result.execution_ids),
        "execution_ids": result.execution_ids,
        "next_cursor": result.next_cursor,
    }
    return Answer(200 if result.dry_run else 202, {"content-type": _JSON}, _encode(content))


def acted(result: BulkResult) -> Answer:
    """The answer to an action on all that match."""
    content = {
        "action": result.action,
        "dry_run": result.dry_run,
        "count": len(result.schedule_ids),
        "schedule_ids": result.schedule_ids,
        "left_alone": result.left_alone,
        "next_cursor": result.next_cursor,
    }
    return Answer(200, {"content-type": _JSON}, _encode(content))


async def batch_answer(
    results: Sequence[Schedule | ScheduleServiceException],
    *,
    atomic: bool,
    refused: Callable[[ScheduleServiceException], dict[str, Any]],
) -> Answer:
    """The answer to a batch: 201 when it was all or nothing, else 207; `refused` makes the problem of one."""
    rendered: list[bytes] = []
    async for result in in_turns(results):
        if isinstance(result, Schedule):
            rendered.append(_encode({"status": 201, "schedule": schedule_json(result)}))
        else:
            problem = refused(result)
            rendered.append(_encode({"status": problem["status"], "error": problem}))
    body = b'{"results":[' + b",".join(rendered) + b"]}"
    return Answer(201 if atomic else 207, {"content-type": _JSON}, body)


def answer_response(answer: Answer) -> Response:
    """An answer, given now or kept for a repeated request, as a response."""
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))


def etag(revision: int) -> str:
    """A revision as an entity tag."""
    return f'"{revision}"'


def _schedule_answer(schedule: Schedule, status: int, headers: dict[str, str]) -> Answer:
    return Answer(status, {"content-type": _JSON, **headers}, _encode(schedule_json(schedule)))
