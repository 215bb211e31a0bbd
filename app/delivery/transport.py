"""The one place where requests leave: the seam behind which the HTTP client can be exchanged.

The client is a pool of this package's own connections. It was chosen by measurement (`make bench`): sending is the
biggest cost of a firing, and a POST through it costs a third of what the fastest library's does.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from app.core.clock import give_way
from app.core.tasks import end
from app.delivery.connection import Connection
from app.delivery.dialling import Dialler
from app.delivery.guard import Guard
from app.delivery.origin import Origin, split_url
from app.delivery.reply import Reply, TransportFailure, Unanswered, Unsendable
from app.delivery.request import Request
from app.delivery.resolver import Resolver, SystemResolver

_SAYS_LENGTH = {"POST": True, "PUT": True, "PATCH": True, "GET": False, "DELETE": False}
"""The methods, and whether one without a body says so: where a body could be expected (RFC 9110, 8.6).

HEAD is not one of them: the parser would wait for the body that its answer announces and does not have.
"""
_IDLE_SECONDS = 60.0
_FRESH_SECONDS = 0.001
"""So soon after its answer a connection is used again unseen: what comes unasked in that time may as well come while
the next request is on its way, which nobody can see. In a crowd that saves each request a call of the system.
"""
_CLOSING_SECONDS = 1.0
_IDLE_AT_MOST = 500
"""To all origins together: where very many are sent to, each would keep one, and a process has only so many files."""
_PREPARED = 32
"""Connections that are made ahead at most: what is due after the first of a crowd makes its own on the way."""
_WATCH_SECONDS = 0.25
_WATCHES = 20
"""How often within its time an exchange is looked at: a deadline is kept to a twentieth of it."""


@dataclass(slots=True, eq=False)
class Exchange:
    """A request that has been begun; `connection` is where it was written last, and when."""

    origin: Origin
    written: bytes
    keep_headers: bool
    deadline: float
    connection: Connection | None = None
    written_at: float = 0.0
    answer: "asyncio.Future[Reply] | None" = None

    def answer_once(self) -> "asyncio.Future[Reply]":
        """What to wait for. It is not kept: a failure's frames would hold it, and it the failure."""
        answer, self.answer = self.answer, None
        assert answer is not None, "not written yet"
        return answer


