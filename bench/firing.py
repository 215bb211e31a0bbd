"""Firing, end to end: how fast a burst goes out, how late each occurrence comes, and who waits for whom."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from statistics import quantiles

import psutil

from app.core.clock import to_ms
from bench.stack import Arrival, Stack, cpu_seconds, spread

_LEAD_SECONDS = 3.0
_CROWDED, _QUIET = 1, 2
"""Two communities in different shards of sixteen."""

Figures = dict[str, float]


async def burst(stack: Stack, *, size: int, workers: int) -> Figures:
    """Everything due at one instant: executions a second from the first to the last, and how the first came.

    The CPU of every process is in microseconds an execution. `in_vain` is the share of claimed entries that turned out
    taken, gone or not due.
    """
    async with stack.workers(workers) as processes:
        due = soon(size)
        await stack.add_one_time([due] * size)
        before = stack.cpu_seconds(processes)
        arrivals = await stack.arrivals(size)
        used = {name: (after - before[name]) / size * 1e6 for name, after in stack.cpu_seconds(processes).items()}
        vain = await stack.in_vain()
    check(arrivals, size)
    late = sorted(arrival.late_ms for arrival in arrivals)
    return {
        "per_second": size / late[-1] * 1000,
        "first_ms": late[0],
        "half_ms": late[size // 2],
        "all_ms": late[-1],
        "in_vain": vain,
        **{f"{name}_us": each for name, each in used.items()},
    }


async def lateness(
    stack: Stack, *, per_second: float, seconds: int, communities: int = 1, redis: bool = True
) -> Figures:
    """A steady rate, of so many communities: how late each came at the receiver, and what one worker used of a core."""
    size = round(per_second * seconds)
    async with stack.workers(1) as (process,):
        start = soon(size)
        if not redis:
            # Gone before the schedules come: the worker claims from Postgres.
            await stack.stop_redis()
        await stack.add_one_time(spread(start, size, per_second), communities=communities, into_wheel=redis)
        await asyncio.sleep(max(0.0, (start - datetime.now(UTC)).total_seconds()))
        before, began = cpu_seconds(process), time.monotonic()
        await asyncio.sleep(max(0.0, seconds - 0.5))
        share = (cpu_seconds(process) - before) / (time.monotonic() - began)
        arrivals = await stack.arrivals(size)
        if not redis:
            await stack.start_redis()
    check(arrivals, size)
    return {**summary([arrival.late_ms for arrival in arrivals]), "worker_core_share": share}


async def fairness(stack: Stack, *, size: int, per_second: int, seconds: int) -> Figures:
    """How late a community's occurrences come while another's stand in line, all due at one instant; and those of that
    community itself that are due in the seconds after (`later_…`).
    """
    few = per_second * seconds
    async with stack.workers(1):
        start = soon(size)
        after = spread(start + timedelta(milliseconds=1), few, per_second)
        await stack.add_one_time([start] * size, community_id=_CROWDED)
        await stack.add_one_time(after, community_id=_QUIET)
        await stack.add_one_time(after, community_id=_CROWDED)
        arrivals = await stack.arrivals(size + 2 * few)
    check(arrivals, size + 2 * few)
    crowd, later, quiet = list[float](), list[float](), list[float]()
    for arrival in arrivals:
        of_crowd = later if arrival.due_ms > to_ms(start) else crowd
        (quiet if arrival.community_id == _QUIET else of_crowd).append(arrival.late_ms)
    figures = summary(quiet) | {f"later_{name}": late for name, late in summary(later).items()}
    return {**figures, "crowd_all_ms": max(crowd)}


async def idle_share(processes: list[psutil.Process], *, seconds: float) -> float:
    """The share of a core that processes use while nothing is asked of them."""
    before, began = sum(map(cpu_seconds, processes)), time.monotonic()
    await asyncio.sleep(seconds)
    return (sum(map(cpu_seconds, processes)) - before) / (time.monotonic() - began)


def soon(size: int) -> datetime:
    """An instant at which so many schedules are stored for certain; to the millisecond, as all that is stored."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(milliseconds=_LEAD_SECONDS * 1000 + size // 10)


def summary(late: list[float]) -> Figures:
    """The quantiles of lateness."""
    cut = quantiles(late, n=100)
    return {"p50_ms": cut[49], "p90_ms": cut[89], "p99_ms": cut[98], "max_ms": max(late)}


def check(arrivals: list[Arrival], size: int) -> None:
    """Fail where one was lost, came twice or came early."""
    early = [arrival for arrival in arrivals if arrival.late_ms < 0]
    if early or len(arrivals) != size or len({arrival.execution_id for arrival in arrivals}) != size:
        raise AssertionError(f"{len(arrivals)} arrivals of {size}, {len(early)} early: {early[:3]}")
