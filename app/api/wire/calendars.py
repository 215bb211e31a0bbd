"""Calendars as callers write them, and as answers show them."""

import datetime
import re
from enum import IntEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.api.wire.base import Shown, Wire, ignoring
from app.api.wire.schedules import LONGEST_CALENDAR_NAME, Unique, check_unique
from app.core.calendars import FIRST_YEAR, LAST_YEAR, MAX_ENTRIES
from app.core.occurrences.instants import quoted
from app.core.public_holidays import LONGEST_LABEL

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""A calendar's name is a part of its path."""
READ_ONLY = frozenset(
    {
        "calendar_id",
        "source",
        "recomputed",
        "community_id",
        "created_by",
        "created_at",
        "updated_at",
        "revision",
    }
)
"""Fields of a calendar that a body may hold and that are ignored: what was read can be edited and sent back."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Weekday(IntEnum):
    """The days of the week, as cron counts and names them."""

    SUN = 0
    MON = 1
    TUE = 2
    WED = 3
    THU = 4
    FRI = 5
    SAT = 6


def _check_name(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise PydanticCustomError(
            "calendar_name", "must begin with a letter or digit and have only letters, digits, '.', '_' and '-' in it"
        )
    return name


def _check_date(text: str) -> str:
    try:
        # The library alone would also take 20261224 and 2026-W52-4.
        day = datetime.date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise _refused("{said} must be a date such as 2026-12-24", text)
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise _refused(f"{{said}} is not in the years {FIRST_YEAR}-{LAST_YEAR}", text)
    return text


def _check_weekday(text: str) -> str:
    if text not in Weekday.__members__:
        raise _refused("{said} must be one of " + ", ".join(Weekday.__members__), text)
    return text


def _refused(message: str, value: object) -> PydanticCustomError:
    # Braces that a caller wrote are not for the template.
    return PydanticCustomError("refused", message, {"said": quoted(value)})


def _date_alone(value: Any) -> Any:
    return {"date": value} if isinstance(value, str) else value


DateText = Annotated[str, AfterValidator(_check_date), Field(json_schema_extra={"format": "date"})]
WeekdayText = Annotated[
    str, AfterValidator(_check_weekday), Field(json_schema_extra={"enum": list(Weekday.__members__)})
]
Weekend = Annotated[list[WeekdayText], Field(max_length=6), Unique, AfterValidator(check_unique)]
Year = Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR)]
NewName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_CALENDAR_NAME),
    AfterValidator(_check_name),
    Field(description="Unique in the community; cannot be changed.", json_schema_extra={"pattern": NAME_PATTERN}),
]


class DaysInput(Wire):
    """A day, or a range of days: `date`, or `from` and `to`, both included."""

    date: DateText | None = None
    from_: DateText | None = Field(None, alias="from")
    to: DateText | None = Field(None, description="Null: the same as `from`.")
    label: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_LABEL)] | None = None
    from_source: bool | None = Field(
        None, description="As it was read; a day that was copied from the source is ignored, `fill` names it."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.date is None) == (self.from_ is None):
            raise PydanticCustomError("days", "must have either date or from")
        if self.date is not None and self.to is not None:
            raise PydanticCustomError("days", "must not have to beside date; use from and to")
        if self.from_ is not None and self.to is not None and self.to < self.from_:
            raise _refused(f"must not end before it begins: '{self.from_}' to {{said}}", self.to)
        return self


DayOrDays = Annotated[
    DaysInput,
    BeforeValidator(
        _date_alone, json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "date"})] | DaysInput
    ),
]
DayList = Annotated[list[DayOrDays], Field(max_length=MAX_ENTRIES)]


class YearsInput(Wire):
    """A range of years, both included."""

    from_: Year = Field(alias="from")
    to: Year

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.to < self.from_:
            raise PydanticCustomError("years", "must not end before it begins")
        return self


class FillInput(Wire):
    """Whose public holidays to copy into a calendar."""

    country: Annotated[str, StringConstraints(min_length=1, max_length=20)] = Field(
        description="ISO 3166-1 code of two letters, such as DE."
    )
    region: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="ISO 3166-2 code without the country's, such as BY. Null: the days of all regions."
    )
    years: YearsInput


class CalendarReplacement(Wire):
    """The content of a calendar. What is left out, or null, is empty or has its default.

    Read-only fields of a calendar are ignored: what was read can be edited and sent back.
    """

    model_config = ConfigDict(json_schema_extra=ignoring(READ_ONLY))

    name: NewName | None = Field(None, description="That of the path, if it is given.")
    description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    days_off: DayList | None = Field(None, description="On these nothing fires; at most 1000 with `days_worked`.")
    days_worked: DayList | None = Field(None, description="Worked though they would be off, or of the weekend.")
    weekend: Weekend | None = Field(
        None, description="Null: that of the country it is filled with, or Saturday and Sunday."
    )
    fill: FillInput | None = Field(
        None, description="Copy a country's public holidays. They do not move by themselves: see `refresh`."
    )


class CalendarInput(CalendarReplacement):
    """A new calendar. What is left out, or null, is empty or has its default."""

    name: NewName


class RefreshInput(Wire):
    """Whether to write what copying the holidays again brings, and of which years."""

    apply: bool = Field(False, description="False: only say what would change.")
    years: YearsInput | None = Field(None, description="Null: the same as before.")


class Days(Shown):
    """A range of days, both ends included."""

    from_: datetime.date = Field(alias="from")
    to: datetime.date
    label: str | None
    from_source: bool = Field(description="Copied from the source, not the caller's own.")


class Years(Shown):
    """A range of years, both included."""

    from_: int = Field(alias="from")
    to: int


class Fill(Shown):
    """Whose public holidays were copied into a calendar."""

    country: str
    region: str | None
    years: Years


class Source(Fill):
    """Where the copied days of a calendar are from."""

    package_version: str = Field(description="The release of the `holidays` package that named them.")
    filled_at: datetime.datetime


class Calendar(Shown):
    """A calendar."""

    calendar_id: UUID
    name: str
    description: str | None
    days_off: list[Days]
    days_worked: list[Days]
    weekend: list[str]
    fill: Fill | None
    source: Source | None
    recomputed: bool = Field(
        description="Every schedule that keeps it has been computed by its present days; a large change takes a while."
    )
    community_id: int
    created_by: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime
    revision: int = Field(description="Counts changes by callers; the ETag.")


class CalendarPage(Shown):
    """A part of a list of calendars."""

    items: list[Calendar]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next part; null at the end.")


class ChangedDays(Shown):
    """A day that a refresh adds or takes away."""

    from_: datetime.date = Field(alias="from")
    to: datetime.date
    label: str | None
    worked: bool = Field(description="One of `days_worked`; else of `days_off`.")


class RefreshResult(Shown):
    """What a refresh brings, or brought."""

    added: list[ChangedDays]
    removed: list[ChangedDays]
    kept_own: int = Field(description="The caller's own days and ranges, which a refresh leaves alone.")
    applied: bool
    package_version: str
    schedules_affected: int = Field(description="Schedules that keep the calendar and are computed anew.")
    revision: int = Field(description="The calendar's, afterwards.")
