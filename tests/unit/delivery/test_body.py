"""The body of a delivery: what WaddleBot's core expects, and nothing that a caller could forge."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.core.callbacks import CallbackTokens
from app.core.clock import from_ms, to_ms, utc
from app.delivery.body import build_body
from app.delivery.callback import Callbacks
from app.delivery.sender import traceparent
from tests.clocks import START
from tests.unit.delivery.assignments import SCHEDULE, assignment


def test_the_body_is_the_documented_one() -> None:
    sent = assignment(attempt=2, coalesced_count=3)
    execution = str(sent.execution_id)
    assert json.loads(build_body(sent, to_ms(START) + 1234)) == {
        "schedule_id": str(SCHEDULE),
        "execution_id": execution,
        "workflow_id": "8f14e45f-ceea-467f-a5bb-6a1f3c7e0d11",
        "community_id": 7,
        "scheduled_for": "2026-11-23T12:00:00Z",
        "triggered_at": "2026-11-23T12:00:01.234Z",
        "attempt": 2,
        "trigger": "schedule",
        "coalesced_count": 3,
        "timezone": "America/New_York",
        "last_scheduled_for": "2026-11-23T11:00:00Z",
        "next_execution_at": "2026-11-23T13:00:00Z",
        "variables": {
            "report": "daily",
            "schedule_id": str(SCHEDULE),
            "execution_id": execution,
            "triggered_at": "2026-11-23T12:00:01.234Z",
        },
        "metadata": {"trigger_source": "schedule", "session_id": execution},
    }


def test_how_to_report_is_said_where_the_target_is_to() -> None:
    callbacks = Callbacks("https://schedules.example", CallbackTokens([b"k" * 32]))
    plain = json.loads(build_body(assignment(), to_ms(START)))
    told = json.loads(build_body(assignment(), to_ms(START), callbacks.of(assignment().execution_id).encoded))
    callback = told.pop("callback")
    assert told == plain
    assert callback["url"] == f"https://schedules.example/api/v1/executions/{assignment().execution_id}"
    assert CallbackTokens([b"k" * 32]).opens(callback["token"], assignment().execution_id)


@pytest.mark.parametrize("field", ["schedule_id", "execution_id", "triggered_at"])
def test_context_data_cannot_forge_an_id(field: str) -> None:
    forged = assignment(context_json=json.dumps({field: "forged", "metadata": {"session_id": "forged"}, "own": 1}))
    honest = json.loads(build_body(assignment(), to_ms(START)))
    body = json.loads(build_body(forged, to_ms(START)))
    assert body["variables"][field] == honest["variables"][field]
    assert body["variables"]["own"] == 1
    del body["variables"], honest["variables"]
    assert body == honest


def test_a_doubled_name_in_the_stored_text_cannot_forge_an_id_either() -> None:
    doubled = '{"execution_id": "a", "execution_id": "b", "\\u0065xecution_id": "c"}'
    body = build_body(assignment(context_json=doubled), to_ms(START))
    pairs = json.loads(body, object_pairs_hook=list)
    variables = dict(pairs)["variables"]
    assert [name for name, _ in variables].count("execution_id") == 1
    assert dict(variables)["execution_id"] == str(assignment().execution_id)


def test_all_but_the_moment_and_the_number_is_the_same_at_every_attempt() -> None:
    first = json.loads(build_body(assignment(), to_ms(START)))
    second = json.loads(build_body(assignment(attempt=2, failures=1, owner=UUID(int=9)), to_ms(START) + 5000))
    for body in (first, second):
        del body["triggered_at"], body["variables"]["triggered_at"], body["attempt"]
    assert first == second


def test_what_is_not_there_is_null() -> None:
    body = json.loads(build_body(assignment(last_scheduled_for=None, next_execution_at=None), to_ms(START)))
    assert (body["last_scheduled_for"], body["next_execution_at"]) == (None, None)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (START, "2026-11-23T12:00:00Z"),
        (START + timedelta(milliseconds=7), "2026-11-23T12:00:00.007Z"),
        (from_ms(253_402_300_799_999), "9999-12-31T23:59:59.999Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_instants_are_written_as_in_the_api(instant: datetime, text: str) -> None:
    assert utc(instant) == text


def test_the_trace_is_one_an_execution_and_one_span_an_attempt() -> None:
    execution = assignment().execution_id
    first, second = traceparent(execution, 1), traceparent(execution, 2)
    assert first == traceparent(execution, 1)
    version, trace, span, flags = first.split("-")
    assert (version, trace, flags) == ("00", execution.hex, "01")
    assert len(span) == 16
    assert int(span, 16) != 0
    assert second.split("-")[1] == trace
    assert second.split("-")[2] != span
