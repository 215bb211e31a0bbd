"""The outermost layer, over applications of a few lines."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from app.api.edge import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES, Edge
from app.metrics import Metrics
from tests.clocks import ManualClock

Handler = Callable[[Request], Awaitable[Response]]


def application(handler: Handler) -> ASGIApp:
    """An application of one handler."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (await handler(Request(scope, receive)))(scope, receive, send)

    return app


async def reads(request: Request) -> Response:
    """Answers how much it was sent."""
    return Response(str(len(await request.body())))


class Caller:
    """Sends one request to an edge and keeps what comes back."""

    def __init__(self, app: ASGIApp) -> None:
        self.metrics = Metrics()
        self.edge = Edge(app, metrics=self.metrics, clock=ManualClock())
        self.sent: list[Message] = []

    async def send(
        self, *messages: Message, path: str = "/x", method: str = "POST", headers: dict[str, str] | None = None
    ) -> None:
        waiting = list(messages)

        async def receive() -> Message:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.sent.append(message)

        raw = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        await self.edge({"type": "http", "method": method, "path": path, "headers": raw}, receive, send)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_an_error_that_nothing_expected_is_logged_and_answered_as_a_problem() -> None:
    async def broken(_request: Request) -> Response:
        raise ZeroDivisionError("secret detail")

    caller = Caller(application(broken))
    with capture_logs() as logs:
        await caller.send(headers={"x-request-id": "abc"})
    assert caller.status == 500
    problem = orjson.loads(caller.body)
    assert (problem["code"], problem["request_id"]) == ("INTERNAL_ERROR", "abc")
    assert b"secret" not in caller.body
    assert [(log["event"], log["log_level"]) for log in logs if log["log_level"] == "error"] == [
        ("request_failed", "error")
    ]


async def test_an_error_after_the_answer_began_adds_nothing_to_it() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    caller = Caller(broken)
    await caller.send()
    assert [message["type"] for message in caller.sent] == ["http.response.start"]


async def test_a_caller_who_leaves_while_sending_is_no_error() -> None:
    caller = Caller(application(reads))
    with capture_logs() as logs:
        await caller.send(part(b"{", more=True), headers={"content-length": "100"})
    assert caller.sent == []
    assert not [log for log in logs if log["log_level"] in ("warning", "error")]
    counted = caller.metrics.http_requests.labels("POST", "unmatched", "abandoned")
    assert counted._value.get() == 1


async def test_a_cancelled_request_stays_cancelled() -> None:
    async def stuck(_request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    caller = Caller(application(stuck))
    task = asyncio.create_task(caller.send())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("path", "limit"), [("/api/v1/schedules", MAX_BODY_BYTES), ("/api/v1/schedules/batch", MAX_BATCH_BODY_BYTES)]
)
async def test_what_streams_in_is_counted_whatever_was_declared(path: str, limit: int) -> None:
    half = b" " * (limit // 2)
    fits = Caller(application(reads))
    await fits.send(part(half, more=True), part(half), path=path, headers={"content-length": "3"})
    assert (fits.status, fits.body) == (200, str(limit).encode())
    # In the service the framework turns this error into a 413; here nothing does.
    too_much = Caller(application(reads))
    await too_much.send(part(half, more=True), part(half, more=True), part(b" "), path=path)
    assert too_much.status == 500


@pytest.mark.parametrize("declared", [str(MAX_BODY_BYTES + 1), "9" * 40, "1" + "0" * 19])
async def test_a_body_that_declares_too_much_is_refused_unread(declared: str) -> None:
    def never(scope: Scope, receive: Receive, send: Send) -> Any:
        raise AssertionError("reached")

    caller = Caller(never)
    await caller.send(headers={"content-length": declared})
    assert caller.status == 413
    assert caller.headers["connection"] == "close"


async def test_what_is_no_request_passes_untouched() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    caller = Caller(app)
    for kind in ("lifespan", "websocket"):
        await caller.edge({"type": kind}, None, None)  # type: ignore[arg-type]
    assert seen == ["lifespan", "websocket"]
