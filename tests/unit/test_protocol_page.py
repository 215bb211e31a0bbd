"""Every test that docs/protocol-tests.md names is there."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "protocol-tests.md"
ROWS = re.findall(r"^\| (?!rule|---)(.+?) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@cache
def _tests_of(path: str) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:async )?def test_(\w+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(("rule", "tests"), ROWS, ids=[rule for rule, _ in ROWS])
def test_a_rule_names_tests_that_there_are(rule: str, tests: str) -> None:
    named = re.findall(r"\[test_\w+\]\(\.\./(tests/[\w/.]+)\) `(\w+)`", tests)
    assert len(named) == tests.count("](") == len(tests.split("<br>")), rule
    assert [(path, name) for path, name in named if name not in _tests_of(path)] == []


def test_every_section_of_the_protocol_has_its_rules() -> None:
    assert len(ROWS) > 70
    assert len(re.findall(r"^## ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == 10
