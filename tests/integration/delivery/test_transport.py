"""The transport against targets that behave badly: always a Reply or a TransportFailure, and in time."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

import psutil
import pytest

from app.delivery.reading import AnswerReader
from app.delivery.reply import BODY_LIMIT_BYTES, Reply, TransportFailure
from app.delivery.request import Request
from app.delivery.transport import PooledTransport
from tests.integration.delivery.hostile import (
    Behaviour,
    hangs,
    post,
    read_request,
    resets,
    sends,
    sends_for_ever,
    target,
)

TIMEOUT = 0.5
# A deadline that a busy machine keeps, and that nothing which waits for ever does.
IN_TIME = TIMEOUT + 2.5
HEADERS = {"content-type": "application/json", "idempotency-key": "x"}
OK = b"HTTP/1.1 202 Accepted\r\n"


@pytest.fixture
async def transport() -> AsyncIterator[PooledTransport]:
    transport = PooledTransport(timeout_seconds=TIMEOUT, connections=4, user_agent="schedule-service/test")
    yield transport
    await transport.close()


@pytest.fixture
async def patient() -> AsyncIterator[PooledTransport]:
    """One for answers that take long to be sent in pieces on a busy machine."""
    transport = PooledTransport(timeout_seconds=20, connections=4, user_agent="schedule-service/test")
    yield transport
    await transport.close()


async def _post(transport: PooledTransport, url: str) -> Reply | TransportFailure:
    began = time.monotonic()
    try:
        return await post(transport, f"{url}/run", HEADERS, b'{"a": 1}')
    except TransportFailure as failed:
        return failed
    finally:
        assert time.monotonic() - began < IN_TIME


async def _post_patiently(transport: PooledTransport, url: str) -> Reply | TransportFailure:
    try:
        return await post(transport, f"{url}/run", HEADERS, b'{"a": 1}')
    except TransportFailure as failed:
        return failed


def _piecewise(answer: bytes, size: int) -> Behaviour:
    """Answer in pieces of so many bytes, and wait for the other side to close."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for position in range(0, len(answer), size):
            writer.write(answer[position : position + size])
            await asyncio.sleep(0.0005)
        await reader.read()

    return behaviour


async def test_a_usual_answer_is_read_whole(transport: PooledTransport) -> None:
    answer = OK + b"Content-Length: 5\r\nRetry-After: 7\r\n\r\nhello"
    async with target(sends(answer)) as here:
        assert await _post(transport, here.url) == Reply(202, b"hello", "7")
    (request,) = here.requests
    assert request.startswith(b"POST /run HTTP/1.1\r\n")
    assert b"user-agent: schedule-service/test\r\n" in request.lower()
    assert b"cookie" not in request.lower()
    assert b"accept-encoding" not in request.lower()


