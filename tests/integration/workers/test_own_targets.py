"""A schedule's own target: what it is sent, at every attempt, whatever becomes of the schedule meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from app.core.execution import Execution, ExecutionStatus
from app.core.queries import Answer
from app.core.schedule import Completion, Definition, RetryPolicy, Schedule, ScheduleStatus
from app.core.sealing import MASK, SecretBox
from app.core.target import Method, Target, bound_to
from app.workers.loop import Worker
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.stages import delivering, look_and_send
from tests.receiver import Received, Receiver

OLD, NEW = ("whsec_" + letter * 32 for letter in "AB")
KEY = "a key for these tests of at least 32 characters"
NASTY = 'a/..b/?c=d&e#f "g"\r\nX: 1 {{ h }} é\x01'


def target(url: str, *, secret_key: str = "", headers: dict[str, str] | None = None, **fields: Any) -> Target:
    """A target whose headers are sealed."""
    box = SecretBox.from_setting(secret_key)
    sealed = {name: box.seal(value, bound_to(url, name)) for name, value in (headers or {}).items()}
    return Target(url, headers=sealed, **fields)


async def only(rig: Rig, schedule: Schedule) -> Execution:
    (execution,) = await rig.history(schedule)
    return await rig.executions.get(CALLER, execution.execution_id)


async def fire(rig: Rig, worker: Worker, schedule: Schedule) -> Execution:
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        await look_and_send(rig, worker)
    return await only(rig, schedule)


async def test_every_placeholder_is_filled_in_and_stays_in_its_place(rig: Rig) -> None:
    worker = await rig.worker()
    async with Receiver() as own:
        schedule = await rig.create(
            workflow_id=None,
            context_data={"report": NASTY, "n": 3, "deep": {"of": [1, None]}},
            target=target(
                own.url + "/{{ report }}/{{ execution_id }}?at={{ scheduled_for }}&r={{ report }}",
                method=Method.PUT,
                headers={"X-Report": "r={{ report }}", "Authorization": "Bearer topsecret", "accept": "text/plain"},
                body={
                    "id": "{{ execution_id }}",
                    "text": "of {{ report }} and {{ n }}",
                    "n": "{{ n }}",
                    "deep": ["{{ context_data.deep }}", "{{ variables.n }}", "{{ last_scheduled_for }}", 1.5, None],
                },
            ),
        )
        execution = await fire(rig, worker, schedule)
        (received,) = own.received
    assert rig.receiver.received == []
    assert execution.status is ExecutionStatus.SUCCEEDED
    assert execution.workflow_id is None
    run = str(execution.execution_id)
    at = next_of(schedule)[0].isoformat(timespec="seconds").replace("+00:00", "Z")
    encoded = quote(NASTY, safe="")
    assert (received.method, received.path) == ("PUT", f"/{encoded}/{run}?at={quote(at, safe='')}&r={encoded}")
    assert received.headers["X-Report"] == "r=" + quote(NASTY, safe="".join(map(chr, range(32, 127))))
    assert received.headers["Authorization"] == "Bearer topsecret"
    assert received.headers["Accept"] == "text/plain"
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Idempotency-Key"] == received.headers["webhook-id"] == run
    assert received.json == {
        "id": run,
        "text": f"of {NASTY} and 3",
        "n": 3,
        "deep": [{"of": [1, None]}, 3, None, 1.5, None],
    }


@pytest.mark.parametrize(
    ("content_type", "template", "sent"),
    [
        (None, "run {{ n }} of {{ text }}", 'run 3 of a&b "c"'),
        ("application/x-www-form-urlencoded", "n={{ n }}&t={{ text }}", "n=3&t=a%26b%20%22c%22"),
        ("application/json", '{"t": "{{ text }}", "n": {{ n }}}', '{"t": "a&b \\"c\\"", "n": 3}'),
        ("application/vnd.x+json", '"{{ text }}"', '"a&b \\"c\\""'),
        ("text/json", '"{{ text }}"', '"a&b \\"c\\""'),
        ("application/x-ndjson", '"{{ text }}"\n{{ n }}\n', '"a&b \\"c\\""\n3\n'),
        ("text/xml; charset=utf-8", "<t>{{ text }}</t>", "<t>a&amp;b &quot;c&quot;</t>"),
        ("text/csv", "{{ text }},{{ n }}", 'a&b "c",3'),
    ],
)
async def test_a_text_is_encoded_by_its_content_type(
    rig: Rig, content_type: str | None, template: str, sent: str
) -> None:
    worker = await rig.worker()
    headers = {} if content_type is None else {"content-TYPE": content_type}
    schedule = await rig.create(
        context_data={"text": 'a&b "c"', "n": 3},
        target=target(f"{rig.receiver.url}/text", headers=headers, body=template),
    )
    await fire(rig, worker, schedule)
    (received,) = rig.receiver.received
    assert received.body.decode() == sent
    assert received.headers["Content-Type"] == (content_type or "text/plain; charset=utf-8")


@pytest.mark.parametrize("method", list(Method))
async def test_without_a_body_of_its_own_it_gets_what_the_engine_would(rig: Rig, method: Method) -> None:
    worker = await rig.worker()
    schedule = await rig.create(target=target(f"{rig.receiver.url}/here", method=method))
    execution = await fire(rig, worker, schedule)
    (received,) = rig.receiver.received
    assert (received.method, received.path) == (method.value, "/here")
    if method in (Method.GET, Method.DELETE):
        assert received.body == b""
        assert not {"Content-Type", "Content-Length"} & received.headers.keys()
    else:
        assert received.json["execution_id"] == str(execution.execution_id)
        assert received.json["variables"]["report"] == "daily"


@pytest.mark.parametrize("secrets", [OLD, f"{NEW},{OLD}", NEW])
@pytest.mark.parametrize("engine", [False, True])
async def test_every_request_is_signed_over_what_it_sends_also_while_the_keys_change(
    rig: Rig, secrets: str, engine: bool
) -> None:
    worker = await rig.worker(webhook_signing_secrets=secrets)
    own = None if engine else target(rig.receiver.url, body={"run": "{{ execution_id }}"})
    await fire(rig, worker, await rig.create(target=own))
    (received,) = rig.receiver.received
    headers = {name.lower(): value for name, value in received.headers.items()}
    # Signed at the hand-moved clock's instant; `verify` would judge that by its own.
    stamp = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    ours = headers["webhook-signature"].split(" ")
    for secret in (OLD, NEW):
        theirs = Webhook(secret).sign(headers["webhook-id"], stamp, received.body.decode())
        assert (theirs in ours) == (secret in secrets.split(","))
        assert Webhook(secret).sign(headers["webhook-id"], stamp, received.body.decode() + " ") not in ours


async def test_it_is_not_sent_where_no_target_may_be(rig: Rig) -> None:
    worker = await rig.worker(allowed_networks="")
    schedule = await rig.create(target=target(f"{rig.receiver.url}/inside"), retry=RetryPolicy(max_retries=3))
    execution = await fire(rig, worker, schedule)
    assert execution.status is ExecutionStatus.FAILED
    assert "127.0.0.1 is loopback" in (execution.error or "")
    assert rig.receiver.received == []


async def test_what_a_target_says_back_of_its_secrets_is_not_kept(rig: Rig) -> None:
    async def echo(request: Received) -> web.StreamResponse:
        return web.json_response(
            {"you sent": request.headers, "short": request.headers["Authorization"][7:]}, status=400
        )

    rig.receiver.behaviour = echo
    worker = await rig.worker(secret_key=KEY)
    headers = {"Authorization": "Bearer topsecret", "X-Key": 'quo"ted', "X-Run": "{{ execution_id }}", "X": "abc"}
    schedule = await rig.create(target=target(rig.receiver.url, headers=headers, secret_key=KEY))
    execution = await fire(rig, worker, schedule)
    (received,) = rig.receiver.received
    assert received.headers["X-Key"] == 'quo"ted'
    assert execution.error is not None
    assert execution.error.startswith("HTTP 400")
    assert MASK in execution.error
    assert "topsecret" not in str(execution)
    assert "quo" not in str(execution)
    # What is no secret is not taken out.
    assert str(execution.execution_id) in execution.error


@pytest.mark.parametrize("own", [True, False], ids=["its own target", "the engine"])
async def test_a_callback_token_that_a_target_says_back_is_not_kept(rig: Rig, own: bool) -> None:
    """Who may read an execution may not report for it."""

    async def echo(request: Received) -> web.StreamResponse:
        return web.json_response(request.json["callback"], status=400)

    rig.receiver.behaviour = echo
    worker = await rig.worker(secret_key=KEY, public_url="https://schedules.example")
    schedule = await rig.create(
        target=target(rig.receiver.url, headers={"X-Key": "topsecret"}, secret_key=KEY) if own else None,
        completion=Completion.CALLBACK,
    )
    execution = await fire(rig, worker, schedule)
    (received,) = rig.receiver.received
    callback = received.json["callback"]
    assert execution.error == f'HTTP 400: {{"url": "{callback["url"]}", "token": "{MASK}"}}'
    assert callback["token"] not in str(execution)


async def test_a_secret_whose_key_is_gone_is_told_and_tried_again(rig: Rig) -> None:
    schedule = await rig.create(
        target=target(rig.receiver.url, headers={"X-Key": "topsecret"}, secret_key=KEY),
        retry=RetryPolicy(max_retries=3, initial_backoff_seconds=1),
    )
    execution = await fire(rig, await rig.worker(secret_key=f"another {KEY}"), schedule)
    assert execution.status is ExecutionStatus.RETRYING
    assert "header X-Key cannot be read: it was encrypted with the key" in (execution.error or "")
    assert rig.receiver.received == []
    worker = await rig.worker(secret_key=f"another {KEY},{KEY}")
    rig.clock.move(2)
    async with delivering(worker):
        await look_and_send(rig, worker)
    assert (await only(rig, schedule)).status is ExecutionStatus.SUCCEEDED
    assert rig.receiver.received[0].headers["X-Key"] == "topsecret"


def replacing(url: str) -> Callable[[Schedule], Definition]:
    """A caller's change of everything that an attempt sends."""

    def edit(current: Schedule) -> Definition:
        now = target(f"{url}/changed", headers={"X-Key": "changed"}, body={"is": "not this"})
        return replace(current.definition, target=now, context_data={"report": "changed"})

    return edit


