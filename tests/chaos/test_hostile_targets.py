"""Targets that behave as badly as one can, all at once, and a healthy one beside them, of the same community."""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import psutil
import pytest

from app.core.clock import MILLISECOND
from app.core.schedule import Definition, RetryPolicy
from app.core.target import Target
from app.metrics import Metrics
from app.service.executions import ExecutionService
from tests.chaos.cluster import Cluster
from tests.chaos.hostile import METADATA, Behaviour
from tests.integration.definitions import interval, one_time
from tests.integration.workers.rig import CALLER
from tests.processes import Script

_TIMEOUT_SECONDS = 2
_LOOK_SECONDS = 0.2
_DAY_SECONDS = 86_400
_MEGABYTE = 1 << 20
_NO_OTHER_END = (psutil.CONN_LISTEN, psutil.CONN_NONE)
_AT_MOST_ONCE = 1
"""How often each is tried again."""


@dataclass(frozen=True)
class Row:
    """A row of the table in docs/targets.md: how each attempt at a target goes, and what becomes of the execution.

    `code` is null where no whole answer came, `error` a pattern of what is then said of the attempt. `fails` says that
    the host counts as failing: it is tried again, and its circuit opens.
    """

    status: str
    code: int | None
    error: str | None = None
    fails: bool = False


_TAKEN = Row("succeeded", 200)
TABLE: dict[Behaviour, Row] = {
    Behaviour.HEALTHY: Row("succeeded", 202),
    Behaviour.GIGABYTE: _TAKEN,
    Behaviour.GARBAGE: _TAKEN,
    Behaviour.TO_METADATA: Row("failed", 302, r"HTTP 302"),
    Behaviour.TO_TRAP: Row("failed", 307, r"HTTP 307"),
    Behaviour.GONE: Row("failed", 410, r"HTTP 410"),
    # Asked again, but what they ask for is an hour at most, and these executions do not have one.
    Behaviour.LATER: Row("failed", 429, r"HTTP 429"),
    Behaviour.YEAR_9999: Row("failed", 429, r"HTTP 429"),
    Behaviour.HANGS: Row("failed", None, r"no whole answer within 2 s", fails=True),
    Behaviour.TRICKLES: Row("failed", None, r"no whole answer within 2 s", fails=True),
    Behaviour.RESETS: Row("failed", None, r"the connection broke: .+|no connection: .+", fails=True),
    Behaviour.CLOSES: Row("failed", None, r"the target closed the connection without an answer", fails=True),
    Behaviour.BREAKS_OFF: Row(
        "failed", None, r"the target closed the connection in the middle of its answer", fails=True
    ),
    Behaviour.BAD_CHUNKS: Row("failed", None, r"the target's answer is not HTTP/1\.1: .+", fails=True),
    Behaviour.NO_HTTP: Row("failed", None, r"the target's answer is not HTTP/1\.1: .+", fails=True),
    Behaviour.SLAMS: Row("failed", None, r"the connection broke: .+|no connection: .+", fails=True),
    Behaviour.MANY_HEADERS: Row("failed", None, r"more than 200 headers", fails=True),
    Behaviour.HUGE_HEADERS: Row("failed", None, r"more than 65536 bytes of headers", fails=True),
}
_HOSTILE = [behaviour for behaviour in TABLE if behaviour is not Behaviour.HEALTHY]
_CAPPED = (Behaviour.LATER, Behaviour.YEAR_9999)


@dataclass
class Watch:
    """What was seen of the worker while it worked: its memory, whom it has dialled, and which hosts it told of."""

    process: psutil.Process
    before: int
    peak: int = 0
    after: int = 0
    dialled: set[str] = field(default_factory=set)
    told_of: set[str] = field(default_factory=set)

    async def look(self, cluster: Cluster) -> None:
        """Once."""
        self.peak = max(self.peak, self.process.memory_info().rss)
        ends = [one.raddr for one in self.process.net_connections("inet") if one.status not in _NO_OTHER_END]
        self.dialled |= {end[0] for end in ends}
        for row in await cluster.rows("SELECT targets FROM workers WHERE targets IS NOT NULL"):
            self.told_of |= {str(one["host"]) for one in orjson.loads(row["targets"])}


