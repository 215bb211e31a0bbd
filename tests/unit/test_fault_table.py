"""The table of faults in docs/reliability.md: each row is proved by tests that name it, and the page names those.

`python -m tests.unit.test_fault_table` writes the page's last column anew.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
ROWS = ["1", "2", "3", "4", "5", "6", "7", "7a", "8", "9", "10", "11", "12", "13", "14", "14a", "15", "16", "17", "18"]
ROWS += ["19", "19a", "20", "21", "22", "23", "24", "25", "26", "27", "28"]
NOT_YET = {"25": "there is no release before this one, whose code could run on the new schema"}


@cache
def marked() -> dict[str, set[str]]:
    """Which files have a test that carries a row's mark."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for row in _rows(ast.parse(path.read_text(encoding="utf-8"))):
            found[row].add(path.relative_to(ROOT).as_posix())
    return dict(found)


def _rows(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
                assert node.name.startswith("test_"), node.name
                yield from (ast.literal_eval(argument) for argument in decorator.args)


def write() -> None:
    """Have each row of the page link to the files that prove it."""
    page = PAGE.read_text(encoding="utf-8")
    for row in ROWS:
        links = [f"[{Path(path).stem}](../{path})" for path in sorted(marked().get(row, ()))]
        page = re.sub(
            rf"^(\| {row} \|.*\|)[^|]*\|$", rf"\1 {'<br>'.join(links) or '–'} |", page, count=1, flags=re.MULTILINE
        )
    PAGE.write_text(page, encoding="utf-8")


def told() -> dict[str, set[str]]:
    """Which files the page links to in each row of its table."""
    lines = re.findall(r"^\| (\d+a?) \|.*\|([^|]*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {row: set(re.findall(r"\]\(\.\./(tests/[^)]+)\)", cell)) for row, cell in lines}


def test_every_row_is_proved_by_a_test_that_names_it_and_no_test_names_another() -> None:
    assert sorted(marked()) == sorted(set(ROWS) - set(NOT_YET))


def test_the_page_has_every_row_in_its_order() -> None:
    assert list(told()) == ROWS


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_page_links_to_the_tests_that_prove_it(row: str) -> None:
    assert told()[row] == marked().get(row, set())


if __name__ == "__main__":
    write()
