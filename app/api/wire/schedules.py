"""Schedules as callers write them, and as answers show them."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from app.api.wire.base import InstantText, Shown, UuidText, Wire
from app.core.occurrences import ScheduleType
from app.core.schedule import AfterCompletion, Completion, OverlapPolicy, ScheduleStatus

MAX_CONTEXT_BYTES = 65_536
MAX_CONTEXT_DEPTH = 32
MAX_BATCH = 1000
MAX_INT32 = 2_147_483_647

E = TypeVar("E", bound=StrEnum)
_LATER = frozenset({OverlapPolicy.QUEUE, OverlapPolicy.CANCEL_RUNNING, Completion.CALLBACK})


def _offered(value: E) -> E:
    if value in _LATER:
        raise PydanticCustomError("later", f"'{value}' comes with a later release")
    return value


def _none_as_empty(empty: Callable[[], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: empty() if value is None else value)


def _check_context(context: dict[str, Any]) -> dict[str, Any]:
    encoded = orjson.dumps(context)
    if len(encoded) > MAX_CONTEXT_BYTES:
        raise PydanticCustomError(
            "context_size", f"must be at most {MAX_CONTEXT_BYTES} bytes encoded, and is {len(encoded)}"
        )
    # Only what has so many brackets can be so deep.
    if encoded.count(b"{") + encoded.count(b"[") > MAX_CONTEXT_DEPTH and _depth(context) > MAX_CONTEXT_DEPTH:
        raise PydanticCustomError("context_depth", f"must be at most {MAX_CONTEXT_DEPTH} deep")
    return context


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _check_tags(tags: list[str]) -> list[str]:
    if len(set(tags)) < len(tags):
        raise PydanticCustomError("tags_twice", "must not hold a tag twice")
    return tags


Choice = Field(strict=False)
Overlap = Annotated[OverlapPolicy, Choice, AfterValidator(_offered)]
Ending = Annotated[Completion, Choice, AfterValidator(_offered)]
Context = Annotated[dict[str, Any], AfterValidator(_check_context)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Tags = Annotated[list[Tag], Field(max_length=20, json_schema_extra={"uniqueItems": True}), AfterValidator(_check_tags)]


class RetryPolicyInput(Wire):
    """When a delivery that failed is tried again; what is left out has the default."""

    max_retries: Annotated[int, Field(ge=0, le=100)] | None = None
    initial_backoff_seconds: Annotated[float, Field(ge=0.001, le=3600)] | None = None
    max_backoff_seconds: Annotated[float, Field(ge=0.001, le=86_400)] | None = None
    multiplier: Annotated[float, Field(ge=1, le=100)] | None = None
    max_age_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None


class TimingInput(Wire):
    """When a schedule fires."""

    schedule_type: Annotated[ScheduleType, Choice, Field(description="What decides the instants.")]
    cron_expression: str | None = Field(
        None, description="With `cron`: five fields, or six with seconds first; `@daily` and the like."
    )
    interval_seconds: int | None = Field(
        None, description="With `interval`: 1 to 31536000, counted from `start_at` or else the creation."
    )
    scheduled_time: InstantText | None = Field(
        None, description="With `one_time`: the instant; without an offset it is read in `timezone`."
    )
    timezone: str | None = Field(None, description="IANA name; null: the service's default.")
    start_at: InstantText | None = Field(None, description="The first instant at which a recurring one may fire.")
    end_at: InstantText | None = Field(None, description="The last instant at which a recurring one may fire.")
    jitter_seconds: int | None = Field(
        None, description="0 to 3600: each occurrence is delayed by a stable part of it. Null: 0."
    )


class ScheduleInput(TimingInput):
    """The definition of a schedule. What is left out, or null, has its default.

    Read-only fields of a schedule are ignored: what was read can be edited and sent back.
    """

    workflow_id: Annotated[UuidText, Field(description="The workflow to execute.")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        None, description="Unique in the community."
    )
    description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    max_executions: Annotated[int, Field(ge=1, le=MAX_INT32)] | None = Field(
        None, description="After so many triggered occurrences the schedule is completed; null: no limit."
    )
    grace_period_seconds: Annotated[int, Field(ge=5, le=604_800)] | None = Field(
        None, description="An occurrence later than this is recorded as missed and not triggered."
    )
    coalesce: bool | None = Field(
        None, description="Of several late occurrences trigger the latest for all of them, or each."
    )
    max_instances: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Executions that may be unfinished at once."
    )
    overlap_policy: Overlap | None = Field(
        None,
        description="What happens to an occurrence while `max_instances` are unfinished: `skip`, `allow`. Null: skip.",
    )
    target: None = Field(None, description="Null: the configured workflow engine.")
    completion: Ending | None = Field(None, description="What ends an execution: `response`. Null: that.")
    timeout_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = Field(
        None, description="How long an execution may take."
    )
    retry: RetryPolicyInput | None = Field(None, description="When a delivery that failed is tried again.")
    after_completion: Annotated[AfterCompletion, Choice] | None = Field(
        None, description="Keep a completed schedule for a while, or delete it. Null: keep."
    )
    context_data: Annotated[Context, _none_as_empty(dict)] = Field(
        default_factory=dict,
        description="Handed to the workflow as its variables; at most 64 KiB encoded and 32 deep.",
    )
    tags: Annotated[Tags, _none_as_empty(list)] = Field(
        default_factory=list, description="To find schedules by; at most 20."
    )


class SchedulePatch(ScheduleInput):
    """Changes to a definition, as a JSON merge patch: null gives a field its default."""

    schedule_type: Annotated[ScheduleType, Choice] | None = None  # type: ignore[assignment]
    workflow_id: UuidText | None = None  # type: ignore[assignment]


class RetryPolicy(Shown):
    """When a delivery that failed is tried again: exponential backoff with full jitter."""

    max_retries: int
    initial_backoff_seconds: float
    max_backoff_seconds: float
    multiplier: float
    max_age_seconds: int


class Schedule(Shown):
    """A schedule. All times are UTC."""

    schedule_id: UUID
    workflow_id: UUID
    name: str | None
    description: str | None
    schedule_type: ScheduleType
    cron_expression: str | None
    interval_seconds: int | None
    scheduled_time: datetime | None
    timezone: str
    start_at: datetime | None
    end_at: datetime | None
    jitter_seconds: int
    status: ScheduleStatus
    is_active: bool = Field(description="`status` is `active`; kept for older clients.")
    status_reason: str | None
    next_execution_at: datetime | None = Field(description="The next occurrence.")
    next_due_at: datetime | None = Field(description="The next occurrence with its jitter.")
    last_execution_at: datetime | None
    last_execution_id: UUID | None
    max_executions: int | None
    execution_count: int
    grace_period_seconds: int
    coalesce: bool
    max_instances: int
    overlap_policy: OverlapPolicy
    target: None = Field(description="Null: the configured workflow engine.")
    completion: Completion
    timeout_seconds: int
    retry: RetryPolicy
    after_completion: AfterCompletion
    context_data: dict[str, Any]
    tags: list[str]
    community_id: int
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    revision: int = Field(description="Counts changes by callers; the ETag.")


class SchedulePage(Shown):
    """A part of a list of schedules."""

    items: list[Schedule]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next part; null at the end.")


class PauseInput(Wire):
    """Why a schedule is paused or resumed."""

    reason: Annotated[str, StringConstraints(max_length=500)] | None = None


class TriggerInput(Wire):
    """A run beside the schedule's timing."""

    context_data: Context | None = Field(None, description="Instead of the schedule's own.")
    overlap_policy: Overlap | None = Field(None, description="Null: run, however many executions are unfinished.")
