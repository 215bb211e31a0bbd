"""Processes, callers and a target, and everything breaks: each occurrence is recorded once, and delivered.

The seed of a run decides what breaks and when. It is drawn anew each time and printed; CHAOS_SEED gives it again.
"""

import os
import secrets
import sys
from pathlib import Path

import pytest

from tests.chaos.report import as_markdown
from tests.chaos.storm import Outcome, Storm, Weather


def _seed() -> int:
    return int(os.environ.get("CHAOS_SEED") or secrets.randbelow(1_000_000))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


async def _run(weather: Weather, folder: Path) -> Outcome:
    _say(f"CHAOS_SEED={weather.seed}")
    outcome = await Storm(weather, folder, _say).run()
    _say(as_markdown(outcome))
    assert outcome.verdict.violations == [], f"CHAOS_SEED={weather.seed}"
    return outcome


@pytest.mark.timeout(300)
async def test_a_minute_of_faults_loses_nothing_doubles_nothing_and_delivers_again_only_with_a_reason(
    server_dir: Path,
) -> None:
    outcome = await _run(Weather(_seed(), seconds=45, gap_seconds=1.6, plain=60, restless=40), server_dir / "storm")
    verdict = outcome.verdict
    assert (verdict.lost, verdict.recorded_twice, verdict.unfinished, verdict.early, verdict.unexplained) == (0,) * 5
    # It was a storm, and the callers and the schedules were in it.
    assert outcome.faults.total() >= 12
    assert verdict.occurrences >= 1_000
    assert verdict.deliveries >= verdict.statuses["succeeded"] >= 1_000
    assert outcome.acknowledged.requests[200] >= 20


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_ten_minutes_of_faults_keep_every_promise(server_dir: Path) -> None:
    outcome = await _run(Weather(_seed(), seconds=600, gap_seconds=3, plain=100, restless=60), server_dir / "storm")
    assert outcome.faults.total() >= 150
