"""The executions' partitions, one for each UTC day of `recorded_for`: made days ahead, dropped whole when they expire.

Making one by ATTACH and dropping one both need an exclusive lock for a moment, so both are tried under a short
`lock_timeout` and left for the next pass where the table is busy.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import asyncpg

from app.store.database import Connection, Database

DAYS_BEHIND = 7
"""The longest grace period: an occurrence that late may still be recorded."""
DAYS_AHEAD = 3
MOVED_AT_MOST = 50_000
"""A day of which more fell into the default partition stays there: nobody fires while its rows are moved."""

_EXISTING = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'executions'::regclass
"""
_IN_DEFAULT = """
    SELECT count(*) FROM (SELECT FROM executions_default WHERE recorded_for >= $1 AND recorded_for < $2 LIMIT $3) found
"""
_UNFINISHED = "SELECT EXISTS (SELECT FROM {name} WHERE finished_at IS NULL)"


async def missing_days(connection: Connection, today: date) -> list[date]:
    """The days from a week ago to three days ahead that have no partition yet."""
    existing = await _existing(connection)
    days = [today + timedelta(days=offset) for offset in range(-DAYS_BEHIND, DAYS_AHEAD + 1)]
    return [day for day in days if _name(day) not in existing]


async def make(database: Database, day: date) -> bool:
    """Make a day's partition, and move into it what fell into the default one.

    False when it was busy, is there, or too much fell into the default one.
    """
    name, start, end = _name(day), _midnight(day), _midnight(day + timedelta(days=1))
    bounds = f"FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"

    async with database.connection() as connection:
        moves = await connection.fetchval(_IN_DEFAULT, start, end, MOVED_AT_MOST + 1)
    if moves > MOVED_AT_MOST:
        return False

    async def work(connection: Connection) -> bool:
        # The whole table where rows are moved: a statement that is planned meanwhile would look for them where they
        # were and find none, and an outcome would be taken for a refused one.
        table = "executions" if moves else "executions_default"
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        if not moves and await connection.fetchval(_IN_DEFAULT, start, end, 1):
            return False
        await connection.execute(
            f"CREATE TABLE {name} (LIKE executions INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = 65)"
        )
        await connection.execute(
            "WITH moved AS (DELETE FROM executions_default WHERE recorded_for >= $1 AND recorded_for < $2"
            f" RETURNING *) INSERT INTO {name} SELECT * FROM moved",
            start,
            end,
        )
        await connection.execute(f"ALTER TABLE executions ATTACH PARTITION {name} FOR VALUES {bounds}")
        return True

    return await _unless_busy(database, work)


async def expired(connection: Connection, today: date, retention_days: int) -> list[str]:
    """Partitions of days that are past their retention; the one of a day that may still be recorded for is not."""
    oldest_kept = _name(today - timedelta(days=max(retention_days, DAYS_BEHIND)))
    names = await _existing(connection)
    return sorted(name for name in names if name != "executions_default" and name < oldest_kept)


async def drop(database: Database, name: str) -> bool:
    """Drop an expired partition; false when it still holds unfinished executions, is gone, or the table was busy."""

    async def work(connection: Connection) -> bool:
        await connection.execute("LOCK TABLE executions IN ACCESS EXCLUSIVE MODE")
        if await connection.fetchval(_UNFINISHED.format(name=name)):
            return False
        await connection.execute(f"DROP TABLE {name}")
        return True

    return await _unless_busy(database, work)


async def drop_expired_of_default(connection: Connection, before: datetime) -> int:
    """Delete what has expired in the default partition, where no day's partition ever came."""
    answer: str = await connection.execute(
        "DELETE FROM executions_default WHERE recorded_for < $1 AND created_at < $1 AND finished_at IS NOT NULL", before
    )
    return int(answer.rpartition(" ")[2])


async def _unless_busy(database: Database, work: Callable[[Connection], Awaitable[bool]]) -> bool:
    """What `work` returns; false where it did not get its locks soon, or another was there first."""
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL lock_timeout = '100ms'")
        try:
            # A savepoint, because a lock timeout that leaves the transaction counts as Postgres being away.
            async with connection.transaction():
                return await work(connection)
        except (asyncpg.LockNotAvailableError, asyncpg.DuplicateTableError, asyncpg.UndefinedTableError):
            return False


async def _existing(connection: Connection) -> Sequence[str]:
    return [row[0] for row in await connection.fetch(_EXISTING)]


def _name(day: date) -> str:
    return f"executions_{day:%Y%m%d}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
