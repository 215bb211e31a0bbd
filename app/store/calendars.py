"""Statements about calendars; every one that a caller asks names the community."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from app.core.calendars import Calendar, Contents, Days, Fill, Source
from app.store.database import Connection
from app.store.looks import Items, Question, Seen

COLUMNS = """
    calendar_id, community_id, name, description, days_off, days_worked, weekend, source, created_by, created_at,
    updated_at, revision, days_revision, recomputed_revision
"""
# The unique index on (community_id, name).
_ONE = f"SELECT {COLUMNS} FROM calendars WHERE community_id = $1 AND name = $2"
_LOCK = f"{_ONE} FOR UPDATE"
_NAMED = f"SELECT {COLUMNS} FROM calendars WHERE community_id = $1 AND name = ANY($2::text[]) ORDER BY calendar_id"
# Shared: schedules that name the same calendar do not wait for each other, but a change of it waits for them.
_SHARE = f"{_NAMED} FOR SHARE"
_SHARE_IDS = f"SELECT {COLUMNS} FROM calendars WHERE calendar_id = ANY($1::uuid[]) ORDER BY calendar_id FOR SHARE"
_THESE = (
    f"SELECT {COLUMNS} FROM calendars WHERE calendar_id = ANY($1::uuid[]) AND community_id = $2 ORDER BY calendar_id"
)
_INSERT = f"""
    INSERT INTO calendars (calendar_id, community_id, name, description, days_off, days_worked, weekend, source,
                           created_by, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
        ON CONFLICT (community_id, name) DO NOTHING
    RETURNING {COLUMNS}
"""
# A calendar that no schedule keeps has nobody to be computed for: it is not left to the keeper.
_REPLACE = f"""
    UPDATE calendars
       SET description = $2, days_off = $3, days_worked = $4, weekend = $5, source = $6, updated_at = $7,
           revision = revision + 1,
           days_revision = CASE WHEN $8::boolean THEN revision + 1 ELSE days_revision END,
           recomputed_revision = CASE WHEN $8 AND NOT $9::boolean THEN revision + 1 ELSE recomputed_revision END
     WHERE calendar_id = $1 RETURNING {COLUMNS}
"""
_REMOVE = "DELETE FROM calendars WHERE calendar_id = $1"
# idx_calendars_stale
_STALE = f"""
    SELECT {COLUMNS} FROM calendars WHERE recomputed_revision < days_revision AND calendar_id > $1
     ORDER BY calendar_id LIMIT 1
"""
_RECOMPUTED = "UPDATE calendars SET recomputed_revision = greatest(recomputed_revision, $2) WHERE calendar_id = $1"


@dataclass(frozen=True, slots=True)
class Replacement:
    """How a locked calendar is to be: `days_changed` where a day differs, `kept` where schedules keep it."""

    description: str | None
    contents: Contents
    days_changed: bool
    kept: bool
    at: datetime


async def get(connection: Connection, community_id: int, name: str) -> Calendar | None:
    """One calendar; null when the community has none of that name."""
    row = await connection.fetchrow(_ONE, community_id, name)
    return None if row is None else _calendar(row)


async def lock(connection: Connection, community_id: int, name: str) -> Calendar | None:
    """The same, locked until the transaction ends."""
    row = await connection.fetchrow(_LOCK, community_id, name)
    return None if row is None else _calendar(row)


async def named(connection: Connection, community_id: int, names: Sequence[str]) -> list[Calendar]:
    """Those of the calendars that there are, in the order of their ids."""
    return [_calendar(row) for row in await connection.fetch(_NAMED, community_id, names)]


async def share(connection: Connection, community_id: int, names: Sequence[str]) -> list[Calendar]:
    """The same, kept from changing until the transaction ends."""
    return [_calendar(row) for row in await connection.fetch(_SHARE, community_id, names)]


async def share_ids(connection: Connection, calendar_ids: Sequence[UUID]) -> list[Calendar]:
    """Calendars by their ids, kept from changing until the transaction ends; in the order of their ids."""
    return [_calendar(row) for row in await connection.fetch(_SHARE_IDS, calendar_ids)]


async def insert(connection: Connection, calendar: Calendar) -> Calendar | None:
    """Store a new calendar at revision 1; null when its name is taken."""
    row = await connection.fetchrow(
        _INSERT,
        calendar.calendar_id,
        calendar.community_id,
        calendar.name,
        calendar.description,
        *_contents_columns(calendar.contents),
        calendar.created_by,
        calendar.created_at,
    )
    return None if row is None else _calendar(row)


async def replace(connection: Connection, calendar: Calendar, replacement: Replacement) -> Calendar:
    """Write a locked calendar under the next revision."""
    row = await connection.fetchrow(
        _REPLACE,
        calendar.calendar_id,
        replacement.description,
        *_contents_columns(replacement.contents),
        replacement.at,
        replacement.days_changed,
        replacement.kept,
    )
    assert row is not None, "the row is locked"
    return _calendar(row)


async def remove(connection: Connection, calendar: Calendar) -> None:
    """Delete a locked calendar's row."""
    await connection.execute(_REMOVE, calendar.calendar_id)


async def next_stale(connection: Connection, after: UUID) -> Calendar | None:
    """The first calendar after an id whose schedules have not all been computed by its present days."""
    row = await connection.fetchrow(_STALE, after)
    return None if row is None else _calendar(row)


async def mark_recomputed(connection: Connection, calendar_id: UUID, days_revision: int) -> None:
    """Say that every schedule which keeps a calendar has been computed by the days of this revision, or later ones."""
    await connection.execute(_RECOMPUTED, calendar_id, days_revision)


async def look(connection: Connection, community_id: int, *, after: UUID | None, limit: int, window: int) -> Seen[UUID]:
    """A part of the list of a community's calendars, in the order of their creation: idx_calendars_community."""
    question = Question[UUID](
        table="calendars", key="calendar_id", columns="calendar_id", descending=False, order="calendar_id"
    )
    question.scope.append(f"community_id = {question.bind(community_id)}")
    if after is not None:
        question.scope.append(f"calendar_id > {question.bind(after)}")
    return await question.look(connection, limit=limit, window=window)


async def these(connection: Connection, community_id: int, calendar_ids: Sequence[UUID]) -> Items[Calendar]:
    """Calendars that `look` found, by their ids."""
    return Items.of(await connection.fetch(_THESE, calendar_ids, community_id), _calendar)


def _contents_columns(contents: Contents) -> tuple[object, ...]:
    weekend = contents.own_weekend
    return (
        _days_text(contents.days_off),
        _days_text(contents.days_worked),
        None if weekend is None else orjson.dumps(sorted(weekend)).decode(),
        None if contents.source is None else _source_text(contents.source),
    )


def _days_text(days: Sequence[Days]) -> str:
    return orjson.dumps(days).decode()


def _source_text(source: Source) -> str:
    shown = {
        "fill": source.fill,
        "package_version": source.package_version,
        "filled_at": source.filled_at,
        "weekend": sorted(source.weekend),
    }
    return orjson.dumps(shown).decode()


def _calendar(row: "asyncpg.Record") -> Calendar:
    weekend = row["weekend"]
    return Calendar(
        calendar_id=row["calendar_id"],
        community_id=row["community_id"],
        name=row["name"],
        description=row["description"],
        contents=Contents(
            days_off=_days(orjson.loads(row["days_off"])),
            days_worked=_days(orjson.loads(row["days_worked"])),
            own_weekend=None if weekend is None else frozenset(orjson.loads(weekend)),
            source=None if row["source"] is None else _source(orjson.loads(row["source"])),
        ),
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        revision=row["revision"],
        days_revision=row["days_revision"],
        recomputed_revision=row["recomputed_revision"],
    )


def _days(stored: list[dict[str, Any]]) -> tuple[Days, ...]:
    return tuple(
        Days(date.fromisoformat(each["first"]), date.fromisoformat(each["last"]), each["label"], each["from_source"])
        for each in stored
    )


def _source(stored: dict[str, Any]) -> Source:
    return Source(
        fill=Fill(**stored["fill"]),
        package_version=stored["package_version"],
        filled_at=datetime.fromisoformat(stored["filled_at"]),
        weekend=frozenset(stored["weekend"]),
    )
