"""Calendars for tests: days by their dates, everything else by default."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from app.core.calendars import Calendar, CalendarDefinition, Days, Fill
from app.core.principal import Principal
from app.core.queries import Answer, Idempotency
from app.core.schedule import CalendarUse
from app.service.calendars import CalendarService

BAVARIA = Fill("DE", "BY", 2026, 2027)


def days(*dates: str) -> tuple[Days, ...]:
    """Days, or ranges as "2026-12-27/2026-12-31"."""
    found = []
    for text in dates:
        first, _, last = text.partition("/")
        found.append(Days(date.fromisoformat(first), date.fromisoformat(last or first)))
    return tuple(found)


def calendar(name: str = "firm", *off: str, worked: Iterable[str] = (), **fields: Any) -> CalendarDefinition:
    """A calendar with these days off."""
    return CalendarDefinition(
        name=name,
        description=fields.get("description"),
        days_off=days(*off),
        days_worked=days(*worked),
        weekend=fields.get("weekend"),
        fill=fields.get("fill"),
    )


def keeps(*names: str, **rule: Any) -> dict[str, Any]:
    """The fields of a definition that keeps these calendars: `cron(**keeps("firm"))`."""
    return {"calendars": CalendarUse(names or ("firm",), **rule)}


async def stored(
    service: CalendarService,
    caller: Principal,
    definition: CalendarDefinition,
    idempotency: Idempotency | None = None,
) -> Calendar:
    """A new calendar."""
    await service.create(
        caller, definition, answer=lambda new: Answer(201, {}, new.name.encode()), idempotency=idempotency
    )
    return await service.get(caller, definition.name)
