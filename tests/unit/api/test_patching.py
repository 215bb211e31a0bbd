"""Merge patches: the examples of RFC 7396, appendix A, on `context_data`; and timing of what callers send."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.api.definitions import Definitions
from app.api.patching import patched
from app.api.targets import TargetReader
from app.core.schedule import Schedule, ScheduleStatus
from app.delivery.guard import Guard
from app.settings import Settings

_NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
_DEFINITIONS = Definitions(Settings(), TargetReader(Settings(), Guard()))
_BODY = {
    "workflow_id": "8f14e45f-ceea-467f-9d3a-1c5b2a7e6f10",
    "schedule_type": "cron",
    "cron_expression": "0 12 * * *",
    "name": "kept",
}


def stored(**fields: Any) -> Schedule:
    return Schedule(
        schedule_id=UUID("01973c5e-7a10-7cc3-98b1-3f6d2c0a9e51"),
        community_id=1,
        definition=_DEFINITIONS.read(_BODY | fields),
        status=ScheduleStatus.ACTIVE,
        status_reason=None,
        next_execution_at=_NOW,
        next_due_at=_NOW,
        searched_to=_NOW,
        last_execution_at=None,
        last_execution_id=None,
        execution_count=0,
        created_by="42",
        created_at=_NOW,
        updated_at=_NOW,
        revision=1,
    )


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": {"b": [None]}}, {"a": {"b": [None]}}),
    ],
)
def test_a_patch_merges_as_the_standard_says(target: Any, patch: Any, result: Any) -> None:
    schedule = stored(context_data=target)
    merged = _DEFINITIONS.read(patched(schedule, {"context_data": patch}))
    assert merged == replace(schedule.definition, context_data=result)


def test_an_empty_patch_is_the_definition_itself() -> None:
    schedule = stored(tags=["a"], retry={"initial_backoff_seconds": 0.5}, end_at="2099-01-01T00:00:00.250Z")
    assert _DEFINITIONS.read(patched(schedule, {})) == schedule.definition


def test_a_patch_leaves_the_stored_value_as_it_was() -> None:
    schedule = stored(context_data={"a": {"b": 1}})
    patched(schedule, {"context_data": {"a": {"b": None}}})
    assert schedule.definition.context_data == {"a": {"b": 1}}
