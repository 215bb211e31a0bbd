"""Callers that do not keep to HTTP, against a real server: it goes on serving others."""

import asyncio

import httpx
import pytest

from app.core.principal import Role
from tests.contract.calls import SCHEDULES, Stack


async def exchange(served: str, sent: bytes) -> bytes:
    """Send bytes as they are, say no more, and read the answer."""
    host, port = served.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


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
