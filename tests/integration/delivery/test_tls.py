"""What TLS may cost: all that this process sends to others waits while it is spoken with one target."""

import asyncio
import os
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from app.delivery.connection import Connection
from app.delivery.reply import TransportFailure
from app.delivery.transport import PooledTransport
from tests.integration.delivery.hostile import post, read_request, target
from tests.processes import CHECKOUT

OWN_CERTIFICATE = Path(__file__).with_name("localhost.pem")
RECORDS = 30_000
MOST_AT_ONCE = 4_000
"""Records of a byte each: what the process can be made to read at once, and a little."""
FINITE_FIELDS = range(0x0100, 0x0200)
"""Their numbers among the groups of TLS (RFC 7919, 2)."""
SAYS_HELLO = """
import ssl
from app.delivery.dialling import _make_context
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
try:
    _make_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
except ssl.SSLWantReadError:
    print(outgoing.read()[5:].hex())
"""

SHORT_OF_FILES = """
import asyncio, os, resource, sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from app.delivery.reply import TransportFailure
from app.delivery.request import Request
from app.delivery.transport import PooledTransport

async def here(host):
    return ["127.0.0.1"]

async def main():
    loop, request = asyncio.get_running_loop(), Request("POST", sys.argv[1], {}, b"{}", trusted=True)
    loop.set_default_executor(ThreadPoolExecutor(1))
    transport = PooledTransport(timeout_seconds=5, connections=4, user_agent="test", resolver=here)
    # By now that one thread is through with what was begun at the start.
    await loop.run_in_executor(None, int)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
    held = []
    with suppress(OSError):
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    with suppress(TransportFailure):
        sys.exit((await transport.send(request)).status)
    for each in held:
        os.close(each)
    print((await transport.send(request)).status)
    await transport.close()

asyncio.run(main())
"""


