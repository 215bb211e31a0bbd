"""Trying a target: what went out is told as it was, what came back without secrets, and nothing is stored."""

import asyncio
import gc
import re
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from app.core.ids import recorded_for
from app.core.principal import Role
from app.core.sealing import MASK, SecretBox
from app.delivery.guard import Guard
from app.sending import Sending
from app.service.trying import MOST_AT_ONCE, MOST_AT_ONCE_OF_COMMUNITY, TargetTester
from app.settings import Settings
from tests.contract.calls import (
    EXECUTIONS,
    SCHEDULES,
    UNKNOWN_ID,
    WORKFLOW_ID,
    Connect,
    Records,
    Stack,
    application,
    client_of,
    create,
    fields_of,
)
from tests.contract.test_openapi import resolved
from tests.integration.delivery.hostile import Behaviour, hangs, resets, sends, sends_for_ever, target
from tests.receiver import Received, Receiver

TEST = "/api/v1/targets/test"
KEY = "a key for these tests of at least 32 characters"
SIGNING = "whsec_" + "A" * 32
SECRETS = {"Authorization": "Bearer topsecret-1", "X-Key": 'top/secret"2'}
ALLOWED = {"target_allowed_networks": "127.0.0.0/8"}

Testing = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def testing(stack: Stack, client: httpx.AsyncClient) -> Testing:
    """Makes an application that may call loopback, and a client of it; settings by their names."""

    @asynccontextmanager
    async def make(
        caller: httpx.AsyncClient = client, *, guard: Guard | None = None, **settings: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        settings = {**ALLOWED, "secret_key": KEY, "trigger_request_timeout_seconds": 2, **settings}
        sending = Sending.of(Settings(**settings))
        if guard is not None:
            sending = replace(sending, guard=guard)
        async with sending.sender(stack.services.clock, connections=1) as sender:
            tester = TargetTester(sender, stack.services.clock, engine_url=settings.get("workflow_engine_url", ""))
            served = replace(stack, services=replace(stack.services, trying=tester))
            app = application(served, **settings)
            async with client_of(app, **dict(caller.headers)) as connected:
                yield connected

    return make


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def tried(caller: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await caller.post(TEST, json=body)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def echo(received: Received) -> web.StreamResponse:
    """Say back all that came, in the body and in headers."""
    headers = {f"X-Echo-{name}": value for name, value in received.headers.items()}
    body = {"path": received.path, "headers": received.headers, "body": received.body.decode()}
    return web.json_response(body, headers=headers, status=200)


async def test_what_is_shown_is_what_was_received_byte_for_byte(
    testing: Testing, records: Records, client: httpx.AsyncClient
) -> None:
    before = await records()
    asked: dict[str, Any] = {
        "url": "/{{ report }}/é?at={{ scheduled_for }}",
        "method": "PUT",
        "headers": {**SECRETS, "accept": "text/plain", "X-Run": "{{ execution_id }}", "X-Empty": ""},
        "body": {"run": "{{ execution_id }}", "report": "{{ report }}", "all": "{{ context_data }}"},
    }
    async with target(sends(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")) as here:
        async with testing(webhook_signing_secrets=SIGNING) as caller:
            shown = await tried(
                caller,
                target=asked | {"url": here.url + asked["url"]},
                context_data={"report": "dä/ily"},
                workflow_id=WORKFLOW_ID,
            )
        (received,) = here.requests
    sent = shown["request"]
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert f"{sent['method']} {sent['url'].removeprefix(here.url)} HTTP/1.1" == first
    assert sent["url"].startswith(f"{here.url}/d%C3%A4%2Fily/%C3%A9?at=20")
    assert sent["body"].encode() == body
    assert list(sent["headers"]) == list(headers)
    assert {name for name in headers if sent["headers"][name] != headers[name]} == set(SECRETS)
    assert {sent["headers"][name] for name in SECRETS} == {MASK}
    assert {name: headers[name] for name in SECRETS} == SECRETS
    run = headers["webhook-id"]
    assert headers["Idempotency-Key"] == headers["X-Run"] == orjson.loads(body)["run"] == run
    assert headers["traceparent"].startswith(f"00-{UUID(run).hex}-")
    assert headers["User-Agent"].startswith("schedule-service/")
    # `verify` also looks at the time, which is now.
    assert Webhook(SIGNING).verify(body, {name.lower(): text for name, text in headers.items()})
    assert (shown["meaning"], shown["error"]) == ("delivered", None)
    assert shown["response"] == {"status": 202, "headers": [["Content-Length", "2"]], "body": "ok"}
    assert 0 <= shown["duration_ms"] < 2000
    assert await records() == before
    assert (await client.get(f"{EXECUTIONS}/{run}")).status_code == 404


async def test_the_standard_body_is_that_of_a_delivery_of_now(testing: Testing, receiver: Receiver) -> None:
    began = time.time()
    async with testing(scheduler_timezone="Europe/Berlin") as caller:
        shown = await tried(caller, target={"url": receiver.url}, context_data={"report": "daily"})
    (received,) = receiver.received
    body = received.json
    run = body["execution_id"]
    assert shown["request"]["body"].encode() == received.body
    assert body | {"next_execution_at": None} == {
        "schedule_id": str(UUID(int=0)),
        "execution_id": run,
        "workflow_id": None,
        "community_id": body["community_id"],
        "scheduled_for": body["scheduled_for"],
        "triggered_at": body["triggered_at"],
        "attempt": 1,
        "trigger": "test",
        "coalesced_count": 1,
        "timezone": "Europe/Berlin",
        "last_scheduled_for": None,
        "next_execution_at": None,
        "variables": {
            "report": "daily",
            "schedule_id": str(UUID(int=0)),
            "execution_id": run,
            "triggered_at": body["triggered_at"],
        },
        "metadata": {"trigger_source": "schedule", "session_id": run},
    }
    instant = recorded_for(UUID(run))
    assert instant is not None
    assert began - 1 < instant.timestamp() < time.time() + 1
    async with testing() as caller:
        await tried(caller, target={"url": receiver.url})
    assert receiver.received[1].json["execution_id"] != run


async def test_a_target_that_is_to_report_gets_a_token_that_opens_nothing(testing: Testing, receiver: Receiver) -> None:
    settings = {"public_url": "https://schedules.example.com"}
    async with testing(**settings) as caller:
        await tried(caller, target={"url": receiver.url, "body": "{{ callback.token }}"}, completion="callback")
        await tried(caller, target={"url": receiver.url}, completion="callback")
        await tried(caller, target={"url": receiver.url})
        placed, standard, plain = receiver.received
        assert placed.body.startswith(b"cb_")
        assert "callback" not in plain.json
        callback = standard.json["callback"]
        assert callback["url"] == f"https://schedules.example.com{EXECUTIONS}/{standard.json['execution_id']}"
        async with client_of(caller._transport.app) as nobody:  # type: ignore[attr-defined]
            headers = {"Authorization": f"Bearer {callback['token']}"}
            for report, body in (("complete", {"status": "succeeded"}), ("heartbeat", {})):
                path = f"{EXECUTIONS}/{standard.json['execution_id']}/{report}"
                assert (await nobody.post(path, json=body, headers=headers)).status_code == 404
    async with testing() as caller:
        answer = await caller.post(
            TEST, json={"target": {"url": receiver.url, "body": "{{ callback.url }}"}, "completion": "callback"}
        )
    assert (answer.status_code, fields_of(answer.json())) == (400, ["target.body"])


async def test_the_stored_target_of_a_schedule_is_tried_with_its_stored_secrets(
    testing: Testing, receiver: Receiver, records: Records
) -> None:
    asked = {"url": f"{receiver.url}/{{{{ report }}}}", "headers": SECRETS, "body": {"of": "{{ report }}"}}
    async with testing() as caller:
        stored = await create(caller, target=asked, context_data={"report": "daily"}, name="tried")
        before = await records()
        await tried(caller, schedule_id=stored["schedule_id"])
        await tried(caller, schedule_id=stored["schedule_id"], context_data={"report": "weekly"}, target=None)
        answer = await caller.post(TEST, json={"schedule_id": stored["schedule_id"], "context_data": {}})
        assert await records() == before
    assert (answer.status_code, fields_of(answer.json())) == (400, ["target"])
    first, second = receiver.received
    assert (first.path, first.json) == ("/daily", {"of": "daily"})
    assert (second.path, second.json) == ("/weekly", {"of": "weekly"})
    for received in (first, second):
        assert {name: received.headers[name] for name in SECRETS} == SECRETS


async def test_an_edit_is_tried_before_it_is_saved(testing: Testing, receiver: Receiver) -> None:
    masked = dict.fromkeys(SECRETS, MASK)
    async with testing() as caller:
        stored = await create(
            caller, target={"url": receiver.url, "headers": SECRETS}, context_data={"report": "daily"}, timezone="UTC"
        )
        edit = {"url": f"{receiver.url}/edited", "headers": masked | {"X-New": "new-secret"}, "body": "{{ report }}"}
        shown = await tried(caller, schedule_id=stored["schedule_id"], target=edit)
        default = await tried(caller, schedule_id=stored["schedule_id"], target={"url": receiver.url})
        assert (await caller.get(f"{SCHEDULES}/{stored['schedule_id']}")).json() == stored
    received = receiver.received[0]
    assert (received.path, received.body) == ("/edited", b"daily")
    assert {name: received.headers[name] for name in (*SECRETS, "X-New")} == {**SECRETS, "X-New": "new-secret"}
    assert shown["request"]["headers"]["X-New"] == MASK
    body = orjson.loads(default["request"]["body"])
    assert (body["schedule_id"], body["workflow_id"]) == (stored["schedule_id"], stored["workflow_id"])
    assert body["next_execution_at"] == stored["next_execution_at"]


async def test_masks_stand_for_stored_values_on_the_same_host_alone(testing: Testing, receiver: Receiver) -> None:
    masked = {"X-Key": MASK}
    async with testing(target_allowed_hosts="localhost") as caller:
        stored = await create(caller, target={"url": receiver.url, "headers": {"X-Key": "topsecret"}})
        elsewhere = receiver.url.replace("127.0.0.1", "localhost")
        for body, why in (
            ({"target": {"url": receiver.url, "headers": masked}}, "there is none: give the value"),
            (
                {"schedule_id": stored["schedule_id"], "target": {"url": elsewhere, "headers": masked}},
                "given for another host",
            ),
            (
                {
                    "schedule_id": stored["schedule_id"],
                    "target": {"url": receiver.url, "headers": {"X-Other": MASK}},
                },
                "there is none: give the value",
            ),
        ):
            answer = await caller.post(TEST, json=body)
            assert answer.status_code == 400, body
            assert why in answer.text
    assert receiver.received == []


async def test_a_schedule_of_another_community_is_not_there(
    testing: Testing, connect_as: Connect, receiver: Receiver
) -> None:
    async with testing() as caller:
        stored = await create(caller, target={"url": receiver.url, "headers": SECRETS})
    stranger = await connect_as(Role.ADMIN)
    async with testing(stranger) as caller:
        for extra in ({}, {"target": {"url": receiver.url, "headers": {"X-Key": MASK}}}):
            theirs = await caller.post(TEST, json={"schedule_id": stored["schedule_id"], **extra})
            nobodys = await caller.post(TEST, json={"schedule_id": UNKNOWN_ID, **extra})
            assert (theirs.status_code, nobodys.status_code) == (404, 404)
            assert theirs.json()["detail"].replace(stored["schedule_id"], UNKNOWN_ID) == nobodys.json()["detail"]
    assert receiver.received == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
async def test_it_takes_an_operator(testing: Testing, connect_as: Connect, receiver: Receiver, role: Role) -> None:
    async with testing(await connect_as(role)) as caller:
        answer = await caller.post(TEST, json={"target": {"url": receiver.url}})
    assert answer.status_code == 403
    assert receiver.received == []


async def test_a_schedule_without_a_target_tries_the_engine_where_it_is_known(
    testing: Testing, receiver: Receiver
) -> None:
    async with testing() as caller:
        stored = await create(caller)
        answer = await caller.post(TEST, json={"schedule_id": stored["schedule_id"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "STATE_FORBIDS")
    assert "WORKFLOW_ENGINE_URL" in answer.json()["detail"]
    # The engine is trusted: it needs no network that is allowed.
    async with testing(workflow_engine_url=receiver.url, target_allowed_networks="") as caller:
        shown = await tried(caller, schedule_id=stored["schedule_id"])
    (received,) = receiver.received
    assert received.path == f"/api/v1/workflows/{WORKFLOW_ID}/execute"
    assert shown["request"]["url"] == receiver.url + received.path
    assert shown["meaning"] == "delivered"
    assert received.json["schedule_id"] == stored["schedule_id"]


@pytest.mark.parametrize("key", [KEY, ""])
async def test_no_secret_is_told_or_logged(
    testing: Testing, receiver: Receiver, key: str, capsys: pytest.CaptureFixture[str], client: httpx.AsyncClient
) -> None:
    receiver.behaviour = echo
    basic = {"X-Basic": "Basic YWRhOnBhc3N3b3JkLTM="}
    asked = {
        # A secret that is said back from the URL or the body is one nevertheless.
        "url": f"{receiver.url}/?key=top%2Fsecret%222",
        "headers": SECRETS | basic,
        "body": {"again": 'top/secret"2', "decoded": "ada:password-3"},
    }
    async with testing(secret_key=key) as caller:
        stored = await create(caller, target=asked)
        capsys.readouterr()
        answers = [
            await caller.post(TEST, json={"target": asked}),
            await caller.post(TEST, json={"schedule_id": stored["schedule_id"]}),
        ]
    printed = capsys.readouterr()
    for answer in answers:
        assert answer.status_code == 200
        shown = answer.json()
        assert shown["meaning"] == "delivered"
        assert {shown["request"]["headers"][name] for name in asked["headers"]} == {MASK}
        response = str(shown["response"])
        for secret in ("topsecret", "secret", "YWRh", "password"):
            assert secret not in response
        assert MASK in shown["response"]["body"]
        # What was written into the URL and the body is shown as it was: the API shows it anyway.
        assert shown["request"]["url"] == asked["url"]
        told = str(shown["request"]["headers"])
        assert "secret" not in told
    lines = [line for line in printed.out.splitlines() if "target_test" in line]
    assert len(lines) == 2
    for line in lines:
        assert "category=AUDIT" in line
        assert f"host={receiver.url.removeprefix('http://')}" in line
        assert "user=admin-user" in line
    assert "secret" not in printed.out + printed.err
    assert f"schedule_id={stored['schedule_id']}" in lines[1]


async def test_a_secret_that_the_end_of_the_answer_cuts_is_not_told_in_part(testing: Testing) -> None:
    secret = "topsecret-0123456789"
    body = b"x" * (65_536 - 10) + secret.encode() + b"y" * 1000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with target(sends(answer)) as here, testing() as caller:
        shown = await tried(caller, target={"url": here.url, "headers": {"X-Key": secret}})
    assert "t" not in shown["response"]["body"]
    assert len(shown["response"]["body"]) > 65_000


async def test_a_secret_that_the_last_chunk_that_is_read_cuts_is_not_told_in_part(testing: Testing) -> None:
    secret = "topsecret-0123456789"
    body = b"x" * 990 + secret.encode() + b"y" * 1000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    async with target(sends(answer)) as here, testing() as caller:
        shown = await tried(caller, target={"url": here.url, "headers": {"X-Key": secret}})
    assert "t" not in shown["response"]["body"]
    assert len(shown["response"]["body"]) > 950


async def test_a_secret_that_does_not_open_is_told_and_nothing_is_sent(testing: Testing, receiver: Receiver) -> None:
    async with testing() as caller:
        stored = await create(caller, target={"url": receiver.url, "headers": {"X-Key": "topsecret"}})
    async with testing(secret_key=f"another {KEY}") as caller:
        shown = await tried(caller, schedule_id=stored["schedule_id"])
    assert (shown["meaning"], shown["request"], shown["response"]) == ("retry", None, None)
    assert f"the key {SecretBox.from_setting(KEY).newest_key_id}" in shown["error"]
    assert receiver.received == []


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, "delivered"),
        (409, "delivered"),
        (302, "failed"),
        (404, "failed"),
        (410, "gone"),
        (429, "retry"),
        (503, "retry"),
    ],
)
async def test_the_meaning_is_that_of_a_delivery_and_no_redirect_is_followed(
    testing: Testing, receiver: Receiver, status: int, meaning: str
) -> None:
    async def answer(_received: Received) -> web.StreamResponse:
        return web.Response(status=status, text="said", headers={"Location": f"{receiver.url}/next"})

    receiver.behaviour = answer
    async with testing() as caller:
        shown = await tried(caller, target={"url": receiver.url, "method": "GET"})
    assert shown["meaning"] == meaning
    assert shown["error"] == (None if meaning == "delivered" else f"HTTP {status}: said")
    assert ["Location", f"{receiver.url}/next"] in shown["response"]["headers"]
    assert len(receiver.received) == 1


async def test_what_is_no_text_is_shown_with_replacement_characters(testing: Testing) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nX-Latin: \xe9\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 4\r\n\r\n\xff\x00a\xc3"
    )
    async with target(sends(answer)) as here, testing() as caller:
        shown = await tried(caller, target={"url": here.url})
    assert shown["response"]["body"] == "\ufffd\x00a\ufffd"
    assert shown["response"]["headers"][:3] == [["X-Latin", "é"], ["Set-Cookie", "a"], ["Set-Cookie", "b"]]


FLOOD = b"x" * 65_536
HOSTILE: dict[str, tuple[Behaviour, str, str]] = {
    "hangs": (hangs, "retry", "no whole answer within 1 s"),
    "resets": (resets, "retry", "connection"),
    "says nothing": (sends(b""), "retry", "without an answer"),
    "is no HTTP": (sends(b"SSH-2.0-OpenSSH_9.9\r\n"), "retry", "not HTTP/1.1"),
    "1 GB": (sends_for_ever(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", FLOOD), "delivered", ""),
    "no end": (sends_for_ever(b"HTTP/1.1 500 No\r\n\r\n", FLOOD), "retry", "HTTP 500: xxx"),
    "trickles": (sends_for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.02), "retry", "no whole answer within 1 s"),
    "headers": (
        sends_for_ever(b"HTTP/1.1 200 OK\r\n", b"X-Header: " + b"x" * 8_000 + b"\r\n"),
        "retry",
        "more than 65536 bytes of headers",
    ),
    "10 000 short headers": (
        sends(b"HTTP/1.1 200 OK\r\n" + b"X: topsecret\r\n" * 10_000 + b"Content-Length: 0\r\n\r\n"),
        "retry",
        "more than 200 headers",
    ),
    "cut off": (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"), "retry", "in the middle of its answer"),
}


@pytest.mark.parametrize(("behaviour", "meaning", "error"), list(HOSTILE.values()), ids=list(HOSTILE))
async def test_whatever_a_target_does_it_is_told_in_time_and_costs_little(
    testing: Testing, behaviour: Behaviour, meaning: str, error: str
) -> None:
    headers = {"X-Key": "topsecret", **{f"X-{n}": f"another secret {n}" for n in range(40)}}
    async with target(behaviour) as here, testing(trigger_request_timeout_seconds=1) as caller:
        await tried(caller, target={"url": here.url, "headers": headers})
        tracemalloc.start()
        began = time.monotonic()
        try:
            shown = await tried(caller, target={"url": here.url, "headers": headers})
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        took = time.monotonic() - began
    assert shown["meaning"] == meaning
    assert error in (shown["error"] or "")
    assert took < 4
    assert most < 8_000_000
    assert shown["request"]["method"] == "POST"
    assert "topsecret" not in str(shown["response"])
    if shown["response"] is not None:
        assert len(shown["response"]["body"]) <= 65_536


async def test_nothing_is_left_of_a_flood_of_tests(testing: Testing) -> None:
    flood = sends_for_ever(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", FLOOD)
    async with target(flood) as here, testing() as caller:
        for number in range(30):
            await tried(caller, target={"url": here.url, "body": str(number) * 30_000})
            here.requests.clear()
            if number == 9:
                tracemalloc.start()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert after < 1_000_000


class Elsewhere:
    """A name server that gives one answer when a target is looked at, and another when it is dialled."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, _name: str) -> list[str]:
        self.asked += 1
        return ["127.0.0.1"]


async def test_an_address_where_no_target_may_be_is_refused_as_at_a_creation(
    testing: Testing, receiver: Receiver
) -> None:
    async with testing(target_allowed_networks="") as caller:
        for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost"), "http://169.254.169.254/"):
            answer = await caller.post(TEST, json={"target": {"url": url}})
            assert (answer.status_code, fields_of(answer.json())) == (400, ["target.url"]), url
        answer = await caller.post(TEST, json={"target": {"url": "https://8.8.8.8/", "cancel_url": receiver.url}})
        assert fields_of(answer.json()) == ["target.cancel_url"]
    assert receiver.received == []


async def test_an_address_that_turns_out_to_be_forbidden_when_it_is_dialled_is_told(
    testing: Testing, receiver: Receiver
) -> None:
    name_server = Elsewhere()
    port = receiver.url.rpartition(":")[2]
    async with testing(target_allowed_networks="", guard=Guard(resolver=name_server)) as caller:
        shown = await tried(caller, target={"url": f"http://hooks.example:{port}/"})
    assert name_server.asked == 1
    assert shown["meaning"] == "failed"
    assert "has an address that is loopback" in shown["error"]
    assert shown["response"] is None
    assert receiver.received == []


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({}, 400, ["target"]),
        ({"target": None, "schedule_id": None}, 400, ["target"]),
        ({"target": {"url": "x"}}, 400, ["target.url"]),
        ({"target": {}}, 400, ["target.url"]),
        ({"target": {"url": "https://8.8.8.8/{{ unknown }}"}}, 400, ["target.url"]),
        ({"target": {"url": "https://8.8.8.8/", "headers": {"webhook-id": "x"}}}, 400, ["target.headers.webhook-id"]),
        ({"target": {"url": "https://8.8.8.8/"}, "context_data": {"x": "y" * 65_536}}, 400, ["context_data"]),
        ({"target": {"url": "https://8.8.8.8/"}, "completion": "never"}, 400, ["completion"]),
        ({"schedule_id": "x"}, 400, ["schedule_id"]),
        ({"target": "https://8.8.8.8/"}, 422, ["target"]),
        ({"target": {"url": "https://8.8.8.8/"}, "extra": 1}, 422, ["extra"]),
        ([], 422, ["body"]),
    ],
    ids=str,
)
async def test_what_is_wrong_is_named_and_nothing_is_sent(
    client: httpx.AsyncClient, body: Any, status: int, fields: list[str]
) -> None:
    answer = await client.post(TEST, json=body)
    assert (answer.status_code, fields_of(answer.json())) == (status, fields), answer.text


async def test_only_a_few_may_be_under_way_at_once(testing: Testing, connect_as: Connect) -> None:
    release = asyncio.Event()

    async def waits(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    communities = MOST_AT_ONCE // MOST_AT_ONCE_OF_COMMUNITY
    callers = [await connect_as() for _ in range(communities + 1)]
    async with target(waits) as here, testing(trigger_request_timeout_seconds=30) as caller:

        def send(number: int) -> Awaitable[httpx.Response]:
            headers = {"Authorization": callers[number].headers["Authorization"]}
            return caller.post(TEST, json={"target": {"url": here.url}}, headers=headers)

        under_way = [asyncio.ensure_future(send(0)) for _ in range(MOST_AT_ONCE_OF_COMMUNITY)]
        await came(here.requests, MOST_AT_ONCE_OF_COMMUNITY)
        refused = await send(0)
        assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_AT_ONCE")
        assert int(refused.headers["retry-after"]) > 0
        under_way += [
            asyncio.ensure_future(send(number))
            for number in range(1, communities)
            for _ in range(MOST_AT_ONCE_OF_COMMUNITY)
        ]
        await came(here.requests, MOST_AT_ONCE)
        assert (await send(communities)).status_code == 429
        release.set()
        assert {answer.status_code for answer in await asyncio.gather(*under_way)} == {200}
        assert {(await send(number)).status_code for number in (0, communities)} == {200}


async def came(requests: list[bytes], number: int) -> None:
    async with asyncio.timeout(10):
        while len(requests) < number:
            await asyncio.sleep(0.01)


async def test_what_is_answered_is_what_the_document_says(testing: Testing, receiver: Receiver, app: Any) -> None:
    async with testing() as caller:
        answers = [
            await tried(caller, target={"url": receiver.url}),
            await tried(caller, target={"url": "http://127.0.0.1:1/"}),
        ]
    for shown in answers:
        resolved(app, {"$ref": "#/components/schemas/TargetTest"}).validate(shown)
    assert re.match("no connection", answers[1]["error"])
