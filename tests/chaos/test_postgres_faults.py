"""Postgres restarts, crashes, refuses, is locked and jumps: nobody exits, nothing is lost, nothing comes twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from tests.chaos.definitions import Definitions
from tests.chaos.faults import FAULTS
from tests.chaos.history import Verdict
from tests.chaos.scene import Scene

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
_SCHEDULES = 60
_READ_ONLY = "ALTER DATABASE schedule_service SET default_transaction_read_only = {}"
_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'schedule-service %'"
_DISK_FULL = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON {} FOR EACH STATEMENT EXECUTE FUNCTION full_disk();
"""
_DISK_FREE = "DROP FUNCTION full_disk CASCADE"


@dataclass
class Refusal:
    """What a caller was told while Postgres could not write, and how many schedules there were before and after."""

    status: int
    retry_after: str | None
    stored_before: int
    stored_after: int


@dataclass
class Broken:
    """What was seen while Postgres was broken in one way after the other."""

    verdict: Verdict
    refusals: dict[str, Refusal] = field(default_factory=dict)
    lives: list[int] = field(default_factory=list)
    workers: list[set[Any]] = field(default_factory=list)
    answers_lost: int = 0
    fired_after_jump: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
async def broken(server_dir: Path) -> AsyncIterator[Broken]:
    """Three workers, an API and 60 schedules that fire each second."""
    does = {fault.name: fault.does for fault in FAULTS}
    async with Scene(0, server_dir / "postgres-faults") as scene:
        stack, rng, seen = scene.stack, Random(0), Broken(scene.verdict)
        definitions = Definitions(rng)
        await scene.callers.create_all([definitions.calm() for _ in range(_SCHEDULES)])
        await _fires(scene)
        seen.workers.append(await _worker_ids(scene))
        for slot in stack.workers:
            slot.postgres.lose_answers(b"COMMIT", 3)
        for name in ("postgres restarted", "postgres crashed", "postgres backend killed"):
            await does[name](stack, rng, stack.workers[0])
            await _fires(scene)
        for slot in stack.workers:
            slot.postgres.stop_losing()
            seen.answers_lost += slot.postgres.answers_lost
        await stack.execute(_READ_ONLY.format("on"))
        await stack.execute(_TERMINATE)
        seen.refusals["read-only"] = await _refused(scene, definitions)
        await asyncio.sleep(1)
        await stack.execute(_READ_ONLY.format("off"))
        await stack.execute(_TERMINATE)
        await _fires(scene)
        await stack.execute(_DISK_FULL.format("workflow_schedules"))
        seen.refusals["disk full"] = await _refused(scene, definitions)
        await stack.execute(_DISK_FREE)
        await stack.execute(_DISK_FULL.format("executions"))
        await asyncio.sleep(2)
        await stack.execute(_DISK_FREE)
        await _fires(scene)
        async with _locked(scene, "executions"):
            await asyncio.sleep(6)
        await _fires(scene)
        for seconds in (-3.0, 3.0, -0.5):
            await stack.jump(seconds)
            seen.fired_after_jump.append(await _fires(scene, within_seconds=10 - min(seconds, 0)))
        seen.workers.append(await _worker_ids(scene))
        await scene.end()
        seen.lives = [slot.lives for slot in (*stack.workers, stack.api)]
        yield seen


async def _fires(scene: Scene, *, within_seconds: float = 20) -> int:
    """Wait until every schedule has fired once more; answers how many deliveries that took."""
    before = scene.target.number
    async with asyncio.timeout(within_seconds):
        while scene.target.number < before + 2 * _SCHEDULES:
            await asyncio.sleep(0.05)
    return scene.target.number - before


async def _worker_ids(scene: Scene) -> set[Any]:
    return {row[0] for row in await scene.rows("SELECT worker_id FROM workers")}


async def _refused(scene: Scene, definitions: Definitions) -> Refusal:
    counted = "SELECT count(*) FROM workflow_schedules"
    before = (await scene.rows(counted))[0][0]
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{scene.stack.api_url}/schedules", json=definitions.calm()) as response,
    ):
        await response.read()
        after = (await scene.rows(counted))[0][0]
        return Refusal(response.status, response.headers.get("Retry-After"), before, after)


class _locked:  # noqa: N801
    """A table that nobody else can read or write."""

    def __init__(self, scene: Scene, table: str) -> None:
        self._scene = scene
        self._table = table

    async def __aenter__(self) -> None:
        self._connection = await self._scene.stack.connect()
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        await self._connection.execute(f"LOCK TABLE {self._table} IN ACCESS EXCLUSIVE MODE")

    async def __aexit__(self, *_exception: object) -> None:
        await self._transaction.rollback()
        await self._connection.close()


@pytest.mark.fault("11", "12", "14", "26")
async def test_nothing_is_lost_and_nothing_comes_twice_whatever_postgres_does(broken: Broken) -> None:
    assert broken.verdict.violations == []
    assert broken.verdict.delivered_again == 0
    assert broken.verdict.occurrences > 10 * _SCHEDULES
    assert set(broken.verdict.statuses) <= {"succeeded", "skipped"}


@pytest.mark.fault("11")
async def test_no_process_exits_and_none_takes_a_new_id_because_postgres_restarted(broken: Broken) -> None:
    assert broken.lives == [1, 1, 1, 1]
    before, after = broken.workers
    assert before == after
    assert len(before) == 3


@pytest.mark.fault("11")
async def test_a_write_to_what_has_become_a_replica_is_503_and_stores_nothing(broken: Broken) -> None:
    _check_refusal(broken.refusals["read-only"])


@pytest.mark.fault("26")
async def test_a_full_disk_is_503_and_no_corrupt_state(broken: Broken) -> None:
    _check_refusal(broken.refusals["disk full"])


def _check_refusal(refusal: Refusal) -> None:
    assert refusal.status == 503
    assert int(refusal.retry_after or 0) > 0
    assert refusal.stored_before == refusal.stored_after == _SCHEDULES


@pytest.mark.fault("7a")
async def test_what_was_committed_and_never_heard_of_is_delivered_once(broken: Broken) -> None:
    assert broken.answers_lost >= 3
    assert broken.verdict.lost == broken.verdict.delivered_again == 0


@pytest.mark.fault("14")
async def test_a_clock_that_jumps_back_and_forth_freezes_nothing(broken: Broken) -> None:
    assert len(broken.fired_after_jump) == 3
    assert broken.verdict.recorded_twice == broken.verdict.early == 0