async def test_every_attempt_of_a_replaced_schedule_sends_what_was_recorded(rig: Rig) -> None:
    async def broken(_request: Received) -> web.StreamResponse:
        return web.Response(status=503)

    rig.receiver.behaviour = broken
    was = target(f"{rig.receiver.url}/recorded", headers={"X-Key": "recorded"}, body={"is": "{{ report }}"})
    schedule = await rig.create(target=was, retry=RetryPolicy(max_retries=5, initial_backoff_seconds=1))
    execution = await fire(rig, await rig.worker(), schedule)
    assert execution.status is ExecutionStatus.RETRYING
    await rig.schedules.change(
        CALLER, schedule.schedule_id, replacing(rig.receiver.url), expected_revision=schedule.revision
    )
    rig.receiver.behaviour = None
    rig.clock.move(3)
    second = await rig.worker()
    async with delivering(second):
        await look_and_send(rig, second)
    recorded = [one for one in rig.receiver.received if one.headers["Idempotency-Key"] == str(execution.execution_id)]
    assert [(one.path, one.headers["X-Key"], one.json) for one in recorded] == [
        ("/recorded", "recorded", {"is": "daily"})
    ] * 2
    assert (await rig.executions.get(CALLER, execution.execution_id)).status is ExecutionStatus.SUCCEEDED