@dataclass(frozen=True)
class Assault:
    """How it went: executions by behaviour, what the receivers noted, and what was seen of the worker."""

    hosts: Mapping[Behaviour, str]
    schedules: Mapping[Behaviour, Sequence[UUID]]
    executions: Mapping[Behaviour, Sequence[asyncpg.Record]]
    patient: Sequence[asyncpg.Record]
    notes: Mapping[str, Any]
    watch: Watch
    max_age_seconds: int


@asynccontextmanager
async def receivers(folder: Path) -> AsyncIterator[dict[str, int]]:
    """The ports of a process of receivers."""
    script = await Script.start("-m", "tests.chaos.hostile", errors=folder / "receivers")
    try:
        yield orjson.loads(await script.line())
    finally:
        await script.end()


async def assault(
    cluster: Cluster, folder: Path, *, hostile: int, healthy: int, seconds: float, max_age_seconds: int
) -> Assault:
    """So many executions for all hostile targets together, and so many for the healthy one, due in these seconds.

    `max_age_seconds` ends what waits for those whose circuits open.
    """
    each = hostile // len(_HOSTILE)
    async with (
        receivers(folder) as ports,
        cluster.workers(
            1,
            TARGET_ALLOWED_NETWORKS="127.0.0.0/8",
            TRIGGER_REQUEST_TIMEOUT_SECONDS=str(_TIMEOUT_SECONDS),
            LOG_LEVEL="ERROR",
            SHUTDOWN_GRACE_SECONDS="1",
        ) as (worker,),
    ):
        start = datetime.now(UTC) + timedelta(seconds=3 + (hostile + healthy) / 1500)
        due = {behaviour: healthy if behaviour is Behaviour.HEALTHY else each for behaviour in TABLE}
        made: dict[Behaviour, list[UUID]] = {}
        for behaviour, number in due.items():
            retry = _retry(max_age_seconds if TABLE[behaviour].fails else 3000)
            instants = [start + timedelta(seconds=seconds * position / number) for position in range(number)]
            created = await cluster.create([_calls(behaviour, ports, at, retry) for at in instants])
            made[behaviour] = [one.schedule_id for one in created]
        patient = await cluster.create([_calls(behaviour, ports, start, _retry(_DAY_SECONDS)) for behaviour in _CAPPED])
        process = psutil.Process(worker.pid)
        watch = Watch(process, process.memory_info().rss)
        await _until_over(cluster, watch, sum(due.values()), len(patient), seconds + 60 + max_age_seconds)
        watch.after = process.memory_info().rss
        retrying = await cluster.rows("SELECT * FROM executions WHERE status = 'retrying'")
        await _cancel(cluster, retrying)
        async with httpx.AsyncClient() as client:
            notes = (await client.get(f"http://127.0.0.1:{ports['notes']}/")).json()
    of = {schedule_id: behaviour for behaviour, some in made.items() for schedule_id in some}
    found: defaultdict[Behaviour, list[asyncpg.Record]] = defaultdict(list)
    for row in await cluster.rows("SELECT * FROM executions WHERE status <> 'cancelled'"):
        found[of[row["schedule_id"]]].append(row)
    hosts = {behaviour: f"127.0.0.1:{ports[behaviour]}" for behaviour in Behaviour}
    return Assault(hosts, made, found, retrying, notes, watch, max_age_seconds)


def _retry(max_age_seconds: int) -> RetryPolicy:
    return RetryPolicy(max_retries=_AT_MOST_ONCE, initial_backoff_seconds=0.1, max_age_seconds=max_age_seconds)


