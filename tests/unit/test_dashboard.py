"""The shipped dashboard asks for metrics that exist, by labels that they have, and its panels do not overlap."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from app.metrics import Metrics

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "deploy" / "grafana.json").read_text(encoding="utf-8")
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
SHOWING = [panel for panel in PANELS if panel["type"] != "row"]
QUERIES: list[dict[str, str]] = [target for panel in SHOWING for target in panel["targets"]]


def _labels() -> dict[str, set[str]]:
    """Every metric as it is asked for, with its labels."""
    labels: dict[str, set[str]] = {}
    for collector in Metrics().registry._collector_to_names:
        for family in collector.describe() if hasattr(collector, "describe") else ():
            names = set(getattr(collector, "_labelnames", ()))
            match family.type:
                case "counter":
                    labels[f"{family.name}_total"] = names
                case "histogram":
                    labels |= {f"{family.name}_{part}": names for part in ("sum", "count")}
                    labels[f"{family.name}_bucket"] = names | {"le"}
                case _:
                    labels[family.name] = names
    return labels


KNOWN = _labels()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query["expr"])
def test_a_query_asks_for_what_exists(query: dict[str, str]) -> None:
    expression = query["expr"]
    asked = re.findall(r"schedule_service_\w+", expression)
    assert asked
    assert set(asked) <= set(KNOWN)
    grouped = {label.strip() for labels in re.findall(r"by \(([^)]+)\)", expression) for label in labels.split(",")}
    assert grouped <= set.union(*(KNOWN[name] for name in asked))
    # What stands in the legend is what it is grouped by.
    assert set(re.findall(r"\{\{(\w+)\}\}", query["legendFormat"])) == grouped - {"le"}
    counts = any(name.endswith(("_total", "_bucket", "_sum", "_count")) for name in asked)
    assert counts == ("rate(" in expression), "what only grows is shown as a rate, and nothing else is"


def test_what_several_workers_have_counted_alike_is_not_added_up() -> None:
    """Each shows what it counted of the whole, and NaN where another had its turn: a sum would be neither."""
    asked = [query["expr"] for query in QUERIES if "anomalies" in query["expr"]]
    assert asked
    assert all(re.match(r"max(?: by \(kind\) )?\(schedule_service_anomalies\b", expression) for expression in asked)


def test_each_panel_says_what_it_shows_and_where_it_stands() -> None:
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert all(panel["description"].endswith(".") for panel in SHOWING)
    assert all(len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) for panel in SHOWING)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)
    cells = [_cells(panel) for panel in PANELS]
    assert not any(one & other for one, other in combinations(cells, 2))


def test_the_source_of_its_data_is_chosen_in_it() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"]) == ("datasource", "datasource")
    sources = [part["datasource"] for panel in SHOWING for part in (panel, *panel["targets"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def _cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
