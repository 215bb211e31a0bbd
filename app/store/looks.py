"""Looking through a list in its order for what is wanted, at a bounded cost however rare that is.

Every further index costs each firing, so most filters have none. Instead of reading on until enough is found, which may
be never, one look reads at most a given number of rows and answers what it found and how far it came.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import asyncpg

from app.store.database import Connection

P = TypeVar("P")
T = TypeVar("T")

_LOOK = """
    WITH looked_at AS MATERIALIZED (
        SELECT {columns} FROM {table} WHERE {scope} ORDER BY {order} LIMIT $1)
    SELECT ARRAY(SELECT {key} FROM looked_at WHERE {wanted} ORDER BY {key} {direction} LIMIT $2),
           (SELECT count(*) FROM looked_at),
           (SELECT {key} FROM looked_at ORDER BY {key} {opposite} LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Seen(Generic[P]):
    """What one look found, in the list's order. `reached` is the last row looked at; null when none is left.

    Both name rows by their places in the list: their ids, where the list is in the order of those.
    """

    found: tuple[P, ...]
    reached: P | None


@dataclass(frozen=True, slots=True)
class Items(Generic[T]):
    """The items of some places, in the list's order, and how many characters are stored of them."""

    values: list[T]
    size: int

    @classmethod
    def of(cls, rows: Sequence[asyncpg.Record], read: Callable[[asyncpg.Record], T]) -> "Items[T]":
        """Rows as values, in their order."""
        size = sum(len(stored) for row in rows for stored in row.values() if isinstance(stored, str))
        return cls([read(row) for row in rows], size)


@dataclass(slots=True)
class Question(Generic[P]):
    """What to look for: `scope` is answered by an index and decides which rows are read, `wanted` which of them count.

    Both hold conditions in SQL, whose values are bound by `bind`. `key` is the row's place, whose order is the list's:
    its id, or several columns in parentheses.
    """

    table: str
    key: str
    columns: str
    descending: bool
    order: str
    scope: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def bind(self, value: object) -> str:
        """The placeholder of a value; the first two are the window and the limit."""
        self.values.append(value)
        return f"${len(self.values) + 2}"

    async def look(self, connection: Connection, *, limit: int, window: int) -> Seen[P]:
        """Read up to `window` rows of the scope for up to `limit` that are wanted."""
        statement = _LOOK.format(
            columns=self.columns,
            table=self.table,
            scope=" AND ".join(self.scope) or "true",
            order=self.order,
            key=self.key,
            wanted=" AND ".join(self.wanted) or "true",
            direction="DESC" if self.descending else "ASC",
            opposite="ASC" if self.descending else "DESC",
        )
        row = await connection.fetchrow(statement, window, limit, *self.values)
        assert row is not None, "it always answers one row"
        found: tuple[P, ...] = tuple(row[0])
        if len(found) == limit:
            return Seen(found, found[-1])
        return Seen(found, row[2] if row[1] == window else None)
