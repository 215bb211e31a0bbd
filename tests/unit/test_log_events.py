"""Every event that is logged has a category, and a row in docs/operations.md that says what to do."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from app.core.audit import AuditAction

ROOT = Path(__file__).parents[2]
MODULES = {
    path.relative_to(ROOT / "app").as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "app").rglob("*.py"))
}
METHODS = ("debug", "info", "warning", "error", "exception", "critical", "log")
AUDITING = ("audit", "_audit", "move", "_write")
NAMED_BY = {
    "service/recomputing.py": ("note_unreadable",),
    "service/transactions.py": AUDITING,
    "workers/advance.py": ("_UNSENT",),
    "store/outage.py": ("Outage",),
}
"""Where an event is no text in the call that logs it: the functions and the table that it is given to."""
ALERTS = re.findall(r"- alert: ScheduleService(\w+)", (ROOT / "deploy" / "alerts.yaml").read_text(encoding="utf-8"))


def _loggers(module: ast.Module) -> set[str]:
    """What a module calls its loggers."""
    return {
        ast.unparse(target)
        for node in ast.walk(module)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("structlog.get_logger(")
        for target in node.targets
    } | {"structlog.get_logger()"}


def _logged(module: ast.Module) -> Iterator[ast.Call]:
    """The calls that log."""
    loggers = _loggers(module)
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in METHODS and ast.unparse(node.func.value) in loggers:
            yield node


def _event(call: ast.Call) -> ast.expr:
    assert isinstance(call.func, ast.Attribute)
    return call.args[1 if call.func.attr == "log" else 0]


def _texts(nodes: Iterable[ast.AST]) -> set[str]:
    """The texts among some nodes, those included that `AuditAction` names."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == AuditAction.__name__:
            found.add(AuditAction[node.attr])
    return found


def _given_to(names: tuple[str, ...]) -> set[str]:
    """The texts that stand in a table of one of these names, or are given to a function of one."""
    found: set[str] = set()
    for module in MODULES.values():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names:
                found |= _texts(node.args)
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names:
                found |= _texts(ast.walk(node.value))
    return found


def _events() -> set[str]:
    found = set[str]().union(*(_given_to(names) for names in NAMED_BY.values()))
    for module in MODULES.values():
        found |= _texts([_event(call) for call in _logged(module)])
    return found


def _rows() -> list[tuple[str, str, str]]:
    """The rows of the page's table: events, who logs them and when, what to do."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("\n## Log events\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| (`.+?) \| (.+) \| (.+) \|$", section, re.MULTILINE)


@pytest.mark.parametrize("path", [path for path, module in MODULES.items() if any(_logged(module))])
def test_whatever_is_logged_has_a_category(path: str) -> None:
    for call in _logged(MODULES[path]):
        categories = [word.value for word in call.keywords if word.arg == "category"]
        assert categories, ast.unparse(call)
        assert _texts(part for category in categories for part in ast.walk(category)) <= {"AUDIT", "ERROR", "SYSTEM"}


def test_where_an_event_is_no_text_it_is_known_what_names_it() -> None:
    unnamed = {
        path
        for path, module in MODULES.items()
        for call in _logged(module)
        if not isinstance(_event(call), ast.Constant)
    }
    assert unnamed == set(NAMED_BY)
    assert all(_given_to(names) for names in NAMED_BY.values())


def test_every_action_of_the_audit_trail_is_written_somewhere() -> None:
    assert _given_to(AUDITING) == set(AuditAction)


def test_the_table_of_events_has_each_once_and_no_other() -> None:
    told = Counter(event for events, _, _ in _rows() for event in re.findall(r"`(\w+)`", events))
    assert set(told) == _events()
    assert set(told.values()) == {1}


def test_what_to_do_names_alerts_that_there_are() -> None:
    named = {alert for _, _, advice in _rows() for alert in re.findall(r"\*(\w+)\*", advice)}
    assert len(named) > 10
    assert named <= set(ALERTS)
