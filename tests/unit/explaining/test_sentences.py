"""What is read aloud, for every verdict."""

from datetime import datetime

import pytest

from app.core.explaining import Case, FactKind, Records, Verdict, explain
from tests.unit.explaining.cases import NOW
from tests.unit.explaining.told_by_records import BY_RECORDS
from tests.unit.explaining.told_without_records import WITHOUT_RECORDS

TOLD = BY_RECORDS + WITHOUT_RECORDS


@pytest.mark.parametrize(("verdict", "known", "records", "at", "sentence"), TOLD, ids=lambda value: str(value)[:40])
def test_an_explanation_reads(verdict: Verdict, known: Case, records: Records, at: datetime, sentence: str) -> None:
    found = explain(known, records, at, NOW)
    assert found.summary == sentence
    assert found.verdict is verdict


def test_every_verdict_has_its_sentence() -> None:
    assert {verdict for verdict, *_ in TOLD} == set(Verdict)


@pytest.mark.parametrize(("_verdict", "known", "records", "at", "_sentence"), TOLD, ids=lambda value: str(value)[:40])
def test_every_fact_is_a_sentence_of_its_own(
    _verdict: Verdict, known: Case, records: Records, at: datetime, _sentence: str
) -> None:
    found = explain(known, records, at, NOW)
    assert found.facts[0].kind is FactKind.RULE
    for fact in found.facts:
        assert fact.text[0].isupper() or fact.text[0].isdigit(), fact.text
        assert fact.text.endswith("."), fact.text
        assert not fact.text.endswith(".."), fact.text
        assert "None" not in fact.text, fact.text
        assert "  " not in fact.text, fact.text
