"""How late a healthy target's occurrences come while others hang, trickle, flood and reset, with one worker.

In turns, because a shared machine is not the same twice: the healthy target alone, beside hostile ones, and beside as
many executions for targets that answer at once. The last says what of the difference is load, and what hostility.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import asyncpg
import httpx
import orjson
import psutil

from app.core.clock import to_ms
from app.core.target import Target
from bench.firing import Figures, soon, summary
from bench.stack import Stack, cpu_seconds, spread
from tests.chaos.hostile import Behaviour

ALONE = "a healthy target alone"
HOSTILE, KIND = "hostile targets beside it", "kind targets beside it"
TOGETHER = "hostile targets beside it, due at the same instants"
"""All of them at each of their instants; else each host's are due between those of the others."""
BESIDE = (HOSTILE, KIND, TOGETHER)
_SETTINGS = {"TARGET_ALLOWED_NETWORKS": "127.0.0.0/8", "TRIGGER_REQUEST_TIMEOUT_SECONDS": "2"}
_RETRY = '{"max_retries": 1, "initial_backoff_seconds": 0.1, "max_age_seconds": 20}'
_HEALTHY = (Behaviour.HEALTHY, Behaviour.TRAP)
_LOOK_SECONDS = 0.25
_PATIENCE_SECONDS = 120
_MEGABYTE = 1 << 20
_COMMUNITY = 1
"""All are of one community: it has no turn of its own before the others."""
_OVER = "SELECT count(*) FROM executions WHERE community_id = $1 AND finished_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class _Round:
    late: Figures
    peak_rss_mb: float
    core_share: float
    ended: Counter[str]


async def hostile(
    stack: Stack, *, size: int, per_second: float, seconds: int, rounds: int
) -> dict[str, dict[str, float]]:
    """The medians over the rounds of the healthy target's lateness, and the ratios to those of it alone.

    `size` executions for the others are due within the same seconds. `peak_rss_mb` is the worker's; what the others
    came to is counted in the last round.
    """
    found: dict[str, list[_Round]] = {name: [] for name in (ALONE, *BESIDE)}
    for _ in range(rounds):
        for name, of_one in found.items():
            of_one.append(await _round(stack, name, size, per_second, seconds))
    figures: dict[str, dict[str, float]] = {}
    for name, of_one in found.items():
        p50, p99 = (median([one.late[key] for one in of_one]) for key in ("p50_ms", "p99_ms"))
        figures[name] = {"p50_ms": p50, "p99_ms": p99}
        if name != ALONE:
            figures[name] |= {f"{key}_ratio": figures[name][key] / figures[ALONE][key] for key in ("p50_ms", "p99_ms")}
        figures[name] |= {
            "worker_core_share": median([one.core_share for one in of_one]),
            "peak_rss_mb": max(one.peak_rss_mb for one in of_one),
            **of_one[-1].ended,
        }
    return figures


async def _round(stack: Stack, name: str, size: int, per_second: float, seconds: int) -> _Round:
    healthy = round(per_second * seconds)
    bad = [one for one in Behaviour if one not in _HEALTHY]
    others = {ALONE: [], HOSTILE: bad, TOGETHER: bad, KIND: [Behaviour.TRAP] * len(bad)}[name]
    each = size // max(len(others), 1)
    apart = timedelta() if name == TOGETHER else timedelta(milliseconds=seconds * 1000 // max(size, 1))
    # The healthy one is a process of its own: what the others cost theirs is not the worker's.
    async with _receivers() as ports, _receivers() as own, stack.workers(1, **_SETTINGS) as (worker,):
        # Each is stored by itself; what is not there in time would be a crowd that is due at once.
        start = soon(healthy + size) + timedelta(seconds=len(others))
        await _add(stack, own[Behaviour.HEALTHY], spread(start, healthy, per_second))
        for place, behaviour in enumerate(others):
            await _add(stack, ports[behaviour], spread(start + place * apart, each, each / seconds))
        if stack.clock.now() > start:
            raise AssertionError("they were not stored in time")
        peak, share = await _until_over(stack, worker, healthy + each * len(others), start, seconds)
        async with httpx.AsyncClient() as client:
            notes = (await client.get(f"http://127.0.0.1:{own['notes']}/")).json()
    came = notes[Behaviour.HEALTHY]["first_ms"]
    connection = await asyncpg.connect(stack.database_url)
    rows = await connection.fetch(
        "SELECT execution_id, due_at, status, error LIKE 'it waited%' AS waited FROM executions"
        " WHERE community_id = $1",
        _COMMUNITY,
    )
    await connection.close()
    await stack.forget()
    late = [came[key] - to_ms(row["due_at"]) for row in rows if (key := str(row["execution_id"])) in came]
    if len(late) != healthy or min(late) < 0 or set(notes[Behaviour.HEALTHY]["came"].values()) != {1}:
        raise AssertionError(f"{len(late)} of {healthy} came, the earliest {min(late)} ms late")
    ended = Counter(
        "waited" if row["waited"] else row["status"] for row in rows if str(row["execution_id"]) not in came
    )
    return _Round(summary(late), peak / _MEGABYTE, share, ended)


async def _add(stack: Stack, port: int, due: list[datetime]) -> None:
    await stack.add_one_time(due, target=Target(f"http://127.0.0.1:{port}/"), retry=_RETRY, community_id=_COMMUNITY)


async def _until_over(
    stack: Stack, worker: psutil.Process, number: int, start: datetime, seconds: int
) -> tuple[int, float]:
    """Wait until all are finished: the worker's peak of memory, and what it used of a core while they were due.

    While they are due nothing is asked of Postgres: a count of thousands would be late itself, and make others so.
    """
    peak, began, share = 0, -1.0, 0.0
    connection = await asyncpg.connect(stack.database_url)
    for _ in range(round((seconds + _PATIENCE_SECONDS) / _LOOK_SECONDS)):
        peak = max(peak, worker.memory_info().rss)
        gone = (stack.clock.now() - start).total_seconds()
        if began < 0 <= gone:
            began = cpu_seconds(worker)
        if gone > seconds + 1:
            share = share or (cpu_seconds(worker) - began) / gone
            if await connection.fetchval(_OVER, _COMMUNITY) >= number:
                await connection.close()
                return peak, share
        await asyncio.sleep(_LOOK_SECONDS)
    raise TimeoutError(f"not all of {number} were over")


@asynccontextmanager
async def _receivers() -> AsyncIterator[dict[str, int]]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.hostile", stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        yield orjson.loads(await child.stdout.readline())
    finally:
        child.terminate()
        await child.wait()
