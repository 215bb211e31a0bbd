"""What grows with the number of schedules, and what must not: a hundredth of them is due within the hour."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import asyncpg
import psutil

from app.core.occurrences import tzdata_version
from app.metrics import Metrics
from app.store.database import Database
from app.wheel.connection import connect
from app.wheel.members import schedule_member
from app.wheel.wheel import Wheel
from app.workers.keepers.window import WindowKeeper
from app.workers.looker import Looker
from bench.firing import check, idle_share, soon, summary
from bench.stack import Stack, spread

_DUE_SHARE = 0.01
_BATCH = 100
_BATCHES = 20
_IDLE_SECONDS = 20.0
_FIRING = 1_000_000
"""The community that fires while the wheel is loaded again: none of those that are stored."""
_FIRED_A_SECOND, _FIRING_SECONDS = 200, 6
_MEGABYTE = 1 << 20

# A hundredth within the hour, the rest spread over the month that follows. Communities of ten thousand.
_FILL = """
    INSERT INTO workflow_schedules (schedule_id, community_id, workflow_id, schedule_type, interval_seconds, timezone,
           status, next_execution_at, next_due_at, searched_to, tzdata_version, grace_period_seconds, coalesce,
           max_instances, overlap_policy, completion, timeout_seconds, retry, after_completion, context_data,
           created_at, updated_at)
    SELECT id, 1 + n / 10000, id, 'interval', 86400, 'UTC', 'active', at, at, $2, $6, 900, true, 3, 'skip',
           'response', 3600, '{}', 'keep', '{"report": "daily"}', $2, $2
      FROM generate_series($3::int, $3::int + $4::int - 1) n,
           LATERAL (SELECT uuidv7() AS id,
                           $1::timestamptz + CASE WHEN n % $5::int = 0 THEN (n / $5::int % 3500) * interval '1 s'
                                                  ELSE interval '1 hour' + (n % 2592000) * interval '1 s' END AS at) d
"""
_CHUNK = 100_000


async def growth(stack: Stack, *, size: int) -> dict[str, float]:
    """Memory, the wheel's rebuilding, idle CPU, and what claiming and recording cost, with so many schedules."""
    await _fill(stack, size)
    figures = await _sizes(stack, size)
    async with stack.workers(1) as (worker,):
        await _until_loaded(stack)
        figures["idle_core_share"] = await idle_share([worker], seconds=_IDLE_SECONDS)
        figures["worker_rss_mb"] = worker.memory_info().rss / _MEGABYTE
        figures |= await _rebuild_while_firing(stack)
    figures |= await _rebuild(stack)
    figures |= await _firing(stack)
    await stack.forget()
    return figures


async def _fill(stack: Stack, size: int) -> None:
    connection = await asyncpg.connect(stack.database_url)
    # Far enough ahead that none comes due while this is measured.
    first, now = datetime.now(UTC) + timedelta(minutes=60 - 3500 / 60), datetime.now(UTC)
    first = max(first, now + timedelta(minutes=2))
    for start in range(0, size, _CHUNK):
        # By the rules of this machine: else the zones' keeper would look through all of them at the start.
        rows = start, min(_CHUNK, size - start), round(1 / _DUE_SHARE), tzdata_version()
        await connection.execute(_FILL, first, now, *rows)
    await connection.execute("VACUUM ANALYZE workflow_schedules")
    await connection.close()


async def _sizes(stack: Stack, size: int) -> dict[str, float]:
    connection = await asyncpg.connect(stack.database_url)
    stored = await connection.fetchval("SELECT pg_total_relation_size('workflow_schedules')")
    await connection.close()
    return {"schedules": size, "postgres_bytes_each": stored / size}


async def _until_loaded(stack: Stack) -> None:
    wheel = _wheel(stack)
    while any(mark is None or mark.loaded_until_ms == 0 for mark in await wheel.marks()):  # noqa: ASYNC110 - another's
        await asyncio.sleep(0.1)
    await wheel.close()


