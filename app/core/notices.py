"""Notices: what a schedule's `failure_target` and its target's `cancel_url` are told.

A notice is recorded with what it tells of, in one transaction, and delivered as an execution is: under an id of its
own, signed, with the schedule's retries, surviving whoever dies. Nobody is told of a notice that failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from app.core.clock import utc
from app.core.execution import ExecutionStatus, Trigger
from app.core.ids import execution_id
from app.core.schedule import Schedule, ScheduleStatus


class Occasion(StrEnum):
    """What a notice tells of."""

    FAILED = "execution.failed"
    TIMED_OUT = "execution.timed_out"
    CANCELLED = "execution.cancelled"
    PAUSED = "schedule.paused"


_OCCASIONS = {
    ExecutionStatus.FAILED: Occasion.FAILED,
    ExecutionStatus.TIMED_OUT: Occasion.TIMED_OUT,
    ExecutionStatus.CANCELLED: Occasion.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice on its way into the table of executions. `content_json` is what `read` gives back."""

    notice_id: UUID
    recorded_for: datetime
    schedule_id: UUID
    community_id: int
    workflow_id: UUID | None
    revision: int
    trigger: Trigger
    content_json: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution that ended so that somebody is to be told of it; `context_json` are the variables that it had."""

    execution_id: UUID
    schedule_id: UUID
    community_id: int
    workflow_id: UUID | None
    schedule_name: str | None
    trigger: str
    scheduled_for: datetime
    status: ExecutionStatus
    reason: str | None
    reason_detail: str | None
    error: str | None
    engine_execution_id: str | None
    failures: int
    revision: int
    context_json: str


def of_execution(ended: Ended, now: datetime) -> Notice:
    """What is told of an execution that has failed or timed out, or, to the target that has it, was cancelled."""
    event = _OCCASIONS[ended.status]
    said = {
        "event": event,
        "schedule_id": ended.schedule_id,
        "schedule_name": ended.schedule_name,
        "workflow_id": ended.workflow_id,
        "community_id": ended.community_id,
        "execution_id": ended.execution_id,
        "engine_execution_id": ended.engine_execution_id,
        "trigger": ended.trigger,
        "scheduled_for": ended.scheduled_for,
        "status": ended.status,
        "reason": ended.reason,
        "reason_detail": ended.reason_detail,
        "error": ended.error,
        "failures": ended.failures,
        "at": now,
    }
    trigger = Trigger.CANCEL if event is Occasion.CANCELLED else Trigger.FAILURE
    return Notice(
        execution_id(ended.execution_id, now, now),
        now,
        ended.schedule_id,
        ended.community_id,
        ended.workflow_id,
        ended.revision,
        trigger,
        _content(said, ended.context_json),
    )


def of_pause(schedule: Schedule, context_json: str, gone_execution_id: UUID, reason: str, now: datetime) -> Notice:
    """What is told of a schedule that is paused because its target said to an execution that it is gone.

    `schedule` is as it was before: the notice is sent by the definition that got the answer.
    """
    workflow_id = schedule.definition.workflow_id
    said = {
        **dict.fromkeys(SAID_ONCE),
        "event": Occasion.PAUSED,
        "schedule_id": schedule.schedule_id,
        "schedule_name": schedule.definition.name,
        "workflow_id": workflow_id,
        "community_id": schedule.community_id,
        "execution_id": gone_execution_id,
        "status": ScheduleStatus.PAUSED,
        "reason_detail": reason,
        "at": now,
    }
    return Notice(
        # No run by hand that is recorded in the same millisecond has this id: their keys count from one.
        execution_id(schedule.schedule_id, now, now, -schedule.revision),
        now,
        schedule.schedule_id,
        schedule.community_id,
        workflow_id,
        schedule.revision,
        Trigger.FAILURE,
        _content(said, context_json),
    )


def read(content_json: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a notice says, and the variables that its placeholders may ask for beside that."""
    content = orjson.loads(content_json)
    return content["notice"], content["context_data"]


SAID_ONCE = (
    "event",
    "schedule_id",
    "schedule_name",
    "workflow_id",
    "community_id",
    "execution_id",
    "engine_execution_id",
    "trigger",
    "scheduled_for",
    "status",
    "reason",
    "reason_detail",
    "error",
    "failures",
    "at",
)
"""What every notice says, the same at each attempt; null where it does not apply."""


def body_of(said: Mapping[str, Any], notice_id: UUID, attempt: int, sent_at: str) -> dict[str, Any]:
    """The body of one attempt to deliver a notice."""
    # In this order: the database keeps a JSON object's members in one of its own.
    members = {name: said.get(name) for name in SAID_ONCE}
    return {**members, "notice_id": str(notice_id), "attempt": attempt, "sent_at": sent_at}


def sample() -> dict[str, Any]:
    """The members of a notice's body: what the placeholders of `failure_target` and `cancel_url` may ask for."""
    return body_of(dict.fromkeys(SAID_ONCE), UUID(int=0), 1, "")


def _content(said: dict[str, Any], context_json: str) -> str:
    instants = {name: utc(each) for name, each in said.items() if isinstance(each, datetime)}
    encoded = orjson.dumps({**said, **instants}, default=str).decode()
    return f'{{"notice":{encoded},"context_data":{context_json}}}'
