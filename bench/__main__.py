"""`python -m bench`: what the service costs, beside the raw limit in the same run. Prints a table and stores it.

Machines differ and are shared: the ratios are what counts.
"""

import argparse
import asyncio
import json
import platform
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import psutil

from bench.queueing import turns
from bench.stack import Arrival, Stack, running_stack, spread

_RESULTS = Path(__file__).parent / "results"
_RAW_REQUESTS = 20_000
_LEAD_SECONDS = 3.0
_QUEUED_RUNS = 300


async def raw(client: str, stack: Stack) -> float:
    """Requests a second of a bare POST loop."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.raw", client, f"{stack.receiver_url}/raw", str(_RAW_REQUESTS),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await child.communicate()
    return float(out)


async def burst(stack: Stack, *, size: int, workers: int) -> dict[str, float]:
    """Everything due at one instant: executions a second from the first to the last, and how the first came."""
    async with stack.workers(workers) as processes:
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=_LEAD_SECONDS + size / 20_000)
        await stack.add_one_time([due] * size)
        before = sum(_cpu_seconds(process) for process in processes)
        arrivals = await stack.arrivals(size)
        used = sum(_cpu_seconds(process) for process in processes) - before
    _check(arrivals, size)
    late = sorted(arrival.late_ms for arrival in arrivals)
    return {
        "per_second": size / late[-1] * 1000,
        "first_ms": late[0],
        "half_ms": late[size // 2],
        "all_ms": late[-1],
        "worker_cpu_us_each": used / size * 1e6,
    }


async def lateness(stack: Stack, *, per_second: int, seconds: int) -> dict[str, float]:
    """A steady rate: how late each came at the receiver, and what one worker used of a core."""
    size = per_second * seconds
    async with stack.workers(1) as (process,):
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=_LEAD_SECONDS)
        await stack.add_one_time(spread(start, size, per_second))
        await asyncio.sleep(max(0.0, (start - datetime.now(UTC)).total_seconds()))
        before, began = _cpu_seconds(process), time.monotonic()
        arrivals = await stack.arrivals(size)
        share = (_cpu_seconds(process) - before) / (time.monotonic() - began)
    _check(arrivals, size)
    late = [arrival.late_ms for arrival in arrivals]
    cut = quantiles(late, n=100)
    return {"p50_ms": cut[49], "p90_ms": cut[89], "p99_ms": cut[98], "max_ms": max(late), "worker_core_share": share}


def _check(arrivals: list[Arrival], size: int) -> None:
    early = [arrival for arrival in arrivals if arrival.late_ms < 0]
    if early or len(arrivals) != size or len({arrival.execution_id for arrival in arrivals}) != size:
        raise AssertionError(f"{len(arrivals)} arrivals of {size}, {len(early)} early: {early[:3]}")


def _words(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {figure:.2f}" for name, figure in figures.items() if name != "per_second")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def main(burst_size: int, rates: list[int], seconds: int) -> None:
    report: dict[str, object] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{psutil.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    async with running_stack() as stack:
        yardstick = await raw("aiohttp", stack)
        own = await raw("transport", stack)
        print(f"raw aiohttp POST loop          {yardstick:8.0f}/s   1.00")
        library = await raw("pyreqwest", stack)
        print(f"raw loop of the fastest library {library:7.0f}/s   {library / yardstick:.2f}")
        print(f"raw loop of the worker's client {own:7.0f}/s   {own / yardstick:.2f}")
        report["raw_aiohttp_per_second"], report["raw_transport_per_second"] = yardstick, own
        report["raw_pyreqwest_per_second"] = library
        for workers in (1, 2):
            figures = await burst(stack, size=burst_size, workers=workers)
            ratio = figures["per_second"] / yardstick
            report[f"burst_{workers}"] = figures | {"ratio_to_raw_aiohttp": ratio}
            speed = f"{figures['per_second']:8.0f}/s   {ratio:.2f}"
            print(f"burst of {burst_size}, workers: {workers}      {speed}   {_words(figures)}")
        for rate in rates:
            figures = await lateness(stack, per_second=rate, seconds=seconds)
            report[f"lateness_{rate}"] = figures
            print(f"lateness at {rate:5}/s   {_words(figures)}")
        figures = await turns(stack, runs=_QUEUED_RUNS)
        report["queued_turn"] = figures
        print(f"from the end of a run to the queued one   {_words(figures)}")
        again = await raw("aiohttp", stack)
        report["raw_aiohttp_per_second_after"] = again
        print(f"raw aiohttp POST loop, again   {again:8.0f}/s   {again / yardstick:.2f}")
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"stored in {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--burst", type=int, default=5_000, help="schedules due at one instant")
    parser.add_argument("--rates", type=int, nargs="*", default=[200, 500, 2_000], help="schedules a second")
    parser.add_argument("--seconds", type=int, default=15, help="how long each rate is held")
    given = parser.parse_args()
    asyncio.run(main(given.burst, given.rates, given.seconds))
