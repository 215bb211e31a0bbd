"""Targets of a schedule's own: what is stored of one, what is shown, and what is refused."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from app.core.sealing import MASK, SecretBox
from app.delivery.guard import Guard
from tests.contract.calls import SCHEDULES, Records, Stack, application, by_name, client_of, cron, fields_of

URL = "https://8.8.8.8/hooks/{{ execution_id }}?at={{ scheduled_for }}"
KEY = "a key for these tests of at least 32 characters"
TARGET: dict[str, Any] = {
    "url": URL,
    "method": "PUT",
    "headers": {"Authorization": "Bearer topsecret-1", "X-Run": "{{ execution_id }}"},
    "body": {"run": "{{ execution_id }}", "report": "{{ report }}", "deep": {"all": ["{{ context_data }}"]}},
    "cancel_url": "https://8.8.8.8/cancel/{{ execution_id }}",
}
SHOWN = TARGET | {"headers": {"Authorization": MASK, "X-Run": MASK}}
PLAIN: dict[str, Any] = {"url": "https://8.8.8.8/", "method": "POST", "headers": {}, "body": None, "cancel_url": None}


def own(target: Any, **fields: Any) -> dict[str, Any]:
    body = cron(target=target, context_data={"report": "daily"}, **fields)
    del body["workflow_id"]
    return body


async def create(client: httpx.AsyncClient, target: Any = TARGET, **fields: Any) -> dict[str, Any]:
    answer = await client.post(SCHEDULES, json=own(target, **fields))
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def stored(stack: Stack, schedule: dict[str, Any], field: str = "target") -> Any:
    async with stack.database.connection() as connection:
        return await connection.fetchval(
            f"SELECT {field}::text FROM workflow_schedules WHERE schedule_id = $1", schedule["schedule_id"]
        )


async def test_what_was_asked_is_shown_but_for_the_secrets(client: httpx.AsyncClient, stack: Stack) -> None:
    failure = {"url": "https://8.8.4.4/failed", "headers": {"X-Key": "topsecret-2"}}
    created = await create(client, failure_target=failure)
    assert created["target"] == SHOWN
    assert created["workflow_id"] is None
    assert created["failure_target"] == PLAIN | failure | {"headers": {"X-Key": MASK}}
    path = f"{SCHEDULES}/{created['schedule_id']}"
    assert (await client.get(path)).json() == created
    assert (await client.get(SCHEDULES)).json()["items"] == [created]
    async with stack.database.connection() as connection:
        host = await connection.fetchval(
            "SELECT target_host FROM workflow_schedules WHERE schedule_id = $1", created["schedule_id"]
        )
    assert host == "8.8.8.8"


async def test_the_least_target_is_a_url(client: httpx.AsyncClient) -> None:
    assert (await create(client, {"url": "https://8.8.8.8/"}))["target"] == PLAIN


async def test_a_schedule_can_have_both_a_workflow_and_a_target(client: httpx.AsyncClient) -> None:
    answer = await client.post(SCHEDULES, json=cron(target={"url": "https://8.8.8.8/{{ workflow_id }}"}))
    assert answer.status_code == 201, answer.text
    assert answer.json()["workflow_id"] == cron()["workflow_id"]


async def test_what_was_read_can_be_sent_back_and_changes_nothing(client: httpx.AsyncClient, stack: Stack) -> None:
    created = await create(client)
    before = await stored(stack, created)
    path = f"{SCHEDULES}/{created['schedule_id']}"
    for body in (created, own(TARGET), own(TARGET | {"headers": {"AUTHORIZATION": MASK, "x-run": MASK}})):
        answer = await client.put(path, json=body)
        assert answer.status_code == 200, answer.text
    # Only the spelling of two names differed, in the last.
    assert answer.json()["revision"] == 2
    assert (await client.put(path, json=own(TARGET))).json()["revision"] == 3
    assert await stored(stack, created) == before


async def test_a_patch_changes_what_it_names(client: httpx.AsyncClient, stack: Stack) -> None:
    created = await create(client)
    path = f"{SCHEDULES}/{created['schedule_id']}"
    before = await stored(stack, created)
    patch = {"target": {"method": "POST", "headers": {"X-Run": None, "X-New": "new secret"}, "body": {"deep": None}}}
    changed = (await client.patch(path, json=patch)).json()
    assert changed["target"] == {
        **SHOWN,
        "method": "POST",
        "headers": {"Authorization": MASK, "X-New": MASK},
        "body": {"run": "{{ execution_id }}", "report": "{{ report }}"},
    }
    after = await stored(stack, created)
    assert [part for part in after.split('"') if "topsecret-1" in part] == [
        part for part in before.split('"') if "topsecret-1" in part
    ]
    gone = await client.patch(path, json={"target": None})
    assert gone.status_code == 400
    assert fields_of(gone.json()) == ["workflow_id"]
    engine = await client.patch(path, json={"target": None, "workflow_id": cron()["workflow_id"]})
    assert (engine.status_code, engine.json()["target"]) == (200, None)
    assert await stored(stack, created) is None


async def test_a_secret_stays_with_its_host(client: httpx.AsyncClient) -> None:
    created = await create(client)
    path = f"{SCHEDULES}/{created['schedule_id']}"
    moved = await client.patch(path, json={"target": {"url": "https://8.8.4.4/", "cancel_url": None}})
    assert moved.status_code == 400
    assert sorted(fields_of(moved.json())) == ["target.headers.Authorization", "target.headers.X-Run"]
    assert "given for another host" in moved.text
    elsewhere = {"url": "https://8.8.8.8:8080/other"}
    assert (await client.patch(path, json={"target": elsewhere})).status_code == 200


async def test_a_mask_alone_is_no_secret(client: httpx.AsyncClient, records: Records) -> None:
    before = await records()
    answer = await client.post(SCHEDULES, json=own(TARGET | {"headers": {"X-Key": MASK}}))
    assert (answer.status_code, fields_of(answer.json())) == (400, ["target.headers.X-Key"])
    created = await create(client)
    path = f"{SCHEDULES}/{created['schedule_id']}"
    added = await client.patch(path, json={"target": {"headers": {"X-Other": MASK}}})
    assert (added.status_code, fields_of(added.json())) == (400, ["target.headers.X-Other"])
    assert await records() != before


@pytest.mark.parametrize("keys", ["", KEY])
async def test_no_secret_is_shown_logged_or_audited(
    keys: str, stack: Stack, client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    async with client_of(application(stack, secret_key=keys), **dict(client.headers)) as caller:
        created = await create(caller, failure_target={"url": "https://8.8.4.4/", "headers": {"X": "topsecret-2"}})
        path = f"{SCHEDULES}/{created['schedule_id']}"
        answers = [
            await caller.patch(path, json={"target": {"headers": {"Authorization": "Bearer topsecret-3"}}}),
            await caller.patch(path, json={"name": "named"}, headers={"If-Match": '"2"'}),
            await caller.post(f"{path}/pause"),
            await caller.get(path),
            await caller.get(f"{path}/executions"),
            await caller.patch(path, json={"target": {"headers": {"Authorization": "topsecret-4 {{ unknown }}"}}}),
            await caller.patch(path, json={"target": {"headers": {"Authorization": "topsecret-5 {{"}}}),
            await caller.patch(path, json={"target": {"headers": {"Authorization": "topsecret-6\r\nX: 1"}}}),
            await caller.patch(path, json={"target": {"headers": {"Connection": "topsecret-7"}}}),
            await caller.patch(path, json={"target": {"headers": {"X": ["topsecret-8"]}}}),
            await caller.post(f"{SCHEDULES}/batch", json={"schedules": [own(TARGET), own(TARGET | {"url": "x"})]}),
            await caller.delete(path),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 400, 400, 400, 400, 422, 400, 204]
    async with stack.database.connection() as connection:
        audit = await connection.fetch(
            "SELECT before::text, after::text, reason FROM audit_log WHERE schedule_id = $1", created["schedule_id"]
        )
        kept = await connection.fetchval(
            "SELECT string_agg(definition::text, '') FROM schedule_revisions WHERE schedule_id = $1",
            created["schedule_id"],
        )
    assert len(audit) == 5
    assert MASK in str(audit)
    printed = capsys.readouterr()
    everywhere = "".join([*(answer.text for answer in answers), str(audit), printed.out, printed.err])
    assert "topsecret" not in everywhere
    assert ("topsecret" in kept) == (not keys)


async def test_with_a_key_it_is_encrypted_at_rest(stack: Stack, client: httpx.AsyncClient) -> None:
    box = SecretBox.from_setting(KEY)
    async with client_of(application(stack, secret_key=KEY), **dict(client.headers)) as caller:
        created = await create(caller)
        text = await stored(stack, created)
        assert "topsecret" not in text
        assert f'"v1:{box.newest_key_id}:' in text
        # The same secret again is no change, though each encryption differs.
        same = await caller.put(f"{SCHEDULES}/{created['schedule_id']}", json=own(TARGET))
        assert same.json()["revision"] == 1
        assert await stored(stack, created) == text


UNKNOWN = [
    "{{ unknown }}",
    "{{ context_data.unknown }}",
    "{{ report.deeper }}",
    "{{ id }}",
    "{{",
    "{{ a b }}",
]


@pytest.mark.parametrize("placeholder", UNKNOWN)
@pytest.mark.parametrize("field", ["url", "cancel_url", "body", "headers.X"])
async def test_an_unknown_placeholder_is_refused(
    client: httpx.AsyncClient, records: Records, placeholder: str, field: str
) -> None:
    before = await records()
    target: dict[str, Any] = {"url": "https://8.8.8.8/"}
    match field:
        case "headers.X":
            target["headers"] = {"X": placeholder}
        case "body":
            target["body"] = {"deep": [placeholder]}
        case _:
            target[field] = f"https://8.8.8.8/{placeholder}".replace("{{ a b }}", "{{ab }")
    answer = await client.post(SCHEDULES, json=own(target))
    assert (answer.status_code, fields_of(answer.json())) == (400, [f"target.{field}"]), answer.text
    assert await records() == before


LARGE = "x" * 6000


@pytest.mark.parametrize(
    ("place", "fits", "more", "named"),
    [
        ("url", "https://8.8.8.8/{{ large }}", "/{{ large }}", "url"),
        ("url", "https://8.8.8.8/{{ large }}/{{ euro }}", "{{ euro }}", "url"),
        ("cancel_url", "https://8.8.8.8/?{{ large }}", "{{ large }}", "cancel_url"),
        ("body", "{{ large }}" * 43, "{{ large }}", "body"),
        ("body", ["{{ large }}"] * 43, ["{{ large }}"], "body"),
        ("headers", {"A": "{{ large }}", "B": "{{ large }}"}, {"C": "{{ large }}"}, "headers"),
        ("headers", {"A": "{{ large }} {{ large }}"}, {"A": "{{ large }} {{ large }} {{ large }}"}, "headers.A"),
        ("headers", {"A": "{{ large }}{{ euro }}"}, {"B": "{{ euro }}" * 6}, "headers"),
        ("form", "{{ euro }}" * 40, "{{ euro }}", "body"),
        ("body", "{{ none }}" * 500, "{{ none }}", "body"),
        ("body", ["{{ none }}"] * 500, ["{{ none }}"], "body"),
        ("headers", {str(n): "x" * 8192 for n in range(4)}, {"A": "x"}, "headers"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_placeholders_may_not_stand_for_more_than_fits(
    client: httpx.AsyncClient, records: Records, place: str, fits: Any, more: Any, named: str
) -> None:
    context = {"large": LARGE, "euro": "€" * 180, "none": None}
    target: dict[str, Any] = {"url": "https://8.8.8.8/", "body": None}
    if place == "form":
        target["headers"], place = {"content-type": "application/x-www-form-urlencoded"}, "body"
    target[place] = fits
    created = await client.post(SCHEDULES, json=own(target) | {"context_data": context})
    assert created.status_code == 201, created.text
    before = await records()
    target[place] = fits | more if isinstance(fits, dict) else fits + more
    answer = await client.post(SCHEDULES, json=own(target) | {"context_data": context})
    assert (answer.status_code, fields_of(answer.json())) == (400, [f"target.{named}"])
    assert "more than" in answer.json()["errors"][0]["message"]
    assert await records() == before


async def test_a_run_by_hand_may_not_put_in_more_than_fits(client: httpx.AsyncClient, records: Records) -> None:
    created = await create(client, {"url": "https://8.8.8.8/", "body": "{{ report }}" * 50})
    before = await records()
    path = f"{SCHEDULES}/{created['schedule_id']}/trigger"
    answer = await client.post(path, json={"context_data": {"report": LARGE}})
    assert (answer.status_code, fields_of(answer.json())) == (400, ["context_data"])
    assert "its placeholders stand for more than 262144 characters" in answer.json()["errors"][0]["message"]
    assert await records() == before


@pytest.mark.parametrize("name", ["..", "../admin", "..%2Fadmin", "a/../.."])
async def test_what_would_leave_its_segment_is_refused_where_it_is_stored_or_run(
    client: httpx.AsyncClient, records: Records, name: str
) -> None:
    target = {"url": "https://8.8.8.8/hooks/{{ report }}", "cancel_url": "https://8.8.8.8/{{ report }}/stop"}
    created = await create(client, target)
    before = await records()
    fields = ["target.url", "target.cancel_url"]
    answer = await client.post(SCHEDULES, json=own(target) | {"context_data": {"report": name}})
    assert (answer.status_code, fields_of(answer.json())) == (400, fields)
    path = f"{SCHEDULES}/{created['schedule_id']}"
    answer = await client.patch(path, json={"context_data": {"report": name}})
    assert (answer.status_code, fields_of(answer.json())) == (400, fields)
    answer = await client.post(f"{path}/trigger", json={"context_data": {"report": name}})
    assert (answer.status_code, fields_of(answer.json())) == (400, ["context_data"])
    assert await records() == before


async def test_a_form_is_known_by_its_stored_header(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X": "{{ report }}"}
    created = await create(client, {"url": "https://8.8.8.8/", "headers": headers, "body": "{{ report }}" * 20})
    path = f"{SCHEDULES}/{created['schedule_id']}"
    by_hand = await client.post(f"{path}/trigger", json={"context_data": {"report": LARGE}})
    assert (by_hand.status_code, fields_of(by_hand.json())) == (400, ["context_data"])
    answer = await client.patch(path, json={"context_data": {"report": LARGE}})
    assert (answer.status_code, fields_of(answer.json())) == (400, ["target.body"]), answer.text


async def test_what_a_target_is_told_of_reporting_can_be_placed(stack: Stack, client: httpx.AsyncClient) -> None:
    target = {"url": "https://8.8.8.8/", "headers": {"X": "{{ callback.token }}"}, "body": "{{ callback.url }}"}
    settings: dict[str, Any] = {"secret_key": KEY, "public_url": "https://schedules.example.com"}
    async with client_of(application(stack, **settings), **dict(client.headers)) as caller:
        assert (await create(caller, target, completion="callback"))["target"]["body"] == "{{ callback.url }}"
        refused = await caller.post(SCHEDULES, json=own(target, completion="response"))
    # A header is sealed only where the rest is right.
    assert fields_of(refused.json()) == ["target.body"]


FIELDS = (
    "schedule_id", "execution_id", "workflow_id", "community_id", "scheduled_for", "triggered_at", "attempt", "trigger",
    "coalesced_count", "timezone", "last_scheduled_for", "next_execution_at", "variables", "variables.execution_id",
    "metadata.session_id", "report", "context_data", "context_data.report",
)  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
async def test_every_field_of_a_delivery_is_a_placeholder(client: httpx.AsyncClient, name: str) -> None:
    text = "{{ " + name + " }}"
    target = {
        "url": f"https://8.8.8.8/{text}",
        "headers": {"X": text},
        "body": [text],
        "cancel_url": f"http://8.8.8.8/{text}",
    }
    assert (await create(client, target))["target"]["body"] == [text]


@pytest.mark.parametrize(
    ("changes", "status", "fields"),
    [
        ({"url": 1}, 422, ["target.url"]),
        ({"url": ""}, 400, ["target.url"]),
        ({"url": "http://user:topsecret@8.8.8.8/"}, 400, ["target.url"]),
        ({"url": "http://{{ report }}/"}, 400, ["target.url"]),
        ({"cancel_url": "gopher://8.8.8.8"}, 400, ["target.cancel_url"]),
        ({"method": "HEAD"}, 400, ["target.method"]),
        ({"method": "post"}, 400, ["target.method"]),
        ({"method": 1}, 422, ["target.method"]),
        ({"method": "GET"}, 400, ["target.body"]),
        ({"headers": []}, 422, ["target.headers"]),
        ({"headers": {"X": 1}}, 422, ["target.headers.X"]),
        ({"headers": {"X": None}}, 422, ["target.headers.X"]),
        ({"headers": {"X": "1", "x": "2"}}, 400, ["target.headers.x"]),
        ({"headers": {f"X-{n}": "" for n in range(51)}}, 400, ["target.headers"]),
        ({"headers": {"webhook-id": "x"}}, 400, ["target.headers.webhook-id"]),
        ({"body": 1}, 400, ["target.body"]),
        ({"body": True}, 400, ["target.body"]),
        ({"body": {"x": "y" * 65_536}}, 400, ["target.body"]),
        ({"extra": 1}, 422, ["target.extra"]),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_wrong_target_names_its_field_and_stores_nothing(
    client: httpx.AsyncClient, records: Records, changes: dict[str, Any], status: int, fields: list[str]
) -> None:
    before = await records()
    answer = await client.post(SCHEDULES, json=own(TARGET | changes))
    assert (answer.status_code, fields_of(answer.json())) == (status, fields), answer.text
    assert "topsecret" not in answer.text
    assert await records() == before


@pytest.mark.parametrize("name", ["event", "error", "failures", "status", "at", "engine_execution_id", "report"])
async def test_a_notice_has_placeholders_of_its_own(client: httpx.AsyncClient, name: str) -> None:
    text = "{{ " + name + " }}"
    failure = {"url": f"https://8.8.8.8/{text}", "headers": {"X": text}, "body": {"text": text}}
    created = await create(client, {"url": "https://8.8.8.8/", "cancel_url": failure["url"]}, failure_target=failure)
    assert created["failure_target"]["body"] == {"text": text}
    if name != "report":
        answer = await client.post(SCHEDULES, json=own({"url": failure["url"]}))
        assert fields_of(answer.json()) == ["target.url"]


async def test_a_failure_target_has_nothing_to_cancel(client: httpx.AsyncClient) -> None:
    failure = {"url": "https://8.8.8.8/", "cancel_url": "https://8.8.8.8/"}
    answer = await client.post(SCHEDULES, json=own(TARGET, failure_target=failure))
    assert (answer.status_code, fields_of(answer.json())) == (400, ["failure_target.cancel_url"])


async def test_a_run_whose_own_variables_miss_what_its_target_asks_for_is_refused(
    client: httpx.AsyncClient, records: Records
) -> None:
    created = await create(client)
    path = f"{SCHEDULES}/{created['schedule_id']}/trigger"
    before = await records()
    refused = await client.post(path, json={"context_data": {"other": 1}})
    assert (refused.status_code, fields_of(refused.json())) == (400, ["context_data"])
    assert "{{ report }}" in refused.text
    assert await records() == before
    assert (await client.post(path, json={"context_data": {"report": "weekly"}})).status_code == 202
    assert (await client.post(path)).status_code == 202


async def test_a_backfill_whose_own_variables_miss_what_its_target_asks_for_is_refused(
    client: httpx.AsyncClient, records: Records
) -> None:
    created = await create(client)
    path = f"{SCHEDULES}/{created['schedule_id']}/backfill"
    span = {"from": "2026-11-16T00:00:00Z", "to": "2026-11-18T00:00:00Z"}
    before = await records()
    for dry_run in (True, False):
        refused = await client.post(path, json={**span, "dry_run": dry_run, "context_data": {"other": 1}})
        assert (refused.status_code, fields_of(refused.json())) == (400, ["context_data"])
    assert await records() == before
    assert (await client.post(path, json={**span, "context_data": {"report": "weekly"}})).status_code == 202


@pytest.mark.parametrize("told", ["failure_target", "cancel_url"])
async def test_a_run_is_refused_whose_own_variables_miss_what_is_asked_for_when_it_fails(
    client: httpx.AsyncClient, told: str
) -> None:
    url = "https://8.8.8.8/{{ report }}/{{ error }}"
    if told == "cancel_url":
        created = await create(client, {"url": "https://8.8.8.8/", "cancel_url": url})
    else:
        created = await create(client, {"url": "https://8.8.8.8/"}, failure_target={"url": url})
    path = f"{SCHEDULES}/{created['schedule_id']}/trigger"
    refused = await client.post(path, json={"context_data": {"other": 1}})
    assert (refused.status_code, fields_of(refused.json())) == (400, ["context_data"])
    assert "{{ report }}" in refused.text
    assert (await client.post(path, json={"context_data": {"report": "weekly"}})).status_code == 202


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost:8000/", "http://0x7f.1/", "http://2130706433/", "http://[::1]/",
        "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/latest/meta-data/", "http://metadata.google.internal/",
        "http://10.1.2.3/", "http://[64:ff9b::a9fe:a9fe]/", "https://0/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["target.url", "target.cancel_url", "failure_target.url"])
async def test_a_target_where_none_may_be_is_refused(
    client: httpx.AsyncClient, records: Records, url: str, field: str
) -> None:
    before = await records()
    name, _, part = field.partition(".")
    body = own({"url": "https://8.8.8.8/"}, failure_target={"url": "https://8.8.4.4/"})
    body[name] = body[name] | {part: url}
    created = await client.post(SCHEDULES, json=body)
    batch = await client.post(f"{SCHEDULES}/batch", json={"schedules": [cron(), body], "atomic": True})
    assert (created.status_code, fields_of(created.json())) == (400, [field])
    assert (batch.status_code, fields_of(batch.json())) == (400, [f"schedules.1.{field}"])
    assert await records() == before
    stored = await create(client)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    answer = await client.patch(path, json={name: {"url": "https://8.8.8.8/", part: url}})
    assert (answer.status_code, fields_of(answer.json())) == (400, [field])
    assert (await client.get(path)).json() == stored


async def test_an_operator_can_allow_more(stack: Stack, client: httpx.AsyncClient) -> None:
    async with client_of(application(stack, target_allowed_networks="127.0.0.0/8"), **dict(client.headers)) as caller:
        assert (await create(caller, {"url": "http://127.0.0.1:1/"}))["target"]["url"] == "http://127.0.0.1:1/"
        assert (await caller.post(SCHEDULES, json=own({"url": "http://10.0.0.1/"}))).status_code == 400


INSIDE = "https://inside.example/"


async def leading_inwards(name: str) -> Sequence[str]:
    """A name server of the caller's own, for which `inside.example` is also a machine of the operator's network."""
    assert name == "inside.example"
    return ["93.184.216.34", "10.0.0.8"]


@pytest.mark.parametrize(
    ("target", "field"),
    [({"url": INSIDE}, "target.url"), ({"url": "https://8.8.8.8/", "cancel_url": INSIDE}, "target.cancel_url")],
)
async def test_a_name_that_leads_inwards_is_refused_whenever_a_target_is_stored_or_tried(
    stack: Stack, client: httpx.AsyncClient, records: Records, target: dict[str, str], field: str
) -> None:
    created = await create(client)
    path, before = f"{SCHEDULES}/{created['schedule_id']}", await records()
    guarded = application(stack, guard=Guard(resolver=leading_inwards))
    async with client_of(guarded, **dict(client.headers)) as caller:
        for answer in (
            await caller.post(SCHEDULES, json=own(target)),
            await caller.put(path, json=own(target)),
            await caller.put(by_name("new"), json=own(target)),
            await caller.patch(path, json={"target": target}),
            await caller.post(f"{SCHEDULES}/batch", json={"schedules": [own(target)], "atomic": True}),
            await caller.post("/api/v1/targets/test", json={"target": target}),
        ):
            assert answer.status_code == 400, answer.text
            (problem,) = answer.json()["errors"]
            assert problem["field"].endswith(field)
            assert "inside.example has an address that is private" in problem["message"]
    assert await records() == before
    assert (await client.get(path)).json() == created