async def test_a_run_of_a_removed_schedule_sends_what_was_recorded(rig: Rig) -> None:
    worker = await rig.worker()
    was = target(f"{rig.receiver.url}/recorded", headers={"X-Key": "recorded"}, body={"is": "{{ report }}"})
    schedule = await rig.create(target=was)
    await rig.trigger(schedule, context_override={"report": "by hand"})
    await rig.schedules.change(CALLER, schedule.schedule_id, replacing(rig.receiver.url), expected_revision=None)
    await rig.schedules.remove(CALLER, schedule.schedule_id)
    async with delivering(worker):
        await look_and_send(rig, worker)
    (received,) = rig.receiver.received
    assert (received.path, received.headers["X-Key"]) == ("/recorded", "recorded")
    assert received.json == {"is": "by hand"}


async def test_a_dead_letter_is_delivered_under_its_own_id_to_the_target_it_had(rig: Rig) -> None:
    async def broken(_request: Received) -> web.StreamResponse:
        return web.Response(status=400)

    rig.receiver.behaviour = broken
    worker = await rig.worker()
    schedule = await rig.create(target=target(f"{rig.receiver.url}/recorded"))
    execution = await fire(rig, worker, schedule)
    assert execution.status is ExecutionStatus.FAILED

    def to_the_engine(current: Schedule) -> Definition:
        return replace(current.definition, target=None)

    await rig.schedules.change(CALLER, schedule.schedule_id, to_the_engine, expected_revision=None)
    await rig.executions.retry(CALLER, execution.execution_id, answer=lambda _: Answer(202, {}, b""), idempotency=None)
    rig.receiver.behaviour = None
    async with delivering(worker):
        await look_and_send(rig, worker)
    assert [(one.path, one.headers["webhook-id"]) for one in rig.receiver.received] == [
        ("/recorded", str(execution.execution_id))
    ] * 2


async def test_a_410_pauses_a_schedule_with_its_own_target(rig: Rig) -> None:
    async def gone(_request: Received) -> web.StreamResponse:
        return web.Response(status=410)

    rig.receiver.behaviour = gone
    worker = await rig.worker()
    schedule = await rig.create(target=target(f"{rig.receiver.url}/gone"))
    await fire(rig, worker, schedule)
    paused = await rig.schedules.get(CALLER, schedule.schedule_id)
    assert paused.status is ScheduleStatus.PAUSED
    assert "HTTP 410" in (paused.status_reason or "")
