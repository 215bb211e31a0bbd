"""Previews, and the next occurrences of stored schedules."""

from typing import Any

import httpx
import pytest

from tests.contract.calls import SCHEDULES, Records, create, cron, fields_of

PREVIEW = f"{SCHEDULES}/preview"
NOON = {"schedule_type": "cron", "cron_expression": "0 12 * * MON-FRI", "timezone": "America/New_York"}


async def test_a_preview_says_when_and_in_words_and_stores_nothing(client: httpx.AsyncClient, records: Records) -> None:
    before = await records()
    answer = await client.post(PREVIEW, json=NOON | {"start": "2026-11-23T17:00:00Z", "count": 3})
    assert answer.status_code == 200
    assert answer.json() == {
        "occurrences": ["2026-11-24T17:00:00Z", "2026-11-25T17:00:00Z", "2026-11-26T17:00:00Z"],
        "adjusted": [],
        "description": "At 12:00, Monday to Friday",
    }
    assert await records() == before


@pytest.mark.parametrize(
    ("timing", "occurrences"),
    [
        (
            {"schedule_type": "interval", "interval_seconds": 90, "start": "2026-01-01T00:00:00.5Z", "count": 2},
            ["2026-01-01T00:01:30.500Z", "2026-01-01T00:03:00.500Z"],
        ),
        (
            {
                "schedule_type": "interval",
                "interval_seconds": 60,
                "start": "2026-01-01T00:00:00Z",
                "start_at": "2026-01-01T00:00:30Z",
                "end_at": "2026-01-01T00:01:30Z",
            },
            ["2026-01-01T00:00:30Z", "2026-01-01T00:01:30Z"],
        ),
        (
            {
                "schedule_type": "one_time",
                "scheduled_time": "2026-03-29T02:30:00",
                "timezone": "Europe/Berlin",
                "start": "2026-01-01T00:00:00Z",
            },
            ["2026-03-29T01:00:00Z"],
        ),
        ({"schedule_type": "one_time", "scheduled_time": "2020-01-01T00:00:00Z"}, []),
        (
            {"schedule_type": "cron", "cron_expression": "30 2 29 2 *", "start": "2096-03-01T00:00:00Z", "count": 1},
            ["2104-02-29T02:30:00Z"],
        ),
        ({"schedule_type": "cron", "cron_expression": "* * * * *", "start": "9999-12-31T23:59:59Z"}, []),
        ({"schedule_type": "interval", "interval_seconds": 60, "start": "9999-12-31T23:59:59Z"}, []),
    ],
)
async def test_a_preview_follows_the_timing(
    client: httpx.AsyncClient, timing: dict[str, Any], occurrences: list[str]
) -> None:
    answer = await client.post(PREVIEW, json=timing)
    assert answer.status_code == 200, answer.text
    assert answer.json()["occurrences"] == occurrences


