"""Calendars between JSON and the values of the core."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import orjson

from app.api.rendering import PREFIX, etag
from app.api.wire.base import Refused, require_object, try_model
from app.api.wire.calendars import (
    READ_ONLY,
    CalendarInput,
    CalendarReplacement,
    DaysInput,
    FillInput,
    Weekday,
)
from app.core.calendars import Calendar, CalendarDefinition, Days, Fill, Source
from app.core.clock import utc
from app.core.queries import Answer
from app.service.calendar_changes import Refreshed, Replaced


def read_new(body: Any) -> CalendarDefinition:
    """A new calendar from a JSON value.

    Raises MalformedRequestException and InvalidScheduleException, each with every wrong field.
    """
    refused = Refused()
    wire = try_model(CalendarInput, _writable(body), refused)
    refused.raise_any()
    assert wire is not None
    return _definition(wire, wire.name)


def read_replacement(name: str, body: Any) -> CalendarDefinition:
    """The new content of the calendar of that name. Raises as `read_new`."""
    refused = Refused()
    wire = try_model(CalendarReplacement, _writable(body), refused)
    if wire is not None and wire.name not in (None, name):
        refused.value("name", f"name '{wire.name}' is not that of the path; a calendar keeps its name")
    refused.raise_any()
    assert wire is not None
    return _definition(wire, name)


def calendar_json(calendar: Calendar) -> dict[str, Any]:
    """A calendar as `GET` shows it."""
    contents, source = calendar.contents, calendar.contents.source
    return {
        "calendar_id": calendar.calendar_id,
        "name": calendar.name,
        "description": calendar.description,
        "days_off": [_days_json(each) | {"from_source": each.from_source} for each in contents.days_off],
        "days_worked": [_days_json(each) | {"from_source": each.from_source} for each in contents.days_worked],
        "weekend": [Weekday(day).name for day in sorted(contents.weekend)],
        "fill": None if source is None else _fill_json(source.fill),
        "source": None if source is None else _source_json(source),
        "recomputed": calendar.recomputed,
        "community_id": calendar.community_id,
        "created_by": calendar.created_by,
        "created_at": utc(calendar.created_at),
        "updated_at": utc(calendar.updated_at),
        "revision": calendar.revision,
    }


def refreshed_json(refreshed: Refreshed) -> dict[str, Any]:
    """What a refresh brings, or brought."""
    changes = refreshed.difference
    return {
        "added": [*_changed(changes.days_off_added), *_changed(changes.days_worked_added, worked=True)],
        "removed": [*_changed(changes.days_off_removed), *_changed(changes.days_worked_removed, worked=True)],
        "kept_own": changes.kept_own,
        "applied": refreshed.applied,
        "package_version": refreshed.package_version,
        "schedules_affected": refreshed.schedules_affected,
        "revision": refreshed.calendar.revision,
    }


def calendar_answer(calendar: Calendar) -> Answer:
    """A calendar with its ETag."""
    return _answer(calendar, 200, {"etag": etag(calendar.revision)})


def created(calendar: Calendar, *, dry_run: bool = False) -> Answer:
    """The answer to a create: 201 with `Location` and `ETag`; without them for a dry run, after which there is none."""
    headers = {"etag": etag(calendar.revision), "location": f"{PREFIX}/calendars/{calendar.name}"}
    return _answer(calendar, 201, {} if dry_run else headers)


def replaced_answer(replaced: Replaced, *, dry_run: bool) -> Answer:
    """A calendar that was replaced; after a dry run with the ETag of what is still stored."""
    revision = replaced.revision_before if dry_run else replaced.calendar.revision
    return _answer(replaced.calendar, 200, {"etag": etag(revision)})


def _answer(calendar: Calendar, status: int, headers: dict[str, str]) -> Answer:
    body = orjson.dumps(calendar_json(calendar), default=str)
    return Answer(status, {"content-type": "application/json", **headers}, body)


def _writable(body: Any) -> dict[str, Any]:
    return {name: value for name, value in require_object(body).items() if name not in READ_ONLY}


def _definition(wire: CalendarReplacement, name: str) -> CalendarDefinition:
    return CalendarDefinition(
        name=name,
        description=wire.description,
        days_off=_days(wire.days_off),
        days_worked=_days(wire.days_worked),
        weekend=None if wire.weekend is None else frozenset(Weekday[day].value for day in wire.weekend),
        fill=None if wire.fill is None else _fill(wire.fill),
    )


def _days(wire: Iterable[DaysInput] | None) -> tuple[Days, ...]:
    return tuple(_range(each) for each in wire or () if not each.from_source)


def _range(wire: DaysInput) -> Days:
    first = wire.date or wire.from_
    assert first is not None, "the model has seen to it"
    return Days(date.fromisoformat(first), date.fromisoformat(wire.to or first), wire.label)


def _fill(wire: FillInput) -> Fill:
    return Fill(wire.country, wire.region, wire.years.from_, wire.years.to)


def _days_json(days: Days) -> dict[str, Any]:
    return {"from": days.first, "to": days.last, "label": days.label}


def _changed(days: Sequence[Days], *, worked: bool = False) -> list[dict[str, Any]]:
    return [_days_json(each) | {"worked": worked} for each in days]


def _fill_json(fill: Fill) -> dict[str, Any]:
    return {
        "country": fill.country,
        "region": fill.region,
        "years": {"from": fill.first_year, "to": fill.last_year},
    }


def _source_json(source: Source) -> dict[str, Any]:
    return _fill_json(source.fill) | {
        "package_version": source.package_version,
        "filled_at": utc(source.filled_at),
    }
