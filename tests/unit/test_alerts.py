"""The shipped alerts ask for metrics that exist, and each is explained."""

import re
from collections.abc import Iterable
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

TOLD: dict[str, set[str]] = {"API": set(), "worker": set(), "parent": set()}
"""The metrics that the page says a process shows."""
for _cell, _places in re.findall(r"^\| (`.+?) \| ((?:API|worker|parent|, )+) \| .+ \|$", PAGE, re.MULTILINE):
    for _place in _places.split(", "):
        # A label stands behind "by".
        TOLD[_place] |= set(re.findall(r"(?<!by )`(\w+)`", _cell))


def _names(metrics: Metrics | ParentMetrics) -> set[str]:
    names = set()
    for family in metrics.registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        names |= {family.name + suffix for suffix in suffixes}
    return names


def as_told(samples: Iterable[str]) -> set[str]:
    """The metrics that samples of these names belong to, as the page names them."""
    return {re.sub(r"_(bucket|count|sum)$", "", name.removeprefix("schedule_service_")) for name in samples}


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
    assert asked <= _names(Metrics()) | _names(ParentMetrics())
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


def test_the_table_of_metrics_names_what_each_process_shows_and_nothing_else() -> None:
    api, worker = Metrics(), Metrics()
    api.leave_to_the_workers()
    worker.leave_to_the_api()
    for place, metrics in (("API", api), ("worker", worker), ("parent", ParentMetrics())):
        assert TOLD[place] == as_told(_names(metrics))
    assert TOLD["API"] | TOLD["worker"] == as_told(_names(Metrics())), "nobody shows it"
