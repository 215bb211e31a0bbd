"""Changes of a stored calendar: create, replace, refresh, remove.

Each locks the calendar's row, which waits for the schedules that are being computed from it, and keeps new ones from
being. The schedules that keep a changed calendar are computed anew after the commit: see `recomputing`.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import replace as altered
from datetime import datetime
from typing import Any

from app.core.audit import AuditAction
from app.core.calendars import (
    MAX_ENTRIES,
    Calendar,
    CalendarDefinition,
    Contents,
    Difference,
    Fill,
    Holidays,
    Source,
    composed,
    copied_of,
    difference,
    own,
)
from app.core.clock import to_ms
from app.core.errors import (
    CalendarInUseException,
    CalendarNameTakenException,
    CalendarNotFoundException,
    FieldProblem,
    InvalidScheduleException,
    StaleRevisionException,
    StateForbidsException,
)
from app.core.ids import new_id
from app.core.public_holidays import public_holidays
from app.service.transactions import Work
from app.store import calendar_uses, calendars
from app.store.audit import Change
from app.store.calendars import Replacement

_NAMED_USERS = 3

# The first import of the package, and the holidays of fifty years, take longer than anyone's turn may: what else this
# process does goes on meanwhile. One at a time, so that a crowd of copies leaves the others as much as one does.
_COPYING = ThreadPoolExecutor(1, "holidays")

Copies = Mapping[Fill, Holidays]
"""Holidays that are at hand: copied before the transaction, which would have a connection and a lock meanwhile."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh brings, or brought; `schedules_affected` keep the calendar, and are computed anew."""

    calendar: Calendar
    difference: Difference
    applied: bool
    package_version: str
    schedules_affected: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """A calendar as its content was written, and its revision before."""

    calendar: Calendar
    revision_before: int


async def copies(fill: Fill | None) -> Copies:
    """The holidays that a change asks for, if it does. Raises InvalidScheduleException where there are none."""
    return {} if fill is None else {fill: await _copied(fill)}


def newly_filled(definition: CalendarDefinition, current: Calendar) -> Fill | None:
    """What a replacement has copied: nothing where the same holidays are there already."""
    source = current.contents.source
    return None if source is not None and source.fill == definition.fill else definition.fill


def refilled(current: Calendar, years: tuple[int, int] | None) -> Fill | None:
    """What a refresh copies, of other years where they are given; null where nothing was copied."""
    source = current.contents.source
    if source is None or years is None:
        return None if source is None else source.fill
    return altered(source.fill, first_year=years[0], last_year=years[1])


async def create(work: Work, definition: CalendarDefinition, at_hand: Copies) -> Calendar:
    """Store a new calendar. Raises InvalidScheduleException, CalendarNameTakenException."""
    now = work.now()
    calendar = Calendar(
        calendar_id=new_id(to_ms(now)),
        community_id=work.community_id,
        name=definition.name,
        description=definition.description,
        contents=await _contents(definition, None, now, at_hand),
        created_by=work.user,
        created_at=now,
        updated_at=now,
        revision=1,
        days_revision=1,
        recomputed_revision=1,
    )
    stored = await calendars.insert(work.connection, calendar)
    if stored is None:
        taken = f"name '{definition.name}' is taken by another calendar"
        raise CalendarNameTakenException(taken, [FieldProblem("name", taken)])
    await work.audit(AuditAction.CALENDAR_CREATE, Change(calendar=stored.name, after=_shown(stored)), at=now)
    return stored


async def replace(
    work: Work, name: str, definition: CalendarDefinition, expected_revision: int | None, at_hand: Copies
) -> Replaced:
    """Give a calendar another content; one that is equal changes nothing, not even the revision.

    Raises CalendarNotFoundException, StaleRevisionException, InvalidScheduleException.
    """
    current = await _locked(work, name, expected_revision)
    now = work.now()
    contents = await _contents(definition, current.contents, now, at_hand)
    if contents == current.contents and definition.description == current.description:
        return Replaced(current, current.revision)
    written = await _write(work, AuditAction.CALENDAR_UPDATE, current, definition.description, contents, now)
    return Replaced(written, current.revision)


async def refresh(
    work: Work,
    name: str,
    years: tuple[int, int] | None,
    expected_revision: int | None,
    at_hand: Copies,
    *,
    apply: bool,
) -> Refreshed:
    """Copy the holidays again, of other years where they are given; written only with `apply`.

    Raises CalendarNotFoundException, StaleRevisionException, InvalidScheduleException, and StateForbidsException for a
    calendar that was not filled.
    """
    current = await _locked(work, name, expected_revision)
    fill = refilled(current, years)
    if fill is None:
        raise StateForbidsException(f"calendar '{name}' was not filled with a country's holidays: there is no source")
    now = work.now()
    before = current.contents
    after = await _filled(before, fill, before.own_weekend, now, at_hand)
    users = await calendar_uses.count(work.connection, current.calendar_id)
    refreshed = Refreshed(
        calendar=current,
        difference=difference(before, after),
        applied=apply,
        package_version="" if after.source is None else after.source.package_version,
        schedules_affected=0 if before.same_days(after) else users,
    )
    if not apply or _same_but_for_time(before, after):
        return refreshed
    return altered(
        refreshed, calendar=await _write(work, AuditAction.CALENDAR_REFRESH, current, current.description, after, now)
    )


