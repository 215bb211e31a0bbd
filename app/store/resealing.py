"""Statements about the secrets that rows hold, for whoever seals them anew; of every community.

They stand in the headers of schedules' targets, and in those of the definitions that were superseded.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
import orjson

from app.store.database import Connection

FIELDS = ("target", "failure_target")
# In the order of its columns.
Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of one target: what is stored of each, by its name. `url` is what they are bound to."""

    url: str
    stored: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A row, and the headers of those of its targets that have any."""

    key: Key
    headers: Mapping[str, Headers]


class Table:
    """A table whose rows hold targets: where in a row they stand, and what its primary key is."""

    def __init__(self, name: str, key: Mapping[str, str], first: Key, *, column: str | None, locked_by: str) -> None:
        """`column` is the JSON that holds the targets; null where each is a column. `first` is before every key."""
        self.first = first
        columns, types = ", ".join(key), list(key.values())
        keys = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(types, start=1))
        after = ", ".join(f"${place}::{kind}" for place, kind in enumerate(types, start=1))
        target = {field: field if column is None else f"{column} -> '{field}'" for field in FIELDS}
        shown = ", ".join(
            f"({target[field]}) ->> 'url' AS {field}_url, ({target[field]}) -> 'headers' AS {field}_headers"
            for field in FIELDS
        )
        select = f"SELECT {columns}, {shown} FROM {name}"
        self._columns = tuple(key)
        # The primary key, also where most rows have no target: a page is so many rows, not so many targets.
        self._page = f"{select} WHERE ({columns}) > ({after}) ORDER BY {columns} LIMIT ${len(key) + 1}"
        self._lock = (
            f"{select} WHERE ({columns}) IN (SELECT * FROM unnest({keys})) ORDER BY {locked_by} FOR NO KEY UPDATE"
        )
        same = " AND ".join(f"t.{one} = u.{one}" for one in key)
        old, new = f"${len(key) + 1}::text[]", f"${len(key) + 2}::text[]"
        self._write = {}
        for field in FIELDS:
            document, path = (field, "headers") if column is None else (column, f"{field},headers")
            # What it was is compared, although the row is locked: a caller's change is never overwritten.
            self._write[field] = f"""
                UPDATE {name} t SET {document} = jsonb_set(t.{document}, '{{{path}}}', u.new::jsonb)
                  FROM unnest({keys}, {old}, {new}) AS u({columns}, old, new)
                 WHERE {same} AND t.{document} #> '{{{path}}}' = u.old::jsonb
                RETURNING {", ".join(f"t.{one}" for one in key)}
            """

    async def page(self, connection: Connection, after: Key, limit: int) -> list[Row]:
        """The rows that follow a key, without a lock."""
        return [self._row(row) for row in await connection.fetch(self._page, *after, limit)]

    async def lock(self, connection: Connection, keys: Collection[Key]) -> list[Row]:
        """Those of the rows that are still there, as they are now, locked in the order in which everyone locks them."""
        columns = [list(column) for column in zip(*keys, strict=True)]
        return [self._row(row) for row in await connection.fetch(self._lock, *columns)]

    async def write(
        self, connection: Connection, field: str, changes: Sequence[tuple[Key, Mapping[str, str], Mapping[str, str]]]
    ) -> set[Key]:
        """Write the headers of locked rows where they are what they were; answers the keys of those.

        Neither the revision nor `updated_at` changes: what is sent is the same.
        """
        columns = [list(column) for column in zip(*(key for key, _, _ in changes), strict=True)]
        old, new = ([orjson.dumps(change[place]).decode() for change in changes] for place in (1, 2))
        return {tuple(row) for row in await connection.fetch(self._write[field], *columns, old, new)}

    def _row(self, row: "asyncpg.Record") -> Row:
        headers = {
            field: Headers(row[f"{field}_url"], orjson.loads(row[f"{field}_headers"]))
            for field in FIELDS
            if row[f"{field}_headers"] is not None
        }
        return Row(tuple(row[column] for column in self._columns), headers)


SCHEDULES = Table("workflow_schedules", {"id": "int"}, (0,), column=None, locked_by="schedule_id")
REVISIONS = Table(
    "schedule_revisions",
    {"schedule_id": "uuid", "revision": "int"},
    ("00000000-0000-0000-0000-000000000000", 0),
    column="definition",
    locked_by="schedule_id, revision",
)
