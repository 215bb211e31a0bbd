"""Previews: when something would fire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.api.wire.base import InstantText, Shown
from app.api.wire.schedules import TimingInput

MAX_OCCURRENCES = 100
DEFAULT_OCCURRENCES = 10


class PreviewInput(TimingInput):
    """A timing that is not stored."""

    start: InstantText | None = Field(None, description="Occurrences strictly after this instant; null: now.")
    count: Annotated[int, Field(ge=1, le=MAX_OCCURRENCES)] = DEFAULT_OCCURRENCES


class Occurrences(Shown):
    """The next occurrences, before jitter, and the timing in words."""

    occurrences: list[datetime]
    description: str
