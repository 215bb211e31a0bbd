"""Callers that do not keep to HTTP, against a real server: it goes on serving others."""

import asyncio
import json
from contextlib import suppress

import httpx
import pytest

from app.api.protocol import HEAD_LIMIT_BYTES
from app.core.principal import Role
from tests.contract.calls import SCHEDULES, Stack


async def connect(served: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of one's own."""
    host, port = served.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def exchange(served: str, sent: bytes) -> bytes:
    """Send bytes as they are, say no more, and read the answer."""
    reader, writer = await connect(served)
    writer.write(sent)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def refused(answer: bytes) -> tuple[int, str]:
    """The status and the code of the one answer, a problem, that a connection ends with."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert b"\r\nConnection: close" in head
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
    assert b"\r\nX-Request-Id: " + problem["request_id"].encode() in head
    return problem["status"], problem["code"]


@pytest.mark.parametrize(("path", "status"), [("/livez", 200), ("/api/v1/schedules", 401), ("/nowhere", 404)])
async def test_head_is_answered_as_get_without_its_body(served: str, path: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=served) as client:
        head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.content) == (status, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    "sent", [b"\0\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"GET /livez HTTP/1.1\r\nX: \0\r\n\r\n"]
)
async def test_what_is_no_http_is_answered_with_a_problem_too(served: str, sent: bytes) -> None:
    assert refused(await exchange(served, sent)) == (400, "BROKEN_REQUEST")


@pytest.mark.parametrize(
    "headers",
    [
        b"", b"X: y\r\n", b"Host: x\r\nHost: x\r\n", b"Host: x\r\nhost: y\r\n", b"Host: a b\r\n", b"Host: a/b\r\n",
        b"Host: user@x\r\n", b"Host: \xe9\r\n",
    ],
)  # fmt: skip
async def test_a_request_without_one_host_is_broken(served: str, headers: bytes) -> None:
    assert refused(await exchange(served, b"GET /livez HTTP/1.1\r\n" + headers + b"\r\n")) == (400, "BROKEN_REQUEST")


@pytest.mark.parametrize(
    "host", [b"Host: x:80", b"Host:", b"host: [::1]:8000", b"HOST: my_host.corp.", b"Host: %C3%A9"]
)
async def test_a_host_is_whatever_the_caller_calls_it(served: str, host: bytes) -> None:
    request = b"GET /livez HTTP/1.1\r\n" + host + b"\r\nConnection: close\r\n\r\n"
    assert (await exchange(served, request)).startswith(b"HTTP/1.1 200 ")


async def test_before_http_1_1_there_was_no_host(served: str) -> None:
    assert (await exchange(served, b"GET /livez HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert refused(await exchange(served, b"GET /livez HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"))[0] == 400


async def test_each_request_of_a_connection_needs_its_own_host(served: str) -> None:
    answer = await exchange(served, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + b"GET /livez HTTP/1.1\r\n\r\n")
    assert b" 400 " in answer


async def test_a_url_that_is_too_long_is_414_and_a_long_one_is_read(served: str) -> None:
    request = b"GET /livez?%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for length in (HEAD_LIMIT_BYTES - 7, 66_000, 100_000):
        assert refused(await exchange(served, request % (b"a" * length))) == (414, "URL_TOO_LONG")
    assert (await exchange(served, request % (b"a" * 60_000))).startswith(b"HTTP/1.1 422 ")
    large = request.replace(b"Host: x", b"Host: x\r\nX: " + b"x" * 30_000)
    assert refused(await exchange(served, large % (b"a" * 60_000))) == (431, "HEAD_TOO_LARGE")


async def test_a_url_without_an_end_is_refused_before_much_of_it_is_kept(served: str) -> None:
    reader, writer = await connect(served)
    writer.write(b"GET /livez?")
    for _ in range(70):
        writer.write(b"a" * 1000)
        await writer.drain()
    assert refused(await reader.read()) == (414, "URL_TOO_LONG")
    writer.close()


@pytest.mark.parametrize("begun", [b"", b"X: "], ids=["a name", "a value"])
@pytest.mark.parametrize("part", [b"x" * 1000, b"x: y\r\n" * 200], ids=["one header", "many headers"])
async def test_a_head_without_an_end_is_refused_before_much_of_it_is_kept(
    served: str, begun: bytes, part: bytes
) -> None:
    _, writer = await connect(served)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + begun)
    sent = 0
    with suppress(ConnectionError):
        while sent < 100 * HEAD_LIMIT_BYTES:
            writer.write(part)
            sent += len(part)
            await writer.drain()
    assert sent < 100 * HEAD_LIMIT_BYTES
    writer.close()


async def test_a_head_that_is_too_large_is_431_and_a_large_one_is_read(served: str) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: %b\r\n\r\n"
    assert refused(await exchange(served, request % (b"x" * HEAD_LIMIT_BYTES))) == (431, "HEAD_TOO_LARGE")
    assert (await exchange(served, request % (b"x" * 60_000))).startswith(b"HTTP/1.1 200 ")


async def test_a_body_counts_for_no_head(served: str, stack: Stack) -> None:
    """Also where it comes in one piece with the end of its head, and with the beginning of the next one."""
    key = await stack.services.keys.create(558, Role.EDITOR, user=None, name=None, expires_at=None)
    body = b"[" + b" " * (2 * HEAD_LIMIT_BYTES) + b"]"
    head = f"POST {SCHEDULES} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    reader, writer = await connect(served)
    for part in (request[:50], request[50:] + request[:50], request[50:]):
        writer.write(part)
        await writer.drain()
    for _ in range(2):
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 422 ")
        await reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r")[0]))
    writer.close()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Content-Length: 1000\r\n", b"{"),
        (b"Content-Length: -1\r\n", b"{}"),
        (b"Content-Length: x\r\n", b"{}"),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}"),
        (b"Content-Length: 99999999999999999999999\r\n", b"{}"),
        (b"Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\n{}"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
        (b"X-Broken: \x00\r\n", b""),
        (b"No colon here\r\n", b""),
        (b"X-Long: " + b"x" * 200_000 + b"\r\n", b""),
        (b"X-Many: 1\r\n" * 5_000, b""),
    ],
    ids=lambda value: repr(value[:30]),
)
async def test_a_broken_request_is_no_internal_error_and_harms_nobody(
    served: str, stack: Stack, headers: bytes, body: bytes
) -> None:
    key = await stack.services.keys.create(557, Role.EDITOR, user=None, name=None, expires_at=None)
    head = b"POST /api/v1/schedules HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: " + key.encode()
    answer = await exchange(served, head + b"\r\n" + headers + b"\r\n" + body)
    assert b" 500 " not in answer.split(b"\r\n")[0]
    assert b" 20" not in answer.split(b"\r\n")[0]
    async with httpx.AsyncClient(base_url=served, headers={"X-API-Key": key}, trust_env=False) as other:
        assert (await other.get(SCHEDULES)).json()["items"] == []