@pytest.mark.parametrize(
    ("written", "occurrence", "adjusted"),
    [
        (
            "2027-03-14T02:30:00",
            "2027-03-14T07:00:00Z",
            [("gap", ["2027-03-14T02:30:00"], ("02:30 does not exist on 2027-03-14 in America/New_York, where the "
              "clock jumps from 02:00 to 03:00; it fires at 03:00, the first instant after."))],
        ),
        ("2027-03-14T03:00:00", "2027-03-14T07:00:00Z", []),
        ("2027-03-14T01:59:59.999", "2027-03-14T06:59:59.999Z", []),
        ("2027-03-14T07:00:00Z", "2027-03-14T07:00:00Z", []),
        (
            "2027-11-07T01:30:00",
            "2027-11-07T05:30:00Z",
            [("fold", ["2027-11-07T01:30:00"], ("01:30 is shown twice on 2027-11-07 in America/New_York; this is the "
              "first of the two."))],
        ),
    ],
)  # fmt: skip
async def test_a_preview_of_a_single_time_says_where_the_clocks_moved_it(
    client: httpx.AsyncClient, written: str, occurrence: str, adjusted: list[tuple[str, list[str], str]]
) -> None:
    timing = {"schedule_type": "one_time", "scheduled_time": written, "timezone": "America/New_York"}
    answer = await client.post(PREVIEW, json=timing | {"start": "2027-01-01T00:00:00Z"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["occurrences"] == [occurrence]
    assert [(one["cause"], one["wall_times"], one["text"]) for one in told["adjusted"]] == adjusted
    assert {one["occurrence"] for one in told["adjusted"]} <= {occurrence}
    later = (await client.post(PREVIEW, json=timing | {"start": "2028-01-01T00:00:00Z"})).json()
    assert (later["occurrences"], later["adjusted"]) == ([], [])


async def test_a_preview_of_a_single_time_in_a_gap_on_a_day_off_says_that_it_would_fire_there(
    client: httpx.AsyncClient,
) -> None:
    made = await client.post(PREVIEW.replace("schedules/preview", "calendars"), json=SPRING_OFF)
    assert made.status_code == 201, made.text
    timing = {
        "schedule_type": "one_time",
        "scheduled_time": "2027-03-14T02:30:00",
        "timezone": "America/New_York",
        "start": "2027-01-01T00:00:00Z",
        "calendars": {"names": ["spring"], "on_day_off": "next_business_day"},
    }
    told = (await client.post(PREVIEW, json=timing)).json()
    assert told["occurrences"] == ["2027-03-15T07:00:00Z"]
    assert [one["text"] for one in told["adjusted"]] == [
        (
            "02:30 does not exist on 2027-03-14 in America/New_York, where the clock jumps from 02:00 to 03:00; it "
            "would fire at 03:00, the first instant after."
        ),
        "Sunday 2027-03-14 is a day off; it fires on the next business day, Monday 2027-03-15.",
    ]


SPRING_OFF = {"name": "spring", "days_off": ["2027-03-14"]}
ONCE = {"schedule_type": "one_time", "scheduled_time": "2027-11-07T01:30:00", "timezone": "Mars/Foo"}
EVERY_NOON = NOON | {"timezone": "Mars/Foo"}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (ONCE, ["timezone"]),
        (ONCE | {"scheduled_time": "2027-11-07T01:30:00Z"}, ["timezone"]),
        (ONCE | {"scheduled_time": "2027-11-31T01:30:00"}, ["scheduled_time", "timezone"]),
        (ONCE | {"scheduled_time": None}, ["scheduled_time", "timezone"]),
        (ONCE | {"start_at": "2027-11-07T01:30:00"}, ["start_at", "timezone"]),
        (ONCE | {"start_at": "2027-11-07T01:30:00Z"}, ["start_at", "timezone"]),
        (EVERY_NOON | {"scheduled_time": "2027-11-07T01:30:00"}, ["scheduled_time", "timezone"]),
        (EVERY_NOON | {"start_at": "x", "end_at": "2027-11-07T01:30:00Z"}, ["start_at", "timezone"]),
    ],
)
async def test_an_unknown_zone_makes_no_time_missing(
    client: httpx.AsyncClient, body: dict[str, Any], fields: list[str]
) -> None:
    problem = (await client.post(PREVIEW, json=body)).json()
    assert sorted(fields_of(problem)) == fields
    given = {name for name, value in body.items() if value is not None}
    assert [one for one in problem["errors"] if one["field"] in given and "is required" in one["message"]] == []


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({}, 400, ["schedule_type"]),
        (NOON | {"count": 0}, 400, ["count"]),
        (NOON | {"count": 101}, 400, ["count"]),
        (NOON | {"count": "3"}, 422, ["count"]),
        (NOON | {"start": 0}, 422, ["start"]),
        (NOON | {"start": "2026-11-23T17:00:00"}, 400, ["start"]),
        (NOON | {"start": "now"}, 400, ["start"]),
        (NOON | {"cron_expression": "0 0 30 2 *"}, 400, ["cron_expression"]),
        (NOON | {"timezone": "Nowhere", "start": "x"}, 400, ["start", "timezone"]),
        (NOON | {"workflow_id": "x"}, 422, ["workflow_id"]),
        ({"schedule_type": "interval"}, 400, ["interval_seconds"]),
        ({"schedule_type": "interval", "interval_seconds": 0}, 400, ["interval_seconds"]),
        (NOON | {"jitter_seconds": 4000}, 400, ["jitter_seconds"]),
    ],
)
async def test_a_bad_preview_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, fields: list[str]
) -> None:
    answer = await client.post(PREVIEW, json=body)
    assert answer.status_code == status, answer.text
    assert sorted(fields_of(answer.json())) == fields


