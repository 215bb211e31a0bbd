"""Statements about which schedules keep which calendars, each with the calendar's revision it was computed by.

A schedule's row says by itself when it fires. This table only answers the other way round: whom a changed calendar
concerns, and which of them are still to be computed anew. It is written under the lock of the schedule's row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.calendars import Calendar
from app.store.database import Connection

_KEEP = """
    INSERT INTO calendar_uses (calendar_id, schedule_id, calendar_revision)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[])
        ON CONFLICT (calendar_id, schedule_id) DO UPDATE SET calendar_revision = excluded.calendar_revision
"""
# idx_calendar_uses_schedule
_DROP = "DELETE FROM calendar_uses WHERE schedule_id = ANY($1::uuid[]) AND NOT calendar_id = ANY($2::uuid[])"
_OF = "SELECT calendar_id, schedule_id FROM calendar_uses WHERE schedule_id = ANY($1::uuid[])"
_COUNT = "SELECT count(*) FROM calendar_uses WHERE calendar_id = $1"
_SOME = """
    SELECT u.schedule_id, s.name FROM calendar_uses u JOIN workflow_schedules s ON s.schedule_id = u.schedule_id
     WHERE u.calendar_id = $1 ORDER BY u.schedule_id LIMIT $2
"""
# One process at a time, however many want to: the next one then goes on behind it, instead of waiting for its rows.
_TURN = "SELECT pg_advisory_xact_lock(730561, hashtext($1::uuid::text))"
# The primary key.
_STALE = """
    SELECT schedule_id FROM calendar_uses
     WHERE calendar_id = $1 AND calendar_revision < $2 AND schedule_id > $3 ORDER BY schedule_id LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Use:
    """A schedule keeps a calendar, and was computed by the days of this revision of it."""

    calendar_id: UUID
    schedule_id: UUID
    revision: int


async def keep(connection: Connection, uses: Sequence[Use]) -> None:
    """Write that these schedules keep these calendars, each at its revision."""
    if uses:
        columns = ([use.calendar_id for use in uses], [use.schedule_id for use in uses], [use.revision for use in uses])
        await connection.execute(_KEEP, *columns)


async def replace(connection: Connection, schedule_id: UUID, calendars: Sequence[Calendar]) -> None:
    """Write that a locked schedule keeps these calendars, as they are now, and no others."""
    kept = [calendar.calendar_id for calendar in calendars]
    await connection.execute(_DROP, [schedule_id], kept)
    await keep(connection, [Use(calendar.calendar_id, schedule_id, calendar.revision) for calendar in calendars])


async def drop(connection: Connection, schedule_ids: Sequence[UUID]) -> None:
    """Write that these schedules keep no calendar, because they are gone."""
    await connection.execute(_DROP, schedule_ids, [])


async def of(connection: Connection, schedule_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """The calendars that each of these schedules keeps."""
    found: dict[UUID, list[UUID]] = {}
    for row in await connection.fetch(_OF, schedule_ids):
        found.setdefault(row["schedule_id"], []).append(row["calendar_id"])
    return found


async def count(connection: Connection, calendar_id: UUID) -> int:
    """How many schedules keep a calendar."""
    number: int = await connection.fetchval(_COUNT, calendar_id)
    return number


async def some(connection: Connection, calendar_id: UUID, limit: int) -> list[tuple[UUID, str | None]]:
    """The ids and names of a few schedules that keep a calendar."""
    return [(row["schedule_id"], row["name"]) for row in await connection.fetch(_SOME, calendar_id, limit)]


async def await_turn(connection: Connection, calendar_id: UUID) -> None:
    """Wait until no other transaction computes schedules of this calendar; held until this one ends."""
    await connection.execute(_TURN, calendar_id)


async def stale(connection: Connection, calendar_id: UUID, days_revision: int, after: UUID, limit: int) -> list[UUID]:
    """Schedules after an id that were computed by older days of a calendar, in the order of their ids."""
    return [row[0] for row in await connection.fetch(_STALE, calendar_id, days_revision, after, limit)]
