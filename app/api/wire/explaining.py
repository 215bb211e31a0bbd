"""Explanations as answers show them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, RootModel

from app.api.wire.base import Shown
from app.api.wire.executions import Execution
from app.core.explaining import FactKind, Verdict


class Fact(Shown):
    """One thing that bears on the answer."""

    kind: FactKind
    text: str = Field(description="A sentence of its own; times are those of the schedule's zone.")
    data: dict[str, Any] = Field(description="The same for programs; times are UTC.")


class Explanation(Shown):
    """Why a schedule did, did not, will or will not fire at an instant."""

    schedule_id: UUID
    now: datetime = Field(description="When this was asked; what lies after it is still to come.")
    at: datetime
    verdict: Verdict
    summary: str = Field(description="To be read aloud; times are those of the schedule's zone.")
    facts: list[Fact]
    execution: Execution | None = Field(description="The record that stands for the instant.")
    previous: datetime | None = Field(description="The rule's occurrence before the instant.")
    next: datetime | None = Field(description="The rule's occurrence after the instant.")


class ExplainedOccurrence(Shown):
    """What became of one occurrence of a time span."""

    at: datetime
    verdict: Verdict
    summary: str
    execution_id: UUID | None


class ExplanationOfSpan(Shown):
    """Why a schedule did, did not, will or will not fire within a time span."""

    schedule_id: UUID
    now: datetime
    from_: datetime = Field(alias="from")
    to: datetime
    summary: str
    occurrences: list[ExplainedOccurrence]
    counts: dict[str, int] = Field(description="How many of them have each verdict.")
    next_from: datetime | None = Field(description="Give it as `from` for those that follow; null when these are all.")


class Explained(RootModel[Explanation | ExplanationOfSpan]):
    """The answer to `at`, or to `from` and `to`."""
