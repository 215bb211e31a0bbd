"""Definitions for tests: valid, with defaults, differing in what a test names."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.occurrences import ScheduleType
from app.core.schedule import AfterCompletion, Completion, Definition, OverlapPolicy, RetryPolicy

WORKFLOW = UUID("8f14e45f-ceea-467f-a5bb-6a1f3c7e0d11")

_HOURLY = Definition(
    workflow_id=WORKFLOW,
    schedule_type=ScheduleType.CRON,
    timezone="UTC",
    cron_expression="0 * * * *",
    interval_seconds=None,
    scheduled_time=None,
    start_at=None,
    end_at=None,
    jitter_seconds=0,
    name=None,
    description=None,
    max_executions=None,
    grace_period_seconds=900,
    coalesce=True,
    max_instances=3,
    overlap_policy=OverlapPolicy.SKIP,
    completion=Completion.RESPONSE,
    timeout_seconds=3600,
    retry=RetryPolicy(),
    after_completion=AfterCompletion.KEEP,
)


def cron(expression: str = "0 * * * *", **fields: Any) -> Definition:
    """A cron schedule, hourly by default."""
    return replace(_HOURLY, cron_expression=expression, **fields)


def interval(seconds: int, **fields: Any) -> Definition:
    """An interval schedule."""
    return replace(
        _HOURLY, schedule_type=ScheduleType.INTERVAL, cron_expression=None, interval_seconds=seconds, **fields
    )


def one_time(at: datetime, **fields: Any) -> Definition:
    """A one-time schedule."""
    return replace(_HOURLY, schedule_type=ScheduleType.ONE_TIME, cron_expression=None, scheduled_time=at, **fields)
