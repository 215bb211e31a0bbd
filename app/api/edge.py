"""The outermost layer, pure ASGI: request ids, bounds on bodies, metrics, logs, and the last resort."""

import re
from uuid import uuid4

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import BodyTooLargeException, InternalException, problem_response
from app.core.clock import Clock
from app.core.errors import NotFoundException
from app.metrics import Metrics

MAX_BODY_BYTES = 1 << 20
MAX_BATCH_BODY_BYTES = 16 << 20
BATCH_PATH = "/schedules/batch"
BY_NAME_PATH = "/schedules/by-name/"
"""What follows it is a name, whatever characters it has."""

_SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

log = structlog.get_logger()


def request_id_of(request: Request) -> str:
    """The request's id: the caller's own where it is sane, else a new one."""
    request_id: str = request.scope["request_id"]
    return request_id


class Edge:
    """Gives each request an id, counts it, bounds its body, and answers 500 where nothing else answered.

    Nothing is meant to reach that last answer; what does is logged with its traceback.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, clock: Clock) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = _request_id(scope)
        method = scope["method"]
        if method == "HEAD":
            # As GET, of which the server sends the head alone (RFC 9110, 9.3.2).
            scope = {**scope, "method": "GET"}
        started_at = self._clock.monotonic()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = ((b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff"))
                message["headers"] = [*message["headers"], *own]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                bounded = BoundedBody(receive, _limit(scope["path"]))
                refused = bounded.refusal(scope) or _no_such_path(scope["path"])
                if refused is not None:
                    await problem_response(refused, request_id)(scope, receive, send_with_id)
                else:
                    await self._app(scope, bounded, send_with_id)
            except ClientDisconnect:
                # Nobody is left to answer to.
                log.debug("request_abandoned", category="SYSTEM", path=scope["path"])
            except Exception:
                log.exception("request_failed", category="ERROR", method=scope["method"], path=scope["path"])
                if not status:
                    error = InternalException("Something went wrong here. The request id names it in the logs.")
                    await problem_response(error, request_id)(scope, receive, send_with_id)
            self._count(scope, method, status, self._clock.monotonic() - started_at)

    def _count(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        method = method if method in _METHODS else "other"
        # The route's template, never the path: the number of paths is not bounded.
        route = getattr(scope.get("route"), "path_format", "unmatched")
        counter, histogram = self._series(method, route, status)
        counter.inc()
        histogram.observe(seconds)
        ms = round(seconds * 1000, 1)
        log.debug("request_served", category="SYSTEM", method=method, route=route, status=status, ms=ms)

    def _series(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        # Kept, because looking a series up by its labels costs more than counting; there are few of them.
        key = (method, route, status)
        if key not in self._known:
            self._known[key] = (
                self._metrics.http_requests.labels(method, route, status or "abandoned"),
                self._metrics.http_seconds.labels(method, route),
            )
        return self._known[key]


class BoundedBody:
    """An ASGI `receive` that counts what streams in, whatever `Content-Length` says."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._received = 0

    def refusal(self, scope: Scope) -> BodyTooLargeException | None:
        """The refusal of a body that says of itself that it is too large."""
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:20]) > self._limit:
                return self._too_large()
        return None

    async def __call__(self) -> Message:
        """The next message. Raises BodyTooLargeException once more than the limit has streamed in."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._limit:
                raise self._too_large()
        return message

    def _too_large(self) -> BodyTooLargeException:
        return BodyTooLargeException(f"A body may have at most {self._limit} bytes here.")


def _limit(path: str) -> int:
    return MAX_BATCH_BODY_BYTES if path.endswith(BATCH_PATH) and BY_NAME_PATH not in path else MAX_BODY_BYTES


def _no_such_path(path: str) -> NotFoundException | None:
    # The router's patterns end in a $, which lets one newline by.
    stray = path.endswith("\n") and BY_NAME_PATH not in path
    return NotFoundException("There is nothing at this path.") if stray else None


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return str(uuid4())
