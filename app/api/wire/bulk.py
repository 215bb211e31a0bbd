"""One action on all schedules that match."""

from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.api.wire.base import Shown, UuidText, Wire
from app.api.wire.optional import NeverNull
from app.api.wire.schedules import Choice, Tag
from app.api.wire.targets import Host
from app.core.occurrences import ScheduleType
from app.core.schedule import ScheduleStatus
from app.service.bulk import Because, BulkAction

CONDITIONS = ("tag", "workflow_id", "name_prefix", "target_host", "status", "schedule_type")


class BulkInput(Wire):
    """What to do, and to which schedules; each condition narrows the others; at least one is given, none null."""

    # Which of the conditions is given, an "anyOf" could say better: generators of clients make no model of that.
    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    action: Annotated[BulkAction, Choice, Field(description="What to do to each.")]
    # Null is what a client writes for a variable that was not set: taken for "all", it would act on more than is meant.
    tag: NeverNull[Tag] = Field(None, description="Only those with this tag.")
    workflow_id: NeverNull[UuidText] = Field(None, description="Only those of this workflow.")
    name_prefix: NeverNull[Annotated[str, StringConstraints(min_length=1, max_length=255)]] = Field(
        None, description="Only those whose name begins with this."
    )
    target_host: NeverNull[Host] = Field(
        None,
        description="Only those that call this host, as `GET /targets` names it: `host`, or `host:port` where the port "
        "is not the scheme's own, which is another host. The host of the workflow engine: those without a `target`, "
        "too.",
    )
    status: NeverNull[Annotated[ScheduleStatus, Choice]] = Field(None, description="Only those with this status.")
    schedule_type: NeverNull[Annotated[ScheduleType, Choice]] = Field(None, description="Only those of this type.")
    reason: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="Why; a paused schedule shows it as `status_reason`."
    )
    limit: Annotated[int, Field(ge=1, le=500, description="At most so many in this call.")] = 500
    cursor: str | None = Field(None, description="The `next_cursor` of the call before.")
    dry_run: Annotated[bool, Field(description="Say what would be changed, and change nothing.")] = False


class LeftAlone(Shown):
    """A schedule that matches and is not changed."""

    schedule_id: UUID
    because: Because = Field(
        description="`already`: it is as the action would make it. `state_forbids`: its own operation would be "
        "refused. `locked`: another change of it, or of a run of it, is under way; ask again. `unreadable`: its row is "
        "not one of this release."
    )
    detail: str


class BulkActed(Shown):
    """What is changed, or would be, and what is not."""

    action: BulkAction
    dry_run: bool
    count: int
    schedule_ids: list[UUID] = Field(description="In the order of their creation.")
    left_alone: list[LeftAlone]
    next_cursor: str | None = Field(description="Give it as `cursor` for those that are left; null where none is.")
