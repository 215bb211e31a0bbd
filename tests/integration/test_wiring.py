"""What a process has before it does anything: the clock set by Postgres's, kept so, and shown."""

import asyncio
import resource

import asyncpg
import pytest

from app import wiring
from app.metrics import Metrics
from app.settings import Settings
from app.wiring import connected

_HOUR = 3_600.0
# Whoever asks for the time by its plain name gets this one.
_OWN_CLOCK = """
    CREATE SCHEMA own;
    CREATE TABLE own.ahead (by interval NOT NULL);
    INSERT INTO own.ahead VALUES ('1 hour');
    CREATE FUNCTION own.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
        AS 'SELECT pg_catalog.clock_timestamp() + by FROM own.ahead';
"""


def test_a_process_may_open_as_many_files_as_it_is_allowed_at_all() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
        wiring.open_as_many_files_as_allowed()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_the_clock_is_postgress_from_the_start_and_a_step_back_is_counted(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "CLOCK_SECONDS", 0.05)
    metrics, settings = Metrics(), Settings(database_url=database_url, redis_url=redis_url)
    postgres = await asyncpg.connect(database_url)
    try:
        await postgres.execute(_OWN_CLOCK)
        await postgres.execute(
            f"ALTER DATABASE {await postgres.fetchval('SELECT current_database()')}"
            " SET search_path = own, pg_catalog, public"
        )
        async with connected(settings, metrics, name="test") as parts:
            # Nothing may be claimed by another clock, not even at first.
            assert parts.clock.ready
            assert _shown(metrics, "clock_skew_seconds") == pytest.approx(-_HOUR, abs=5)
            assert _shown(metrics, "clock_steps_total") == 0
            await postgres.execute("UPDATE own.ahead SET by = '30 minutes'")
            async with asyncio.timeout(10):
                while not _shown(metrics, "clock_steps_total"):
                    await asyncio.sleep(0.01)
            assert _shown(metrics, "clock_steps_total") == 1
            assert _shown(metrics, "clock_skew_seconds") == pytest.approx(-_HOUR / 2, abs=5)
    finally:
        await postgres.close()


def _shown(metrics: Metrics, name: str) -> float:
    lines = metrics.render()[0].decode().splitlines()
    (line,) = [line for line in lines if line.startswith(f"schedule_service_{name} ")]
    return float(line.rsplit(" ", 1)[1])
