"""When a connection is used again, when not, and what a request looks like on the wire."""

import asyncio
import contextlib
import gc
import os
import re
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.delivery.connection import Connection
from app.delivery.reply import BODY_LIMIT_BYTES, Reply, TransportFailure, Unanswered, Unsendable
from app.delivery.request import Request
from app.delivery.transport import PooledTransport
from tests.integration.delivery.hostile import Behaviour, hangs, post, read_request, resets, sends, target

HEADERS = {"Idempotency-Key": "x"}
ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"
OK = Reply(202, b"ok", None)
OWN_CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""A certificate for `localhost` that signed itself, and its key; nothing but these tests trusts it."""


@pytest.fixture
async def transport() -> AsyncIterator[PooledTransport]:
    transport = PooledTransport(timeout_seconds=2, connections=4, user_agent="test")
    yield transport
    await transport.close()


def answers(*answers: bytes) -> Behaviour:
    """One answer after the other on a connection, a request between them; then it is closed."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for position, answer in enumerate(answers):
            if position:
                await read_request(reader)
            writer.write(answer)
            await writer.drain()

    return behaviour


def together(number: int) -> Behaviour:
    """Answer so many requests at the same time, and keep their connections."""
    all_came = asyncio.Barrier(number)

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await all_came.wait()
        writer.write(ANSWER)
        await reader.read()

    return behaviour


async def test_a_connection_that_was_closed_while_it_was_idle_costs_nothing(transport: PooledTransport) -> None:
    async with target(sends(ANSWER)) as here:
        for _ in range(3):
            assert await post(transport, here.url, HEADERS, b"{}") == OK
            await asyncio.wait_for(here.gone.wait(), 5)
            here.gone.clear()
    assert len(here.requests) == 3


async def test_a_request_on_a_connection_that_is_just_being_closed_is_sent_once_more(
    transport: PooledTransport,
) -> None:
    """It was closed as the request was under way: nobody can tell that from one that was read and not answered."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWER)
        if here.connections == 1:
            await read_request(reader)
        else:
            await reader.read()

    async with target(behaviour) as here:
        assert await post(transport, here.url, HEADERS, b"1") == OK
        assert await post(transport, here.url, HEADERS, b"2") == OK
        assert (here.connections, len(here.requests)) == (2, 2)


async def test_a_request_is_not_repeated_where_an_answer_had_begun_or_the_connection_was_fresh(
    transport: PooledTransport,
) -> None:
    async with target(answers(ANSWER, b"HTTP/1.1 2")) as here:
        assert await post(transport, here.url, HEADERS, b"1") == OK
        with pytest.raises(TransportFailure, match="in the middle"):
            await post(transport, here.url, HEADERS, b"2")
        assert here.connections == 1
    async with target(sends(b"")) as here:
        with pytest.raises(TransportFailure, match="without an answer"):
            await post(transport, here.url, HEADERS, b"1")
        assert here.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER + ANSWER,
        ANSWER + b"garbage",
        b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokgarbage",
        b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 202 Accepted\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["two answers", "garbage behind it", "garbage behind the last", "close", "HTTP/1.0"],
)
async def test_what_cannot_be_trusted_with_another_request_is_closed(transport: PooledTransport, answer: bytes) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.read()

    async with target(behaviour) as here:
        for number in (1, 2):
            assert await post(transport, here.url, HEADERS, b"{}") == OK
            assert here.connections == number


@pytest.mark.parametrize(
    ("early", "answered"),
    [(ANSWER, True), (b"SSH-2.0-OpenSSH_9.0\r\n", False), (b"x" * 200_000, False), (ANSWER + ANSWER, True)],
    ids=["an answer", "another protocol", "very much", "two answers"],
)
async def test_a_target_that_does_not_wait_to_be_asked_has_answered_the_first_request_and_no_other(
    transport: PooledTransport, early: bytes, answered: bool
) -> None:
    """As it is taken where the answer has a way to go: here it is there before the request has left."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(early)
        await reader.read()

    async with target(behaviour, reads_request=False) as here:
        for number in (1, 2):
            if answered:
                assert await post(transport, here.url, HEADERS, b"{}") == OK
            else:
                with pytest.raises(TransportFailure, match=r"is not HTTP/1.1|closed the connection at once"):
                    await post(transport, here.url, HEADERS, b"{}")
            assert here.connections == number


