"""Explanations as JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.api.rendering import execution_json
from app.core.clock import utc
from app.core.explaining import Explanation, Fact, Overview


def explanation_json(schedule_id: UUID, found: Explanation, now: datetime) -> dict[str, Any]:
    """Why a schedule did or did not fire at an instant."""
    return {
        "schedule_id": schedule_id,
        "now": utc(now),
        "at": utc(found.at),
        "verdict": found.verdict,
        "summary": found.summary,
        "facts": [_fact_json(fact) for fact in found.facts],
        "execution": None if found.execution is None else execution_json(found.execution),
        "previous": _plain(found.previous),
        "next": _plain(found.next),
    }


def overview_json(schedule_id: UUID, found: Overview, now: datetime) -> dict[str, Any]:
    """The same for each occurrence of a time span."""
    return {
        "schedule_id": schedule_id,
        "now": utc(now),
        "from": utc(found.start),
        "to": utc(found.end),
        "summary": found.summary,
        "occurrences": [
            {
                "at": utc(one.at),
                "verdict": one.verdict,
                "summary": one.summary,
                "execution_id": one.execution_id,
            }
            for one in found.occurrences
        ],
        "counts": {verdict.value: number for verdict, number in found.counts.items()},
        "next_from": _plain(found.next_from),
    }


def _fact_json(fact: Fact) -> dict[str, Any]:
    return {"kind": fact.kind, "text": fact.text, "data": _plain(fact.data)}


def _plain(value: object) -> Any:
    """A fact's value with its instants as text; ids are the encoder's own matter."""
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
