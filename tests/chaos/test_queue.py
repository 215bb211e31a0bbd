"""Queued runs with several worker processes, on a clock that nobody moves."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import replace

from aiohttp import web

from app.core.schedule import OverlapPolicy
from app.store.queueing import HEAD_LOOKS_AFTER
from tests.chaos.cluster import Cluster
from tests.integration.workers.rig import MINUTELY
from tests.receiver import Received

_RUN_SECONDS = 1.3
_SCHEDULES = 6
_RUNS = 5


async def test_runs_of_a_queueing_schedule_follow_each_other_and_are_never_two_at_once(cluster: Cluster) -> None:
    under_way: Counter[str] = Counter()
    most: Counter[str] = Counter()
    ended: defaultdict[str, list[float]] = defaultdict(list)
    gaps: list[float] = []
    loop = asyncio.get_running_loop()

    async def work(received: Received) -> web.StreamResponse:
        schedule = received.json["schedule_id"]
        under_way[schedule] += 1
        most[schedule] = max(most[schedule], under_way[schedule])
        if ended[schedule]:
            gaps.append(loop.time() - ended[schedule][-1])
        await asyncio.sleep(_RUN_SECONDS)
        under_way[schedule] -= 1
        ended[schedule].append(loop.time())
        return web.Response(status=202)

    cluster.receiver.behaviour = work
    # An occurrence each second and runs of more than that: from the second on there is always one that waits.
    definition = replace(MINUTELY, interval_seconds=1, overlap_policy=OverlapPolicy.QUEUE, max_instances=1)
    async with cluster.workers(3):
        schedules = await cluster.create([definition] * _SCHEDULES)
        async with asyncio.timeout(60):
            while len(ended) < _SCHEDULES or min(map(len, ended.values())) < _RUNS:
                await asyncio.sleep(0.05)
    await cluster.check_history(schedules)
    assert set(most.values()) == {1}
    # Each was woken by the end of the one before: none had to find the room by looking again after a while.
    assert max(gaps) < HEAD_LOOKS_AFTER.total_seconds() / 2, sorted(gaps)
    reasons = await cluster.rows("SELECT DISTINCT reason FROM executions WHERE status = 'skipped'")
    assert [row[0] for row in reasons] == ["queue_full"]
