"""Asking an issuer for its keys, over real HTTP: whatever it answers, the end comes soon and says why."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app import issuer as module
from app.issuer import Issuer, KeysNotFetched
from tests.issuers import DISCOVERY, JWKS, LoopbackIssuer, Signing
from tests.receiver import Receiver

OWN_CERTIFICATE = Path(__file__).parent / "delivery" / "localhost.pem"
KEY = Signing.known("ES256", "k")
Fetching = Callable[..., Awaitable[str]]


@pytest.fixture
async def issuer() -> AsyncIterator[LoopbackIssuer]:
    async with LoopbackIssuer(KEY) as here:
        yield here


async def why_not(issuer: str, keys_url: str = "") -> str:
    """Why no keys are fetched."""
    async with Issuer.reached(issuer, keys_url) as reached:
        with pytest.raises(KeysNotFetched) as failed:
            await reached.keys()
    return str(failed.value)


def answering(*arguments: Any, **options: Any) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The same answer each time."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(*arguments, **options)

    return answer


async def test_the_keys_are_where_the_issuer_says(issuer: LoopbackIssuer) -> None:
    async with Issuer.reached(issuer.url, "") as reached:
        (key,) = (await reached.keys()).keys
    assert key.key_id == "k"
    assert issuer.asked == [DISCOVERY, JWKS]


async def test_or_at_an_address_that_is_set(issuer: LoopbackIssuer) -> None:
    async with Issuer.reached("https://id.example", issuer.url + JWKS) as reached:
        assert len((await reached.keys()).keys) == 1
        issuer.keys = []
        assert (await reached.keys()).keys == ()
    assert issuer.asked == [JWKS, JWKS]


async def test_no_cookie_is_kept_and_no_proxy_of_the_environment_asked(
    issuer: LoopbackIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def with_a_cookie(_request: web.Request) -> web.Response:
        return web.json_response({"keys": issuer.keys}, headers={"Set-Cookie": "session=1"})

    issuer.publishing = with_a_cookie
    async with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with Issuer.reached(issuer.url, "") as reached:
            await reached.keys()
            await reached.keys()
        assert proxy.received == []
    for headers in issuer.headers:
        assert not {"Authorization", "Cookie"} & headers.keys()
        assert headers["User-Agent"].startswith("schedule-service/")


async def test_what_it_says_of_itself_must_be_its_own(issuer: LoopbackIssuer) -> None:
    async def another(_request: web.Request) -> web.Response:
        return web.json_response({"issuer": "https://id.example", "jwks_uri": issuer.url + JWKS})

    issuer.discovering = another
    assert "it says that its issuer is 'https://id.example'" in await why_not(issuer.url)
    assert issuer.fetches == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(issuer: LoopbackIssuer, status: int) -> None:
    issuer.discovering = issuer.publishing = answering(status=status, headers={"Location": "/elsewhere"})
    assert f"{DISCOVERY}: it answered {status}, and a redirect is not followed" in await why_not(issuer.url)
    assert f"{JWKS}: it answered {status}" in await why_not(issuer.url, issuer.url + JWKS)
    assert "/elsewhere" not in issuer.asked


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answering(status=500), "it answered 500"),
        (answering(status=204), "it answered 204"),
        (answering(status=404), "it answered 404"),
        (answering(text="<html>"), "no JSON"),
        (answering(text=""), "no JSON"),
        (answering(body=b'{"keys":["\xff"]}'), "no JSON"),
        (answering(text='{"keys":' + "[" * 100_000), "no JSON"),
        (answering(text="[]"), "no JWK Set"),
        (answering(text='{"keys":{}}'), "no JWK Set"),
        (answering(body=gzip.compress(b"0" * 10_000_000), headers={"Content-Encoding": "gzip"}), "packed"),
        (answering(text="0" * (256 * 1024 + 1)), "more than 262144 bytes"),
    ],
)
async def test_an_answer_of_no_use_says_what_it_was(
    issuer: LoopbackIssuer, answer: Callable[[web.Request], Awaitable[web.Response]], why: str
) -> None:
    issuer.publishing = answer
    failed = await why_not(issuer.url)
    assert failed.startswith(issuer.url + JWKS)
    assert why in failed
    assert len(failed) < 500


@pytest.mark.fault("28")
async def test_an_answer_of_a_hundred_megabytes_is_not_read(issuer: LoopbackIssuer) -> None:
    sent = 0
    broken = asyncio.Event()

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            for _ in range(1600):
                await answer.write(b" " * 65_536)
                sent += 65_536
        except OSError:
            broken.set()
        return answer

    issuer.publishing = flood
    assert "more than 262144 bytes" in await why_not(issuer.url)
    async with asyncio.timeout(10):
        await broken.wait()
    # What the buffers of the kernel take is sent, and not read.
    assert sent < 20_000_000


@pytest.mark.fault("28")
async def test_an_issuer_that_hangs_or_trickles_is_left(
    issuer: LoopbackIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DEADLINE_SECONDS", 0.3)
    over = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    async def trickle(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not over.is_set():
            await answer.write(b" ")
            await asyncio.sleep(0.02)
        return answer

    for behaviour in (hang, trickle):
        issuer.publishing = behaviour
        async with asyncio.timeout(5):
            assert "did not answer whole within 0.3 seconds" in await why_not(issuer.url)
    over.set()


async def test_an_issuer_is_believed_by_its_certificate(
    issuer: LoopbackIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(OWN_CERTIFICATE)
    await issuer.close()
    await issuer.listen(tls=tls)
    assert "CERTIFICATE_VERIFY_FAILED" in await why_not(issuer.url)
    assert issuer.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(OWN_CERTIFICATE))
    async with Issuer.reached(issuer.url, "") as reached:
        assert len((await reached.keys()).keys) == 1
    assert "CERTIFICATE_VERIFY_FAILED" in await why_not(issuer.url.replace("localhost", "127.0.0.1"))


async def test_one_that_is_away_or_speaks_no_tls_says_so(issuer: LoopbackIssuer) -> None:
    encrypted = issuer.url.replace("http://", "https://")
    assert await why_not(encrypted)
    await issuer.close()
    assert "connect" in (await why_not(issuer.url)).lower()
    assert await why_not("https://nowhere.invalid")
