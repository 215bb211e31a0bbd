"""Redis behind TLS: whom a start trusts, and what it says of a certificate or a file that is not to be used."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.core.errors import ConfigurationException
from app.wheel.connection import connect
from tests.clocks import ManualClock
from tests.forwarding import forward
from tests.integration.wheel.wheels import wheel_of

OF_LOCALHOST = Path(__file__).parents[1] / "delivery" / "localhost.pem"


@asynccontextmanager
async def behind_tls(redis_url: str, certificate: Path) -> AsyncIterator[str]:
    """The Redis of the session under another URL, with TLS in front of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    parts = urlsplit(redis_url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(forward(reader, to_redis), forward(from_redis, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    yield f"rediss://:{parts.password}@localhost:{port}/0"
    server.close()
    await server.wait_closed()


async def _start(url: str, clock: ManualClock) -> bool:
    """Whether Redis was there; raises where a start is refused."""
    wheel = wheel_of(connect(url), clock)
    try:
        await wheel.refuse_login()
        return not wheel.away
    finally:
        await wheel.close()


def _that_is_over(folder: Path) -> Path:
    """A certificate of localhost whose last day was yesterday."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now - timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "over.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


async def test_an_authority_that_the_url_names_is_trusted(redis_url: str, clock: ManualClock) -> None:
    async with behind_tls(redis_url, OF_LOCALHOST) as url:
        assert await _start(f"{url}?ssl_ca_certs={OF_LOCALHOST}", clock)


@pytest.mark.parametrize(
    ("host", "query", "said"),
    [
        ("localhost", "", "self-signed certificate"),
        ("127.0.0.1", f"?ssl_ca_certs={OF_LOCALHOST}", "IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_not_to_be_trusted_stops_the_start(
    redis_url: str, clock: ManualClock, host: str, query: str, said: str
) -> None:
    async with behind_tls(redis_url, OF_LOCALHOST) as url:
        with pytest.raises(ConfigurationException, match=f"^REDIS_URL: .*{said}") as refused:
            await _start(url.replace("@localhost", f"@{host}") + query, clock)
    assert len(refused.value.detail.splitlines()) == 1


async def test_one_whose_time_is_over_makes_redis_away_since_another_may_follow_it(
    redis_url: str, clock: ManualClock, tmp_path: Path
) -> None:
    over = _that_is_over(tmp_path)
    async with behind_tls(redis_url, over) as url:
        assert not await _start(f"{url}?ssl_ca_certs={over}", clock)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("ssl_ca_certs=/no/such/file", "ssl_ca_certs=/no/such/file: No such file or directory"),
        (
            f"ssl_certfile={OF_LOCALHOST}&ssl_keyfile=/no/such/file",
            "ssl_keyfile=/no/such/file: No such file or directory",
        ),
        (f"ssl_ca_certs={__file__}", "the files of TLS that its query names: "),
    ],
)
def test_files_of_tls_that_cannot_be_used_are_refused_before_anybody_connects(query: str, said: str) -> None:
    with pytest.raises(ConfigurationException, match=f"^REDIS_URL: {re.escape(said)}") as refused:
        connect(f"rediss://localhost/0?{query}")
    assert len(refused.value.detail.splitlines()) == 1