async def remove(work: Work, name: str, expected_revision: int | None) -> None:
    """Remove a calendar. Raises CalendarNotFoundException, StaleRevisionException, CalendarInUseException."""
    current = await _locked(work, name, expected_revision)
    users = await calendar_uses.count(work.connection, current.calendar_id)
    if users:
        some = await calendar_uses.some(work.connection, current.calendar_id, _NAMED_USERS)
        listed = ", ".join(str(schedule_id) if label is None else f"'{label}'" for schedule_id, label in some)
        raise CalendarInUseException(
            f"calendar '{name}' is used by {users} schedule{'' if users == 1 else 's'}: {listed}"
            + ("" if users <= len(some) else ", …")
        )
    await calendars.remove(work.connection, current)
    await work.audit(AuditAction.CALENDAR_REMOVE, Change(calendar=current.name, before=_shown(current)), at=work.now())


async def _locked(work: Work, name: str, expected_revision: int | None) -> Calendar:
    calendar = await calendars.lock(work.connection, work.community_id, name)
    if calendar is None:
        raise not_found(name)
    if expected_revision is not None and calendar.revision != expected_revision:
        raise StaleRevisionException(f"the calendar is at revision {calendar.revision}, not {expected_revision}")
    return calendar


async def _write(
    work: Work, action: AuditAction, current: Calendar, description: str | None, contents: Contents, now: datetime
) -> Calendar:
    users = await calendar_uses.count(work.connection, current.calendar_id)
    changed_days = not current.contents.same_days(contents)
    written = await calendars.replace(
        work.connection, current, Replacement(description, contents, days_changed=changed_days, kept=users > 0, at=now)
    )
    changes = difference(current.contents, contents)
    before = {"name": current.name, "revision": current.revision, "description": current.description}
    after = {
        "name": written.name,
        "revision": written.revision,
        "description": written.description,
        "weekend": sorted(contents.weekend),
        "source": _source_shown(contents.source),
        "changes": changes,
        "schedules_affected": users if changed_days else 0,
    }
    before |= {"weekend": sorted(current.contents.weekend), "source": _source_shown(current.contents.source)}
    await work.audit(action, Change(calendar=written.name, before=before, after=after), at=now)
    return written


async def _contents(
    definition: CalendarDefinition, current: Contents | None, now: datetime, at_hand: Copies
) -> Contents:
    """What a caller's definition comes to; `current` is what the calendar holds so far."""
    weekend = definition.weekend
    source = None if current is None else current.source
    if current is not None and definition.fill == (None if source is None else source.fill):
        # The same holidays, or none as before: what was copied stays as it is, until a refresh is asked for. A weekend
        # that was read and sent back is not the caller's own.
        if weekend == current.weekend and current.own_weekend is None:
            weekend = None
        contents = composed(definition.days_off, definition.days_worked, weekend, copied_of(current), source)
        return _bounded(contents, "days_off")
    plain = composed(definition.days_off, definition.days_worked, weekend, None, None)
    if definition.fill is None:
        return _bounded(plain, "days_off")
    return await _filled(plain, definition.fill, weekend, now, at_hand)


async def _filled(
    before: Contents, fill: Fill, weekend: frozenset[int] | None, now: datetime, at_hand: Copies
) -> Contents:
    """A calendar's own days, and the holidays as the package has them now."""
    # Others are asked for than was thought where another has changed the calendar since.
    copied = at_hand.get(fill) or await _copied(fill)
    source = Source(fill, copied.package_version, now, copied.weekend)
    return _bounded(composed(own(before.days_off), own(before.days_worked), weekend, copied, source), "fill.years")


async def _copied(fill: Fill) -> Holidays:
    return await asyncio.get_running_loop().run_in_executor(_COPYING, public_holidays, fill)


def _bounded(contents: Contents, field: str) -> Contents:
    entries = len(contents.days_off) + len(contents.days_worked)
    if entries > MAX_ENTRIES:
        raise InvalidScheduleException.of(
            field, f"{field}: {entries} entries in all; a calendar has at most {MAX_ENTRIES}"
        )
    return contents


def _same_but_for_time(one: Contents, other: Contents) -> bool:
    if one.source is None or other.source is None:
        return one == other
    return one == altered(other, source=altered(other.source, filled_at=one.source.filled_at))


def not_found(name: str) -> CalendarNotFoundException:
    """Unknown, or another community's: the two cannot be told apart."""
    return CalendarNotFoundException(f"calendar '{name}' does not exist")


def _shown(calendar: Calendar) -> dict[str, Any]:
    contents = calendar.contents
    return {
        "name": calendar.name,
        "revision": calendar.revision,
        "description": calendar.description,
        "days_off": contents.days_off,
        "days_worked": contents.days_worked,
        "weekend": sorted(contents.weekend),
        "source": _source_shown(contents.source),
    }


def _source_shown(source: Source | None) -> dict[str, Any] | None:
    if source is None:
        return None
    return {"fill": source.fill, "package_version": source.package_version, "filled_at": source.filled_at}
