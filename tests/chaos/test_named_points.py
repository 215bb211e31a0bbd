"""A worker dies at each of the points at which dying costs something: what the others make of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from app.workers.signals import Point
from tests.chaos.definitions import Definitions
from tests.chaos.history import Harm, Note, Record, Verdict
from tests.chaos.reading import read_lives, read_records
from tests.chaos.scene import Scene
from tests.chaos.target import now_ms

pytestmark = pytest.mark.timeout(180)
_SCHEDULES = 150
_LEASE = timedelta(seconds=5)


@dataclass(frozen=True)
class Death:
    """Which life of a worker ended at a point, and when."""

    worker: str
    at_ms: float


@dataclass(frozen=True)
class Killed:
    """What was found after one worker died at each point."""

    deaths: dict[Point, Death]
    verdict: Verdict
    records: dict[str, Record]
    notes: dict[str, list[Note]]


@pytest.fixture(scope="module")
async def killed(server_dir: Path) -> AsyncIterator[Killed]:
    """Three workers and 150 schedules that fire each second; one worker dies at each of three points."""
    deaths: dict[Point, Death] = {}
    async with Scene(0, server_dir / "named-points") as scene:
        definitions = Definitions(Random(0))
        await scene.callers.create_all([definitions.calm() for _ in range(_SCHEDULES)])
        while scene.target.number < 2 * _SCHEDULES:
            await asyncio.sleep(0.1)
        for point, slot in zip((Point.CLAIMED, Point.RECORDED, Point.ANSWERED), scene.stack.workers, strict=True):
            async with scene.holding([slot.name]):
                assert slot.process is not None
                scene.stack.arm(slot, point)
                await slot.process.wait()
                deaths[point] = Death(slot.life, now_ms())
                scene.stack.suffer(slot, Harm.KILLED)
                await scene.stack.start(slot)
            # The lease of what it had claimed is over by then, so that this death is seen by itself.
            await asyncio.sleep(_LEASE.total_seconds() + 2 if point is Point.CLAIMED else 1)
        connection = await scene.stack.connect()
        verdict = await scene.end()
        records = {
            record.execution_id: record
            async for some in read_records(connection, await read_lives(connection, datetime.now(UTC)))
            for _, of_one in some
            for record in of_one
        }
        await connection.close()
        yield Killed(deaths, verdict, records, scene.target.notes)


@pytest.mark.fault("1", "2", "3")
async def test_a_death_at_any_point_costs_no_occurrence_and_no_record(killed: Killed) -> None:
    verdict = killed.verdict
    assert verdict.violations == []
    assert (verdict.lost, verdict.recorded_twice, verdict.unfinished, verdict.early) == (0, 0, 0, 0)
    assert set(verdict.statuses) <= {"succeeded", "skipped"}


@pytest.mark.fault("1")
async def test_what_a_dead_worker_had_claimed_is_recorded_when_its_lease_is_over_and_delivered_once(
    killed: Killed,
) -> None:
    death = killed.deaths[Point.CLAIMED]
    late = [
        record
        for record in killed.records.values()
        if record.status == "succeeded"
        and 0 <= record.created_at.timestamp() * 1000 - death.at_ms <= 7_000
        and record.coalesced_count >= 4
    ]
    assert late
    for record in late:
        (note,) = killed.notes[record.execution_id]
        assert note.worker != death.worker
        assert record.covers_from is not None
        waited = record.created_at - record.covers_from
        assert _LEASE - timedelta(seconds=1) <= waited <= _LEASE + timedelta(seconds=2)


@pytest.mark.fault("2")
async def test_what_a_dead_worker_had_recorded_and_not_sent_is_delivered_once_by_another_under_its_id(
    killed: Killed,
) -> None:
    death = killed.deaths[Point.RECORDED]
    taken_over = [
        notes[0]
        for execution_id, notes in killed.notes.items()
        if len(notes) == 1
        and 0 <= death.at_ms - killed.records[execution_id].created_at.timestamp() * 1000 < 1_000
        and notes[0].at_ms > death.at_ms + 10_000
    ]
    assert taken_over
    assert all(note.worker != death.worker for note in taken_over)
    # Dead is who has been silent for 15 s, watched each second by each of the others.
    assert max(note.at_ms for note in taken_over) < death.at_ms + 20_000


@pytest.mark.fault("3")
async def test_what_was_answered_and_not_settled_is_delivered_again_under_the_same_id(killed: Killed) -> None:
    death = killed.deaths[Point.ANSWERED]
    again = {execution_id: notes for execution_id, notes in killed.notes.items() if len(notes) > 1}
    mine = [notes for notes in again.values() if notes[0].worker == death.worker]
    assert mine
    for notes in mine:
        assert len(notes) == 2
        assert notes[1].worker != death.worker
    # And nothing else comes again, but what a dead worker had under way.
    dead = {one.worker for one in killed.deaths.values()}
    assert all(notes[0].worker in dead for notes in again.values())
