"""Every event that is logged has a category."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    path.relative_to(ROOT / "app").as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "app").rglob("*.py"))
}
METHODS = ("debug", "info", "warning", "error", "exception", "critical", "log")


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


def _texts(nodes: Iterable[ast.AST]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize("path", [path for path, module in MODULES.items() if any(_logged(module))])
def test_whatever_is_logged_has_a_category(path: str) -> None:
    for call in _logged(MODULES[path]):
        categories = [word.value for word in call.keywords if word.arg == "category"]
        assert categories, ast.unparse(call)
        assert _texts(part for category in categories for part in ast.walk(category)) <= {"AUDIT", "ERROR", "SYSTEM"}
