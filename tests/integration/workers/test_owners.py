"""A worker's row: there before its first claim and until its last settle, and beaten; who is not seen is not dead."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from aiohttp import web

from app.core.errors import StoreUnavailableException
from app.core.schedule import OverlapPolicy
from app.core.tasks import end
from app.workers.keepers.reclaim import UNKNOWN_AFTER_SECONDS
from app.workers.signals import Point, Signals
from tests.integration.definitions import one_time
from tests.integration.workers.asking import no_answer
from tests.integration.workers.rig import CALLER, Rig, next_of
from tests.integration.workers.running import Running, running_worker
from tests.integration.workers.stages import look_again, turn
from tests.receiver import Received

_TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
_REGISTERING = """
    SELECT FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO workers%'
"""
_BEATING = """
    SELECT FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%UPDATE workers%'
"""


class Claims(Signals):
    """Knows whether something was claimed."""

    claimed = False

    async def reached(self, point: Point) -> None:
        self.claimed = self.claimed or point is Point.CLAIMED


async def test_a_worker_has_its_row_before_its_first_claim(rig: Rig, database_url: str, redis_url: str) -> None:
    """Else what it records at once would be taken from it, as a dead worker's."""
    await rig.create()
    await rig.execute(
        "UPDATE workflow_schedules SET next_due_at = now(), next_execution_at = now(), searched_to = now()"
    )
    claims = Claims()
    async with rig.database.connection() as connection:
        lock = connection.transaction()
        await lock.start()
        # Whoever reads passes, whoever registers or beats waits.
        await connection.execute("LOCK TABLE workers IN SHARE MODE")
        async with running_worker(database_url, redis_url, claims) as running:
            try:
                async with asyncio.timeout(5):
                    while not claims.claimed and not await rig.execute(_REGISTERING):
                        await turn()
                assert not claims.claimed
            finally:
                await lock.rollback()
            await running.receiver.wait_for(1, within_seconds=10)


async def _stop_while_its_target_works(running: Running, answer: asyncio.Event) -> None:
    """Tell a worker to stop that has sent something, which its target answers when it is told to."""

    async def hang(_received: Received) -> web.Response:
        await answer.wait()
        return web.Response(status=202)

    running.receiver.behaviour = hang
    at = running.clock.now() + timedelta(milliseconds=200)
    await running.schedules.create(CALLER, one_time(at), answer=no_answer, idempotency=None)
    await running.receiver.wait_for(1)
    running.worker.stop()


async def test_a_stopping_worker_has_its_row_until_what_it_has_sent_is_settled(
    database_url: str, redis_url: str
) -> None:
    """Else it would be taken for dead, and what it is waiting for delivered again."""
    answer = asyncio.Event()
    async with running_worker(database_url, redis_url, shutdown_grace_seconds=20) as running:
        await _stop_while_its_target_works(running, answer)
        async with asyncio.timeout(10), running.database.connection() as connection:
            while not running.worker.claiming.stopping:
                await turn()
            for _ in range(20):
                assert await connection.fetchval("SELECT count(*) FROM workers") == 1
            answer.set()
            while await connection.fetchval("SELECT count(*) FROM workers"):
                await turn()
            assert await connection.fetchval("SELECT status FROM executions") == "succeeded"


async def test_a_stopping_worker_waits_no_longer_than_its_grace(database_url: str, redis_url: str) -> None:
    never = asyncio.Event()
    async with running_worker(database_url, redis_url, shutdown_grace_seconds=0.5) as running:
        await _stop_while_its_target_works(running, never)
        async with asyncio.timeout(10), running.database.connection() as connection:
            while await connection.fetchval("SELECT count(*) FROM workers"):
                await turn()
            # Without a living owner it is another's to deliver.
            assert await connection.fetchval("SELECT status FROM executions") == "pending"
        never.set()