class Transport(Protocol):
    """Sends one request."""

    def begin(self, request: Request) -> Exchange:
        """Begin to send a request: it is written at once where a connection is idle.

        Raises Unsendable.
        """
        ...

    async def finish(self, exchange: Exchange) -> Reply:
        """The answer to what was begun; redirects are not followed.

        Raises TransportFailure.
        """
        ...

    def abandon(self, exchange: Exchange) -> None:
        """Nobody waits for the answer to what was begun any more; instead of `finish`."""
        ...

    async def send(self, request: Request) -> Reply:
        """Begin, and finish.

        Raises TransportFailure.
        """
        ...

    def written(self, request: Request) -> bytes:
        """A request as `send` writes it.

        Raises Unsendable.
        """
        ...

    def prepare(self, url: str, requests: int, *, trusted: bool) -> None:
        """Get ready for so many requests at once that are about to be sent to a target."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class PooledTransport:
    """One connection pool for everything that a worker sends.

    The timeout is a deadline over the whole exchange, connecting and the body's end included: a target that trickles a
    byte a second does not outlive it. No proxy of the environment is used, no cookie kept, nothing unpacked. To be made
    within the loop that it is used in.

    A target may close a connection that was idle in the moment in which it is used again. Where nothing of an answer
    came within a second, the request is sent once more on a fresh one (RFC 9112, 9.3.1): it has an `Idempotency-Key`.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        connections: int,
        user_agent: str,
        guard: Guard | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        """Without a guard of its own, what is not trusted may only be where the whole Internet can reach it.

        The resolver is asked for the addresses of what is trusted.
        """
        # Kept: to ask for the running loop is a call of the system in Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._timeout_seconds = timeout_seconds
        self._connections = connections
        self._dialler = Dialler(guard or Guard(), resolver or SystemResolver())
        self._always = f"\r\nUser-Agent: {user_agent}"
        self._idle: dict[Origin, deque[Connection]] = {}
        self._kept = 0
        self._open: dict[Connection, Origin] = {}
        self._preparing: dict[asyncio.Task[None], Origin] = {}
        self._trimming: asyncio.TimerHandle | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._watch_seconds = min(timeout_seconds / _WATCHES, _WATCH_SECONDS)

    def begin(self, request: Request) -> Exchange:
        origin, path = split_url(request.url, request.trusted)
        written = self._written(origin, path, request)
        exchange = Exchange(origin, written, request.keep_headers, self._loop.time() + self._timeout_seconds)
        connection = self._take_idle(origin)
        if connection is not None:
            self._write(exchange, connection)
        return exchange

    async def finish(self, exchange: Exchange) -> Reply:
        if exchange.connection is not None:
            try:
                return await self._answer(exchange)
            except Unanswered:
                if self._loop.time() - exchange.written_at > _CLOSING_SECONDS:
                    # Whoever closes it after that has read the request, and may have worked on it.
                    raise
        self._write(exchange, await self._dialler.connect(exchange.origin, exchange.deadline))
        return await self._answer(exchange)

    def abandon(self, exchange: Exchange) -> None:
        if exchange.connection is not None:
            # Not left to fail: a failure that nobody asks for is logged as an error that nothing expected.
            answer = exchange.answer_once()
            if not answer.cancel():
                answer.exception()
            exchange.connection.abort()
            del self._open[exchange.connection]

    async def send(self, request: Request) -> Reply:
        return await self.finish(self.begin(request))

    def written(self, request: Request) -> bytes:
        return self._written(*split_url(request.url, request.trusted), request)

    def prepare(self, url: str, requests: int, *, trusted: bool) -> None:
        """Connect ahead of the instant, so that the first of a crowd need not wait until all have begun to connect.

        What fails here is not told: the request that finds no connection makes one, and tells. To what is not trusted
        nothing is made ahead: its addresses are looked up and judged when it is sent to.
        """
        if not trusted:
            return
        try:
            origin, _ = split_url(url, trusted)
        except TransportFailure:
            return
        under_way = [*self._open.values(), *self._preparing.values()].count(origin)
        now = monotonic()
        ready = sum(connection.use_until > now for connection in self._idle.get(origin, ())) + under_way
        for _ in range(min(requests, self._connections, _PREPARED) - ready):
            task = self._loop.create_task(self._connect_ahead(origin), name="connect")
            self._preparing[task] = origin
            task.add_done_callback(self._preparing.pop)

    async def close(self) -> None:
        await end(*self._preparing)
        for timer in (self._trimming, self._watching):
            if timer is not None:
                timer.cancel()
        for connection in [*self.idle, *self._open]:
            connection.abort()
        self._idle.clear()
        self._kept = 0
        # The loop closes their sockets on its next turn.
        await give_way()

    @property
    def idle(self) -> list[Connection]:
        """The connections that are kept for the next request."""
        return [connection for idle in self._idle.values() for connection in idle]

    def _written(self, origin: Origin, path: str, request: Request) -> bytes:
        method, headers, body = request.method, request.headers, request.body
        says_length = _SAYS_LENGTH.get(method)
        if says_length is None:
            raise Unsendable("not a method of a delivery")
        accept = "" if "Accept" in headers else "\r\nAccept: */*"
        length = f"\r\nContent-Length: {len(body)}" if says_length or body else ""
        lines = "".join([f"\r\n{name}: {value}" for name, value in headers.items()])
        if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
            raise Unsendable("a header has a line break in it")
        try:
            head = (
                f"{method} {path} HTTP/1.1\r\nHost: {origin.authority}{self._always}{accept}{length}{lines}\r\n\r\n"
            ).encode("latin-1")
        except UnicodeEncodeError:
            raise Unsendable("a header has characters that HTTP cannot carry") from None
        return head + body

    def _write(self, exchange: Exchange, connection: Connection) -> None:
        connection.deadline = exchange.deadline
        self._open[connection] = exchange.origin
        if self._watching is None:
            self._watching = self._loop.call_later(self._watch_seconds, self._watch)
        exchange.connection, exchange.written_at = connection, self._loop.time()
        exchange.answer = connection.send(exchange.written, exchange.keep_headers)

    async def _answer(self, exchange: Exchange) -> Reply:
        connection = exchange.connection
        assert connection is not None, "not written yet"
        try:
            reply = await exchange.answer_once()
        except BaseException:
            connection.abort()
            raise
        finally:
            del self._open[connection]
        self._keep(exchange.origin, connection)
        return reply

    async def _connect_ahead(self, origin: Origin) -> None:
        with suppress(TransportFailure):
            self._keep(origin, await self._dialler.connect(origin, self._loop.time() + self._timeout_seconds))

    def _watch(self) -> None:
        """End what is past its deadline: one timer for all costs less than one for each."""
        now = self._loop.time()
        for connection in list(self._open):
            if connection.deadline <= now:
                connection.fail(TransportFailure(f"no whole answer within {self._timeout_seconds:g} s"))
        self._watching = self._loop.call_later(self._watch_seconds, self._watch) if self._open else None

    def _take_idle(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        # The loop's own time stands still for as long as it is busy.
        now = monotonic() if idle else 0.0
        while idle:
            # Last in, first out: what is not needed any more grows old at the other end.
            connection = idle.pop()
            self._kept -= 1
            fresh = now - connection.idle_since < _FRESH_SECONDS
            if connection.use_until > now and connection.reusable and (fresh or connection.quiet):
                return connection
            connection.abort()
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        now = monotonic()
        if connection.use_until <= now or not connection.reusable or connection.early:
            connection.abort()
            return
        idle = self._idle.get(origin)
        if idle is None:
            idle = self._idle[origin] = deque()
        if len(idle) >= self._connections:
            connection.abort()
            return
        connection.idle_since = now
        idle.append(connection)
        self._kept += 1
        if self._kept > _IDLE_AT_MOST:
            waiting = (origin for origin, idle in self._idle.items() if idle)
            self._let_go(min(waiting, key=lambda origin: self._idle[origin][0].idle_since))
        if self._trimming is None:
            self._trimming = self._loop.call_later(_IDLE_SECONDS, self._trim)

    def _trim(self) -> None:
        """Close what was idle for long, and forget the targets to which nothing is open."""
        idle_since = monotonic() - _IDLE_SECONDS
        for origin, idle in list(self._idle.items()):
            while idle and (not idle[0].reusable or idle[0].idle_since <= idle_since):
                self._let_go(origin)
            if not idle:
                self._idle.pop(origin, None)
        self._trimming = self._loop.call_later(_IDLE_SECONDS / 4, self._trim) if self._idle else None

    def _let_go(self, origin: Origin) -> None:
        idle = self._idle[origin]
        idle.popleft().abort()
        self._kept -= 1
        if not idle:
            del self._idle[origin]