def _calls(behaviour: Behaviour, ports: Mapping[str, int], at: datetime, retry: RetryPolicy) -> Definition:
    """A schedule that is due once while the test runs; those that are to be paused would go on."""
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    definition = interval(_DAY_SECONDS, start_at=at) if behaviour is Behaviour.GONE else one_time(at)
    return replace(definition, workflow_id=None, target=Target(f"http://127.0.0.1:{ports[behaviour]}/"), retry=retry)


async def _until_over(cluster: Cluster, watch: Watch, number: int, patient: int, within_seconds: float) -> None:
    over = time.monotonic() + within_seconds
    while True:
        await watch.look(cluster)
        ((finished, retrying),) = await cluster.rows(
            "SELECT count(*) FILTER (WHERE finished_at IS NOT NULL), count(*) FILTER (WHERE status = 'retrying')"
            " FROM executions"
        )
        if finished == number and retrying == patient:
            return
        assert time.monotonic() < over, f"{finished} of {number} finished, {retrying} wait"
        await asyncio.sleep(_LOOK_SECONDS)


async def _cancel(cluster: Cluster, rows: Sequence[asyncpg.Record]) -> None:
    clock = cluster.schedules._transactions._clock
    service = ExecutionService(cluster.database, cluster.wheel, clock, Metrics())
    for row in rows:
        await service.cancel(CALLER, row["execution_id"], reason="it was patient for long enough")


async def forget(cluster: Cluster) -> None:
    """Another assault begins anew."""
    await cluster.rows("DELETE FROM executions")
    await cluster.rows("DELETE FROM workflow_schedules")
    await cluster.wheel.client.flushall()


async def check(cluster: Cluster, assault: Assault) -> None:
    """Everything that docs/targets.md says."""
    assert await cluster.rows("SELECT * FROM executions WHERE finished_at IS NULL") == []
    for behaviour, row in TABLE.items():
        executions = assault.executions[behaviour]
        # Each once, and none that is nobody's.
        assert Counter(one["schedule_id"] for one in executions) == Counter(assault.schedules[behaviour]), behaviour
        came = Counter(assault.notes[behaviour]["came"])
        for one in executions:
            assert one["status"] == row.status, (behaviour, one)
            attempts = orjson.loads(one["attempts"])
            for attempt in attempts:
                assert attempt["status_code"] == row.code, (behaviour, attempt)
                assert re.fullmatch(row.error or "None", str(attempt["error"])), (behaviour, attempt)
            if row.fails:
                _check_ending(assault, behaviour, one, attempts)
            else:
                assert (len(attempts), one["error"]) == (1, attempts[0]["error"]), (behaviour, one)
                assert came[str(one["execution_id"])] == 1, (behaviour, one)
        if row.fails:
            _check_left_alone(behaviour, executions, came)
    _check_healthy(assault)
    _check_not_followed(assault)
    await _check_paused(cluster, assault)
    _check_capped(assault)
    # What fits into the buffers of both sides of a connection, and no more.
    assert assault.notes[Behaviour.GIGABYTE]["most_written"] < 2 * _MEGABYTE


def _check_ending(
    assault: Assault, behaviour: Behaviour, one: asyncpg.Record, attempts: Sequence[Mapping[str, Any]]
) -> None:
    """One whose target fails has had its attempts, or says what it has waited behind."""
    said = one["error"]
    assert len(attempts) <= 1 + _AT_MOST_ONCE, (behaviour, one)
    if not said.startswith("it waited"):
        assert said == attempts[-1]["error"], (behaviour, one)
        return
    host = re.escape(assault.hosts[behaviour])
    assert re.fullmatch(
        rf"it waited behind the (open circuit|concurrency limit) of {host} and was never answered within "
        rf"max_age_seconds \({assault.max_age_seconds}\)(; the last that was tried there: ({TABLE[behaviour].error}))?",
        said,
    ), (behaviour, said)
    assert ("open circuit" in said) == ("the last that was tried there" in said), (behaviour, said)