async def test_a_beat_counts_from_when_it_was_asked_for_and_not_from_its_answer(rig: Rig) -> None:
    """Others may have buried this worker before an answer that was long under way arrives."""
    worker = await rig.worker()
    async with rig.database.connection() as connection, asyncio.timeout(10):
        lock = connection.transaction()
        await lock.start()
        await connection.execute("SELECT FROM workers FOR UPDATE")
        beating = asyncio.create_task(worker.presence.run_once())
        try:
            while not await rig.execute(_BEATING):
                await turn()
            rig.clock.move(9)
        finally:
            await lock.rollback()
        assert await beating
    assert worker.presence.age_seconds == 9


async def test_a_worker_beats_every_three_seconds(rig: Rig) -> None:
    worker = await rig.worker()
    beating = asyncio.create_task(worker.presence.run_forever())
    try:
        for number in (1, 2, 3):
            async with asyncio.timeout(20):
                while (await rig.execute("SELECT beat FROM workers"))[0][0] < number:
                    await turn()
            rig.clock.move(2.9)
            for _ in range(20):
                await turn()
            assert (await rig.execute("SELECT beat FROM workers"))[0][0] == number, "sooner than after three seconds"
            rig.clock.move(0.1)
    finally:
        await end(beating)


@pytest.mark.fault("14a")
@pytest.mark.parametrize("in_vain", [1, 3])
async def test_what_was_not_seen_because_postgres_was_away_is_no_silence(rig: Rig, in_vain: int) -> None:
    """Passes that Postgres did not answer saw nobody, and so nobody who was silent."""
    _silent, watcher = await rig.worker(), await rig.worker()
    for _ in range(10):
        await watcher.keepers.bury.run_once()
        rig.clock.move(1)
    for _ in range(in_vain):
        async with rig.database.transaction() as connection:
            await connection.execute("LOCK TABLE workers IN ACCESS EXCLUSIVE MODE")
            watching = asyncio.create_task(watcher.keepers.bury.run_once())
            async with asyncio.timeout(20):
                while not await rig.execute(_TERMINATE):
                    await turn()
            with suppress(StoreUnavailableException):
                await watching
            assert watching.exception() is not None
        rig.clock.move(2)
    # From here on it is watched anew, however short that was.
    for _ in range(6):
        await watcher.keepers.bury.run_once()
        rig.clock.move(1)
    assert len(await rig.execute("SELECT FROM workers")) == 2


async def test_no_session_holds_its_locks_for_long(rig: Rig) -> None:
    async with rig.database.connection() as connection:
        shown = {
            name: timedelta(milliseconds=int(milliseconds))
            for name, milliseconds in await connection.fetch(
                "SELECT name, setting FROM pg_settings WHERE name LIKE '%_timeout'"
            )
        }
    # A keeper, or a batch, that is frozen within its transaction is ended, and its locks are free.
    assert timedelta(0) < shown["idle_in_transaction_session_timeout"] <= timedelta(seconds=10)
    # What has run for longer than that is not under way any more, and may be given back.
    assert timedelta(0) < shown["lock_timeout"] < shown["statement_timeout"] < timedelta(seconds=UNKNOWN_AFTER_SECONDS)


@pytest.mark.parametrize("how", ["cancelled", "completed", "made way", "answered"])
async def test_only_what_is_pending_has_an_owner(rig: Rig, how: str) -> None:
    worker = await rig.worker()
    schedule = await rig.create(overlap_policy=OverlapPolicy.CANCEL_RUNNING, max_instances=1)
    first, second = next_of(schedule, 2)
    rig.clock.move_to(first)
    (held,) = (await look_again(rig, worker)).assignments
    if how == "cancelled":
        await rig.executions.cancel(CALLER, held.execution_id, reason=None)
    elif how == "completed":
        await rig.executions.complete(CALLER, held.execution_id, failed=False, result=None, error=None)
    elif how == "made way":
        rig.clock.move_to(second)
        await look_again(rig, worker)
    else:
        worker.settler.add(await worker.deliverer.senders.sender.send(held))
        assert await worker.settler.run_once() == 1
    (row,) = await rig.execute("SELECT status, owner FROM executions WHERE execution_id = $1", held.execution_id)
    assert row["status"] in ("cancelled", "succeeded")
    assert row["owner"] is None
