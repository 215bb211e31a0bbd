"""`GET /forecast`: how much is to come, and when it is most."""

import time
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, islice
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.core.clock import utc
from tests.contract.calls import (
    SCHEDULES,
    UNKNOWN_ID,
    WORKFLOW_ID,
    Connect,
    Stack,
    application,
    client_of,
    create,
    cron,
    fields_of,
)
from tests.contract.test_batches import BATCH, held
from tests.contract.test_calendars import make
from tests.contract.test_explaining import schema

FORECAST = "/api/v1/forecast"
DAY = {"from": "2099-11-23T00:00:00Z", "to": "2099-11-24T00:00:00Z"}
"""A Monday."""
EVERY_HOUR: dict[str, Any] = {"cron_expression": "0 * * * *", "timezone": "UTC"}


async def forecast(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    """What is to come on that day, unless another is asked for."""
    answer = await client.get(FORECAST, params=DAY | asked)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def crowded(told: dict[str, Any]) -> dict[str, int]:
    """The buckets in which something is to come, by the hour and minute of their beginning."""
    return {each["from"][11:16]: each["occurrences"] for each in told["buckets"] if each["occurrences"]}


async def test_occurrences_are_counted_by_the_hour(app: FastAPI, client: httpx.AsyncClient) -> None:
    await create(client, **EVERY_HOUR)
    await create(client)
    told = await forecast(client)
    schema(app, "Forecast").validate(told)
    assert {name: told[name] for name in told if name != "buckets"} == DAY | {
        "bucket_seconds": 3600,
        "schedules": 2,
        "occurrences": 25,
        "next_cursor": None,
    }
    hours = [f"{hour:02}:00" for hour in range(24)]
    # Noon in New York.
    assert crowded(told) == dict.fromkeys(hours, 1) | {"17:00": 2}
    assert [each["from"] for each in told["buckets"]] == [f"2099-11-23T{hour}:00Z" for hour in hours]


async def test_a_crowd_is_found_by_smaller_buckets(client: httpx.AsyncClient) -> None:
    await create(client, **EVERY_HOUR)
    await create(client, schedule_type="interval", cron_expression=None, interval_seconds=600, start_at=DAY["from"])
    told = await forecast(client, to="2099-11-23T01:00:00Z", bucket_seconds=60)
    assert len(told["buckets"]) == 60
    assert crowded(told) == {"00:00": 2, "00:10": 1, "00:20": 1, "00:30": 1, "00:40": 1, "00:50": 1}


async def test_without_a_time_span_it_is_the_day_that_begins_with_this_bucket(client: httpx.AsyncClient) -> None:
    await create(client, **EVERY_HOUR)
    before = datetime.now(UTC)
    answer = await client.get(FORECAST)
    told = answer.json()
    begins, ends = datetime.fromisoformat(told["from"]), datetime.fromisoformat(told["to"])
    assert timedelta(0) <= before - begins < timedelta(hours=1) or begins - before < timedelta(seconds=5)
    assert (begins.minute, begins.second, begins.microsecond) == (0, 0, 0)
    assert ends - begins == timedelta(days=1)
    # The first is over, unless this hour began just now.
    assert told["occurrences"] in (23, 24)
    assert told["occurrences"] == sum(each["occurrences"] for each in told["buckets"])


async def test_only_what_is_to_fire_is_counted(client: httpx.AsyncClient) -> None:
    paused = await create(client, **EVERY_HOUR)
    assert (await client.post(f"{SCHEDULES}/{paused['schedule_id']}/pause")).status_code == 200
    await create(client, **EVERY_HOUR, end_at="2099-11-22T23:59:59Z")
    await create(client, **EVERY_HOUR, start_at="2099-11-24T00:00:00Z")
    limited = await create(client, **EVERY_HOUR, start_at="2099-11-23T05:00:00Z", max_executions=3)
    told = await forecast(client)
    assert (told["schedules"], crowded(told)) == (1, {"05:00": 1, "06:00": 1, "07:00": 1})
    skipped = await client.post(f"{SCHEDULES}/{limited['schedule_id']}/skip-next")
    assert skipped.status_code == 200
    assert crowded(await forecast(client)) == {"06:00": 1, "07:00": 1, "08:00": 1}


async def test_days_off_and_changes_of_the_clocks_are_known(client: httpx.AsyncClient) -> None:
    off = {"name": "off", "days_off": [{"date": "2099-11-23"}]}
    assert (await client.post("/api/v1/calendars", json=off)).status_code == 201
    await create(client, calendars={"names": ["off"], "on_day_off": "next_business_day"})
    assert (await forecast(client))["occurrences"] == 0
    tuesday = {"from": DAY["to"], "to": "2099-11-25T00:00:00Z"}
    assert crowded(await forecast(client, **tuesday)) == {"17:00": 1}


async def test_jitter_moves_nothing_into_another_bucket(client: httpx.AsyncClient) -> None:
    # Due within the hour after the instant: the last of the day is due on the next one.
    await create(client, cron_expression="59 23 * * *", timezone="UTC", jitter_seconds=3600)
    assert crowded(await forecast(client)) == {"23:00": 1}


async def test_filters_narrow_it(stack: Stack, client: httpx.AsyncClient) -> None:
    async with client_of(
        application(stack, workflow_engine_url="https://engine.example"),
        Authorization=client.headers["Authorization"],
    ) as beside_engine:
        await create(client, cron_expression="0 1 * * *", timezone="UTC", tags=["night"], name="a-1")
        await create(client, cron_expression="0 2 * * *", timezone="UTC", name="b-1", workflow_id=UNKNOWN_ID)
        await create(
            client, cron_expression="0 3 * * *", timezone="UTC", name="b-2", target={"url": "https://hooks.example/x"}
        )
        for asked, hours in (
            ({}, ["01:00", "02:00", "03:00"]),
            ({"tag": "night"}, ["01:00"]),
            ({"name_prefix": "b-"}, ["02:00", "03:00"]),
            ({"workflow_id": WORKFLOW_ID}, ["01:00", "03:00"]),
            ({"target_host": "HOOKS.example:443"}, ["03:00"]),
            ({"target_host": "engine.example"}, ["01:00", "02:00"]),
            ({"target_host": "engine.example", "tag": "night"}, ["01:00"]),
            ({"tag": "none"}, []),
        ):
            told = await forecast(beside_engine, **asked)
            assert list(crowded(told)) == hours, asked
            assert told["schedules"] == len(hours), asked


async def in_parts(client: httpx.AsyncClient, **asked: Any) -> list[dict[str, Any]]:
    """The answers of which each has a part of the schedules."""
    parts = [await forecast(client, **asked)]
    while (cursor := parts[-1]["next_cursor"]) is not None:
        parts.append(await forecast(client, **asked, cursor=cursor))
    return parts


def together(parts: list[dict[str, Any]]) -> list[int]:
    """What they say, added up bucket by bucket."""
    return [
        sum(each["occurrences"] for each in buckets) for buckets in zip(*(one["buckets"] for one in parts), strict=True)
    ]


async def test_of_many_schedules_each_is_counted_in_one_part(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        answer = await client.post(f"{SCHEDULES}/batch", json={"schedules": [cron()] * 700})
        assert answer.status_code == 201
    parts = await in_parts(client)
    assert [part["schedules"] for part in parts] == [2000, 100]
    # Noon in New York.
    assert together(parts) == [0] * 17 + [2100] + [0] * 6


async def test_of_what_takes_long_to_count_an_answer_has_a_part(client: httpx.AsyncClient) -> None:
    at_once = [
        cron(cron_expression=f"{second} * * * * *", timezone="UTC", end_at=f"2099-11-23T23:59:{second:02}Z")
        for second in range(60)
    ]
    assert (await client.post(f"{SCHEDULES}/batch", json={"schedules": at_once})).status_code == 201
    parts = await in_parts(client, bucket_seconds=120)
    assert len(parts) == 3
    assert all(part["next_cursor"] is not None for part in parts[:-1])
    assert sum(part["schedules"] for part in parts) == 60
    assert together(parts) == [120] * 720


async def test_others_have_their_turn_while_schedules_are_read_that_keep_thousands_of_days(
    client: httpx.AsyncClient,
) -> None:
    names = [f"c{place}" for place in range(12)]
    for place, name in enumerate(names):
        off = [date(2030, 1, 1) + timedelta(days=24 * number + 2 * place) for number in range(990)]
        await make(client, name=name, days_off=[str(day) for day in off])
    # Each with other days than all the others.
    kept = [{"names": some, "on_day_off": "next_business_day"} for some in islice(combinations(names, 5), 100)]
    answer = await client.post(BATCH, json={"schedules": [cron(calendars=calendars) for calendars in kept]})
    assert answer.status_code == 201, answer.text
    began = time.thread_time()
    async with held() as longest:
        assert (await forecast(client))["schedules"] == 100
    assert longest() < (time.thread_time() - began) / 4


async def test_another_community_sees_nothing_of_it(client: httpx.AsyncClient, connect_as: Connect) -> None:
    await create(client, **EVERY_HOUR)
    told = await forecast(await connect_as())
    assert (told["schedules"], told["occurrences"], crowded(told)) == (0, 0, {})


@pytest.mark.parametrize(
    ("asked", "field", "right"),
    [
        ({"from": "2099-11-23"}, "from", "RFC 3339"),
        ({"to": DAY["from"]}, "to", "to must be later than from"),
        ({"bucket_seconds": 60}, "bucket_seconds", "1440 buckets lie between from and to, and 1000 are the most"),
        ({"bucket_seconds": 0}, "bucket_seconds", "1"),
        ({"bucket_seconds": 86_401}, "bucket_seconds", "86400"),
        ({"bucket_seconds": "1.0"}, "bucket_seconds", "whole number"),
        ({"target_host": "https://hooks.example/"}, "target_host", "must be a host as it stands in a URL"),
        ({"workflow_id": "x"}, "workflow_id", "UUID"),
        ({"tag": "a\0"}, "tag", "NUL"),
        ({"cursor": "x"}, "cursor", "use a next_cursor"),
    ],
)
async def test_what_is_refused_is_named(
    client: httpx.AsyncClient, asked: dict[str, Any], field: str, right: str
) -> None:
    answer = await client.get(FORECAST, params=DAY | asked)
    assert answer.status_code == 400
    assert fields_of(answer.json()) == [field]
    assert right in answer.json()["errors"][0]["message"]


async def test_the_last_day_of_the_calendar_needs_its_end(client: httpx.AsyncClient) -> None:
    last = {"from": "9999-12-31T12:00:00Z"}
    answer = await client.get(FORECAST, params=last)
    assert (answer.status_code, fields_of(answer.json())) == (400, ["from"])
    await create(client, **EVERY_HOUR)
    told = await forecast(client, **last, to="9999-12-31T23:59:59.999Z")
    assert told["occurrences"] == 12
    assert utc(datetime(9999, 12, 31, 23, tzinfo=UTC)) == told["buckets"][-1]["from"]
