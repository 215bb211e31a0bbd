"""The shipped alerts ask for metrics that exist, and each is explained."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from app.core.execution import ExecutionStatus
from app.metrics import Metrics, ParentMetrics
from app.workers.keepers.scan import Kind

ROOT = Path(__file__).parents[2]
GROUPS = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
STAGES = {"beat", "claim", "advance", "deliver", "lanes", "settle", "give-back", "pause"}
LOOPS = STAGES | {"window", "sweep", "bury", "reclaim", "scan", "zones", "retention"}
VALUES: dict[str, set[str]] = {"kind": set(Kind), "loop": LOOPS, "outcome": set(ExecutionStatus)}
VALUES |= {"state": {"open", "half_open"}}


def _names() -> set[str]:
    names = set()
    for metrics in (Metrics(), ParentMetrics()):
        for family in metrics.registry.collect():
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
            names |= {family.name + suffix for suffix in suffixes}
    return names


def test_every_rule_is_whole_and_named_once() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 20
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"ScheduleService[A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"].endswith(".")
        assert re.fullmatch(r"[1-9]\d*[smh]", rule.get("for", "1m"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_expression_asks_for_what_exists(rule: dict[str, Any]) -> None:
    expression = rule["expr"]
    asked = set(re.findall(r"schedule_service_\w+", expression))
    assert asked
    assert asked <= _names()
    for label, values in re.findall(r'(\w+)=~?"([^"]+)"', expression):
        assert set(values.split("|")) <= VALUES[label], "a label's value that nothing has"
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)
    assert re.search(r" (==|>) [0-9.]+|absent\(", expression), "without a threshold it always fires"
    if "_total" in expression:
        assert re.search(r"(increase|rate)\(", expression), "a counter alone never falls"


@pytest.mark.fault("27")
def test_whatever_the_scan_counts_and_every_loop_has_an_alert() -> None:
    asked = {
        (label, value)
        for rule in RULES
        for label, values in re.findall(r'(\w+)=~?"([^"]+)"', rule["expr"])
        for value in values.split("|")
    }
    assert {value for label, value in asked if label == "kind"} == set(Kind)
    assert {value for label, value in asked if label == "loop"} == LOOPS


def test_the_runbook_has_a_paragraph_for_every_alert_in_their_order() -> None:
    assert re.findall(r"^\*\*(ScheduleService\w+)\.\*\* \S", PAGE, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_the_table_of_metrics_names_every_metric_and_no_other() -> None:
    told = set()
    for first, _ in re.findall(r"^\| (`.+?) \| (.+) \|$", PAGE, re.MULTILINE):
        # A label stands behind "by", what a metric is not of in brackets.
        told |= set(re.findall(r"(?<!by )`(\w+)`", first))
    shown = {name.removeprefix("schedule_service_") for name in _names()}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}
    assert told == shown