async def test_no_key_exchange_is_offered_whose_cost_the_target_may_choose() -> None:
    hello: list[bytes] = []

    async def behaviour(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(5)
        hello.append(await reader.readexactly(int.from_bytes(head[3:])))

    transport = PooledTransport(timeout_seconds=2, connections=4, user_agent="test")
    async with target(behaviour, reads_request=False) as here:
        with pytest.raises(TransportFailure, match="no connection"):
            await post(transport, here.url.replace("http:", "https:"), {}, b"{}")
    await transport.close()
    usual = {cipher["id"] & 0xFFFF: cipher["kea"] for cipher in ssl.create_default_context().get_ciphers()}
    assert "kx-dhe" in usual.values()
    # That a renegotiation is understood is said by a cipher that is none (RFC 5746, 3.3).
    offered = _offered(hello[0]) - {0x00FF}
    assert offered == {number for number, key_exchange in usual.items() if key_exchange != "kx-dhe"}


async def test_the_configuration_that_is_shipped_offers_no_finite_field() -> None:
    shipped = _groups(await _hello_of_process(OPENSSL_CONF=str(CHECKOUT / "deploy" / "openssl.cnf")))
    assert shipped
    assert not shipped & set(FINITE_FIELDS)
    assert _groups(await _hello_of_process()) & set(FINITE_FIELDS), "OpenSSL has left them out itself"


async def test_an_answer_in_records_of_a_byte_is_read_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    read_at_once: list[int] = []
    read = Connection.data_received

    def note(connection: Connection, data: bytes) -> None:
        read_at_once.append(len(data))
        read(connection, data)

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n" % RECORDS)
        for _ in range(RECORDS):
            writer.write(b"x")
        await reader.read()

    monkeypatch.setattr(Connection, "data_received", note)
    monkeypatch.setenv("SSL_CERT_FILE", str(OWN_CERTIFICATE))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(OWN_CERTIFICATE)
    transport = PooledTransport(timeout_seconds=10, connections=4, user_agent="test")
    async with target(behaviour, tls=server) as here:
        reply = await post(transport, here.url.replace("127.0.0.1", "localhost"), {}, b"{}")
    await transport.close()
    assert (reply.status, reply.body) == (202, b"x" * RECORDS)
    assert max(read_at_once) < MOST_AT_ONCE


async def test_tickets_without_an_end_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def behaviour(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    monkeypatch.setenv("SSL_CERT_FILE", str(OWN_CERTIFICATE))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(OWN_CERTIFICATE)
    server.num_tickets = 10_000
    transport = PooledTransport(timeout_seconds=10, connections=4, user_agent="test")
    async with target(behaviour, tls=server) as here:
        with pytest.raises(TransportFailure, match="more than 1048576 bytes of TLS"):
            await post(transport, here.url.replace("127.0.0.1", "localhost"), {}, b"{}")
    await transport.close()


async def test_what_came_below_tls_counts_for_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"x" * 200_000
    answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 50000\r\n\r\n" + body[:50_000]

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        while True:
            await read_request(reader)
            writer.write(answer)

    monkeypatch.setenv("SSL_CERT_FILE", str(OWN_CERTIFICATE))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(OWN_CERTIFICATE)
    transport = PooledTransport(timeout_seconds=10, connections=4, user_agent="test")
    async with target(behaviour, tls=server) as here:
        for _ in range(25):
            reply = await post(transport, here.url.replace("127.0.0.1", "localhost"), {}, body)
            assert (reply.status, len(reply.body)) == (202, 50_000)
    await transport.close()
    assert here.connections == 1


async def test_the_certificates_that_are_trusted_are_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    read_by: list[threading.Thread] = []
    make = ssl.create_default_context

    def note(*arguments: Any, **options: Any) -> ssl.SSLContext:
        read_by.append(threading.current_thread())
        return make(*arguments, **options)

    async def behaviour(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    monkeypatch.setattr(ssl, "create_default_context", note)
    transport = PooledTransport(timeout_seconds=2, connections=4, user_agent="test")
    async with target(behaviour, reads_request=False) as here:
        for _ in range(2):
            with pytest.raises(TransportFailure, match="no connection"):
                await post(transport, here.url.replace("http:", "https:"), {}, b"{}")
    await transport.close()
    (thread,) = read_by
    assert thread is not threading.current_thread()


async def test_who_is_short_of_files_at_its_first_request_trusts_the_same_afterwards() -> None:
    async def behaviour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(OWN_CERTIFICATE)
    # Of directories OpenSSL reads what it needs when it needs it.
    trusted = {"SSL_CERT_FILE": str(OWN_CERTIFICATE), "SSL_CERT_DIR": os.devnull}
    async with target(behaviour, tls=server) as here:
        url = here.url.replace("127.0.0.1", "localhost")
        said = await _said_by_process(SHORT_OF_FILES, url, **trusted)
    assert said == "202"


async def _said_by_process(script: str, *arguments: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=CHECKOUT,
        env=os.environ | environment,
    )
    printed, _ = await process.communicate()
    return printed.decode().strip()


async def _hello_of_process(**environment: str) -> bytes:
    return bytes.fromhex(await _said_by_process(SAYS_HELLO, **environment))


def _offered(hello: bytes) -> set[int]:
    """The ciphers of a ClientHello (RFC 8446, 4.1.2): behind its head, a version, a nonce and the id of a session."""
    ciphers, _ = _cut(_cut(hello[4 + 2 + 32 :], 1)[1], 2)
    return _pairs(ciphers)


def _groups(hello: bytes) -> set[int]:
    """Its groups, one of the extensions behind the ciphers and the compressions (RFC 8446, 4.2.7)."""
    _, rest = _cut(_cut(hello[4 + 2 + 32 :], 1)[1], 2)
    extensions, _ = _cut(_cut(rest, 1)[1], 2)
    while extensions:
        number, (content, extensions) = extensions[:2], _cut(extensions[2:], 2)
        if number == b"\0\x0a":
            return _pairs(content[2:])
    return set()


def _cut(text: bytes, width: int) -> tuple[bytes, bytes]:
    """What a length of so many bytes is of, and what follows."""
    end = width + int.from_bytes(text[:width])
    return text[width:end], text[end:]


def _pairs(text: bytes) -> set[int]:
    return {int.from_bytes(text[place : place + 2]) for place in range(0, len(text), 2)}
