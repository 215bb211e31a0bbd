"""Schedules as callers write them, and as answers show them."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from app.api.wire.base import InstantText, Shown, UuidText, Wire, ignoring
from app.api.wire.limits import check_size
from app.api.wire.optional import NeverNull
from app.api.wire.targets import Target, TargetInput, TargetPatch
from app.core.occurrences import Fold, Gap, OnDayOff, ScheduleType
from app.core.schedule import AfterCompletion, Completion, OverlapPolicy, ScheduleStatus

MAX_BATCH = 1000
LONGEST_NAME = 255
MAX_INT32 = 2_147_483_647
MAX_CALENDARS = 5
LONGEST_CALENDAR_NAME = 100
READ_ONLY = frozenset(
    {
        "schedule_id",
        "status",
        "is_active",
        "status_reason",
        "next_execution_at",
        "next_due_at",
        "skip_next",
        "last_execution_at",
        "last_execution_id",
        "execution_count",
        "community_id",
        "created_by",
        "created_at",
        "updated_at",
        "revision",
    }
)
"""Fields of a schedule that a body may hold and that are ignored: what was read can be edited and sent back."""

E = TypeVar("E", bound=StrEnum)


def _none_as_empty(empty: Callable[[], Any], given: Any) -> BeforeValidator:
    """Null is taken for what is empty; else it is as `given`, which is what the document says."""
    return BeforeValidator(lambda value: empty() if value is None else value, json_schema_input_type=given | None)


def check_unique(values: list[str]) -> list[str]:
    """Refuse a list that holds a value twice."""
    if len(set(values)) < len(values):
        raise PydanticCustomError("twice", "must not hold a value twice")
    return values


Choice = Field(strict=False)
Overlap = Annotated[OverlapPolicy, Choice]
Ending = Annotated[Completion, Choice]
Context = Annotated[dict[str, Any], AfterValidator(check_size)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Unique = Field(json_schema_extra={"uniqueItems": True})
Tags = Annotated[list[Tag], Field(max_length=20), Unique, AfterValidator(check_unique)]
CalendarName = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_CALENDAR_NAME)]
CalendarNames = Annotated[
    list[CalendarName], Field(min_length=1, max_length=MAX_CALENDARS), Unique, AfterValidator(check_unique)
]


class RetryPolicyInput(Wire):
    """When a delivery that failed is tried again; what is left out has the default."""

    max_retries: Annotated[int, Field(ge=0, le=100)] | None = None
    initial_backoff_seconds: Annotated[float, Field(ge=0.001, le=3600)] | None = None
    max_backoff_seconds: Annotated[float, Field(ge=0.001, le=86_400)] | None = None
    multiplier: Annotated[float, Field(ge=1, le=100)] | None = None
    max_age_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None


class DstPolicyInput(Wire):
    """What becomes of a fixed wall-clock time on a day on which the clocks change; what is left out has its default."""

    gap: Annotated[Gap, Choice] | None = Field(
        None, description="A time that the clock jumps over fires `after` the gap, or not on that day. Null: after."
    )
    fold: Annotated[Fold, Choice] | None = Field(
        None, description="A time that the clock shows twice fires at the first of the two, or at both. Null: once."
    )


class CalendarUseInput(Wire):
    """Whose days off a schedule keeps."""

    names: Annotated[
        CalendarNames,
        Field(
            description=f"Calendars by name, at most {MAX_CALENDARS}: a day that one of them has off is off, unless "
            "one of them has it under `days_worked`."
        ),
    ]
    on_day_off: Annotated[OnDayOff, Choice] | None = Field(
        None, description="What becomes of an occurrence whose day, in `timezone`, is off. Null: skip."
    )


class TimingInput(Wire):
    """When a schedule fires."""

    schedule_type: Annotated[ScheduleType, Choice, Field(description="What decides the instants.")]
    cron_expression: str | None = Field(
        None, description="With `cron`: five fields, or six with seconds first; `@daily` and the like."
    )
    interval_seconds: int | None = Field(
        None, description="With `interval`: 1 to 31536000, counted from `start_at` or else the creation."
    )
    # No `date-time`, which has an offset by RFC 3339: a time on the clock of `timezone` has none.
    scheduled_time: str | None = Field(
        None,
        description="With `one_time`: the instant, such as 2026-11-23T17:00:00Z; without an offset it is read in "
        "`timezone`.",
    )
    timezone: str | None = Field(None, description="IANA name; null: the service's default.")
    start_at: InstantText | None = Field(None, description="The first instant at which a recurring one may fire.")
    end_at: InstantText | None = Field(None, description="The last instant at which a recurring one may fire.")
    jitter_seconds: int | None = Field(
        None, description="0 to 3600: each occurrence is delayed by a stable part of it. Null: 0."
    )
    dst_policy: DstPolicyInput | None = Field(
        None, description="With `cron`: what happens when the clocks change. Null: nothing is lost or fires twice."
    )
    calendars: CalendarUseInput | None = Field(None, description="The calendars that it keeps. Null: none.")


class ScheduleInput(TimingInput):
    """The definition of a schedule. What is left out, or null, has its default.

    Read-only fields of a schedule are ignored: what was read can be edited and sent back.
    """

    model_config = ConfigDict(json_schema_extra=ignoring(READ_ONLY))

    workflow_id: UuidText | None = Field(
        None, description="The workflow to execute; can be left out only with a `target` of its own."
    )
    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)] | None = Field(
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
        None,
        description="Of several late occurrences trigger the latest for all, or each that `overlap_policy` lets.",
    )
    max_instances: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Executions that may be unfinished at once."
    )
    overlap_policy: Overlap | None = Field(
        None,
        description=(
            "What happens to an occurrence while `max_instances` are unfinished: `skip` records it as skipped, `queue` "
            "lets one wait, `allow` has no limit, `cancel_running` cancels the oldest. Null: skip."
        ),
    )
    target: TargetInput | None = Field(None, description="Null: the configured workflow engine.")
    failure_target: TargetInput | None = Field(
        None, description="Told when an execution has failed or timed out, and when the schedule is paused by a 410."
    )
    completion: Ending | None = Field(
        None,
        description=(
            "What ends an execution: the target's 2xx (`response`), or its later report to `/complete` (`callback`). "
            "Null: the service's default."
        ),
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = Field(
        None, description="With `callback`: how long the work may take from its start, or from a heartbeat."
    )
    retry: RetryPolicyInput | None = Field(None, description="When a delivery that failed is tried again.")
    after_completion: Annotated[AfterCompletion, Choice] | None = Field(
        None, description="Keep a completed schedule for a while, or delete it. Null: keep."
    )
    context_data: Annotated[Context, _none_as_empty(dict, Context)] = Field(
        default_factory=dict,
        description="Handed to the workflow as its variables; at most 64 KiB encoded and 32 deep.",
    )
    tags: Annotated[Tags, _none_as_empty(list, Tags)] = Field(
        default_factory=list, description="To find schedules by; at most 20."
    )


class CalendarUsePatch(CalendarUseInput):
    """Changes to whose days off a schedule keeps, and how."""

    names: NeverNull[CalendarNames] = Field(None, description="All of them: an array is replaced whole.")  # type: ignore[assignment]


# Patches are models for the document alone: what one results in is read as a whole definition.
class SchedulePatch(ScheduleInput):
    """Changes to a definition, as a JSON merge patch: null gives a field its default, and what is left out stays."""

    schedule_type: NeverNull[Annotated[ScheduleType, Choice]] = None  # type: ignore[assignment]
    calendars: CalendarUsePatch | None = Field(None, description="The calendars that it keeps. Null: none.")
    target: TargetPatch | None = Field(None, description="Null: the configured workflow engine.")
    failure_target: TargetPatch | None = Field(None, description="Null: nobody is told.")


class RetryPolicy(Shown):
    """When a delivery that failed is tried again: exponential backoff with full jitter."""

    max_retries: int
    initial_backoff_seconds: float
    max_backoff_seconds: float
    multiplier: float
    max_age_seconds: int


class DstPolicy(Shown):
    """What becomes of a fixed wall-clock time on a day on which the clocks change."""

    gap: Gap
    fold: Fold


class CalendarUse(Shown):
    """Whose days off a schedule keeps."""

    names: list[str]
    on_day_off: OnDayOff


class SkippedNext(Shown):
    """An occurrence that is to be skipped, who said so, why and when."""

    scheduled_for: datetime
    by: str | None
    reason: str | None
    at: datetime


class Schedule(Shown):
    """A schedule. All times are UTC."""

    schedule_id: UUID
    workflow_id: UUID | None
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
    dst_policy: DstPolicy | None = Field(description="Null unless `schedule_type` is `cron`.")
    calendars: CalendarUse | None
    status: ScheduleStatus
    is_active: bool = Field(description="`status` is `active`; kept for older clients.")
    status_reason: str | None
    next_execution_at: datetime | None = Field(description="The next occurrence.")
    next_due_at: datetime | None = Field(description="The next occurrence with its jitter.")
    skip_next: SkippedNext | None = Field(description="The occurrence before that one, where it is to be skipped.")
    last_execution_at: datetime | None
    last_execution_id: UUID | None
    max_executions: int | None
    execution_count: int
    grace_period_seconds: int
    coalesce: bool
    max_instances: int
    overlap_policy: OverlapPolicy
    target: Target | None = Field(description="Null: the configured workflow engine.")
    failure_target: Target | None
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


class SkipNextInput(Wire):
    """Why the next occurrence is skipped."""

    reason: Annotated[str, StringConstraints(max_length=500)] | None = None


class TriggerInput(Wire):
    """A run beside the schedule's timing."""

    context_data: Context | None = Field(None, description="Instead of the schedule's own.")
    overlap_policy: Overlap | None = Field(None, description="Null: run, however many executions are unfinished.")
