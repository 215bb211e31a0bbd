"""`make chaos`: a long run, its progress, and a table of what came of it."""

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.report import as_json, as_markdown
from tests.chaos.storm import Storm, Weather


def read_weather(arguments: Sequence[str] | None = None) -> tuple[Weather, Path | None]:
    """What the command line asks for, and where to write what came of it."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="break the same things again")
    parser.add_argument("--seconds", type=float, default=3600, help="how long faults come")
    parser.add_argument("--gap", type=float, default=5.0, help="seconds from one fault to the next, on average")
    parser.add_argument("--plain", type=int, default=160, help="schedules that fire each second")
    parser.add_argument("--restless", type=int, default=60, help="schedules of all kinds, which callers change")
    parser.add_argument("--faults", nargs="*", default=[], help="only those whose names begin so")
    parser.add_argument("--out", type=Path, help="also write the result there, as .json and .md")
    given = parser.parse_args(arguments)
    weather = Weather(
        seed=given.seed,
        seconds=given.seconds,
        gap_seconds=given.gap,
        plain=given.plain,
        restless=given.restless,
        named=given.faults,
    )
    return weather, given.out


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run; 1 where a promise was broken."""
    weather, out = read_weather()
    _say(f"seed {weather.seed}, {weather.seconds:.0f} s")
    folder = Path(tempfile.mkdtemp(prefix="schedule-service-chaos-"))
    outcome = asyncio.run(Storm(weather, folder, _say).run())
    _say(as_markdown(outcome))
    for violation in outcome.verdict.violations[:50]:
        _say(f"BROKEN: {violation}")
    if out is not None:
        out.with_suffix(".json").write_text(as_json(outcome))
        out.with_suffix(".md").write_text(as_markdown(outcome))
    if outcome.verdict.violations:
        _say(f"{len(outcome.verdict.violations)} promises were broken. What the processes said is in {folder}")
        return 1
    _say("Every promise was kept.")
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