JUMPS = "in Europe/Berlin, where the clock jumps from 02:00 to 03:00"


@pytest.mark.parametrize(
    ("timing", "problem"),
    [
        ({"cron_expression": "*/30 2 * 3 SUNL"}, "'0-59/30 2 * 3 SUNL' fires at the first instant after"),
        ({"cron_expression": "30 2 * 3 SUNL", "dst_policy": {"gap": "skip"}}, "with dst_policy gap 'after' it fires"),
        ({"cron_expression": "*/30 2 * 3 SUNL", "end_at": "2037-12-01T00:00:00Z"}, "'0-59/30 2 * 3 SUNL' fires"),
    ],
)
async def test_what_the_clocks_always_jump_over_is_refused_by_preview_create_and_change_in_the_same_words(
    client: httpx.AsyncClient, timing: dict[str, Any], problem: str
) -> None:
    body = {"schedule_type": "cron", "timezone": "Europe/Berlin", **timing}
    stored = await create(client, timezone="Europe/Berlin")
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    answers = [
        await client.post(PREVIEW, json=body),
        await client.post(SCHEDULES, json=cron(**body)),
        await client.patch(path, json=timing),
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 400]
    messages = {(error["field"], error["message"]) for answer in answers for error in answer.json()["errors"]}
    assert {field for field, _ in messages} == {"cron_expression"}
    (message,) = {message for _, message in messages}
    assert JUMPS in message
    assert problem in message
    # The end of the calendar is no gap, nor is a time that has its occurrences before it.
    late = {"schedule_type": "cron", "cron_expression": "*/30 2 * 3 SUNL", "timezone": "Europe/Berlin"}
    for start in ("1950-01-01T00:00:00Z", "9999-12-31T00:00:00Z"):
        assert (await client.post(PREVIEW, json=late | {"start": start})).status_code == 200


async def test_a_create_that_leaves_no_occurrence_says_what_took_it(client: httpx.AsyncClient) -> None:
    gap = {"cron_expression": "*/30 2 28 3 *", "timezone": "Europe/Berlin", "end_at": "2027-03-29T00:00:00Z"}
    refused = await client.post(SCHEDULES, json=cron(**gap))
    assert fields_of(refused.json()) == ["end_at"]
    assert f"no occurrence is left up to it: 02:00 and 02:30 do not exist on 2027-03-28 {JUMPS}" in refused.text
    made = await client.post(PREVIEW.replace("schedules/preview", "calendars"), json={"name": "firm"})
    assert made.status_code == 201, made.text
    moved = {
        "cron_expression": "0 9 27 3 *",
        "end_at": "2027-03-28T00:00:00Z",
        "calendars": {"names": ["firm"], "on_day_off": "next_business_day"},
    }
    refused = await client.post(SCHEDULES, json=cron(**moved))
    assert fields_of(refused.json()) == ["calendars"]
    assert (
        "no occurrence is left: Saturday 2027-03-27 is on the weekend; it would move to the next business day, Monday "
        "2027-03-29, where it is after end_at, so that nothing fires."
    ) in refused.text


async def test_a_stored_schedule_says_when_it_fires_next(client: httpx.AsyncClient) -> None:
    stored = await create(client, max_executions=5)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    shown = (await client.get(f"{path}/occurrences?count=3")).json()
    assert shown["description"] == "At 12:00, Monday to Friday"
    assert len(shown["occurrences"]) == 3
    assert shown["occurrences"][0] == stored["next_execution_at"]
    assert shown["occurrences"] == sorted(shown["occurrences"])
    assert len((await client.get(f"{path}/occurrences?count=100")).json()["occurrences"]) == 5
    await client.post(f"{path}/pause")
    assert (await client.get(f"{path}/occurrences")).json()["occurrences"] == []