async def _rebuild(stack: Stack) -> dict[str, float]:
    """The wheel from nothing, by the keeper that does it in a worker."""
    client, wheel = connect(stack.redis_url), _wheel(stack)
    database = await Database.open(stack.database_url, pool_size=2, steady_plans=True)
    await client.flushall()
    began = time.perf_counter()
    entries = await WindowKeeper(database, wheel, stack.clock, Metrics()).run_once()
    seconds = time.perf_counter() - began
    used = sum([int(await client.memory_usage(key, samples=0) or 0) for key in await client.keys("*")])
    await client.aclose()
    await wheel.close()
    await database.close()
    return {
        "rebuild_seconds": seconds,
        "wheel_entries": entries,
        "wheel_mb": used / _MEGABYTE,
        "redis_bytes_each": used / max(entries, 1),
    }


async def _rebuild_while_firing(stack: Stack) -> dict[str, float]:
    """Redis loses all while a worker fires two hundred a second: when is it whole again, and how late did what come?"""
    client, size = connect(stack.redis_url), _FIRED_A_SECOND * _FIRING_SECONDS
    start = soon(size)
    await stack.add_one_time(spread(start, size, _FIRED_A_SECOND), community_id=_FIRING)
    middle = (start - datetime.now(UTC)).total_seconds() + _FIRING_SECONDS / 2
    await asyncio.sleep(middle)
    await client.flushall()
    began = time.perf_counter()
    await _until_loaded(stack)
    seconds = time.perf_counter() - began
    arrivals = await stack.arrivals(size, keep=True)
    check(arrivals, size)
    await client.aclose()
    late = summary([arrival.late_ms for arrival in arrivals])
    return {
        "rebuild_while_firing_seconds": seconds,
        "meanwhile_p99_ms": late["p99_ms"],
        "meanwhile_max_ms": late["max_ms"],
    }


async def _firing(stack: Stack) -> dict[str, float]:
    """Claims and advances of a hundred, as if the next were due: microseconds an entry, and pages read a firing."""
    wheel = _wheel(stack)
    database = await Database.open(stack.database_url, pool_size=1, steady_plans=True)
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT schedule_id FROM workflow_schedules WHERE next_due_at IS NOT NULL ORDER BY next_due_at LIMIT $1",
            _BATCH * _BATCHES,
        )
        await connection.execute(
            "UPDATE workflow_schedules SET next_due_at = date_trunc('milliseconds', now()), "
            "next_execution_at = date_trunc('milliseconds', now()) WHERE schedule_id = ANY($1)",
            [row[0] for row in rows],
        )
    began = time.perf_counter()
    for _ in range(_BATCHES):
        await wheel.claim(range(wheel.shards), limit=_BATCH // wheel.shards, lease_ms=1)
    claiming = time.perf_counter() - began
    looker, owner = Looker(stack.clock, claim_ahead_ms=50), uuid4()
    before = await _pages(database)
    began = time.perf_counter()
    for start in range(0, len(rows), _BATCH):
        members = [schedule_member(row[0]) for row in rows[start : start + _BATCH]]
        await database.run(partial(looker.look, members=members, owner=owner))
    advancing = time.perf_counter() - began
    pages = await _pages(database) - before
    await wheel.close()
    await database.close()
    return {
        "claim_call_us": claiming / _BATCHES * 1e6,
        "advance_us": advancing / len(rows) * 1e6,
        "pages_a_firing": pages / len(rows),
    }


async def _pages(database: Database) -> int:
    async with database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        found: int = await connection.fetchval(
            "SELECT sum(coalesce(heap_blks_hit, 0) + coalesce(heap_blks_read, 0) + coalesce(idx_blks_hit, 0)"
            " + coalesce(idx_blks_read, 0))::bigint FROM pg_statio_user_tables"
            " WHERE relname = 'workflow_schedules'"
        )
    return found


def _wheel(stack: Stack) -> Wheel:
    return Wheel(connect(stack.redis_url), stack.clock, shards=16, window_seconds=3600, claim_ahead_ms=50)


def machine() -> str:
    """What the figures were measured on."""
    return f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / (1 << 30):.0f} GB"
