"""Trying a target: what is asked, and what went out and came back."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from app.api.wire.base import Shown, UuidText, Wire
from app.api.wire.schedules import Context, Ending
from app.api.wire.targets import TargetInput
from app.core.sealing import MASK
from app.delivery.reply import BODY_LIMIT_BYTES

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class Outcome(StrEnum):
    """What a delivery would make of it."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"
    GONE = "gone"


class TargetTestInput(Wire):
    """A target, or the schedule whose target it is, or both: what is left out is the schedule's."""

    target: TargetInput | None = Field(
        None,
        description="Null: that of the schedule. With a schedule, masks stand for what is stored of its target.",
    )
    schedule_id: UuidText | None = Field(None, description="Null: of no schedule.")
    workflow_id: UuidText | None = Field(None, description="The workflow that is told to the target.")
    context_data: Context | None = Field(
        None, description="The variables of the run; at most 64 KiB encoded and 32 deep."
    )
    completion: Ending | None = Field(
        None, description="With `callback` the target is told how to report, by a token that opens nothing."
    )


class TestedRequest(Shown):
    """The request as it went out."""

    method: str
    url: str
    headers: dict[str, str] = Field(
        description=f"In their order, also those that belong to the connection. Secret values are shown as `{MASK}`."
    )
    body: str


class TestedResponse(Shown):
    """The answer as it came, without the secrets that it said back."""

    status: int
    headers: list[Pair] = Field(description="Name and value of each, in their order.")
    body: str = Field(description=f"At most its first {BODY_LIMIT_BYTES} bytes; what is no UTF-8 is replaced.")


class TargetTest(Shown):
    """How a test went. Nothing of it is stored."""

    meaning: Outcome = Field(description="What a delivery would make of it.")
    error: str | None = Field(description="What a delivery's attempt would say.")
    duration_ms: int
    request: TestedRequest | None = Field(
        description="Null where none could be put together: a secret does not open, or a placeholder has no value."
    )
    response: TestedResponse | None = Field(description="Null where no whole answer came.")