@pytest.mark.parametrize("early", [ANSWER, b"HTTP/1.0 202 Accepted\r\n\r\nok"], ids=["with a length", "to its end"])
async def test_what_was_said_and_closed_before_it_was_asked_for_is_an_answer(
    transport: PooledTransport, early: bytes
) -> None:
    async with target(sends(early), reads_request=False) as here:
        assert await post(transport, here.url, HEADERS, b"{}") == OK


async def test_a_target_that_speaks_before_tls_does_is_told_so(transport: PooledTransport) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()

    async with target(behaviour, reads_request=False) as here:
        with pytest.raises(TransportFailure, match=r"no connection: .*(that is no TLS|wrong version number)"):
            await post(transport, here.url.replace("http:", "https:"), HEADERS, b"{}")


async def test_what_comes_over_a_connection_made_ahead_is_no_answer(transport: PooledTransport) -> None:
    """Some say by a 408 that they have waited for long enough."""
    spoke = asyncio.Event()

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if here.connections == 1:
            writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            spoke.set()
            await reader.read()
        else:
            await read_request(reader)
            writer.write(ANSWER)

    async with target(behaviour, reads_request=False) as here:
        transport.prepare(here.url, 1, trusted=True)
        await spoke.wait()
        while transport._preparing:
            await asyncio.wait(transport._preparing)
        assert await post(transport, here.url, HEADERS, b"{}") == OK


async def test_what_comes_unasked_is_never_taken_for_an_answer(transport: PooledTransport) -> None:
    stolen = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"
    sent = asyncio.Event()

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWER)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(stolen)
        sent.set()
        await reader.read()

    async with target(behaviour) as here:
        assert await post(transport, here.url, HEADERS, b"{}") == OK
        await asyncio.wait_for(sent.wait(), 5)
        await asyncio.wait_for(here.gone.wait(), 5)
        assert await post(transport, here.url, HEADERS, b"{}") == OK
        assert here.connections == 2


@pytest.mark.parametrize("unasked", [ANSWER.replace(b"202", b"200"), b"H"], ids=["an answer", "a byte"])
async def test_what_came_unasked_while_the_loop_was_busy_is_not_taken_for_an_answer(
    transport: PooledTransport, unasked: bytes
) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(ANSWER)
        await reader.read()

    async with target(behaviour) as here:
        request = Request("POST", here.url, HEADERS, b"{}", trusted=True)
        assert await transport.send(request) == OK
        writers[0].write(unasked)
        # The loop does not come to read it.
        busy_until = time.monotonic() + 0.002
        while time.monotonic() < busy_until:
            pass
        begun = transport.begin(request)
        assert begun.connection is None
        assert await transport.finish(begun) == OK
        assert here.connections == 2
        await asyncio.wait_for(here.gone.wait(), 5)