def _check_left_alone(behaviour: Behaviour, executions: Sequence[asyncpg.Record], came: Counter[str]) -> None:
    """Its circuit was opened: after ten failures, and what was under way besides, it got probes alone."""
    attempts = {str(one["execution_id"]): len(orjson.loads(one["attempts"])) for one in executions}
    assert all(came[key] <= number for key, number in attempts.items()), behaviour
    assert 10 <= sum(attempts.values()) <= 10 + 20 + 20, (behaviour, sum(attempts.values()))
    assert any("open circuit" in one["error"] for one in executions), behaviour


def _check_healthy(assault: Assault) -> None:
    """Nothing of all this was to be felt there: each came once, was sent at its first attempt, and never put off."""
    executions = assault.executions[Behaviour.HEALTHY]
    notes = assault.notes[Behaviour.HEALTHY]
    assert notes["came"] == {str(one["execution_id"]): 1 for one in executions}
    # Giving one back would have cost it a number.
    assert {(one["attempt"], one["failures"]) for one in executions} == {(1, 0)}
    assert all(one["lateness_ms"] >= 0 for one in executions)
    assert assault.hosts[Behaviour.HEALTHY] not in assault.watch.told_of
    assert assault.hosts[Behaviour.HANGS] in assault.watch.told_of


def _check_not_followed(assault: Assault) -> None:
    assert assault.watch.dialled == {"127.0.0.1"}
    assert METADATA.split("/")[2] not in assault.watch.dialled
    assert assault.notes[Behaviour.TRAP]["connections"] == 0


async def _check_paused(cluster: Cluster, assault: Assault) -> None:
    rows = await cluster.rows(
        "SELECT status, status_reason, count(*) FROM workflow_schedules WHERE schedule_id = ANY($1::uuid[])"
        " GROUP BY 1, 2",
        assault.schedules[Behaviour.GONE],
    )
    gone = len(assault.schedules[Behaviour.GONE])
    assert [tuple(row) for row in rows] == [("paused", "the target answered HTTP 410", gone)]
    ((others,),) = await cluster.rows("SELECT count(*) FROM workflow_schedules WHERE status = 'paused'")
    assert others == gone


def _check_capped(assault: Assault) -> None:
    """Who has the time waits for an hour, whatever was asked for."""
    assert len(assault.patient) == len(_CAPPED)
    for one in assault.patient:
        (attempt,) = orjson.loads(one["attempts"])
        assert attempt["status_code"] == 429
        ended_at = datetime.fromisoformat(attempt["started_at"]) + timedelta(milliseconds=attempt["duration_ms"])
        # From when it was settled; in whole milliseconds, to which the attempt is rounded and the other instant cut.
        assert timedelta(seconds=3600) - MILLISECOND <= one["wake_at"] - ended_at < timedelta(seconds=3600 + 60)


@pytest.mark.fault("17")
async def test_hostile_targets_cost_a_healthy_one_nothing_and_each_execution_ends_as_the_table_says(
    cluster: Cluster, tmp_path: Path
) -> None:
    went = await assault(cluster, tmp_path, hostile=560, healthy=100, seconds=2, max_age_seconds=6)
    await check(cluster, went)
    assert went.watch.peak - went.watch.before < 64 * _MEGABYTE


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault("17")
async def test_ten_thousand_executions_for_hostile_targets_take_no_more_memory_than_two_thousand(
    cluster: Cluster, tmp_path: Path
) -> None:
    few = await assault(cluster, tmp_path, hostile=2_000, healthy=200, seconds=4, max_age_seconds=40)
    await check(cluster, few)
    await forget(cluster)
    many = await assault(cluster, tmp_path, hostile=10_000, healthy=1_000, seconds=20, max_age_seconds=40)
    await check(cluster, many)
    assert many.watch.peak - few.watch.peak < 16 * _MEGABYTE
    assert many.watch.peak - many.watch.before < 64 * _MEGABYTE
