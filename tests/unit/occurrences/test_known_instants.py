"""Expressions and the instants that they must give, worked out by hand or by two independent oracles.

The tables lie in `known_instants/`: a zone and an instant to search from, then an expression and what comes next.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.core.occurrences import count_occurrences, latest_occurrence, occurrences_after

from .brute_force import cron


@dataclass(frozen=True)
class Case:
    zone: str
    after: datetime
    expression: str
    expected: tuple[datetime, ...]


def _cases() -> list[Case]:
    cases, zone, after = [], "", datetime(1970, 1, 1, tzinfo=UTC)
    for table in sorted(Path(__file__).parent.joinpath("known_instants").glob("*.txt")):
        for line in table.read_text().splitlines():
            if line.startswith("in "):
                zone, _, instant = line.removeprefix("in ").split()
                after = datetime.fromisoformat(instant)
            elif line.startswith("    "):
                expression, instants = line.removeprefix("    ").split(" | ")
                cases.append(
                    Case(zone, after, expression, tuple(datetime.fromisoformat(text) for text in instants.split()))
                )
    return cases


CASES = _cases()


def test_the_tables_hold_at_least_three_hundred_cases() -> None:
    assert len(CASES) >= 300
    assert {
        "Australia/Lord_Howe", "Antarctica/Troll", "Europe/Dublin", "Pacific/Apia", "Africa/Casablanca",
        "America/Sao_Paulo", "Asia/Kathmandu", "Africa/Monrovia",
    } <= {case.zone for case in CASES}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.expression} in {case.zone} after {case.after:%F}")
def test_the_instants_of_an_expression_are_the_known_ones(case: Case) -> None:
    timing = cron(case.expression, case.zone)
    found = occurrences_after(timing, case.after, len(case.expected))
    assert found == list(case.expected)
    assert all(instant.tzinfo is UTC for instant in found)
    assert latest_occurrence(timing, found[-1]) == found[-1]
    assert count_occurrences(timing, case.after, found[-1]) == len(found)
    if len(found) > 1:
        assert latest_occurrence(timing, found[-1] - timedelta(milliseconds=1)) == found[-2]
