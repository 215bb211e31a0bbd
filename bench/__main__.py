"""`python -m bench`: what the service costs, beside the raw limit in the same run. Prints a table and stores it.

Machines differ and are shared: the ratios are what counts.
"""

import argparse
import asyncio
import json
import platform
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.creating import creating
from bench.firing import Figures, burst, fairness, lateness
from bench.growth import growth, machine
from bench.hostile import BESIDE, hostile
from bench.picture import curves
from bench.queueing import turns
from bench.stack import Stack, running_stack
from bench.stages import stages

_RESULTS = Path(__file__).parent / "results"
_PICTURE = Path(__file__).parent.parent / "docs" / "growth.svg"
_RAW_REQUESTS = 20_000
_QUEUED_RUNS = 300
_COMMUNITIES = 40
"""Enough for every shard to have some."""
_CURVES = {
    "advance_us": "advance, µs an occurrence",
    "pages_a_firing": "pages of schedules read, each",
    "claim_call_us": "a claim of 16 shards, µs",
    "rebuild_seconds": "the wheel from nothing, s",
    "wheel_mb": "the wheel in Redis, MB",
    "worker_rss_mb": "memory of a worker, MB",
}

Report = dict[str, object]


async def _raw(client: str, stack: Stack) -> float:
    """Requests a second of a bare POST loop."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.raw", client, f"{stack.receiver_url}/raw", str(_RAW_REQUESTS),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await child.communicate()
    return float(out)


async def _burst(stack: Stack, report: Report, given: argparse.Namespace) -> None:
    """Beside the bare loop before and after: a shared machine is not the same twice."""
    for workers in (1, 2, 4):
        before = await _raw("aiohttp", stack)
        figures = await burst(stack, size=given.burst, workers=workers)
        yardstick = (before + await _raw("aiohttp", stack)) / 2
        figures["ratio_to_raw_aiohttp"] = figures["per_second"] / yardstick
        _note(report, f"burst of {given.burst}, workers: {workers}", figures)


async def _loops(stack: Stack, report: Report, _given: argparse.Namespace) -> None:
    yardstick = await _raw("aiohttp", stack)
    for name, client in (("fastest library's", "pyreqwest"), ("worker's", "transport")):
        rate = await _raw(client, stack)
        _note(report, f"bare loop of the {name} client", {"per_second": rate, "ratio_to_raw_aiohttp": rate / yardstick})


async def _lateness(stack: Stack, report: Report, given: argparse.Namespace) -> None:
    _note(report, "lateness, idle", await lateness(stack, per_second=1, seconds=given.seconds * 2))
    for rate in given.rates:
        _note(report, f"lateness at {rate}/s", await lateness(stack, per_second=rate, seconds=given.seconds))
    for rate in given.rates[:2]:
        figures = await lateness(stack, per_second=rate, seconds=given.seconds, communities=_COMMUNITIES)
        _note(report, f"lateness at {rate}/s, {_COMMUNITIES} communities", figures)


async def _without_redis(stack: Stack, report: Report, given: argparse.Namespace) -> None:
    for rate in given.rates[:2]:
        figures = await lateness(stack, per_second=rate, seconds=given.seconds, redis=False)
        _note(report, f"lateness at {rate}/s, Redis away", figures)


async def _stages(stack: Stack, report: Report, _given: argparse.Namespace) -> None:
    for batch in (10, 100):
        _note(report, f"stages alone, {batch} at once", await stages(stack, size=100 * batch, batch=batch))


async def _creating(stack: Stack, report: Report, _given: argparse.Namespace) -> None:
    _note(report, "creating, one API process", await creating(stack, single=3_000, batched=40_000))


async def _turns(stack: Stack, report: Report, _given: argparse.Namespace) -> None:
    _note(report, "from the end of a run to the queued one", await turns(stack, runs=_QUEUED_RUNS))


async def _fairness(stack: Stack, report: Report, given: argparse.Namespace) -> None:
    figures = await fairness(stack, size=given.crowd, per_second=50, seconds=given.seconds)
    _note(report, f"lateness beside a community with {given.crowd} due at once", figures)


async def _hostile(stack: Stack, report: Report, given: argparse.Namespace) -> None:
    figures = await hostile(
        stack, size=given.hostile, per_second=33, seconds=given.hostile_seconds, rounds=given.rounds
    )
    for name, of_one in figures.items():
        _note(report, f"{given.hostile} for {name}" if name in BESIDE else name, of_one)


async def _growth(stack: Stack, report: Report, given: argparse.Namespace) -> None:
    measured: list[Figures] = []
    for size in given.sizes:
        measured.append(await growth(stack, size=size))
        _note(report, f"{size} schedules", measured[-1])
    if len(measured) > 1:
        charts = {title: [(one["schedules"], one[name]) for one in measured] for name, title in _CURVES.items()}
        _PICTURE.write_text(curves(f"What grows with the number of schedules ({machine()})", charts))


PARTS: dict[str, Callable[[Stack, Report, argparse.Namespace], Awaitable[None]]] = {
    "loops": _loops,
    "burst": _burst,
    "lateness": _lateness,
    "stages": _stages,
    "creating": _creating,
    "queue": _turns,
    "fairness": _fairness,
    "hostile": _hostile,
    "growth": _growth,
    "redis-away": _without_redis,
}
"""In this order; Redis does not come back after the last."""


def _note(report: Report, what: str, figures: Figures) -> None:
    report[what] = figures
    words = ", ".join(f"{name} {figure:.4g}" for name, figure in figures.items())
    print(f"{what:44}  {words}", flush=True)


async def main(given: argparse.Namespace) -> None:
    report: Report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{machine()}, {platform.machine()}, Python {platform.python_version()}",
    }
    async with running_stack() as stack:
        for name, part in PARTS.items():
            if name in given.only:
                await part(stack, report, given)
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"stored in {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="parts to measure")
    parser.add_argument("--burst", type=int, default=20_000, help="schedules due at one instant")
    parser.add_argument("--rates", type=int, nargs="*", default=[200, 500, 2_000, 5_000], help="schedules a second")
    parser.add_argument("--seconds", type=int, default=15, help="how long each rate is held")
    parser.add_argument("--crowd", type=int, default=100_000, help="schedules of one community due at one instant")
    parser.add_argument("--hostile", type=int, default=10_000, help="executions for targets that behave badly")
    parser.add_argument("--hostile-seconds", type=int, default=60, help="within how long these are due")
    parser.add_argument("--rounds", type=int, default=1, help="how often that is repeated: it takes six minutes")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="schedules stored")
    asyncio.run(main(parser.parse_args()))
