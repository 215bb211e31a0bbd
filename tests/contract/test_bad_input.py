"""Hostile and mistaken bodies: each gets a clear 4xx that names the field, and nothing is stored."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import pytest

from tests.contract.calls import EXECUTIONS, SCHEDULES, UNKNOWN_ID, WORKFLOW_ID, Records, create, cron, fields_of

Case = tuple[dict[str, Any], int, list[str]]

INTERVAL: dict[str, Any] = {"schedule_type": "interval", "cron_expression": None, "interval_seconds": 60}
ONCE: dict[str, Any] = {"schedule_type": "one_time", "cron_expression": None, "scheduled_time": "2099-01-01T00:00:00Z"}
LEFT_OUT = object()
AUDIT = "/api/v1/audit"
EXPLAIN = f"{SCHEDULES}/{UNKNOWN_ID}/explain"
START = "2026-11-23T00:00:00Z"
ZERO = "0001-01-01T00:00:00Z"
"""Go's zero time."""
SPAN = {"from": "2026-11-22T00:00:00Z", "to": START}


def nested(depth: int) -> dict[str, Any]:
    """An object that is so many levels deep."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def each(field: str, status: int, values: Iterable[Any], others: Mapping[str, Any] | None = None) -> list[Case]:
    """A case for each value of one field."""
    return [({**(others or {}), field: value}, status, [field]) for value in values]


WRONG_TYPES: list[Case] = [
    *each("workflow_id", 422, (1, True, [], {})),
    ({"workflow_id": None}, 400, ["workflow_id"]),
    *each("name", 422, (1, True, [], {"a": 1}, 1.5)),
    *each("description", 422, (0, False, ["x"])),
    *each("schedule_type", 422, (None, 1, True, ["cron"], {})),
    *each("cron_expression", 422, (5, ["* * * * *"], {}, True)),
    *each("interval_seconds", 422, ("60", True, 60.0, 60.5, [60]), INTERVAL),
    *each("scheduled_time", 422, (4070908800, 1.5, [], True), ONCE),
    *each("timezone", 422, (1, [], {}, False)),
    *each("start_at", 422, (0, [])),
    *each("end_at", 422, (0, {})),
    *each("jitter_seconds", 422, ("0", 1.0, False)),
    *each("max_executions", 422, ("1", 1.0, True, [])),
    *each("grace_period_seconds", 422, ("60", 60.0, True)),
    *each("coalesce", 422, (1, 0, "true", "", [])),
    *each("max_instances", 422, ("3", 3.0, True)),
    *each("overlap_policy", 422, (1, True, ["skip"])),
    *each("completion", 422, (1, {"a": "response"})),
    *each("timeout_seconds", 422, ("60", 60.0, True)),
    *each("retry", 422, (3, "3", [], True)),
    ({"retry": {"max_retries": "3"}}, 422, ["retry.max_retries"]),
    ({"retry": {"max_retries": 3.0}}, 422, ["retry.max_retries"]),
    ({"retry": {"max_retries": True}}, 422, ["retry.max_retries"]),
    ({"retry": {"multiplier": "2"}}, 422, ["retry.multiplier"]),
    ({"retry": {"initial_backoff_seconds": True}}, 422, ["retry.initial_backoff_seconds"]),
    ({"retry": {"max_age_seconds": 1.5}}, 422, ["retry.max_age_seconds"]),
    *each("after_completion", 422, (1, True)),
    *each("context_data", 422, ([], "{}", 1, True)),
    *each("tags", 422, ("a", {"a": 1}, 1)),
    ({"tags": ["a", 1]}, 422, ["tags.1"]),
    ({"tags": [None, ["b"]]}, 422, ["tags.0", "tags.1"]),
    *each("dst_policy", 422, (1, "skip", ["skip"], True)),
    ({"dst_policy": {"gap": 1}}, 422, ["dst_policy.gap"]),
    ({"dst_policy": {"fold": ["once"]}}, 422, ["dst_policy.fold"]),
    *each("calendars", 422, (1, "de", ["de"], True)),
    ({"calendars": {"names": "de"}}, 422, ["calendars.names"]),
    ({"calendars": {"names": [1]}}, 422, ["calendars.names.0"]),
]
UNKNOWN_FIELDS: list[Case] = [
    ({"cron": "* * * * *"}, 422, ["cron"]),
    ({"id": 1}, 422, ["id"]),
    ({"Name": "x", "NAME": "y"}, 422, ["Name", "NAME"]),
    ({"retry": {"retries": 1}}, 422, ["retry.retries"]),
    ({"dst_policy": {"overlap": "skip"}}, 422, ["dst_policy.overlap"]),
    ({"calendars": {"names": ["a"], "weekend": []}}, 422, ["calendars.weekend"]),
    ({"__proto__": {}, "constructor": 1}, 422, ["__proto__", "constructor"]),
    ({"x" * 600: 1}, 422, ["x" * 499 + "…"]),
    ({"owner": "me", "max_instances": 0}, 422, ["owner", "max_instances"]),
    ({"coalesce": 1, "timezone": "Nowhere", "max_executions": -1}, 422, ["coalesce", "max_executions"]),
]
REFUSED_VALUES: list[Case] = [
    ({"workflow_id": LEFT_OUT}, 400, ["workflow_id"]),
    ({"schedule_type": LEFT_OUT}, 400, ["schedule_type"]),
    ({"schedule_type": LEFT_OUT, "workflow_id": LEFT_OUT}, 400, ["schedule_type", "workflow_id"]),
    ({"cron_expression": LEFT_OUT}, 400, ["cron_expression"]),
    ({"cron_expression": None}, 400, ["cron_expression"]),
    *each(
        "workflow_id",
        400,
        (
            "",
            "x",
            WORKFLOW_ID[:-1],
            f"{WORKFLOW_ID}0",
            f"{{{WORKFLOW_ID}}}",
            f"urn:uuid:{WORKFLOW_ID}",
            WORKFLOW_ID.replace("-", ""),
            f" {WORKFLOW_ID}",
            "８" + WORKFLOW_ID[1:],
        ),
    ),
    *each("schedule_type", 400, ("", "CRON", "weekly", "one-time")),
    ({"name": ""}, 400, ["name"]),
    ({"name": "x" * 256}, 400, ["name"]),
    ({"name": "a\0b"}, 400, ["name"]),
    ({"description": "x" * 2001}, 400, ["description"]),
    ({"description": "\0"}, 400, ["description"]),
    *each(
        "cron_expression",
        400,
        (
            "",
            " ",
            "* * * *",
            "* * * * * * *",
            "61 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "30-10 * * * *",
            "0 0 30 2 *",
            "a b c d e",
            "@reboot",
            "@every 5m",
            "H * * * *",
            "R * * * *",
            "* * * * MON-XYZ",
            "0 0 * * *\n",
            "٥ * * * *",
            "* " * 200,
            "1,,2 * * * *",
            "-1 * * * *",
            "1.5 * * * *",
            "$(reboot) * * * *",
            "'; DROP TABLE x;--",
        ),
    ),
    *each("interval_seconds", 400, (0, -1, 31_536_001, 2**31, 2**63 - 1, None, LEFT_OUT), INTERVAL),
    (INTERVAL | {"cron_expression": "* * * * *"}, 400, ["cron_expression"]),
    ({"interval_seconds": 60}, 400, ["interval_seconds"]),
    ({"scheduled_time": "2099-01-01T00:00:00Z"}, 400, ["scheduled_time"]),
    *each(
        "scheduled_time",
        400,
        (
            "",
            "tomorrow",
            "2099-01-01",
            "2099-13-01T00:00:00Z",
            "2099-02-30T00:00:00Z",
            "2099-01-01T25:00:00Z",
            "2099-01-01T00:00:60Z",
            "2099-01-01T00:00:00+24:00",
            "2099-01-01T00:00Z",
            "4070908800",
            "99999-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+05:00",
            ZERO,
            "0001-01-01T00:00:00",
            "0001-01-01T05:00:00+05:00",
            "9999-12-31T23:59:59-05:00",
            "2020-01-01T00:00:00Z",
            "1970-01-01T00:00:00",
            "x" * 100_000,
            "２０99-01-01T00:00:00Z",
            "2099-01-01T00:00:00Z; --",
        ),
        ONCE | {"timezone": "UTC"},
    ),
    (ONCE | {"scheduled_time": None}, 400, ["scheduled_time"]),
    (ONCE | {"start_at": "2098-01-01T00:00:00Z"}, 400, ["start_at"]),
    (ONCE | {"end_at": "2100-01-01T00:00:00Z", "start_at": "2098-01-01T00:00:00Z"}, 400, ["start_at", "end_at"]),
    *each(
        "timezone",
        400,
        (
            "",
            "Nowhere/City",
            "utc",
            "europe/berlin",
            "../../etc/passwd",
            "/etc/localtime",
            "UTC+1",
            "America/New York",
            "X" * 10_000,
            "EST5EDT,M3.2.0,M11.1.0",
            "posixrules",
            "Europe/Berlin\n",
        ),
    ),
    ({"start_at": "2099-01-01T00:00:00"}, 400, ["start_at"]),
    ({"end_at": "soon"}, 400, ["end_at"]),
    ({"start_at": ZERO}, 400, ["start_at"]),
    ({"start_at": "0001-01-01 00:00:00.0001-00:00", "end_at": ZERO}, 400, ["start_at", "end_at"]),
    ({"end_at": "2020-01-01T00:00:00Z"}, 400, ["end_at"]),
    ({"start_at": "2099-01-02T00:00:00Z", "end_at": "2099-01-01T00:00:00Z"}, 400, ["end_at"]),
    *each("jitter_seconds", 400, (-1, 3601, 2**40)),
    *each("max_executions", 400, (0, -5, 2**31, 2**62)),
    *each("grace_period_seconds", 400, (4, 0, -1, 604_801)),
    *each("max_instances", 400, (0, -1, 1001)),
    *each("overlap_policy", 400, ("queued", "", "Skip")),
    *each("completion", 400, ("Callback", "never")),
    *each("timeout_seconds", 400, (0, -1, 604_801)),
    ({"retry": {"max_retries": -1}}, 400, ["retry.max_retries"]),
    ({"retry": {"max_retries": 101}}, 400, ["retry.max_retries"]),
    ({"retry": {"initial_backoff_seconds": 0}}, 400, ["retry.initial_backoff_seconds"]),
    ({"retry": {"initial_backoff_seconds": 3601}}, 400, ["retry.initial_backoff_seconds"]),
    ({"retry": {"max_backoff_seconds": 86_401}}, 400, ["retry.max_backoff_seconds"]),
    ({"retry": {"initial_backoff_seconds": 10, "max_backoff_seconds": 9}}, 400, ["retry.max_backoff_seconds"]),
    ({"retry": {"multiplier": 0.5}}, 400, ["retry.multiplier"]),
    ({"retry": {"multiplier": 100.5}}, 400, ["retry.multiplier"]),
    ({"retry": {"max_age_seconds": 0}}, 400, ["retry.max_age_seconds"]),
    ({"retry": {"max_age_seconds": 604_801, "max_retries": 1000}}, 400, ["retry.max_retries", "retry.max_age_seconds"]),
    ({"after_completion": "explode"}, 400, ["after_completion"]),
    ({"target": {"url": "ftp://example.com"}}, 400, ["target.url"]),
    ({"target": {}}, 400, ["target.url"]),
    ({"target": False}, 422, ["target"]),
    (
        {"failure_target": {"url": "https://example.com", "headers": {"Host": "x"}}},
        400,
        ["failure_target.headers.Host"],
    ),
    *each("dst_policy", 400, ({"gap": "skip"}, {"fold": "twice"}), INTERVAL),
    ({**ONCE, "dst_policy": {"gap": "skip"}}, 400, ["dst_policy"]),
    ({"dst_policy": {"gap": "before"}}, 400, ["dst_policy.gap"]),
    ({"dst_policy": {"gap": "twice", "fold": "Once"}}, 400, ["dst_policy.gap", "dst_policy.fold"]),
    ({"calendars": {}}, 400, ["calendars.names"]),
    ({"calendars": {"on_day_off": "skip"}}, 400, ["calendars.names"]),
    ({"calendars": {"names": []}}, 400, ["calendars.names"]),
    ({"calendars": {"names": [f"calendar-{number}" for number in range(6)]}}, 400, ["calendars.names"]),
    ({"calendars": {"names": ["a", "a"]}}, 400, ["calendars.names"]),
    ({"calendars": {"names": [""]}}, 400, ["calendars.names.0"]),
    ({"calendars": {"names": ["x" * 101]}}, 400, ["calendars.names.0"]),
    ({"calendars": {"names": ["a\0"]}}, 400, ["calendars.names.0"]),
    ({"calendars": {"names": ["unknown", "'; DROP TABLE calendars;--"]}}, 400, ["calendars.names"]),
    ({"calendars": {"names": ["a"], "on_day_off": "tomorrow"}}, 400, ["calendars.on_day_off"]),
    (INTERVAL | {"calendars": {"names": ["a"], "on_day_off": "next_business_day"}}, 400, ["calendars"]),
    ({"target": "x", "calendars": [1], "coalesce": 3}, 422, ["coalesce", "target", "calendars"]),
    ({"context_data": nested(33)}, 400, ["context_data"]),
    ({"context_data": {"a": [[[[nested(30)]]]]}}, 400, ["context_data"]),
    ({"context_data": {"a": "x" * 65_536}}, 400, ["context_data"]),
    ({"context_data": {"a": "é" * 32_768}}, 400, ["context_data"]),
    ({"context_data": {"a": "b\0c"}}, 400, ["context_data.a"]),
    ({"context_data": {"a\0b": 1}}, 400, ["context_data"]),
    ({"context_data": {"a": [1, {"b": "\0"}]}}, 400, ["context_data.a.1.b"]),
    ({"context_data": {"a": 2**64}}, 400, ["context_data.a"]),
    ({"context_data": {"a": [-(2**63) - 1, 1]}}, 400, ["context_data.a.0"]),
    ({"tags": [""]}, 400, ["tags.0"]),
    ({"tags": ["x" * 65]}, 400, ["tags.0"]),
    ({"tags": [str(number) for number in range(21)]}, 400, ["tags"]),
    ({"tags": ["a", "b", "a"]}, 400, ["tags"]),
    ({"tags": ["a\0"]}, 400, ["tags.0"]),
]
CASES = [*WRONG_TYPES, *UNKNOWN_FIELDS, *REFUSED_VALUES]


def named(case: Case) -> str:
    return json.dumps(case[0], default=lambda _: "(left out)", ensure_ascii=True)[:60]


def body_of(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cron(**changes).items() if value is not LEFT_OUT}


def test_the_table_is_as_long_as_promised() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=named)
async def test_a_bad_create_names_its_fields_and_stores_nothing(
    client: httpx.AsyncClient, records: Records, case: Case
) -> None:
    changes, status, fields = case
    before = await records()
    answer = await client.post(SCHEDULES, json=body_of(changes))

    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["code"] == ("INVALID_SCHEDULE" if status == 400 else "MALFORMED_REQUEST")
    assert sorted(fields_of(problem)) == sorted(fields)
    assert all(each["message"] for each in problem["errors"])
    assert len(answer.content) < 10_000
    assert await records() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_every_bad_create_is_a_bad_change_too(client: httpx.AsyncClient, records: Records, method: str) -> None:
    stored = await create(client)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    before = await records()
    for changes, status, fields in CASES:
        if method == "PATCH" and (LEFT_OUT in changes.values() or any(value is None for value in changes.values())):
            continue  # in a merge patch these are no mistakes: what is left out stays, null is the default
        answer = await client.request(method, path, json=body_of(changes))
        # A schedule that exists may have an end that has passed: it is completed by that.
        if changes.get("end_at") == "2020-01-01T00:00:00Z":
            continue
        assert answer.status_code == status, (changes, answer.text)
        assert set(fields_of(answer.json())) <= set(fields), (changes, answer.text)
        assert answer.json()["errors"], changes
    current = (await client.get(path)).json()
    assert current["cron_expression"] == stored["cron_expression"]
    assert await records() | {"audit_log": 0, "schedule_revisions": 0} == before | {
        "audit_log": 0,
        "schedule_revisions": 0,
    }


BROKEN = [
    b"", b" ", b"{", b"}", b"nul", b"{'a': 1}", b'{"a": 1,}', b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}',
    b'{"a": 1.}', b'{"a": "\\ud800"}', b'{"a": "\\udc00\\ud800"}', b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}',
    b'\xef\xbb\xbf{"a": 1}', b'{"a": "\x00"}', b'{"a": "\x1f"}', b'{"a": 1} {"b": 2}', b"[" * 100_000,
    b'{"a":' * 300 + b"1" + b"}" * 300, b'{"a": ' + b"9" * 5_000 + b"}", b"\x00", b"\xff\xfe{\x00}\x00", b"a=1&b=2",
    b"<schedule/>", b'{"a": 1', b'{"a" 1}', b'{1: 2}', b'// comment\n{}', b'{"a": 01}',
]  # fmt: skip


@pytest.mark.parametrize("body", BROKEN, ids=lambda body: repr(body[:20]))
async def test_what_is_not_json_is_a_400_everywhere(client: httpx.AsyncClient, records: Records, body: bytes) -> None:
    before = await records()
    unknown = f"{SCHEDULES}/{UNKNOWN_ID}"
    targets = [("POST", SCHEDULES), ("PUT", unknown), ("PATCH", unknown), ("POST", f"{SCHEDULES}/batch")]
    targets += [("POST", f"{SCHEDULES}/preview")]
    if body:
        targets += [("POST", f"{unknown}/pause"), ("POST", f"{unknown}/trigger")]
        targets += [("POST", f"{EXECUTIONS}/{UNKNOWN_ID}/cancel"), ("POST", f"{EXECUTIONS}/{UNKNOWN_ID}/retry")]
    for method, path in targets:
        answer = await client.request(method, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, (method, path, answer.text)
        assert answer.json()["code"] == "BROKEN_JSON"
    assert await records() == before


@pytest.mark.parametrize("body", ['{"a": 1}'.encode(encoding) for encoding in ("utf-8-sig", "utf-16")], ids=repr)
async def test_a_byte_order_mark_is_called_so(client: httpx.AsyncClient, body: bytes) -> None:
    """Windows writes one at the beginning of a file, where no editor shows it."""
    answer = await client.post(SCHEDULES, content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["detail"] == "The body begins with a byte order mark: JSON is sent as UTF-8, without one."


async def test_waits_that_do_not_fit_are_answered_with_what_would(client: httpx.AsyncClient) -> None:
    stored = await create(client)
    patch = {"retry": {"initial_backoff_seconds": 400}}
    answer = await client.patch(f"{SCHEDULES}/{stored['schedule_id']}", json=patch)
    assert fields_of(answer.json()) == ["retry.max_backoff_seconds"]
    assert answer.json()["detail"] == (
        "retry.max_backoff_seconds 300 is less than initial_backoff_seconds 400: it must be at least as much"
    )


@pytest.mark.parametrize("body", ["[]", "1", '"text"', "true", "null", "[{}]"])
async def test_json_that_is_no_object_is_a_422_everywhere(client: httpx.AsyncClient, body: str) -> None:
    unknown = f"{SCHEDULES}/{UNKNOWN_ID}"
    stored = await create(client)
    for method, path in [
        ("POST", SCHEDULES),
        ("PUT", unknown),
        ("PATCH", f"{SCHEDULES}/{stored['schedule_id']}"),
        ("POST", f"{SCHEDULES}/batch"),
        ("POST", f"{SCHEDULES}/preview"),
        ("POST", f"{unknown}/resume"),
        ("POST", f"{EXECUTIONS}/{UNKNOWN_ID}/cancel"),
    ]:
        answer = await client.request(method, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, (method, path, answer.text)
        assert fields_of(answer.json()) == ["body"]


@pytest.mark.parametrize(
    ("path", "body", "status", "fields"),
    [
        ("pause", {"reason": 1}, 422, ["reason"]),
        ("pause", {"reason": "x" * 501}, 400, ["reason"]),
        ("pause", {"reason": "\0"}, 400, ["reason"]),
        ("pause", {"why": "x"}, 422, ["why"]),
        ("resume", {"reason": ["x"]}, 422, ["reason"]),
        ("trigger", {"context_data": []}, 422, ["context_data"]),
        ("trigger", {"context_data": nested(33)}, 400, ["context_data"]),
        ("trigger", {"overlap_policy": "queued"}, 400, ["overlap_policy"]),
        ("trigger", {"overlap_policy": 3}, 422, ["overlap_policy"]),
        ("trigger", {"variables": {}}, 422, ["variables"]),
        ("skip-next", {"reason": 1}, 422, ["reason"]),
        ("skip-next", {"reason": "x" * 501}, 400, ["reason"]),
        ("skip-next", {"reason": "\0"}, 400, ["reason"]),
        ("skip-next", {"at": START}, 422, ["at"]),
        ("backfill", {}, 400, ["from", "to"]),
        ("backfill", {"from": START, "to": START}, 400, ["to"]),
        ("backfill", {"from": START, "to": "2026-11-22T00:00:00Z"}, 400, ["to"]),
        ("backfill", {"from": "yesterday", "to": "2026-11-23T00:00:00"}, 400, ["from", "to"]),
        ("backfill", {"from": "0001-01-01T00:00:00.001Z", "to": "9999-12-31T23:59:59.999999Z"}, 400, ["to"]),
        ("backfill", {"from": ZERO, "to": ZERO}, 400, ["from", "to"]),
        ("backfill", {"from": START, "to": 7}, 422, ["to"]),
        ("backfill", {"from_": START, "to": START}, 422, ["from_", "from"]),
        ("backfill", SPAN | {"max_parallel": 0}, 400, ["max_parallel"]),
        ("backfill", SPAN | {"max_parallel": 101}, 400, ["max_parallel"]),
        ("backfill", SPAN | {"dry_run": "yes"}, 422, ["dry_run"]),
        ("backfill", SPAN | {"context_data": nested(33)}, 400, ["context_data"]),
        ("backfill", SPAN | {"context_data": {"a": "\0"}}, 400, ["context_data.a"]),
        ("backfill", SPAN | {"jitter": 1}, 422, ["jitter"]),
    ],
)
async def test_a_bad_body_of_an_action_is_refused(
    client: httpx.AsyncClient, records: Records, path: str, body: Any, status: int, fields: list[str]
) -> None:
    stored = await create(client)
    before = await records()
    answer = await client.post(f"{SCHEDULES}/{stored['schedule_id']}/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert fields_of(answer.json()) == fields
    assert await records() == before


@pytest.mark.parametrize(
    ("path", "query", "status", "fields"),
    [
        (SCHEDULES, "limit=0", 400, ["limit"]),
        (SCHEDULES, "limit=501", 400, ["limit"]),
        (SCHEDULES, "limit=ten", 400, ["limit"]),
        (SCHEDULES, "limit=1.5", 400, ["limit"]),
        (SCHEDULES, "limit=", 400, ["limit"]),
        *(
            (SCHEDULES, f"limit={text}", 400, ["limit"])
            for text in ("1.0", "%205", "5%20", "5_0", "%2B5", "-5", "%D9%A5")
        ),
        ("/api/v1/calendars", "limit=1.0", 400, ["limit"]),
        (f"{SCHEDULES}/{UNKNOWN_ID}/occurrences", "count=%2B5", 400, ["count"]),
        (SCHEDULES, f"limit={'9' * 5000}", 400, ["limit"]),
        (SCHEDULES, "status=asleep", 400, ["status"]),
        (SCHEDULES, "schedule_type=weekly", 400, ["schedule_type"]),
        (SCHEDULES, "workflow_id=1", 400, ["workflow_id"]),
        (SCHEDULES, "due_before=soon", 400, ["due_before"]),
        (SCHEDULES, "due_before=2026-01-01T00:00:00", 400, ["due_before"]),
        (SCHEDULES, f"due_before={ZERO}", 400, ["due_before"]),
        (EXECUTIONS, f"from={ZERO}", 400, ["from"]),
        (EXECUTIONS, f"to={ZERO}", 400, ["to"]),
        (SCHEDULES, "cursor=nonsense", 400, ["cursor"]),
        (SCHEDULES, "cursor=%00", 400, ["cursor"]),
        (SCHEDULES, f"cursor={'x' * 1001}", 400, ["cursor"]),
        (SCHEDULES, "tag=%00", 400, ["tag"]),
        (SCHEDULES, f"tag={'x' * 65}", 400, ["tag"]),
        (SCHEDULES, "name_prefix=a%00", 400, ["name_prefix"]),
        (SCHEDULES, "tag=a&tag=b", 400, ["tag"]),
        (SCHEDULES, "tag=a&limit=5&tag=a", 400, ["tag"]),
        (EXECUTIONS, "status=failed&status=timed_out", 400, ["status"]),
        (SCHEDULES, "page=2", 422, ["page"]),
        (SCHEDULES, "limt=1&limit=0", 422, ["limt"]),
        (SCHEDULES, "a=1&b=2", 422, ["a", "b"]),
        (EXECUTIONS, "status=active", 400, ["status"]),
        (EXECUTIONS, "from=yesterday", 400, ["from"]),
        (EXECUTIONS, "to=2026-01-01", 400, ["to"]),
        (EXECUTIONS, "from_=2026-01-01T00:00:00Z", 422, ["from_"]),
        (EXECUTIONS, "schedule_id=1", 422, ["schedule_id"]),
        (EXECUTIONS, "cursor=AAAAAAAAAAAAAAAAAAAAAA", 400, ["cursor"]),
        (f"{SCHEDULES}/{UNKNOWN_ID}", "verbose=1", 422, ["verbose"]),
        (f"{SCHEDULES}/{UNKNOWN_ID}/occurrences", "count=0", 400, ["count"]),
        (f"{SCHEDULES}/{UNKNOWN_ID}/occurrences", "count=101", 400, ["count"]),
        (EXPLAIN, "", 400, ["at"]),
        (EXPLAIN, "at=", 400, ["at"]),
        (EXPLAIN, "at=noon", 400, ["at"]),
        (EXPLAIN, "at=%00", 400, ["at"]),
        (EXPLAIN, "at=2026-11-23T12:00:00", 400, ["at"]),
        (EXPLAIN, "at=2026-11-23T12:00:00+01:00", 400, ["at"]),  # a plus in a query is a space
        (EXPLAIN, "at=0001-01-01T00:00:00%2B00:01", 400, ["at"]),
        (EXPLAIN, "at=9999-12-31T23:59:59-00:01", 400, ["at"]),
        (EXPLAIN, "at=10000-01-01T00:00:00Z", 400, ["at"]),
        (EXPLAIN, f"at={'9' * 5000}", 400, ["at"]),
        (EXPLAIN, "from=2026-11-23T12:00:00Z", 400, ["to"]),
        (EXPLAIN, "to=2026-11-23T12:00:00Z", 400, ["from"]),
        (EXPLAIN, "at=2026-11-23T12:00:00Z&from=2026-11-23T12:00:00Z&to=2026-11-24T12:00:00Z", 400, ["at"]),
        (EXPLAIN, "at=2026-11-23T12:00:00Z&to=2026-11-24T12:00:00Z", 400, ["from", "at"]),
        (EXPLAIN, "from=x&to=y", 400, ["from", "to"]),
        (EXPLAIN, "from=2026-11-23T12:00:00Z&to=2026-11-23T12:00:00Z", 400, ["to"]),
        (EXPLAIN, "from=2026-11-23T12:00:00Z&to=2026-11-22T12:00:00Z", 400, ["to"]),
        (EXPLAIN, "from=2026-01-01T00:00:00Z&to=2027-01-02T00:00:00.001Z", 400, ["to"]),
        (EXPLAIN, "from=0001-01-01T00:00:00.001Z&to=9999-12-31T23:59:59Z", 400, ["to"]),
        (EXPLAIN, f"at={ZERO}", 400, ["at"]),
        (EXPLAIN, f"from={ZERO}&to={ZERO}", 400, ["from", "to"]),
        (EXPLAIN, "at=2026-11-23T12:00:00Z&count=3", 422, ["count"]),
        (f"{SCHEDULES}/workflow/{WORKFLOW_ID}", "limit=x", 400, ["limit"]),
        (AUDIT, "action=schedule_created", 400, ["action"]),
        (AUDIT, "action=", 400, ["action"]),
        (AUDIT, "action=schedule_create&action=schedule_remove", 400, ["action"]),
        (AUDIT, "schedule_id=1", 400, ["schedule_id"]),
        (AUDIT, "execution_id=%00", 400, ["execution_id"]),
        (AUDIT, "user=%00", 400, ["user"]),
        (AUDIT, f"user={'x' * 1001}", 400, ["user"]),
        (AUDIT, "from=yesterday", 400, ["from"]),
        (AUDIT, "from=2026-11-23T12:00:00", 400, ["from"]),
        (AUDIT, f"from={ZERO}", 400, ["from"]),
        (AUDIT, "to=2026-01-01", 400, ["to"]),
        (AUDIT, f"to={ZERO}", 400, ["to"]),
        (AUDIT, "from_=2026-01-01T00:00:00Z", 422, ["from_"]),
        (AUDIT, "role=admin", 422, ["role"]),
        (AUDIT, "limit=0", 400, ["limit"]),
        (AUDIT, "limit=501", 400, ["limit"]),
        (AUDIT, "cursor=nonsense", 400, ["cursor"]),
        (AUDIT, "cursor=f_________8AAAAAAAAAAQ", 400, ["cursor"]),
        (AUDIT, "cursor=gAAAAAAAAAAAAAAAAAAAAQ", 400, ["cursor"]),
        (AUDIT, f"cursor={UNKNOWN_ID}", 400, ["cursor"]),
        ("/api/v1/health", "a=1", 422, ["a"]),
        ("/livez", "a=1", 422, ["a"]),
        ("/readyz", "a=1", 422, ["a"]),
        ("/metrics", "a=1", 422, ["a"]),
    ],
)
async def test_a_bad_query_parameter_is_refused_by_its_name(
    client: httpx.AsyncClient, path: str, query: str, status: int, fields: list[str]
) -> None:
    answer = await client.get(f"{path}?{query}")
    assert answer.status_code == status, answer.text
    assert fields_of(answer.json()) == fields


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        # What would be done for good, where the caller meant a dry run: that is a field of their bodies.
        ("POST", f"{SCHEDULES}/bulk?dry_run=true", "none"),
        ("POST", f"{EXECUTIONS}/retry?dry_run=true", "none"),
        ("DELETE", f"{SCHEDULES}/{UNKNOWN_ID}?dry_run=true", "none"),
        ("GET", f"{SCHEDULES}/{UNKNOWN_ID}/occurrences?dry_run=true", "count"),
        ("GET", f"{AUDIT}?dry_run=true", "schedule_id, execution_id, action, user, from, to, limit, cursor"),
    ],
)
async def test_an_unknown_query_parameter_is_answered_with_those_that_there_are(
    client: httpx.AsyncClient, method: str, path: str, takes: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, fields_of(answer.json())) == (422, ["dry_run"])
    assert answer.json()["detail"] == f"dry_run is not a query parameter of this request, which takes {takes}"


async def test_a_post_refuses_query_parameters(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{SCHEDULES}?dryrun=true", json=cron())
    assert answer.status_code == 422
    assert fields_of(answer.json()) == ["dryrun"]


@pytest.mark.parametrize(
    "value", [2**63 - 1, 2**64 - 1, -(2**63), 1e308, 5e-324, 0.1, 1.0, "\U0001f600", "\u2028", "", None, True]
)
async def test_what_can_be_stored_comes_back_as_it_was(client: httpx.AsyncClient, value: Any) -> None:
    stored = await create(client, context_data={"value": value, "in": [{"depth": value}]})
    read = (await client.get(f"{SCHEDULES}/{stored['schedule_id']}")).json()
    assert read["context_data"]["value"] == value
    assert type(read["context_data"]["value"]) in (type(value), int if value == 1e308 else type(value))
    assert read["context_data"]["in"] == [{"depth": value}]


@pytest.mark.parametrize("text", ["9.3e18", "1e19", "1.8446744073709550e19", "1e20", "-1e19", "18446744073709551615"])
async def test_a_number_that_is_shown_can_be_sent_back(client: httpx.AsyncClient, text: str) -> None:
    """Postgres makes an integer of a float without a fraction."""

    def said(body: dict[str, Any]) -> str:
        return json.dumps(body).replace('"number"', text)

    headers = {"Content-Type": "application/json"}
    answer = await client.post(SCHEDULES, content=said(cron(context_data={"a": "number"})), headers=headers)
    assert answer.status_code == 201, answer.text
    path = f"{SCHEDULES}/{answer.json()['schedule_id']}"
    shown = await client.get(path)
    assert float(shown.json()["context_data"]["a"]) == float(text)
    again = await client.put(path, content=shown.content, headers=headers)
    assert (again.status_code, again.json()["revision"]) == (200, 1), again.text
    run = f"{EXECUTIONS}/{(await client.post(f'{path}/trigger')).json()['execution_id']}"
    report = {"status": "succeeded", "result": {"a": "number"}}
    ended = await client.post(f"{run}/complete", content=said(report), headers=headers)
    assert float(ended.json()["result"]["a"]) == float(text)
    report["result"] = (await client.get(run)).json()["result"]
    assert (await client.post(f"{run}/complete", json=report)).status_code == 200


async def test_a_context_at_its_limits_is_accepted(client: httpx.AsyncClient) -> None:
    await create(client, context_data=nested(32))
    await create(client, context_data={"a": "x" * (65_536 - 8)})
    await create(client, name="x" * 255, tags=["x" * 64, *map(str, range(19))], description="x" * 2000)


async def test_a_number_too_large_for_any_is_refused(client: httpx.AsyncClient) -> None:
    text = json.dumps(cron(context_data={"a": 0})).replace('{"a": 0}', '{"a": 1e999}')
    answer = await client.post(SCHEDULES, content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert fields_of(answer.json()) == ["context_data.a"]


@pytest.mark.parametrize(
    ("path", "body", "status", "fields"),
    [
        ("complete", {}, 400, ["status"]),
        ("complete", {"status": "done"}, 400, ["status"]),
        ("complete", {"status": "running"}, 400, ["status"]),
        ("complete", {"status": None}, 422, ["status"]),
        ("complete", {"status": "succeeded", "result": [1]}, 422, ["result"]),
        ("complete", {"status": "succeeded", "result": nested(33)}, 400, ["result"]),
        ("complete", {"status": "succeeded", "result": {"a": "\0"}}, 400, ["result.a"]),
        ("complete", {"status": "succeeded", "result": {"a": "x" * 70_000}}, 400, ["result"]),
        ("complete", {"status": "failed", "error": "x" * 4001}, 400, ["error"]),
        ("complete", {"status": "failed", "error": "\0"}, 400, ["error"]),
        ("complete", {"status": "failed", "error": 1}, 422, ["error"]),
        ("complete", {"status": "failed", "attempt": 1}, 422, ["attempt"]),
        ("heartbeat", {"progress": 1}, 422, ["progress"]),
        ("cancel", {"reason": "\0"}, 400, ["reason"]),
    ],
)
async def test_a_bad_report_on_an_execution_is_refused(
    client: httpx.AsyncClient, path: str, body: Any, status: int, fields: list[str]
) -> None:
    stored = await create(client)
    run = (await client.post(f"{SCHEDULES}/{stored['schedule_id']}/trigger")).json()
    answer = await client.post(f"{EXECUTIONS}/{run['execution_id']}/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert fields_of(answer.json()) == fields
    assert (await client.get(f"{EXECUTIONS}/{run['execution_id']}")).json() == run
