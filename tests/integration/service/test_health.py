"""Health and readiness."""

from uuid import uuid4

import pytest

from app.service import health
from app.store import workers
from app.store.database import Database
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from tests.clocks import ManualClock
from tests.integration.definitions import cron, interval
from tests.integration.service.world import CALLER, STRANGER, World


async def test_a_healthy_service_shows_its_figures(world: World) -> None:
    schedules = [await world.create(interval(60)) for _ in range(3)]
    await world.create(cron(), STRANGER)
    await world.schedules.pause(CALLER, schedules[0].schedule_id, reason=None)
    async with world.database.transaction() as connection:
        await workers.register(connection, uuid4(), host="here", pid=1, version="1")
        await workers.register(connection, uuid4(), host="there", pid=2, version="1")
        await connection.execute("UPDATE workers SET beat_at = now() - interval '16 s' WHERE pid = 2")
    shown = await world.health.check(1)
    assert (shown.scheduler_running, shown.live_workers, shown.able) == (True, 1, True)
    assert (shown.database_connected, shown.redis_connected) == (True, True)
    assert (shown.active_schedules, shown.overdue_count) == (2, 0)
    assert shown.wheel_depth == 4
    assert (await world.health.check(None)).active_schedules is None


async def test_what_is_over_two_seconds_late_is_overdue(world: World) -> None:
    await world.create(interval(60))
    world.clock.move(62)
    assert (await world.health.check(None)).overdue_count == 0
    world.clock.move(0.001)
    shown = await world.health.check(None)
    assert (shown.overdue_count, shown.scheduler_running, shown.live_workers) == (1, False, 0)


async def test_redis_away_is_shown_and_does_not_make_the_service_unable(world: World) -> None:
    nowhere = Wheel(connect("redis://127.0.0.1:1"), world.clock, shards=16, window_seconds=3600, claim_ahead_ms=50)
    shown = await health.HealthService(world.database, nowhere, world.clock).check(1)
    assert (shown.redis_connected, shown.wheel_depth, shown.able) == (False, None, True)


async def test_postgres_away_is_shown_and_not_raised(database_url: str, redis_url: str) -> None:
    database = await Database.open(database_url)
    await database.close()
    clock = ManualClock()
    wheel = Wheel(connect(redis_url), clock, shards=16, window_seconds=3600, claim_ahead_ms=50)
    service = health.HealthService(database, wheel, clock)
    try:
        shown = await service.check(1)
        assert (shown.able, shown.database_connected, shown.redis_connected) == (False, False, True)
        assert (shown.active_schedules, shown.overdue_count) == (None, None)
        assert (shown.scheduler_running, shown.live_workers) == (None, None)
        assert not await service.ready()
    finally:
        await wheel.client.connection_pool.aclose()


async def test_it_is_ready_once_it_is_migrated(world: World) -> None:
    assert await world.health.ready()
    await world.rows("ALTER TABLE alembic_version RENAME TO elsewhere")
    try:
        assert not await world.health.ready()
        await world.rows("CREATE TABLE alembic_version AS SELECT '0000' AS version_num")
        assert not await world.health.ready()
        await world.rows("UPDATE alembic_version SET version_num = '9999'")
        # Old code beside a newer schema, as in a rolling update.
        assert await world.health.ready()
    finally:
        await world.rows("DROP TABLE IF EXISTS alembic_version")
        await world.rows("ALTER TABLE elsewhere RENAME TO alembic_version")


async def test_a_large_communitys_count_is_remembered_for_half_a_minute(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = world.health
    await world.create(cron())
    assert (await service.check(1)).active_schedules == 1
    await world.create(cron())
    assert (await service.check(1)).active_schedules == 2
    monkeypatch.setattr(health, "_COUNTED_AT_ONCE", 2)
    assert (await service.check(1)).active_schedules == 2
    await world.create(cron())
    world.clock.move(29)
    assert (await service.check(1)).active_schedules == 2
    world.clock.move(1)
    assert (await service.check(1)).active_schedules == 3
