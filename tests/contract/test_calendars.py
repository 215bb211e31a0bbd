"""Calendars over HTTP, and the schedules and previews that name them."""

import time
from typing import Any

import httpx
import pytest

from app.core.calendars import Fill
from app.core.principal import Role
from app.core.public_holidays import public_holidays
from tests.contract.calls import SCHEDULES, Connect, Records, create, cron, fields_of
from tests.contract.test_batches import held

CALENDARS = "/api/v1/calendars"
PREVIEW = f"{SCHEDULES}/preview"
BAVARIA = {"country": "DE", "region": "BY", "years": {"from": 2026, "to": 2026}}
CHRISTMAS_DAY = {"from": "2026-12-25", "to": "2026-12-25", "label": "Christmas Day", "from_source": True}


def own(first: str, last: str | None = None, label: str | None = None) -> dict[str, Any]:
    """The caller's own days, as an answer shows them."""
    return {"from": first, "to": last or first, "label": label, "from_source": False}


async def make(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A stored calendar, as the create answered it."""
    answer = await client.post(CALENDARS, json={"name": "firm", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_create_answers_the_whole_calendar_with_location_and_etag(client: httpx.AsyncClient) -> None:
    body = {
        "name": "firm",
        "description": "ours",
        "days_off": [
            "2026-12-24",
            {"from": "2026-12-27", "to": "2026-12-31", "label": "between the years"},
            {"date": "2027-05-07", "label": "bridge"},
            {"from": "2026-11-30"},
        ],
        "days_worked": [{"date": "2026-12-26"}],
        "weekend": ["SUN", "FRI"],
    }
    answer = await client.post(CALENDARS, json=body)
    assert answer.status_code == 201
    assert (answer.headers["location"], answer.headers["etag"]) == (f"{CALENDARS}/firm", '"1"')
    shown = answer.json()
    assert shown["days_off"] == [
        own("2026-11-30"),
        own("2026-12-24"),
        own("2026-12-27", "2026-12-31", "between the years"),
        own("2027-05-07", label="bridge"),
    ]
    assert shown["days_worked"] == [own("2026-12-26")]
    assert shown["weekend"] == ["SUN", "FRI"]
    assert (shown["fill"], shown["source"], shown["recomputed"], shown["revision"]) == (None, None, True, 1)
    assert (await client.get(f"{CALENDARS}/firm")).json() == shown


async def test_what_is_left_out_or_null_is_empty_or_has_its_default(client: httpx.AsyncClient) -> None:
    nulls = dict.fromkeys(("description", "days_off", "days_worked", "weekend", "fill"))
    for name, fields in (("left-out", {}), ("null", nulls)):
        made = await make(client, name=name, **fields)
        assert (made["days_off"], made["days_worked"], made["weekend"]) == ([], [], ["SUN", "SAT"])
        assert (made["description"], made["fill"], made["source"]) == (None, None, None)


async def test_a_fill_copies_the_holidays_and_says_where_they_are_from(client: httpx.AsyncClient) -> None:
    made = await make(client, days_off=["2026-12-24"], fill=BAVARIA)
    assert CHRISTMAS_DAY in made["days_off"]
    assert own("2026-12-24") in made["days_off"]
    assert made["fill"] == BAVARIA
    assert made["source"].items() >= BAVARIA.items()
    assert made["source"]["package_version"]
    assert made["source"]["filled_at"] == made["created_at"]


async def test_others_have_their_turn_while_holidays_are_copied(client: httpx.AsyncClient) -> None:
    # Of all countries' these take the longest.
    colombia = Fill("CO", None, 2026, 2075)
    public_holidays(colombia)
    began = time.thread_time()
    public_holidays(colombia)
    copying = time.thread_time() - began
    fill = {"country": "CO", "years": {"from": 2026, "to": 2075}}
    async with held() as longest:
        made = await make(client, fill=fill)
        refreshed = await client.post(f"{CALENDARS}/firm/refresh", json={"years": {"from": 2025, "to": 2074}})
        put = await client.put(f"{CALENDARS}/firm", json={"name": "firm", "fill": {**fill, "years": BAVARIA["years"]}})
    assert (len(made["days_off"]) > 900, refreshed.status_code, put.status_code) == (True, 200, 200)
    assert longest() < copying / 2


async def test_what_was_read_can_be_edited_and_put_back(client: httpx.AsyncClient) -> None:
    await make(client, days_off=["2026-12-24"], days_worked=["2026-12-28"], fill=BAVARIA)
    read = (await client.get(f"{CALENDARS}/firm")).json()
    unchanged = await client.put(f"{CALENDARS}/firm", json=read)
    assert (unchanged.json(), unchanged.headers["etag"]) == (read, '"1"')
    read["days_off"].append({"date": "2026-12-31"})
    changed = (await client.put(f"{CALENDARS}/firm", json=read)).json()
    assert [each for each in changed["days_off"] if not each["from_source"]] == [own("2026-12-24"), own("2026-12-31")]
    assert CHRISTMAS_DAY in changed["days_off"]
    assert changed["revision"] == 2


async def test_a_calendar_keeps_its_name(client: httpx.AsyncClient) -> None:
    await make(client)
    answer = await client.put(f"{CALENDARS}/firm", json={"name": "other"})
    assert (answer.status_code, fields_of(answer.json())) == (400, ["name"])
    assert (await client.put(f"{CALENDARS}/firm", json={"name": "firm"})).status_code == 200


async def test_an_old_revision_is_not_replaced_refreshed_or_removed(client: httpx.AsyncClient) -> None:
    await make(client, fill=BAVARIA)
    old = {"If-Match": '"1"'}
    assert (await client.put(f"{CALENDARS}/firm", json={"fill": BAVARIA}, headers=old)).status_code == 200
    assert (await client.put(f"{CALENDARS}/firm", json={"description": "x", "fill": BAVARIA})).json()["revision"] == 2
    for method, path, body in (
        ("PUT", "firm", {}),
        ("POST", "firm/refresh", {}),
        ("DELETE", "firm", None),
    ):
        answer = await client.request(method, f"{CALENDARS}/{path}", json=body, headers=old)
        assert (answer.status_code, answer.json()["code"]) == (412, "STALE_REVISION"), method
    several = await client.put(f"{CALENDARS}/firm", json={}, headers={"If-Match": '"1", "2"'})
    assert (several.status_code, several.headers["etag"]) == (200, '"3"')


async def test_a_read_of_what_is_known_answers_304(client: httpx.AsyncClient) -> None:
    await make(client)
    known = await client.get(f"{CALENDARS}/firm", headers={"If-None-Match": '"1"'})
    assert (known.status_code, known.headers["etag"], known.content) == (304, '"1"', b"")
    assert (await client.get(f"{CALENDARS}/firm", headers={"If-None-Match": '"2"'})).status_code == 200


async def test_a_repeated_create_answers_the_first_response_and_stores_once(
    client: httpx.AsyncClient, records: Records
) -> None:
    before = await records()
    headers = {"Idempotency-Key": "once"}
    first = await client.post(CALENDARS, json={"name": "firm"}, headers=headers)
    second = await client.post(CALENDARS, json={"name": "firm"}, headers=headers)
    assert (second.status_code, second.content, second.headers["location"]) == (
        *(201, first.content),
        first.headers["location"],
    )
    assert (await records())["calendars"] == before["calendars"] + 1
    taken = await client.post(CALENDARS, json={"name": "firm"})
    assert (taken.status_code, taken.json()["code"]) == (409, "CALENDAR_NAME_TAKEN")


async def test_a_list_is_read_in_parts_and_holds_nothing_of_another_community(
    client: httpx.AsyncClient, connect_as: Connect
) -> None:
    for number in range(3):
        await make(client, name=f"calendar-{number}")
    first = (await client.get(f"{CALENDARS}?limit=2")).json()
    second = (await client.get(f"{CALENDARS}?limit=2&cursor={first['next_cursor']}")).json()
    assert sorted(one["name"] for one in first["items"] + second["items"]) == [f"calendar-{n}" for n in range(3)]
    assert second["next_cursor"] is None
    stranger = await connect_as(Role.VIEWER)
    assert (await stranger.get(CALENDARS)).json() == {"items": [], "next_cursor": None}


async def test_a_refresh_says_what_changes_before_it_changes_it(client: httpx.AsyncClient) -> None:
    await make(client, days_off=["2026-12-24"], fill=BAVARIA)
    await create(client, calendars={"names": ["firm"]})
    nothing = (await client.post(f"{CALENDARS}/firm/refresh")).json()
    assert (nothing["added"], nothing["removed"], nothing["applied"]) == ([], [], False)
    assert (nothing["kept_own"], nothing["schedules_affected"], nothing["revision"]) == (1, 0, 1)

    years = {"years": {"from": 2026, "to": 2027}}
    said = (await client.post(f"{CALENDARS}/firm/refresh", json=years)).json()
    assert {"from": "2027-01-01", "to": "2027-01-01", "label": "New Year's Day", "worked": False} in said["added"]
    assert (said["removed"], said["applied"], said["schedules_affected"], said["revision"]) == ([], False, 1, 1)
    done = (await client.post(f"{CALENDARS}/firm/refresh", json=years | {"apply": True})).json()
    assert done == said | {"applied": True, "revision": 2}
    shown = (await client.get(f"{CALENDARS}/firm")).json()
    assert shown["fill"]["years"] == years["years"]
    assert own("2026-12-24") in shown["days_off"]


async def test_what_was_not_filled_cannot_be_refreshed(client: httpx.AsyncClient) -> None:
    await make(client)
    answer = await client.post(f"{CALENDARS}/firm/refresh", json={"apply": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "STATE_FORBIDS")


async def test_a_calendar_in_use_is_not_removed(client: httpx.AsyncClient) -> None:
    await make(client)
    stored = await create(client, name="nightly", calendars={"names": ["firm"]})
    answer = await client.delete(f"{CALENDARS}/firm")
    assert (answer.status_code, answer.json()["code"]) == (409, "CALENDAR_IN_USE")
    assert answer.json()["detail"] == "calendar 'firm' is used by 1 schedule: 'nightly'"
    await client.patch(f"{SCHEDULES}/{stored['schedule_id']}", json={"calendars": None})
    assert (await client.delete(f"{CALENDARS}/firm")).status_code == 204
    assert (await client.get(f"{CALENDARS}/firm")).status_code == 404
    assert (await client.delete(f"{CALENDARS}/firm")).json()["code"] == "CALENDAR_NOT_FOUND"


async def test_a_range_that_ends_before_it_begins_is_refused_with_both_its_days_quoted(
    client: httpx.AsyncClient,
) -> None:
    body = {"name": "firm", "days_off": [{"from": "2026-12-31", "to": "2026-12-24"}]}
    problem = (await client.post(CALENDARS, json=body)).json()
    assert "must not end before it begins: '2026-12-31' to '2026-12-24'" in str(problem)


DAYS: list[tuple[Any, int, list[str]]] = [
    (["24.12.2026"], 400, ["days_off.0.date"]),
    (["20261224"], 400, ["days_off.0.date"]),
    (["2026-W52-4"], 400, ["days_off.0.date"]),
    (["2026-02-30"], 400, ["days_off.0.date"]),
    (["2026-12-24T00:00:00Z"], 400, ["days_off.0.date"]),
    (["２026-12-24"], 400, ["days_off.0.date"]),
    (["2026-12-24\n"], 400, ["days_off.0.date"]),
    (["1969-12-31", "2100-01-01"], 400, ["days_off.0.date", "days_off.1.date"]),
    ([{"from": "2026-12-31", "to": "2026-12-24"}], 400, ["days_off.0"]),
    ([{"date": "2026-12-24", "from": "2026-12-24"}], 400, ["days_off.0"]),
    ([{"date": "2026-12-24", "to": "2026-12-25"}], 400, ["days_off.0"]),
    ([{"to": "2026-12-24"}], 400, ["days_off.0"]),
    ([{}], 400, ["days_off.0"]),
    ([{"date": "2026-12-24", "label": ""}], 400, ["days_off.0.label"]),
    ([{"date": "2026-12-24", "label": "x" * 101}], 400, ["days_off.0.label"]),
    ([{"date": "2026-12-24", "label": "\0"}], 400, ["days_off.0.label"]),
    ([{"day": "2026-12-24"}], 422, ["days_off.0.day"]),
    ([{"date": 20261224}], 422, ["days_off.0.date"]),
    ([20261224], 422, ["days_off.0"]),
    ([None, True], 422, ["days_off.0", "days_off.1"]),
    (["2026-12-24"] * 1001, 400, ["days_off"]),
    ("2026-12-24", 422, ["days_off"]),
    ({"2026-12-24": "x"}, 422, ["days_off"]),
]
BAD: list[tuple[dict[str, Any], int, list[str]]] = [
    *[({"days_off": value}, status, fields) for value, status, fields in DAYS],
    *[
        ({"days_worked": value}, status, [field.replace("off", "worked") for field in fields])
        for value, status, fields in DAYS
    ],
    ({"name": None}, 422, ["name"]),
    ({"name": 1}, 422, ["name"]),
    ({"name": ""}, 400, ["name"]),
    ({"name": "x" * 101}, 400, ["name"]),
    ({"name": "a/b"}, 400, ["name"]),
    ({"name": ".."}, 400, ["name"]),
    ({"name": "a b"}, 400, ["name"]),
    ({"name": "é"}, 400, ["name"]),
    ({"name": "a\n"}, 400, ["name"]),
    ({"name": "a\0"}, 400, ["name"]),
    ({"description": 1}, 422, ["description"]),
    ({"description": "x" * 2001}, 400, ["description"]),
    ({"weekend": "SAT"}, 422, ["weekend"]),
    ({"weekend": ["sat"]}, 400, ["weekend.0"]),
    ({"weekend": ["SATURDAY", "{0}"]}, 400, ["weekend.0", "weekend.1"]),
    ({"weekend": [6]}, 422, ["weekend.0"]),
    ({"weekend": ["SAT", "SAT"]}, 400, ["weekend"]),
    ({"weekend": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]}, 400, ["weekend"]),
    ({"fill": "DE"}, 422, ["fill"]),
    ({"fill": {}}, 400, ["fill.country", "fill.years"]),
    ({"fill": {**BAVARIA, "country": "XX"}}, 400, ["fill.country"]),
    ({"fill": {**BAVARIA, "country": "de"}}, 400, ["fill.country"]),
    ({"fill": {**BAVARIA, "country": "DEU"}}, 400, ["fill.country"]),
    ({"fill": {**BAVARIA, "country": "__class__"}}, 400, ["fill.country"]),
    ({"fill": {**BAVARIA, "country": "HolidayBase"}}, 400, ["fill.country"]),
    ({"fill": {**BAVARIA, "country": 49}}, 422, ["fill.country"]),
    ({"fill": {**BAVARIA, "region": "XX"}}, 400, ["fill.region"]),
    ({"fill": {**BAVARIA, "region": "Bayern"}}, 400, ["fill.region"]),
    ({"fill": {**BAVARIA, "years": 2026}}, 422, ["fill.years"]),
    ({"fill": {**BAVARIA, "years": {"from": 2026}}}, 400, ["fill.years.to"]),
    ({"fill": {**BAVARIA, "years": {"from": 2027, "to": 2026}}}, 400, ["fill.years"]),
    ({"fill": {**BAVARIA, "years": {"from": 1969, "to": 2100}}}, 400, ["fill.years.from", "fill.years.to"]),
    ({"fill": {**BAVARIA, "years": {"from": 2000, "to": 2099}}}, 400, ["fill.years"]),
    ({"fill": {**BAVARIA, "years": {"from": "2026", "to": 2026}}}, 422, ["fill.years.from"]),
    ({"fill": {**BAVARIA, "observed": False}}, 422, ["fill.observed"]),
    ({"holidays": []}, 422, ["holidays"]),
]


@pytest.mark.parametrize(("changes", "status", "fields"), BAD, ids=lambda value: str(value)[:50])
async def test_a_bad_calendar_names_its_fields_and_stores_nothing(
    client: httpx.AsyncClient, records: Records, changes: dict[str, Any], status: int, fields: list[str]
) -> None:
    await make(client, name="stays", days_off=["2026-12-24"])
    before = await records()
    requests = [("POST", CALENDARS, {"name": "firm", **changes})]
    if "name" not in changes:
        requests.append(("PUT", f"{CALENDARS}/stays", changes))
    for method, path, body in requests:
        answer = await client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        assert sorted(fields_of(answer.json())) == sorted(fields)
        assert len(answer.content) < 10_000
    assert await records() == before


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({"apply": "yes"}, 422, ["apply"]),
        ({"years": {"from": 2027, "to": 2026}}, 400, ["years"]),
        ({"years": {"from": 2026, "to": 2099}}, 400, ["fill.years"]),
        ({"dry_run": True}, 422, ["dry_run"]),
    ],
)
async def test_a_bad_refresh_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, fields: list[str]
) -> None:
    await make(client, fill=BAVARIA)
    answer = await client.post(f"{CALENDARS}/firm/refresh", json=body)
    assert (answer.status_code, fields_of(answer.json())) == (status, fields)


@pytest.mark.parametrize("name", ["%00", "a%2Fb", "a%20b", "%C3%A9", "x" * 101, "-a"])
async def test_a_name_that_no_calendar_can_have_is_refused(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"{CALENDARS}/{name}")
    assert answer.status_code in (400, 404), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_schedule_shows_its_policy_and_calendars_and_takes_them_back(client: httpx.AsyncClient) -> None:
    await make(client, days_off=["2026-12-24"])
    stored = await create(client, dst_policy={"gap": "skip"}, calendars={"names": ["firm"]})
    assert stored["dst_policy"] == {"gap": "skip", "fold": "once"}
    assert stored["calendars"] == {"names": ["firm"], "on_day_off": "skip"}
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    assert (await client.put(path, json=stored)).json() == stored

    patched = (await client.patch(path, json={"calendars": {"on_day_off": "next_business_day"}})).json()
    assert patched["calendars"] == {"names": ["firm"], "on_day_off": "next_business_day"}
    patched = (await client.patch(path, json={"dst_policy": {"gap": None, "fold": "twice"}})).json()
    assert patched["dst_policy"] == {"gap": "after", "fold": "twice"}
    patched = (await client.patch(path, json={"dst_policy": None, "calendars": None})).json()
    assert (patched["dst_policy"], patched["calendars"]) == ({"gap": "after", "fold": "once"}, None)


async def test_a_policy_belongs_to_cron_alone(client: httpx.AsyncClient) -> None:
    stored = await create(client, dst_policy={"gap": "skip"})
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    patched = await client.patch(path, json={"schedule_type": "interval", "interval_seconds": 60})
    assert (patched.status_code, patched.json()["dst_policy"]) == (200, None)
    assert (await client.put(path, json=patched.json())).json() == patched.json()
    back = await client.patch(path, json={"schedule_type": "cron", "cron_expression": "0 9 * * *"})
    assert back.json()["dst_policy"] == {"gap": "after", "fold": "once"}


async def test_a_preview_keeps_calendars_and_says_what_moved(client: httpx.AsyncClient) -> None:
    await make(client, days_off=["2026-12-25"])
    noon = {
        "schedule_type": "cron",
        "cron_expression": "0 12 * * FRI",
        "timezone": "Europe/Berlin",
        "start": "2026-12-20T00:00:00Z",
        "count": 2,
    }
    skipping = (await client.post(PREVIEW, json=noon | {"calendars": {"names": ["firm"]}})).json()
    assert skipping["occurrences"] == ["2027-01-01T11:00:00Z", "2027-01-08T11:00:00Z"]
    assert skipping["adjusted"] == []
    moving = {"names": ["firm"], "on_day_off": "next_business_day"}
    moved = (await client.post(PREVIEW, json=noon | {"calendars": moving})).json()
    assert moved["occurrences"] == ["2026-12-28T11:00:00Z", "2027-01-01T11:00:00Z"]
    (why,) = moved["adjusted"]
    assert (why["occurrence"], why["cause"]) == ("2026-12-28T11:00:00Z", "calendar")
    assert why["wall_times"] == ["2026-12-25T12:00:00"]
    assert why["text"]


async def test_a_preview_takes_a_policy_and_says_what_the_clocks_do(client: httpx.AsyncClient) -> None:
    night = {
        "schedule_type": "cron",
        "cron_expression": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "start": "2027-03-27T12:00:00Z",
        "count": 1,
    }
    after = (await client.post(PREVIEW, json=night)).json()
    assert after["occurrences"] == ["2027-03-28T01:00:00Z"]
    assert [(each["cause"], each["wall_times"]) for each in after["adjusted"]] == [("gap", ["2027-03-28T02:30:00"])]
    skipped = (await client.post(PREVIEW, json=night | {"dst_policy": {"gap": "skip"}})).json()
    assert skipped["occurrences"] == ["2027-03-29T00:30:00Z"]
    assert skipped["adjusted"] == []


async def test_a_preview_refuses_a_calendar_of_another_community(
    client: httpx.AsyncClient, connect_as: Connect
) -> None:
    await make(await connect_as())
    body = {"schedule_type": "interval", "interval_seconds": 60, "calendars": {"names": ["firm"]}}
    answer = await client.post(PREVIEW, json=body)
    assert (answer.status_code, fields_of(answer.json())) == (400, ["calendars.names"])


async def test_the_occurrences_of_a_schedule_say_what_moved(client: httpx.AsyncClient) -> None:
    await make(client, days_off=["2098-12-24"])
    calendars = {"names": ["firm"], "on_day_off": "previous_business_day"}
    stored = await create(
        client, cron_expression="0 12 24 12 *", timezone="UTC", start_at="2098-01-01T00:00:00Z", calendars=calendars
    )
    shown = (await client.get(f"{SCHEDULES}/{stored['schedule_id']}/occurrences?count=2")).json()
    assert shown["occurrences"] == ["2098-12-23T12:00:00Z", "2099-12-24T12:00:00Z"]
    assert [each["occurrence"] for each in shown["adjusted"]] == ["2098-12-23T12:00:00Z"]


async def test_a_changed_calendar_shows_in_the_next_occurrence_at_once(client: httpx.AsyncClient) -> None:
    await make(client)
    stored = await create(
        client, cron_expression="0 12 24 12 *", timezone="UTC", start_at="2098-01-01T00:00:00Z",
        calendars={"names": ["firm"]},
    )  # fmt: skip
    assert stored["next_execution_at"] == "2098-12-24T12:00:00Z"
    changed = (await client.put(f"{CALENDARS}/firm", json={"days_off": ["2098-12-24"]})).json()
    assert changed["recomputed"] is True
    shown = (await client.get(f"{SCHEDULES}/{stored['schedule_id']}")).json()
    assert (shown["next_execution_at"], shown["revision"]) == ("2099-12-24T12:00:00Z", 1)


async def test_in_an_atomic_batch_an_unknown_calendar_refuses_all(client: httpx.AsyncClient, records: Records) -> None:
    before = await records()
    schedules = [cron(), cron(calendars={"names": ["unknown"]})]
    answer = await client.post(f"{SCHEDULES}/batch", json={"schedules": schedules})
    assert (answer.status_code, fields_of(answer.json())) == (400, ["schedules.1.calendars.names"])
    assert await records() == before


REFUSED = [
    (
        {"cron_expression": "0 12 * * *", "calendars": {"names": ["firm", "rest"], "on_day_off": "next_business_day"}},
        "calendars",
        "together their weekends are all seven days of the week",
    ),
    (
        {
            "schedule_type": "one_time",
            "cron_expression": None,
            "scheduled_time": "2037-12-25T12:00:00Z",
            "calendars": {"names": ["firm"], "on_day_off": "skip"},
        },
        "scheduled_time",
        "its day is off in the calendars, and on_day_off is 'skip'",
    ),
]


@pytest.mark.parametrize(("fields", "field", "problem"), REFUSED)
async def test_a_preview_refuses_what_a_create_does_once_the_days_are_known(
    client: httpx.AsyncClient, fields: dict[str, Any], field: str, problem: str
) -> None:
    await make(client, days_off=["2037-12-25"], weekend=["MON", "TUE", "WED"])
    await make(client, name="rest", weekend=["THU", "FRI", "SAT", "SUN"])
    body = {name: value for name, value in cron(**fields).items() if value is not None}
    created = await client.post(SCHEDULES, json=body)
    body.pop("workflow_id")
    previewed = await client.post(PREVIEW, json=body)
    assert (created.status_code, previewed.status_code) == (400, 400)
    assert created.json()["errors"] == previewed.json()["errors"]
    (error,) = previewed.json()["errors"]
    assert error["field"] == field
    assert problem in error["message"]
