"""Postgres is away for half a minute under load and comes back: nobody exits or dies of it, nothing comes twice."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.chaos.definitions import Definitions
from tests.chaos.history import Note, Verdict
from tests.chaos.postgres_faults import frozen
from tests.chaos.proxy import Mode
from tests.chaos.scene import Scene
from tests.chaos.turning import turned

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
_SCHEDULES = 200
_SECONDS = 30.0
_LAST_SECONDS = 6.0
"""How much later than the others one worker gets through again: they see that it has been silent since long before."""
_SEEN_AFTER = 20
"""How often each fires afterwards before it is said that nobody died: a worker is buried after 15 s of silence."""
_BEHIND = """
    SELECT (SELECT count(*) FROM workflow_schedules WHERE next_due_at < clock_timestamp() - interval '1 second')
         + (SELECT count(*) FROM executions
             WHERE finished_at IS NULL AND due_at < clock_timestamp() - interval '2 seconds')
"""


@asynccontextmanager
async def _stopped(postgres: EmbeddedPostgres) -> AsyncIterator[None]:
    """Shut down at once, as by `pg_ctl stop -m immediate`: what was under way is lost with its answer."""
    os.kill(postgres.pid, signal.SIGQUIT)
    await postgres.wait()
    yield
    await postgres.start()


@asynccontextmanager
async def _frozen(postgres: EmbeddedPostgres) -> AsyncIterator[None]:
    """Takes connections, or what the kernel takes for it, and says nothing: a paused machine."""
    with frozen(postgres):
        yield


_WAYS: dict[str, Callable[[EmbeddedPostgres], AbstractAsyncContextManager[None]]] = {
    "stopped": _stopped,
    "frozen": _frozen,
}


@dataclass(frozen=True)
class Processes:
    """Who was there: process ids of the three workers and the API, and the workers' own ids."""

    pids: list[int]
    workers: set[UUID]


@dataclass(frozen=True)
class Answered:
    """What a caller was told meanwhile."""

    create: int
    retry_after: str | None
    alive: int


@dataclass
class Away:
    """What was seen of an outage."""

    before: Processes
    after: Processes
    said: list[str]
    exits: int
    answers: Sequence[Answered]
    stored: tuple[int, int]
    verdict: Verdict
    notes: dict[str, list[Note]]


@pytest.fixture(scope="module", params=_WAYS)
async def away(request: pytest.FixtureRequest, server_dir: Path) -> AsyncIterator[Away]:
    """Three workers, an API, and 200 schedules that fire each second, some of them at a target that takes a while."""
    async with Scene(0, server_dir / f"postgres-{request.param}") as scene:
        definitions = Definitions(Random(0))
        await scene.callers.create_all([_definition(definitions, number) for number in range(_SCHEDULES)])
        await _fire(scene, times=3)
        before, stored_before = await _processes(scene), await _stored(scene)
        async with _WAYS[request.param](scene.stack.postgres):
            answers = await _answers(scene, definitions)
            last = asyncio.create_task(turned([scene.stack.workers[0].postgres], Mode.REFUSE, _LAST_SECONDS))
        await last
        await _catch_up(scene)
        await _fire(scene, times=_SEEN_AFTER)
        after, stored_after = await _processes(scene), await _stored(scene)
        verdict = await scene.end()
        slots = (*scene.stack.workers, scene.stack.api)
        said = [line for slot in slots for errors in slot.errors for line in errors.read_text().splitlines()]
        yield Away(
            before,
            after,
            said,
            len(scene.stack.exits),
            answers,
            (stored_before, stored_after),
            verdict,
            scene.target.notes,
        )


def _definition(definitions: Definitions, number: int) -> dict[str, Any]:
    """Every other one has each of the occurrences that it missed triggered; many are under way at any instant."""
    definition = definitions.calm()
    definition["coalesce"] = number % 2 == 0
    definition["context_data"]["work_ms"] = 300 if number % 4 < 2 else 0
    return definition


async def _fire(scene: Scene, *, times: int) -> None:
    """Wait until as many deliveries have come as all schedules make in so many seconds."""
    wanted = scene.target.number + times * _SCHEDULES
    async with asyncio.timeout(times + 20):
        while scene.target.number < wanted:
            await asyncio.sleep(0.05)


async def _catch_up(scene: Scene) -> None:
    async with asyncio.timeout(30):
        while (await scene.rows(_BEHIND))[0][0]:
            await asyncio.sleep(0.1)


async def _processes(scene: Scene) -> Processes:
    processes = [slot.process for slot in (*scene.stack.workers, scene.stack.api)]
    workers = {row[0] for row in await scene.rows("SELECT worker_id FROM workers")}
    return Processes([one.pid for one in processes if one is not None and one.returncode is None], workers)


async def _stored(scene: Scene) -> int:
    stored: int = (await scene.rows("SELECT count(*) FROM workflow_schedules"))[0][0]
    return stored


async def _answers(scene: Scene, definitions: Definitions) -> list[Answered]:
    """Ask for as long as Postgres is to be away; the last one is waited for, so that it is away for all of it."""
    answers: list[Answered] = []
    loop, url = asyncio.get_running_loop(), scene.stack.api_url
    until = loop.time() + _SECONDS
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        while loop.time() < until:
            async with http.post(f"{url}/schedules", json=definitions.calm()) as created:
                await created.read()
            async with http.get(f"{url.removesuffix('/api/v1')}/livez") as alive:
                await alive.read()
            answers.append(Answered(created.status, created.headers.get("Retry-After"), alive.status))
            await asyncio.sleep(0.2)
    return answers


@pytest.mark.fault("11", "14a")
async def test_no_process_exits(away: Away) -> None:
    assert away.exits == 0
    assert len(away.before.pids) == 4
    assert away.after.pids == away.before.pids


@pytest.mark.fault("11", "14a")
async def test_nobody_is_declared_dead(away: Away) -> None:
    assert len(away.before.workers) == 3
    assert away.after.workers == away.before.workers
    assert [line for line in away.said if '"worker_id_renewed"' in line or '"worker_buried"' in line] == []


@pytest.mark.fault("11")
async def test_nothing_is_delivered_twice(away: Away) -> None:
    assert away.verdict.delivered_again == 0
    assert {len(notes) for notes in away.notes.values()} == {1}
    assert len(away.notes) == away.verdict.statuses["succeeded"]


@pytest.mark.fault("11")
async def test_all_has_caught_up_and_each_occurrence_is_in_one_record(away: Away) -> None:
    verdict = away.verdict
    assert verdict.violations == []
    assert (verdict.lost, verdict.recorded_twice, verdict.unfinished, verdict.early) == (0, 0, 0, 0)
    assert verdict.occurrences >= _SCHEDULES * (_SECONDS + _SEEN_AFTER)
    # What was skipped is what had its instant when all was paused at the end.
    assert set(verdict.statuses) <= {"succeeded", "skipped"}
    assert verdict.statuses.get("skipped", 0) <= _SCHEDULES
    # Half of them make one run of what they missed, half one run of each.
    assert verdict.statuses["succeeded"] >= _SCHEDULES * _SEEN_AFTER + _SCHEDULES // 2 * _SECONDS


@pytest.mark.fault("11")
async def test_the_api_lives_answers_503_with_retry_after_and_stores_nothing(away: Away) -> None:
    assert len(away.answers) >= 3
    assert {answer.create for answer in away.answers} == {503}
    assert all(int(answer.retry_after or 0) > 0 for answer in away.answers)
    assert {answer.alive for answer in away.answers} == {200}
    assert away.stored == (_SCHEDULES, _SCHEDULES)
