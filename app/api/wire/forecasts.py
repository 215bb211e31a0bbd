"""How much is to come."""

from datetime import datetime

from pydantic import Field

from app.api.wire.base import Shown


class Bucket(Shown):
    """A part of the time span."""

    from_: datetime = Field(alias="from", description="When it begins; it ends where the next one begins, or at `to`.")
    occurrences: int


class Forecast(Shown):
    """The occurrences of active schedules in a time span, by their nominal instants, before jitter."""

    from_: datetime = Field(alias="from", description="The beginning of the time span, inclusive.")
    to: datetime = Field(description="Its end, exclusive.")
    bucket_seconds: int
    schedules: int = Field(description="How many schedules they are of.")
    occurrences: int = Field(description="All of them together.")
    buckets: list[Bucket] = Field(description="Each part of the time span, also those in which nothing fires.")
    next_cursor: str | None = Field(
        description="Where not null, only a part of the schedules was counted: send it as `cursor`, and add up what is "
        "answered."
    )
