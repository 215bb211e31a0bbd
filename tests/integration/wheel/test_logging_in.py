"""Coming to Redis at a start: by what the URL says, and what of it Redis refuses."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from app.core.errors import ConfigurationException
from app.embedded.ports import free_port
from app.wheel.connection import connect
from tests.clocks import ManualClock
from tests.integration.wheel.wheels import wheel_of


def _changed(url: str, what: str) -> str:
    parts = urlsplit(url)
    server = parts.netloc.rpartition("@")[2]
    changes = {
        "password": {"netloc": f":wrong@{server}"},
        "no password": {"netloc": server},
        "database": {"path": "/9999"},
    }
    return urlunsplit(parts._replace(**changes[what]))


@pytest.fixture
async def socket_path(redis_url: str) -> AsyncIterator[Path]:
    """A Unix socket on which the session's Redis answers."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while some := await reader.read(65_536):
                writer.write(some)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection(urlsplit(redis_url).hostname, urlsplit(redis_url).port)
        await asyncio.gather(forward(reader, to_redis), forward(from_redis, writer))

    with tempfile.TemporaryDirectory(prefix="schedule-service-test-") as folder:
        path = Path(folder, "redis.sock")
        server = await asyncio.start_unix_server(serve, path)
        yield path
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("password", "invalid username-password pair"),
        ("no password", "Authentication required"),
        ("database", "DB index is out of range"),
    ],
)
async def test_what_redis_refuses_of_the_url_stops_the_start(
    redis_url: str, clock: ManualClock, what: str, said: str
) -> None:
    wheel = wheel_of(connect(_changed(redis_url, what)), clock)
    try:
        with pytest.raises(ConfigurationException, match=f"^REDIS_URL: {said}"):
            await wheel.refuse_login()
        assert not wheel.away
    finally:
        await wheel.close()


async def test_a_redis_that_is_away_does_not(clock: ManualClock) -> None:
    wheel = wheel_of(connect(f"redis://127.0.0.1:{free_port()}"), clock)
    try:
        await wheel.refuse_login()
        assert wheel.away
    finally:
        await wheel.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h?nonsense=1", "got an unexpected keyword argument 'nonsense'"),
        ("redis://h?ssl_cert_reqs=none", "got an unexpected keyword argument 'ssl_cert_reqs'"),
        ("redis://h?db=x", "Invalid value for 'db' in connection URL"),
        ("redis://h?max_connections=many", "Invalid value for 'max_connections' in connection URL"),
        ("redis://h?protocol=9", "protocol must be either 2 or 3"),
        ("rediss://h?ssl_cert_reqs=perhaps", "Invalid SSL Certificate Requirements Flag: perhaps"),
    ],
)
def test_a_query_that_no_connection_takes_is_refused_before_one_is_made(url: str, said: str) -> None:
    with pytest.raises(ConfigurationException, match=f"^REDIS_URL: its query is none .*: {said}") as refused:
        connect(url)
    assert len(refused.value.detail.splitlines()) == 1


async def test_a_unix_socket_will_do(redis_url: str, socket_path: Path, clock: ManualClock) -> None:
    password = quote(urlsplit(redis_url).password or "", safe="")
    wheel = wheel_of(connect(f"unix://:{password}@{socket_path}"), clock)
    try:
        await wheel.refuse_login()
        await wheel.clear()
        assert not wheel.away
    finally:
        await wheel.close()
