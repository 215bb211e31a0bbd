"""Links in the documentation lead somewhere."""

import re
from pathlib import Path

import pytest

from app.core.audit import AuditAction
from app.core.explaining import Verdict
from app.service.bulk import Because

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if not (page.parent / link).exists()]
    assert broken == []


def test_the_table_of_verdicts_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE) == list(Verdict)


def test_the_table_of_the_audit_trail_has_each_action_once() -> None:
    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?`) \| .+ \| .+ \|$", page.partition("| --- |")[2], re.MULTILINE)
    assert sorted(action for row in rows for action in re.findall(r"`(\w+)`", row)) == sorted(AuditAction)


def test_nothing_in_the_service_changes_or_removes_what_the_audit_trail_has() -> None:
    """As docs/audit.md promises."""
    changes = re.compile(r"\b(?:UPDATE|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?)\s+(?:ONLY\s+)?audit_log\b", re.IGNORECASE)
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py")]
    assert sum("INSERT INTO audit_log" in source for source in sources) == 1
    assert [source for source in sources if changes.search(source)] == []


def test_the_table_of_what_is_left_alone_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("\n## In an incident\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE) == ["because", *Because]
