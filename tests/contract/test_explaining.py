"""Why a schedule fires, over HTTP: both shapes of the answer, and whatever instants callers may think of."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI

from app.core.principal import Role
from tests.contract.calls import SCHEDULES, UNKNOWN_ID, Connect, create
from tests.contract.test_batches import held
from tests.contract.test_calendars import make

ENDS_OF_TIME = (
    "0001-01-01T00:00:00.001Z",
    "0001-01-01T23:59:59-12:00",
    "1582-10-15T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "2026-11-23T17:00:00.123Z",
    "2400-02-29T12:00:00+23:59",
    "9998-12-31T23:59:59.999Z",
    "9999-12-31T12:00:00+14:00",
    "9999-12-31T23:59:59.999Z",
)
TIMINGS: tuple[dict[str, Any], ...] = (
    {},
    {"cron_expression": "* * * * * *", "timezone": "Pacific/Apia"},
    {"cron_expression": "0 0 29 2 *", "timezone": "Europe/Berlin", "jitter_seconds": 3600, "max_executions": 1},
    {"schedule_type": "interval", "cron_expression": None, "interval_seconds": 1},
    {"schedule_type": "interval", "cron_expression": None, "interval_seconds": 31_536_000, "jitter_seconds": 3600},
    {"schedule_type": "one_time", "cron_expression": None, "scheduled_time": "9999-12-31T23:59:59.999Z"},
    {"start_at": "2099-01-01T00:00:00Z", "end_at": "2100-01-01T00:00:00Z"},
)


def explain_of(schedule: dict[str, Any]) -> str:
    return f"{SCHEDULES}/{schedule['schedule_id']}/explain"


def schema(app: FastAPI, model: str) -> jsonschema_rs.Draft202012Validator:
    whole = {"$ref": f"#/components/schemas/{model}", "components": app.openapi()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


async def test_an_instant_is_explained_in_words_and_as_data(app: FastAPI, client: httpx.AsyncClient) -> None:
    stored = await create(client)
    answer = await client.get(explain_of(stored), params={"at": stored["next_execution_at"]})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    schema(app, "Explanation").validate(told)
    assert (told["at"], told["verdict"], told["execution"]) == (stored["next_execution_at"], "will_fire", None)
    assert told["summary"].startswith("It will fire on ")
    assert "(America/New_York)" in told["summary"]
    assert told["facts"][0]["kind"] == "rule"
    assert told["facts"][0]["data"]["cron_expression"] == "0 12 * * MON-FRI"
    assert told["next"] > told["at"] > told["previous"]
    assert told["now"].endswith("Z")


async def test_a_plus_that_the_url_made_a_space_is_refused_with_how_it_is_written(client: httpx.AsyncClient) -> None:
    url = explain_of(await create(client))
    answer = await client.get(f"{url}?at=2026-11-23T17:00:00+01:00")
    assert answer.status_code == 400
    assert "in a URL a + is written %2B, as in 2026-11-23T17:00:00%2B01:00" in answer.text
    assert (await client.get(f"{url}?at=2026-11-23T17:00:00%2B01:00")).status_code == 200


async def test_the_execution_that_stands_for_an_instant_is_in_the_answer(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    stored = await create(client)
    run = (await client.post(f"{SCHEDULES}/{stored['schedule_id']}/trigger")).json()
    told = (await client.get(explain_of(stored), params={"at": run["scheduled_for"]})).json()
    schema(app, "Explanation").validate(told)
    assert told["execution"] == run
    assert told["summary"].startswith("A run by hand was asked for on ")
    assert "by admin-user" in told["summary"]


async def test_a_time_span_is_explained_occurrence_by_occurrence(app: FastAPI, client: httpx.AsyncClient) -> None:
    stored = await create(client, cron_expression="* * * * *")
    start = datetime.fromisoformat(stored["next_execution_at"])
    span = {"from": start.isoformat(), "to": (start + timedelta(hours=2)).isoformat()}
    told = (await client.get(explain_of(stored), params=span)).json()
    schema(app, "ExplanationOfSpan").validate(told)
    assert told["counts"] == {"will_fire": 100}
    assert len(told["occurrences"]) == 100
    assert datetime.fromisoformat(told["next_from"]) == start + timedelta(minutes=100)
    assert told["summary"].startswith("The first 100 occurrences from ")
    rest = (await client.get(explain_of(stored), params=span | {"from": told["next_from"]})).json()
    assert (rest["counts"], rest["next_from"]) == ({"will_fire": 20}, None)
    assert told["occurrences"][0]["summary"].startswith("It will fire on ")


async def test_others_have_their_turn_while_the_occurrences_of_a_time_span_are_explained(
    client: httpx.AsyncClient,
) -> None:
    first, names = date(2030, 1, 1), ["a", "b", "c", "d", "e"]
    off = [first + timedelta(days=number) for number in (*range(0, 1980, 2), *range(1980, 1990))]
    for name in names:
        await make(client, name=name, days_off=[{"date": str(day), "label": "closed"} for day in off])
    calendars = {"names": names, "on_day_off": "next_business_day"}
    stored = await create(client, cron_expression="0-59 * * * *", timezone="UTC", calendars=calendars)
    # Onto this day all of the last ten are moved.
    start = datetime.combine(off[-1] + timedelta(days=1), time(), UTC)
    instant = {"at": start.isoformat()}
    span = {"from": start.isoformat(), "to": (start + timedelta(days=1)).isoformat()}
    await client.get(explain_of(stored), params=instant)
    async with held() as once:
        assert (await client.get(explain_of(stored), params=instant)).json()["verdict"] == "will_fire"
    async with held() as longest:
        answer = await client.get(explain_of(stored), params=span)
    told = answer.json()
    assert len(told["occurrences"]) == 100, told
    # The rows of the calendars are read in one turn in either case.
    assert longest() < once() + 0.02


async def test_a_pause_is_told_with_who_and_why(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    reason = 'new "target"\nsoon'
    await client.post(f"{SCHEDULES}/{stored['schedule_id']}/pause", json={"reason": reason})
    told = (await client.get(explain_of(stored), params={"at": stored["next_execution_at"]})).json()
    assert told["verdict"] == "paused"
    assert 'by admin-user ("new "target" soon") and has not been resumed since' in told["summary"]
    (paused,) = [fact for fact in told["facts"] if fact["kind"] == "paused"]
    assert paused["data"]["reason"] == reason


@pytest.mark.parametrize("timing", TIMINGS, ids=lambda timing: str(timing)[:60])
async def test_at_the_ends_of_time_there_is_an_answer(client: httpx.AsyncClient, timing: dict[str, Any]) -> None:
    stored = await create(client, **timing)
    for at in ENDS_OF_TIME:
        answer = await client.get(explain_of(stored), params={"at": at})
        assert answer.status_code == 200, (at, answer.text)
        assert answer.json()["summary"]
    for start, end in pairwise(ENDS_OF_TIME):
        answer = await client.get(explain_of(stored), params={"from": start, "to": end})
        assert answer.status_code in (200, 400), (start, end, answer.text)
    for start, end in ((ENDS_OF_TIME[0], "0001-12-31T00:00:00Z"), ("9999-01-01T00:00:00Z", ENDS_OF_TIME[-1])):
        answer = await client.get(explain_of(stored), params={"from": start, "to": end})
        assert answer.status_code == 200, (start, end, answer.text)


async def test_a_removed_schedule_answers_its_own_community_alone(connect_as: Connect) -> None:
    owner, stranger = await connect_as(), await connect_as(Role.VIEWER)
    stored = await create(owner)
    at = {"at": datetime.now(UTC).isoformat()}
    await owner.delete(f"{SCHEDULES}/{stored['schedule_id']}")
    assert (await stranger.get(explain_of(stored), params=at)).status_code == 404
    assert (await owner.get(f"{SCHEDULES}/{UNKNOWN_ID}/explain", params=at)).status_code == 404
    later = {"at": (datetime.now(UTC) + timedelta(days=400)).isoformat()}
    told = (await owner.get(explain_of(stored), params=later)).json()
    assert told["verdict"] == "removed"
    assert "by admin-user" in told["summary"]
