"""Waiting for Postgres at a start: it is told of, and what waiting cannot mend is not waited for."""

from urllib.parse import urlsplit, urlunsplit

import pytest
from structlog.testing import capture_logs

from app.core.errors import ConfigurationException, StoreUnavailableException
from app.embedded.ports import free_port
from app.store.database import Database, connect, wait_until_up
from app.store.outage import Outage
from tests.clocks import ManualClock


class _Hurrying(ManualClock):
    """Nobody moves it: who sleeps has slept."""

    async def sleep(self, seconds: float) -> None:
        self.move(seconds)


async def test_a_postgres_that_is_waited_for_is_told_of_at_once_and_each_ten_seconds() -> None:
    clock = _Hurrying()
    url = f"postgresql://user@127.0.0.1:{free_port()}/db?sslmode=disable"
    began_at = clock.monotonic()
    with capture_logs() as logs, pytest.raises(StoreUnavailableException, match=r"^Postgres does not answer: "):
        await wait_until_up(url, clock, Outage(clock, "start_waits"), patience_seconds=25)
    assert clock.monotonic() - began_at == pytest.approx(25, abs=0.3)
    assert [(line["event"], line["log_level"]) for line in logs] == 3 * [("start_waits", "warning")]
    assert logs[0]["error"].startswith("Postgres does not answer: ")


def _changed(url: str, what: str) -> str:
    """The URL of the same server with something in it that waiting does not mend."""
    parts = urlsplit(url)
    server = parts.netloc.rpartition("@")[2]
    changes = {
        "password": {"netloc": f"{parts.username}:wrong@{server}"},
        "user": {"netloc": f"nobody_{parts.path[1:]}:wrong@{server}"},
        "database": {"path": "/no_such_database"},
        "sslmode": {"query": "sslmode=perhaps"},
        "parameter": {"query": "nonsense=1"},
        "value": {"query": "statement_timeout=soon"},
        "field": {"query": "nonsense"},
        "certificates": {"query": "sslmode=verify-full&sslrootcert=/no/such/file"},
        "key": {"query": f"sslmode=require&sslcert={__file__}&sslkey=/no/such/file"},
    }
    return urlunsplit(parts._replace(**changes[what]))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("password", "password authentication failed for user"),
        ("user", "password authentication failed for user"),
        ("database", 'database "no_such_database" does not exist'),
        ("sslmode", "`sslmode` parameter must be one of"),
        ("parameter", 'unrecognized configuration parameter "nonsense"'),
        ("value", 'invalid value for parameter "statement_timeout"'),
        ("field", "bad query field"),
        ("certificates", "sslrootcert=/no/such/file: No such file or directory"),
        ("key", "sslkey=/no/such/file: No such file or directory"),
    ],
)
async def test_what_waiting_cannot_mend_is_refused_at_once(database_url: str, what: str, said: str) -> None:
    clock = _Hurrying()
    began_at = clock.monotonic()
    with capture_logs() as logs, pytest.raises(ConfigurationException, match=f"^DATABASE_URL: {said}") as refused:
        await wait_until_up(_changed(database_url, what), clock, Outage(clock, "start_waits"), patience_seconds=60)
    assert (clock.monotonic(), logs) == (began_at, [])
    assert len(refused.value.detail.splitlines()) == 1


async def test_a_postgres_that_lets_its_user_in_no_more_counts_as_away_later(database_url: str) -> None:
    await (await connect(database_url)).close()
    database = await Database.open(_changed(database_url, "password"), pool_size=1)
    try:
        with pytest.raises(StoreUnavailableException, match="password authentication failed"):
            async with database.connection():
                raise AssertionError("it was let in")
    finally:
        await database.close()
