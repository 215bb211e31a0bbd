"""Previews: when something would fire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.api.wire.base import InstantText, Shown
from app.api.wire.schedules import TimingInput
from app.core.occurrences import AdjustmentCause

MAX_OCCURRENCES = 100
DEFAULT_OCCURRENCES = 10


class PreviewInput(TimingInput):
    """A timing that is not stored."""

    start: InstantText | None = Field(None, description="Occurrences strictly after this instant; null: now.")
    count: Annotated[int, Field(ge=1, le=MAX_OCCURRENCES)] = DEFAULT_OCCURRENCES


class Adjusted(Shown):
    """Why an occurrence is not simply at a wall-clock time of the rule."""

    occurrence: datetime
    cause: AdjustmentCause = Field(
        description="A wall-clock time that does not exist, one that exists twice, or a day that is off."
    )
    wall_times: list[str] = Field(description="The times of the rule that it concerns, on the clock of `timezone`.")
    text: str


class Occurrences(Shown):
    """The next occurrences, before jitter, and the timing in words."""

    occurrences: list[datetime]
    adjusted: list[Adjusted] = Field(description="Those of them that the clocks or a calendar moved, and why.")
    description: str
