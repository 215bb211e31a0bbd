"""Several worker processes: each occurrence is recorded once and delivered once, and a kill costs neither."""

import asyncio
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from app.core.occurrences import ScheduleType
from app.core.schedule import Definition
from tests.chaos.cluster import Cluster
from tests.integration.workers.rig import MINUTELY
from tests.receiver import Received

_ALL_FINISHED = "SELECT count(*) >= $1 FROM executions WHERE finished_at IS NOT NULL"
_SLOW_SECONDS = 0.03


def one_time(number: int, *, in_seconds: float) -> list[Definition]:
    """That many one-time schedules, spread over the same second."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=in_seconds)
    return [
        replace(
            MINUTELY,
            schedule_type=ScheduleType.ONE_TIME,
            interval_seconds=None,
            scheduled_time=start + timedelta(milliseconds=position % 1000),
        )
        for position in range(number)
    ]


def every(seconds: int, number: int) -> list[Definition]:
    """That many interval schedules, each occurrence triggered by itself however late it is."""
    return [replace(MINUTELY, interval_seconds=seconds, coalesce=False, max_instances=1000)] * number


async def slow(_received: Received) -> web.StreamResponse:
    """An engine that takes a moment, so that much is under way at any instant."""
    await asyncio.sleep(_SLOW_SECONDS)
    return web.Response(status=202)


@pytest.mark.fault("16")
async def test_three_workers_record_and_deliver_two_thousand_of_one_second_once_each(cluster: Cluster) -> None:
    async with cluster.workers(3):
        schedules = await cluster.create(one_time(2_000, in_seconds=5))
        await cluster.until(_ALL_FINISHED, 2_000)
    assert await cluster.check_history(schedules) == 2_000
    statuses = await cluster.rows("SELECT status, count(*) FROM executions GROUP BY status")
    assert [tuple(row) for row in statuses] == [("succeeded", 2_000)]
    recorded = {str(row[0]) for row in await cluster.rows("SELECT execution_id FROM executions")}
    deliveries = cluster.receiver.deliveries()
    assert set(deliveries) == recorded
    assert set(deliveries.values()) == {1}
    early = await cluster.rows("SELECT execution_id, lateness_ms FROM executions WHERE lateness_ms < 0")
    assert early == []


@pytest.mark.fault("3")
async def test_a_worker_that_is_killed_in_the_middle_costs_no_record_and_no_delivery(cluster: Cluster) -> None:
    cluster.receiver.behaviour = slow
    async with cluster.workers(3) as workers:
        schedules = await cluster.create(one_time(2_000, in_seconds=5))
        await cluster.received(300)
        workers[0].send_signal(signal.SIGKILL)
        await workers[0].wait()
        await cluster.until(_ALL_FINISHED, 2_000)
    assert await cluster.check_history(schedules) == 2_000
    statuses = await cluster.rows("SELECT status, count(*) FROM executions GROUP BY status")
    assert [tuple(row) for row in statuses] == [("succeeded", 2_000)]
    deliveries = cluster.receiver.deliveries()
    assert set(deliveries) == {str(row[0]) for row in await cluster.rows("SELECT execution_id FROM executions")}
    twice = {key for key, times in deliveries.items() if times > 1}
    # Only what the dead one had sent and not settled: its answer was lost with it, and another took it over.
    taken_over = {str(row[0]) for row in await cluster.rows("SELECT execution_id FROM executions WHERE attempt > 1")}
    assert twice <= taken_over


@pytest.mark.fault("6")
async def test_flushall_loses_no_occurrence_of_five_hundred_running_intervals(cluster: Cluster) -> None:
    async with cluster.workers(2):
        schedules = await cluster.create(every(2, 500))
        await cluster.until("SELECT count(*) >= 1000 FROM executions")
        await cluster.wheel.client.flushall()
        await cluster.until("SELECT count(*) >= 3000 FROM executions")
        await cluster.wheel.client.flushall()
        await cluster.until("SELECT bool_and(execution_count >= 9) FROM workflow_schedules")
        await cluster.rows(
            "UPDATE workflow_schedules SET status = 'paused', next_due_at = NULL, next_execution_at = NULL RETURNING id"
        )
        await cluster.until("SELECT count(*) = 0 FROM executions WHERE finished_at IS NULL")
    assert await cluster.check_history(schedules) >= 500 * 9
    assert set(cluster.receiver.deliveries().values()) == {1}
    statuses = {row[0] for row in await cluster.rows("SELECT DISTINCT status FROM executions")}
    assert statuses == {"succeeded"}


@pytest.mark.fault("24")
async def test_a_worker_that_is_terminated_under_load_loses_nothing_and_delivers_nothing_twice(
    cluster: Cluster,
) -> None:
    cluster.receiver.behaviour = slow
    async with cluster.workers(2) as workers:
        schedules = await cluster.create(one_time(1_500, in_seconds=4))
        await cluster.received(300)
        workers[0].terminate()
        assert await workers[0].wait() == 0
        await cluster.until(_ALL_FINISHED, 1_500)
    assert await cluster.check_history(schedules) == 1_500
    deliveries = cluster.receiver.deliveries()
    assert len(deliveries) == 1_500
    assert set(deliveries.values()) == {1}


@pytest.mark.fault("4")
async def test_a_frozen_worker_is_replaced_and_takes_up_work_anew_when_it_thaws(cluster: Cluster) -> None:
    async with cluster.workers(2) as workers:
        schedules = await cluster.create(every(1, 50))
        await cluster.until("SELECT count(*) >= 100 FROM executions")
        workers[0].send_signal(signal.SIGSTOP)
        await cluster.until("SELECT count(*) = 1 FROM workers")
        await cluster.until("SELECT count(*) = 0 FROM executions WHERE wake_at IS NOT NULL AND finished_at IS NULL")
        workers[0].send_signal(signal.SIGCONT)
        await cluster.until("SELECT count(*) = 2 FROM workers")
        before = (await cluster.rows("SELECT count(*) FROM executions"))[0][0]
        await cluster.until("SELECT count(*) >= $1 FROM executions", before + 150)
        await cluster.rows(
            "UPDATE workflow_schedules SET status = 'paused', next_due_at = NULL, next_execution_at = NULL RETURNING id"
        )
        await cluster.until("SELECT count(*) = 0 FROM executions WHERE finished_at IS NULL")
    await cluster.check_history(schedules)
    statuses = {row[0] for row in await cluster.rows("SELECT DISTINCT status FROM executions")}
    assert statuses == {"succeeded"}


@pytest.mark.fault("12")
async def test_no_transaction_is_open_while_a_target_works(cluster: Cluster) -> None:
    at_work = asyncio.Event()
    go_on = asyncio.Event()

    async def work(_received: Received) -> web.StreamResponse:
        at_work.set()
        await go_on.wait()
        return web.Response(status=202)

    cluster.receiver.behaviour = work
    open_transactions = (
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in tr%'"
        " AND state_change < now() - interval '0.3 seconds'"
    )
    async with cluster.workers(2):
        await cluster.create(every(1, 20))
        await at_work.wait()
        for _ in range(20):
            assert (await cluster.rows(open_transactions))[0][0]
            await asyncio.sleep(0.05)
        go_on.set()


@pytest.mark.fault("12")
async def test_every_connection_has_bounds_of_its_own(cluster: Cluster) -> None:
    bounds = await cluster.rows(
        "SELECT name, setting::int FROM pg_settings WHERE name ~ '(statement|lock|transaction_session)_timeout$'"
    )
    given = {row[0]: row[1] for row in bounds}
    assert {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} <= given.keys()
    assert given["lock_timeout"] < given["statement_timeout"] <= given["idle_in_transaction_session_timeout"] <= 10_000
    assert given["lock_timeout"] > 0