@pytest.mark.parametrize(
    "behaviour",
    [
        hangs,
        sends_for_ever(b"", b"H", 0.05),
        sends_for_ever(OK, b"X-A: b\r\n", 0.05),
        sends_for_ever(OK + b"Content-Length: 1000\r\n\r\n", b"x", 0.05),
        sends_for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.05),
        sends_for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
        sends_for_ever(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ],
    ids=["hangs", "trickles status", "trickles headers", "trickles body", "trickles chunks", "100s", "flood of 102s"],
)
@pytest.mark.fault("17")
async def test_a_target_that_takes_too_long_is_left_at_the_deadline(
    transport: PooledTransport, behaviour: Behaviour
) -> None:
    async with target(behaviour) as here:
        assert isinstance(await _post(transport, here.url), TransportFailure)
        # The connection is let go of: what hung is not kept for the next one.
        await asyncio.wait_for(here.gone.wait(), 5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 2",
        OK,
        OK + b"Content-Length: 100\r\n\r\nonly this",
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        OK + b"Content-Length: -5\r\n\r\nhello",
        OK + b"Content-Length: 99999999999999999999999\r\n\r\nhello",
        OK + b"no colon here\r\n\r\n",
        OK + b"X-A\x00: b\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.0\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x00" * 4096,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_or_is_none_is_a_failure(transport: PooledTransport, answer: bytes) -> None:
    async with target(sends(answer)) as here:
        failed = await _post(transport, here.url)
    assert isinstance(failed, TransportFailure)
    assert len(str(failed).splitlines()) == 1


@pytest.mark.fault("17")
async def test_a_reset_is_a_failure(transport: PooledTransport) -> None:
    for reads_request in (True, False):
        async with target(resets, reads_request=reads_request) as here:
            assert isinstance(await _post(transport, here.url), TransportFailure)


async def test_nobody_listening_is_a_failure(transport: PooledTransport) -> None:
    async with target(hangs) as here:
        url = here.url
    assert isinstance(await _post(transport, url), TransportFailure)


async def test_a_host_without_an_address_is_a_failure(transport: PooledTransport) -> None:
    assert isinstance(await _post(transport, "http://nowhere.invalid"), TransportFailure)


async def test_an_answer_without_a_length_ends_with_its_connection(transport: PooledTransport) -> None:
    async with target(sends(b"HTTP/1.0 200 OK\r\n\r\nhello")) as here:
        assert await _post(transport, here.url) == Reply(200, b"hello", None)


async def test_an_answer_in_many_pieces_is_read_to_its_end(patient: PooledTransport) -> None:
    async def behaviour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(50):
            writer.write(b"2\r\nab\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with target(behaviour) as here:
        assert await _post_patiently(patient, here.url) == Reply(202, b"ab" * 50, None)


@pytest.mark.parametrize("size", [BODY_LIMIT_BYTES - 1, BODY_LIMIT_BYTES, BODY_LIMIT_BYTES + 1, 10 * BODY_LIMIT_BYTES])
async def test_a_body_is_read_up_to_its_limit(transport: PooledTransport, size: int) -> None:
    answer = OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
    async with target(sends(answer)) as here:
        reply = await _post(transport, here.url)
    assert reply == Reply(202, b"x" * min(size, BODY_LIMIT_BYTES), None, cut=size > BODY_LIMIT_BYTES)


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.fault("17")
async def test_a_gigabyte_is_neither_held_nor_read_to_its_end(transport: PooledTransport, chunked: bool) -> None:
    sent, size, piece = 0, 1 << 30, b"x" * 65_536

    async def behaviour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(OK + (b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size) + b"\r\n\r\n")
        while sent < size:
            writer.write(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
            await writer.drain()
            sent += len(piece)

    process = psutil.Process(os.getpid())
    before = process.memory_info().rss
    async with target(behaviour) as here:
        reply = await _post(transport, here.url)
        assert isinstance(reply, Reply)
        assert (reply.status, len(reply.body), reply.cut) == (202, BODY_LIMIT_BYTES, True)
        await asyncio.wait_for(here.gone.wait(), 5)
    # What fits into the buffers of both sides of a loopback connection, and no more.
    assert sent < 32 << 20
    assert process.memory_info().rss - before < 64 << 20


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(transport: PooledTransport, status: int) -> None:
    async with target(sends(OK + b"Content-Length: 0\r\n\r\n")) as elsewhere:
        location = f"Location: {elsewhere.url}/stolen\r\n".encode()
        answer = b"HTTP/1.1 %d Moved\r\n%bContent-Length: 0\r\n\r\n" % (status, location)
        async with target(sends(answer)) as here:
            assert await _post(transport, here.url) == Reply(status, b"", None)
        assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "behaviour",
    [
        sends_for_ever(OK, b"X-A: b\r\n"),
        sends_for_ever(OK + b"X-A: ", b"b" * 65_536),
        sends_for_ever(OK[:-2], b"a" * 65_536),
        sends_for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 65_536),
        sends_for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X-A: b\r\n"),
    ],
    ids=["many headers", "one huge header", "a huge reason", "a huge chunk extension", "many trailers"],
)
async def test_a_flood_of_headers_is_cut_off(transport: PooledTransport, behaviour: Behaviour) -> None:
    process = psutil.Process(os.getpid())
    before = process.memory_info().rss
    async with target(behaviour) as here:
        assert isinstance(await _post(transport, here.url), TransportFailure)
        await asyncio.wait_for(here.gone.wait(), 5)
    assert process.memory_info().rss - before < 64 << 20


@pytest.mark.parametrize(
    "behind", [b"H", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"\0\xff\r\n"]
)
async def test_what_comes_right_behind_an_answer_does_not_change_it(transport: PooledTransport, behind: bytes) -> None:
    async with target(sends(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno" + behind)) as here:
        assert await _post(transport, here.url) == Reply(503, b"no", None)


async def test_nothing_is_read_of_what_comes_right_behind_an_answer(
    transport: PooledTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each header of it would be a call, and there may be tens of thousands."""
    read: list[bytes] = []
    monkeypatch.setattr(AnswerReader, "on_header", lambda _reader, name, _value: read.append(name))
    empty = OK + b"Content-Length: 0\r\n"
    async with target(sends(empty + b"\r\n" + OK + b"X-A: b\r\n" * 100 + b"\r\n")) as here:
        assert await _post(transport, here.url) == Reply(202, b"", None)
    assert read == [b"Content-Length"]


@pytest.mark.parametrize("status", [b"000", b"099"])
@pytest.mark.parametrize("rest", [b"Content-Length: 0\r\n\r\n", b"Content-Length: 2\r\n\r\nok", b"\r\nok"])
async def test_a_status_below_100_is_none_and_is_not_waited_for(
    transport: PooledTransport, status: bytes, rest: bytes
) -> None:
    async with target(sends(b"HTTP/1.1 " + status + b" What\r\n" + rest)) as here:
        failed = await _post(transport, here.url)
    assert str(failed) == f"the target's answer is not HTTP/1.1: {status.decode()} is no status"


async def test_more_than_64_kib_of_headers_are_no_answer_however_they_come(transport: PooledTransport) -> None:
    async def behaviour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"X-A: " + b"b" * 60_000)
        await writer.drain()
        writer.write(b"b" * 6_000 + b"\r\nContent-Length: 0\r\n\r\n")

    async with target(behaviour) as here:
        assert str(await _post(transport, here.url)) == "more than 65536 bytes of headers"


@pytest.mark.parametrize(("number", "whole"), [(200, True), (201, False)])
async def test_two_hundred_headers_are_an_answer_and_more_are_not(
    transport: PooledTransport, number: int, whole: bool
) -> None:
    answer = OK + b"a:\r\n" * (number - 1) + b"Content-Length: 2\r\n\r\nok"
    async with target(sends(answer)) as here:
        reply = await _post(transport, here.url)
    assert (reply == Reply(202, b"ok", None)) is whole
    assert whole or str(reply) == "more than 200 headers"


async def test_hundreds_of_interim_answers_are_no_answer(transport: PooledTransport) -> None:
    async with target(sends(b"HTTP/1.1 102 P\r\n\r\n" * 201 + OK + b"Content-Length: 0\r\n\r\n")) as here:
        assert str(await _post(transport, here.url)) == "more than 200 headers"


async def test_a_body_is_read_up_to_its_thousandth_chunk(transport: PooledTransport) -> None:
    head, chunk, end = OK + b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n", b"0\r\n\r\n"
    for number in (999, 1_000, 50_000):
        async with target(sends(head + chunk * number + end)) as here:
            # The end of a thousand is a chunk, too.
            whole = Reply(202, b"ok" * min(number, 1_000), None, cut=number >= 1_000)
            assert await _post(transport, here.url) == whole


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xc3\xa4", b"", b"\t5 ", b"5" * 5000])
async def test_a_retry_after_of_any_bytes_does_not_cost_the_answer(transport: PooledTransport, value: bytes) -> None:
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: " + value + b"\r\nContent-Length: 0\r\n\r\n"
    async with target(sends(answer)) as here:
        reply = await _post(transport, here.url)
    assert isinstance(reply, Reply)
    assert reply.status == 503


async def test_of_two_retry_afters_the_first_counts(transport: PooledTransport) -> None:
    busy = b"HTTP/1.1 503 Busy\r\n"
    early = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 99\r\n\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 0\r\n\r\n"
    for answer in (
        busy + b"Retry-After: 10\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
        early + busy + b"retry-after: 10\r\n" + chunked,
    ):
        async with target(sends(answer)) as here:
            assert await _post(transport, here.url) == Reply(503, b"", "10")


FOLDED = [
    OK + b"X-Long: a\r\n  b\r\n\tc\r\nContent-Length: 2\r\n\r\nok",
    OK + b"Content-Length:\r\n 2\r\nX-Last:\r\n \r\n\r\nok",
    OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Early Hints\r\nLink:\r\n </a>\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
    OK + b"X: a\r\n b\r\nContent-Length: 8\r\n\r\nok\r\n ok\r\n",
]


@pytest.mark.parametrize("answer", FOLDED)
@pytest.mark.parametrize("bytewise", [False, True])
async def test_a_header_over_several_lines_is_read_as_one_and_ends_the_connection(
    patient: PooledTransport, answer: bytes, bytewise: bool
) -> None:
    async with target(_piecewise(answer, 1 if bytewise else len(answer))) as here:
        reply = await _post_patiently(patient, here.url)
        assert (reply, patient.idle) == (Reply(202, b"ok\r\n ok\r\n"[: 8 if b": 8" in answer else 2], None), [])


async def test_a_header_over_several_lines_has_the_value_of_all(transport: PooledTransport) -> None:
    answer = OK + b"Retry-After:\r\n 7\r\nX-A: b\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\nok"
    async with target(sends(answer)) as here:
        request = Request("POST", here.url, HEADERS, b"{}", trusted=True, keep_headers=True)
        assert await transport.send(request) == Reply(
            202, b"ok", "7", (("Retry-After", "7"), ("X-A", "b Content-Length: 9"), ("Content-Length", "2"))
        )


@pytest.mark.parametrize("fold", [b"", b"X-Folded: a\r\n b\r\n"], ids=["no fold", "a fold"])
@pytest.mark.parametrize(
    "header",
    [
        b"X: a\0b",
        b"X: a\x01b",
        b"X: a\x7fb",
        b"X: a\rb",
        b"X: a\nb",
        b"X : a",
        b" X: a",
        b"no colon",
        b"Content-Length: 2\r\n 3",
        b"Content-Length: 2\r\n\t",
        b"Content-Length: 2\r\nContent-Length: 2",
        b"Transfer-Encoding: chunked",
    ],
)
async def test_what_is_no_header_is_none_beside_a_fold_either(
    transport: PooledTransport, header: bytes, fold: bytes
) -> None:
    lines = header + b"\r\n" + fold if header.startswith(b" ") else fold + header + b"\r\n"
    async with target(sends(OK + lines + b"Content-Length: 2\r\n\r\nok")) as here:
        assert isinstance(await _post(transport, here.url), TransportFailure)


async def test_what_is_no_http_is_known_at_once_though_a_line_of_it_is_indented(transport: PooledTransport) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n  at your service\r\n")
        await reader.read()

    async with target(behaviour) as here:
        assert "the target's answer is not HTTP/1.1" in str(await _post(transport, here.url))


async def test_more_than_64_kib_of_folded_headers_are_no_answer(transport: PooledTransport) -> None:
    async with target(sends_for_ever(OK + b"X: a", b"\r\n b" * 4096)) as here:
        assert str(await _post(transport, here.url)) == "more than 65536 bytes of headers"
    async with target(sends(OK + b"X:\r\n b\r\n" * 201 + b"\r\n")) as here:
        assert str(await _post(transport, here.url)) == "more than 200 headers"


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n%b\r\nok\r\n0 \r\n\r\n"


@pytest.mark.parametrize("line", [b"2", b"2 ", b"2\t ", b"2;a=b", b"2 ;a=b", b'2;a="b c"'])
async def test_spaces_behind_the_size_of_a_chunk_are_passed_over(transport: PooledTransport, line: bytes) -> None:
    async with target(sends(CHUNKED % line)) as here:
        assert await _post(transport, here.url) == Reply(202, b"ok", None)
    for wrong in (b" 2", b"2 2", b"0x2", b"2 \r2", b"2 a"):
        async with target(sends(CHUNKED % wrong)) as here:
            assert isinstance(await _post(transport, here.url), TransportFailure)


@pytest.mark.parametrize(
    "line",
    [
        *(b"2; a=b", b"2 ; a", b"2\t;\ta", b"2;a =b", b"2;a= b", b'2;a = "b;c"', b"2;a=b ;c", b'2;a="\\"b" ; c = d'),
        b"2; a; b; c",
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
async def test_spaces_beside_the_extensions_of_a_chunk_are_passed_over_and_end_the_connection(
    patient: PooledTransport, line: bytes, bytewise: bool
) -> None:
    # What is before such a chunk is read twice, and is told once.
    chunks = b"5\r\nsaid \r\n%b\r\nok\r\n00; a\r\nRetry-After: 9\r\n\r\n" % line
    for head in (OK, OK + b"X: a\r\n b\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK):
        answer = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
        async with target(_piecewise(answer, 1 if bytewise else len(answer))) as here:
            assert (await _post_patiently(patient, here.url), patient.idle) == (Reply(202, b"said ok", None), [])


@pytest.mark.parametrize(
    "line", [b"2; ", b"2;", b"2; a b", b"2 a; b", b"2; a=", b'2; a="b', b"2; a\rb", b"2; a\nb", b"2; a=b;; c", b"; a"]
)
async def test_what_is_no_extension_is_none_beside_spaces_either(transport: PooledTransport, line: bytes) -> None:
    async with target(sends(CHUNKED % line)) as here:
        assert isinstance(await _post(transport, here.url), TransportFailure)


async def test_chunks_with_spaces_beside_their_extensions_have_the_bounds_of_others(
    patient: PooledTransport,
) -> None:
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    async with target(sends(head + b"1; a\r\nx\r\n" * 1001 + b"0\r\n\r\n")) as here:
        assert await _post_patiently(patient, here.url) == Reply(202, b"x" * 1000, None, cut=True)
    async with target(sends_for_ever(head + b"1; a", b" ;b")) as here:
        assert str(await _post_patiently(patient, here.url)) == "more than 65536 bytes of headers"
    async with target(sends_for_ever(head, b"fff; a\r\n" + b"x" * 0xFFF + b"\r\n")) as here:
        reply = await _post_patiently(patient, here.url)
        assert isinstance(reply, Reply)
        assert (reply.body, reply.cut) == (b"x" * BODY_LIMIT_BYTES, True)


async def test_a_trailer_is_no_header(transport: PooledTransport) -> None:
    trailers = b"Retry-After: 9\r\nX-Checked: yes\r\n\r\n"
    answer = b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + trailers
    async with target(sends(answer)) as here:
        request = Request("POST", here.url, HEADERS, b"{}", trusted=True, keep_headers=True)
        assert await transport.send(request) == Reply(503, b"ok", None, (("Transfer-Encoding", "chunked"),))


@pytest.mark.parametrize("begin", [b"HTTP/1.0", b"HTTP/1.1", b"HTTP/1.2", b"HTTP/1.9", b"\r\n\r\nHTTP/1.1"])
async def test_every_minor_version_of_http_1_is_an_answer(patient: PooledTransport, begin: bytes) -> None:
    interim = begin.replace(b"1.0", b"1.1") + b" 100 Continue\r\n\r\n"
    for before in (b"", interim):
        answer = before + begin + b" 202 Accepted\r\nContent-Length: 2\r\n\r\nok"
        for size in (1, len(answer)):
            async with target(_piecewise(answer, size)) as here:
                assert await _post_patiently(patient, here.url) == Reply(202, b"ok", None)


@pytest.mark.parametrize("begin", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.0", b"RTSP/1.0", b"RTSP/1.1", b"ICE/1.0"])
async def test_another_version_or_protocol_is_no_answer(patient: PooledTransport, begin: bytes) -> None:
    said = "it is one of another protocol" if b"HTTP" not in begin else f"its version is {begin[5:].decode()}"
    for before in (b"", b"HTTP/1.1 100 Continue\r\n\r\n"):
        answer = before + begin + b" 202 Accepted\r\nContent-Length: 2\r\n\r\nok"
        # What comes behind it, and is no answer either, does not make it one.
        for behind in (b"", b"HTTP/1.1 200 OK\r\n"):
            for size in (1, len(answer + behind)):
                async with target(_piecewise(answer + behind, size)) as here:
                    assert (
                        str(await _post_patiently(patient, here.url)) == f"the target's answer is not HTTP/1.1: {said}"
                    )


async def test_a_compressed_answer_is_not_unpacked(transport: PooledTransport) -> None:
    answer = OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"
    async with target(sends(answer)) as here:
        assert await _post(transport, here.url) == Reply(202, b"\x1f\x8b\x08", None)


async def test_cookies_are_not_kept(transport: PooledTransport) -> None:
    async with target(sends(OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")) as here:
        for _ in range(2):
            await _post(transport, here.url)
    assert not any(b"cookie" in request.lower() for request in here.requests)


async def test_connections_are_used_again(transport: PooledTransport) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(OK + b"Content-Length: 2\r\n\r\nok")
            await writer.drain()
            await read_request(reader)

    async with target(behaviour) as here:
        for _ in range(5):
            assert await _post(transport, here.url) == Reply(202, b"ok", None)
        assert here.connections == 1


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with target(sends(OK + b"Content-Length: 0\r\n\r\n")) as proxy, target(sends(OK + b"\r\n")) as here:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        transport = PooledTransport(timeout_seconds=TIMEOUT, connections=4, user_agent="x")
        await _post(transport, here.url)
        await transport.close()
        assert (proxy.connections, here.connections) == (0, 1)


async def test_a_cancelled_request_ends_at_once_and_its_connection_by_the_deadline(transport: PooledTransport) -> None:
    came = asyncio.Event()

    async def behaviour(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()

    async with target(behaviour) as here:
        request = asyncio.create_task(post(transport, here.url, HEADERS, b"{}"))
        await asyncio.wait_for(came.wait(), 5)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await asyncio.wait_for(here.gone.wait(), 5)


async def test_many_hanging_requests_end_together(transport: PooledTransport) -> None:
    async with target(hangs) as here:
        began = time.monotonic()
        ended = await asyncio.gather(*(_post(transport, here.url) for _ in range(100)))
        assert all(isinstance(one, TransportFailure) for one in ended)
        assert time.monotonic() - began < IN_TIME


async def test_a_cancellation_is_never_lost(transport: PooledTransport) -> None:
    """At whatever moment it comes, also in that of the answer: a worker that stops waits for each of its senders."""

    async def post_and_wait(url: str) -> None:
        await post(transport, f"{url}/run", HEADERS, b"{}")
        await asyncio.Event().wait()

    async with target(sends(OK + b"Content-Length: 2\r\n\r\nok")) as here:
        for number in range(400):
            sending = asyncio.create_task(post_and_wait(here.url))
            await asyncio.sleep(number % 40 / 10_000)
            sending.cancel()
            ended, _ = await asyncio.wait({sending}, timeout=IN_TIME)
            assert ended, f"went on after a cancellation {number % 40 / 10} ms after its start"
