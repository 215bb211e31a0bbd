"""Behind a pooler in transaction mode a session is nobody's own: nothing may be left in one."""

from contextlib import AsyncExitStack

import pytest

from app.service.executions import ExecutionService
from app.service.schedules import ScheduleService
from app.store.database import Database
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.stages import delivering, look_again, settled

_CONNECTIONS = 4
# What one transaction could leave behind for the next one, which is another client's.
_LEFT = """
    SELECT (SELECT count(*) FROM pg_prepared_statements) AS statements,
           (SELECT count(*) FROM pg_listening_channels()) AS channels,
           (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors,
           (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory') AS locks,
           (SELECT count(*) FROM pg_settings WHERE source = 'session' AND setting <> reset_val) AS settings,
           (SELECT count(*) FROM pg_class WHERE relpersistence = 't') AS tables
"""
_BY_THE_CLIENT = "SELECT name FROM pg_settings WHERE source = 'client' ORDER BY name"


@pytest.mark.fault("13")
async def test_nothing_of_a_firing_is_left_in_a_session(rig: Rig, database_url: str) -> None:
    pooled = await Database.open(database_url, pool_size=_CONNECTIONS, pooler="transaction", name="pooled")
    direct, rig.database = rig.database, pooled
    rig.schedules = ScheduleService(pooled, rig.wheel, rig.clock)
    rig.executions = ExecutionService(pooled, rig.wheel, rig.clock, rig.metrics)
    try:
        await _live(rig)
        async with AsyncExitStack() as stack:
            # All at once, so that each is another.
            for _ in range(_CONNECTIONS):
                connection = await stack.enter_async_context(pooled.connection())
                (left,) = await connection.fetch(_LEFT)
                assert {name: number for name, number in left.items() if number} == {}
                # What a pooler would refuse, or hand on to whoever comes next.
                given = {row[0] for row in await connection.fetch(_BY_THE_CLIENT)}
                assert given <= {"application_name", "client_encoding"}
    finally:
        rig.database = direct
        await pooled.close()


async def _live(rig: Rig) -> None:
    """What an API and a worker do in a schedule's life, keepers included."""
    worker = await rig.worker()
    schedule = await rig.create()
    keepers = worker.keepers
    for keeper in (keepers.window, keepers.sweep, keepers.bury, keepers.reclaim, keepers.zones, keepers.retention):
        await keeper.run_once()
    rig.clock.move_to(next_of(schedule)[0])
    async with delivering(worker):
        look = await look_again(rig, worker)
        assert len(look.assignments) == 1
        await rig.receiver.wait_for(1)
        await settled(rig, worker)
    await rig.schedules.pause(CALLER, schedule.schedule_id, reason="pooled")
    await worker.presence.run_once()
    (execution,) = await rig.history(schedule)
    assert execution.status == "succeeded"