@pytest.mark.parametrize(
    "announced",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Length: 40\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 40\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 40\r\n\r\n" + ANSWER,
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: gzip\r\n\r\n" + ANSWER,
    ],
)
async def test_after_a_body_was_announced_where_none_may_be_nothing_else_is_sent(
    transport: PooledTransport, announced: bytes
) -> None:
    """It may still come, and would be read as the answer to the next request: some programs send one."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(announced)
        await reader.read()

    async with target(behaviour) as here:
        for number in (1, 2):
            assert (await post(transport, here.url, HEADERS, b"{}")).status in (202, 204, 304)
            assert (here.connections, transport.idle) == (number, [])


async def test_that_there_is_no_body_may_be_said_where_none_may_be(transport: PooledTransport) -> None:
    empty = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
    async with target(answers(empty, ANSWER)) as here:
        assert await post(transport, here.url, HEADERS, b"{}") == Reply(204, b"", None)
        assert await post(transport, here.url, HEADERS, b"{}") == OK
        assert here.connections == 1


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
async def test_nothing_is_sent_behind_a_request_that_has_not_all_left(
    monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    """A target that does not read it on has answered, and would never come to read the next."""
    monkeypatch.setenv("SSL_CERT_FILE", str(OWN_CERTIFICATE))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(OWN_CERTIFICATE)

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.Event().wait()

    transport = PooledTransport(timeout_seconds=2, connections=4, user_agent="test")
    async with target(behaviour, reads_request=False, tls=server if secure else None) as here:
        url = here.url.replace("127.0.0.1", "localhost")
        for number in (1, 2):
            assert await post(transport, url, HEADERS, b"x" * (8 << 20)) == Reply(413, b"", None)
            assert here.connections == number
    await transport.close()


async def test_early_hints_are_passed_over(transport: PooledTransport) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\nLink: </a>\r\n\r\n"
    async with target(answers(hints + ANSWER, b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER)) as here:
        for _ in range(2):
            assert await post(transport, here.url, HEADERS, b"{}") == OK
        assert here.connections == 1


async def test_an_answer_in_another_protocol_is_a_failure(transport: PooledTransport) -> None:
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with target(sends(switched)) as here:
        with pytest.raises(TransportFailure, match="another protocol"):
            await post(transport, here.url, HEADERS, b"{}")


async def test_a_body_where_none_may_be_does_not_cost_the_answer(transport: PooledTransport) -> None:
    """Else a target that counts wrongly would get every run again."""
    async with target(sends(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok")) as here:
        assert await post(transport, here.url, HEADERS, b"{}") == Reply(204, b"", None)


@pytest.mark.parametrize("coding", [b"gzip", b"chunked, gzip", b"xchunked"])
async def test_a_coding_that_is_not_chunked_ends_with_the_connection(transport: PooledTransport, coding: bytes) -> None:
    async with target(sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding + b"\r\n\r\n\x1f\x8b")) as here:
        assert await post(transport, here.url, HEADERS, b"{}") == Reply(200, b"\x1f\x8b", None)


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_ends_with_its_headers(transport: PooledTransport, status: int) -> None:
    async with target(answers(b"HTTP/1.1 %d None\r\n\r\n" % status, ANSWER)) as here:
        assert await post(transport, here.url, HEADERS, b"{}") == Reply(status, b"", None)
        assert await post(transport, here.url, HEADERS, b"{}") == OK
        assert here.connections == 1


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nX-Admin: 1", "a\rb", "a\r\n\r\nGET / HTTP/1.1"])
async def test_a_header_cannot_smuggle_another(transport: PooledTransport, value: str) -> None:
    async with target(sends(ANSWER)) as here:
        for headers in ({"X-A": value}, {value: "a"}, {"X-A": value, "X-B": "b"}):
            with pytest.raises(TransportFailure, match="line break"):
                await post(transport, here.url, headers, b"{}")
        with pytest.raises(TransportFailure, match="characters"):
            await post(transport, here.url, {"X-A": "☃"}, b"{}")
        assert here.connections == 0


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("", b"POST / HTTP/1.1"),
        ("/a/b?c=d&e=%20", b"POST /a/b?c=d&e=%20 HTTP/1.1"),
        ("/a b\r\nX: y", b"POST /a%20b%0D%0AX:%20y HTTP/1.1"),
        ("/ä?ö#fragment", b"POST /%C3%A4?%C3%B6 HTTP/1.1"),
        ("/a#fragment", b"POST /a HTTP/1.1"),
        ("?c=d", b"POST /?c=d HTTP/1.1"),
        ("?c=/d?e", b"POST /?c=/d?e HTTP/1.1"),
    ],
)
async def test_a_path_is_sent_as_http_can_carry_it(transport: PooledTransport, path: str, sent: bytes) -> None:
    async with target(sends(ANSWER)) as here:
        assert await post(transport, here.url + path, HEADERS, b"{}") == OK
    (request,) = here.requests
    assert request.startswith(sent + b"\r\nHost: " + here.url.removeprefix("http://").encode() + b"\r\n")


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://127.0.0.1/", "http://", "http://127.0.0.1:x/", "http://u@127.0.0.1/", "nothing"),
        *("http://[::1]evil/", "http://evil[::1]/", "http://[::1]evil:80/", "http://[v1.localhost]/"),
    ],
)
async def test_what_is_no_url_of_a_target_is_a_failure(transport: PooledTransport, url: str) -> None:
    with pytest.raises(TransportFailure, match="not a URL"):
        await post(transport, url, HEADERS, b"{}")


async def test_no_more_connections_are_kept_than_asked_for(transport: PooledTransport) -> None:
    async with target(together(10)) as here:
        await asyncio.gather(*(post(transport, here.url, HEADERS, b"{}") for _ in range(10)))
        assert here.connections == 10
        assert len(transport.idle) == 4


async def _until_idle(transport: PooledTransport, number: int) -> None:
    async with asyncio.timeout(5):
        while len(transport.idle) < number:
            await asyncio.sleep(0.005)


async def test_connections_that_were_made_ahead_are_used_by_what_is_then_sent(transport: PooledTransport) -> None:
    async with target(together(3)) as here:
        transport.prepare(here.url, 3, trusted=True)
        await _until_idle(transport, 3)
        # What is there already, or on its way, is not made again.
        transport.prepare(here.url, 2, trusted=True)
        transport.prepare(here.url, 3, trusted=True)
        answers = await asyncio.gather(*(post(transport, here.url, HEADERS, b"{}") for _ in range(3)))
        assert (answers, here.connections) == ([OK] * 3, 3)


async def test_what_is_begun_leaves_at_once_where_a_connection_is_idle(transport: PooledTransport) -> None:
    second = asyncio.Event()

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWER)
        await read_request(reader)
        second.set()
        writer.write(ANSWER)
        await reader.read()

    async with target(behaviour) as here:
        request = Request("POST", here.url, HEADERS, b"{}", trusted=True)
        # Without a connection it waits for `finish` to make one.
        assert await transport.finish(transport.begin(request)) == OK
        begun = transport.begin(request)
        await asyncio.wait_for(second.wait(), 5)
        assert await transport.finish(begun) == OK
        assert here.connections == 1


async def test_what_is_begun_and_abandoned_leaves_no_connection_behind(transport: PooledTransport) -> None:
    async with target(together(1)) as here:
        request = Request("POST", here.url, HEADERS, b"{}", trusted=True)
        transport.abandon(transport.begin(request))
        assert here.connections == 0
        assert await transport.send(request) == OK
        transport.abandon(transport.begin(request))
        await asyncio.wait_for(here.gone.wait(), 5)
        assert (transport.idle, transport._open) == ([], {})


@pytest.mark.parametrize("closes", [False, True], ids=["while it is waited for", "once it has failed"])
async def test_what_is_begun_and_abandoned_is_nobodys_error(transport: PooledTransport, closes: bool) -> None:
    told: list[dict[str, object]] = []

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWER)
        await read_request(reader)
        if not closes:
            await reader.read()

    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: told.append(context))
    try:
        async with target(behaviour) as here:
            request = Request("POST", here.url, HEADERS, b"{}", trusted=True)
            assert await transport.send(request) == OK
            begun = transport.begin(request)
            assert begun.answer is not None
            if closes:
                await asyncio.wait([begun.answer])
            transport.abandon(begun)
            await asyncio.wait_for(here.gone.wait(), 5)
        del begun
        gc.collect()
    finally:
        loop.set_exception_handler(handler)
    assert told == []


async def test_no_more_connections_are_made_ahead_than_are_kept(transport: PooledTransport) -> None:
    async with target(hangs) as here:
        transport.prepare(here.url, 100, trusted=True)
        transport.prepare(here.url, 100, trusted=True)
        await _until_idle(transport, 4)
        await transport.close()
        assert here.connections == 4


async def test_a_connection_that_was_made_ahead_and_closed_by_the_target_costs_nothing(
    transport: PooledTransport,
) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if here.connections > 1:
            here.requests.append(await read_request(reader))
            writer.write(ANSWER)

    async with target(behaviour, reads_request=False) as here:
        transport.prepare(here.url, 1, trusted=True)
        await asyncio.wait_for(here.gone.wait(), 5)
        assert await post(transport, here.url, HEADERS, b"{}") == OK
    assert len(here.requests) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid", "not a url"])
async def test_what_cannot_be_connected_to_ahead_fails_when_it_is_sent(transport: PooledTransport, url: str) -> None:
    transport.prepare(url, 2, trusted=True)
    with pytest.raises(TransportFailure):
        await post(transport, url, HEADERS, b"{}")
    await transport.close()


async def test_a_large_request_is_sent_whole_to_a_target_that_reads_slowly(transport: PooledTransport) -> None:
    body = b"x" * (1 << 20)

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: %d\r\n" % len(body) in head
        for _ in range(16):
            await reader.readexactly(len(body) // 16)
            await asyncio.sleep(0.002)
        writer.write(ANSWER)

    async with target(behaviour, reads_request=False) as here:
        assert await post(transport, here.url, HEADERS, body) == OK


async def test_tls_is_spoken_with_a_target_whose_certificate_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(OWN_CERTIFICATE)
    long = b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n" % (2 * BODY_LIMIT_BYTES) + b"x" * 2 * BODY_LIMIT_BYTES
    async with target(answers(ANSWER, ANSWER, long), tls=server) as here:
        url = here.url.replace("127.0.0.1", "localhost")
        distrusting = PooledTransport(timeout_seconds=2, connections=4, user_agent="test")
        with pytest.raises(TransportFailure, match="certificate verify failed"):
            await post(distrusting, url, HEADERS, b"{}")
        await distrusting.close()
        assert here.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(OWN_CERTIFICATE))
        trusting = PooledTransport(timeout_seconds=2, connections=4, user_agent="test")
        assert await post(trusting, url, HEADERS, b"{}") == OK
        assert await post(trusting, url, HEADERS, b"{}") == OK
        cut = await post(trusting, url, HEADERS, b"{}")
        assert (len(cut.body), cut.cut) == (BODY_LIMIT_BYTES, True)
        with pytest.raises(TransportFailure, match="certificate"):
            await post(trusting, here.url, HEADERS, b"{}")
        await trusting.close()
    assert all(request.startswith(b"POST / HTTP/1.1\r\nHost: localhost:") for request in here.requests)


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("POST", b"", 0),
        ("PUT", b"", 0),
        ("PATCH", b"", 0),
        ("POST", b"{}", 2),
        ("PUT", b"{}", 2),
        ("GET", b"", None),
        ("DELETE", b"", None),
        ("GET", b"{}", 2),
        ("DELETE", b"{}", 2),
    ],
)
async def test_a_length_is_sent_where_there_is_or_could_be_a_body(
    transport: PooledTransport, method: str, body: bytes, length: int | None
) -> None:
    async with target(sends(ANSWER)) as here:
        assert await transport.send(Request(method, here.url, HEADERS, body, trusted=True)) == OK
    (request,) = here.requests
    assert request.startswith(f"{method} / HTTP/1.1\r\n".encode())
    assert request.endswith(b"\r\n\r\n" + body)
    assert re.findall(rb"Content-Length: (\d+)\r\n", request) == ([] if length is None else [b"%d" % length])
    assert b"Transfer-Encoding" not in request


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "post", "", "GET /stolen HTTP/1.1\r\nX:", "☃"])
async def test_no_other_method_is_sent(transport: PooledTransport, method: str) -> None:
    async with target(sends(ANSWER)) as here:
        with pytest.raises(TransportFailure, match="not a method"):
            await transport.send(Request(method, here.url, HEADERS, b"", trusted=True))
        assert here.connections == 0


async def test_the_headers_of_an_answer_are_kept_where_they_are_asked_for(transport: PooledTransport) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    chunked = (
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: \xff\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: no\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-Unasked: no\r\n\r\n"
    )
    async with target(answers(ANSWER, hints + chunked)) as here:
        asked = Request("POST", here.url, HEADERS, b"{}", trusted=True, keep_headers=True)
        assert (await transport.send(asked)).headers == (("Content-Length", "2"),)
        assert (await transport.send(asked)).headers == (
            ("X-A", "1"),
            ("x-a", "ÿ"),
            ("Transfer-Encoding", "chunked"),
        )
        assert here.connections == 1
    async with target(sends(ANSWER)) as here:
        assert (await post(transport, here.url, HEADERS, b"{}")).headers == ()


def _connections() -> set[int]:
    return {id(one) for one in gc.get_objects() if isinstance(one, Connection)}


@pytest.mark.parametrize(
    "behaviour",
    [
        sends(ANSWER.replace(b"\r\n\r", b"\r\nConnection: close\r\n\r")),
        sends(ANSWER.replace(b" 2\r", b" 99\r")),
        sends(b"what?"),
        resets,
    ],
    ids=["answers", "breaks off", "no HTTP", "resets"],
)
async def test_a_connection_that_is_over_is_not_left_to_the_collector(
    transport: PooledTransport, behaviour: Behaviour
) -> None:
    gc.collect()
    gc.disable()
    before = _connections()
    try:
        async with target(behaviour) as here:
            for _ in range(3):
                with contextlib.suppress(TransportFailure):
                    await post(transport, here.url, HEADERS, b"{}")
                await asyncio.wait_for(here.gone.wait(), 5)
                here.gone.clear()
            async with asyncio.timeout(5):
                while not _connections() <= before:
                    await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_a_connection_that_is_lost_before_anything_is_sent_has_no_answer() -> None:
    connection = Connection(asyncio.get_running_loop())
    with socket.socket() as unconnected:
        connection.connection_made(asyncio.Transport({"socket": unconnected}))
    connection.connection_lost(ConnectionResetError())
    assert not connection.reusable
    with pytest.raises(Unanswered):
        await connection.send(b"POST / HTTP/1.1\r\n\r\n")


async def test_no_more_connections_are_kept_in_all_than_the_bound_and_the_oldest_go_first(
    transport: PooledTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.delivery.transport._IDLE_AT_MOST", 3)
    async with contextlib.AsyncExitStack() as stack:
        urls = [(await stack.enter_async_context(target(answers(ANSWER, ANSWER)))).url for _ in range(5)]
        for url in (*urls, *urls[3:]):
            assert await post(transport, url, HEADERS, b"{}") == OK
        kept = {f"http://{origin.authority}" for origin, idle in transport._idle.items() if idle}
        assert (len(transport.idle), transport._kept) == (3, 3)
        assert kept == {url.rstrip("/") for url in urls[2:]}


async def test_a_target_to_which_nothing_is_kept_open_is_not_remembered(
    transport: PooledTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.delivery.transport._IDLE_AT_MOST", 1)
    last = ANSWER.replace(b"\r\n\r", b"\r\nConnection: close\r\n\r")
    async with target(sends(last)) as here, target(sends(ANSWER)) as kept, target(sends(ANSWER)) as lately:
        assert await post(transport, here.url, HEADERS, b"{}") == OK
        assert transport._idle == {}
        for url in (kept.url, lately.url):
            assert await post(transport, url, HEADERS, b"{}") == OK
        assert [f"http://{origin.authority}" for origin in transport._idle] == [lately.url]


async def test_a_connection_that_is_old_is_not_used_again_nor_counted_as_ready(transport: PooledTransport) -> None:
    async with target(answers(ANSWER, ANSWER)) as here:
        transport.prepare(here.url, 1, trusted=True)
        await _until_idle(transport, 1)
        (old,) = transport.idle
        old.use_until = time.monotonic()
        assert await post(transport, here.url, HEADERS, b"{}") == OK
        assert old not in transport.idle
        (old,) = transport.idle
        old.use_until = time.monotonic()
        transport.prepare(here.url, 1, trusted=True)
        await _until_idle(transport, 2)
        assert await post(transport, here.url, HEADERS, b"{}") == OK
        assert here.connections == 3


async def test_a_connection_that_grew_old_over_its_answer_is_not_kept(
    transport: PooledTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.delivery.dialling._AGE_SECONDS", 0.0)
    async with target(answers(ANSWER, ANSWER)) as here:
        assert await post(transport, here.url, HEADERS, b"{}") == OK
        assert (here.connections, transport.idle) == (1, [])


async def test_a_machine_that_has_no_more_files_says_nothing_of_the_host(transport: PooledTransport) -> None:
    async with target(answers(ANSWER)) as here:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, limits[1]))
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open("/dev/null", os.O_RDONLY))
            with pytest.raises(Unsendable, match="no connection from here"):
                await post(transport, here.url, HEADERS, b"{}")
        finally:
            for descriptor in taken:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert await post(transport, here.url, HEADERS, b"{}") == OK


async def test_what_is_not_trusted_shares_no_connection_with_what_is(transport: PooledTransport) -> None:
    async with target(answers(ANSWER, ANSWER)) as here:
        assert await post(transport, here.url, HEADERS, b"{}") == OK
        assert len(transport.idle) == 1
        with pytest.raises(TransportFailure):
            await transport.send(Request("POST", here.url, HEADERS, b"{}", trusted=False))
        transport.prepare(here.url, 4, trusted=False)
        assert (len(here.requests), here.connections, len(transport.idle)) == (1, 1, 1)
