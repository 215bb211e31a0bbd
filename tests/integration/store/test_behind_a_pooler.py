"""A pooler in front of Postgres of which nobody has told is found out at a start."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from structlog.testing import capture_logs

from app.core.errors import ConfigurationException
from app.store.database import knock, wait_until_up
from app.store.migrations import standing
from app.store.outage import Outage
from tests.clocks import ManualClock
from tests.forwarding import forward

_TLS = 80877103
_KEPT = {b"user", b"database", b"client_encoding", b"application_name"}
"""What PgBouncer takes of a session besides what it is told to ignore."""


@asynccontextmanager
async def pooler_before(url: str, *, ignoring: bool) -> AsyncIterator[str]:
    """What PgBouncer does with what a session sets: it refuses it, or (`ignore_startup_parameters`) drops it."""
    parts = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size, code = struct.unpack("!II", await reader.readexactly(8))
            body = await reader.readexactly(size - 8)
            if code != _TLS:
                break
            writer.write(b"N")
        words = body.split(b"\0")
        given = dict(zip(words[::2], words[1::2], strict=False))
        given.pop(b"", None)
        if not ignoring and (unknown := sorted(given.keys() - _KEPT)):
            said = b"SFATAL\0C08P01\0Munsupported startup parameter: " + unknown[0] + b"\0\0"
            writer.write(b"E" + struct.pack("!I", len(said) + 4) + said)
            writer.close()
            return
        kept = b"".join(name + b"\0" + value + b"\0" for name, value in given.items() if name in _KEPT) + b"\0"
        from_postgres, to_postgres = await asyncio.open_connection(parts.hostname, parts.port)
        to_postgres.write(struct.pack("!II", len(kept) + 8, code) + kept)
        await asyncio.gather(forward(reader, to_postgres), forward(from_postgres, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))
    server.close()
    await server.wait_closed()


@pytest.mark.fault("13")
@pytest.mark.parametrize(
    ("ignoring", "why"), [(False, "unsupported startup parameter: lock_timeout"), (True, "it drops lock_timeout")]
)
async def test_one_that_nobody_has_told_of_is_refused_at_once(database_url: str, ignoring: bool, why: str) -> None:
    clock = ManualClock()
    said = rf"^DATABASE_URL: a pooler stands in front of Postgres \({why}\): say so, by DATABASE_POOLER=transaction$"
    async with pooler_before(database_url, ignoring=ignoring) as url:
        with capture_logs() as logs, pytest.raises(ConfigurationException, match=said):
            await wait_until_up(url, clock, Outage(clock, "start_waits"), patience_seconds=60)
        assert logs == []
        with pytest.raises(ConfigurationException, match=said):
            await standing(url)
        await knock(url, pooler="transaction")
    await knock(database_url)
