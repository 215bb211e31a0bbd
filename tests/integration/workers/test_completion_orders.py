"""Reports, answers, deadlines, cancellations and strangers, in every order: the first final outcome stands.

Each execution goes its own random way through what may happen to it, and beside it a model of a few lines says what
must come of that and what each caller must be told. The steps of all executions are made in bulk, so that ten thousand
orders take a minute.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from app.core.errors import ExecutionNotFoundException, ScheduleServiceException, StateForbidsException
from app.core.execution import ExecutionStatus
from app.core.principal import Principal, Role
from app.core.schedule import Completion
from app.store import settling
from app.store.settling import Outcome
from app.workers.looker import Looker
from tests.integration.store.rows import add_execution
from tests.integration.workers.rig import CALLER, Rig, seconds

STRANGER = Principal(community_id=2, user="stranger", role=Role.ADMIN)
FINAL = {ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT, ExecutionStatus.CANCELLED}
ANSWERS = {
    "taken": ExecutionStatus.RUNNING,
    "broke": ExecutionStatus.RETRYING,
    "refused": ExecutionStatus.FAILED,
}
REPORTS = {"succeeded": ExecutionStatus.SUCCEEDED, "failed": ExecutionStatus.FAILED}
STEPS = [*ANSWERS, "late taken", "late broke", "look", *REPORTS, "cancel", "heartbeat", "stranger", "stranger's beat"]
LONGEST = 7
_STEP_SECONDS = 2
_DEADLINE_SECONDS = 1


@dataclass
class Run:
    """An execution, its way, and what the model says of it."""

    execution_id: UUID
    steps: list[str]
    status: ExecutionStatus = ExecutionStatus.PENDING
    attempt: int = 1
    told: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def take(self, step: str) -> None:
        """What the step must make of it, and what its caller must hear."""
        finished = self.status in FINAL
        match step:
            case "taken" | "late taken" if not finished:
                # A 2xx counts from whomever it comes: the target really took it.
                self.status = ExecutionStatus.RUNNING
            case "broke" | "refused" if self.status is ExecutionStatus.PENDING:
                self.status = ANSWERS[step]
            case "look" if self.status is ExecutionStatus.RUNNING:
                self.status = ExecutionStatus.TIMED_OUT
            case "look" if self.status is ExecutionStatus.RETRYING:
                self.status, self.attempt = ExecutionStatus.PENDING, self.attempt + 1
            case "succeeded" | "failed" | "cancel":
                wanted = REPORTS.get(step, ExecutionStatus.CANCELLED)
                self.expected.append("ok" if not finished or self.status is wanted else "conflict")
                self.status = self.status if finished else wanted
            case "heartbeat":
                self.expected.append("ok")
            case "stranger" | "stranger's beat":
                self.expected.append("unknown")
            case _:
                pass


def orders(number: int, seed: int) -> list[list[str]]:
    """Random ways, each of one to seven steps."""
    drawn = random.Random(seed)
    return [drawn.choices(STEPS, k=drawn.randint(1, LONGEST)) for _ in range(number)]


async def prepared(rig: Rig, ways: list[list[str]], owner: UUID) -> list[Run]:
    schedule = await rig.create(completion=Completion.CALLBACK, timeout_seconds=_DEADLINE_SECONDS)
    async with rig.database.transaction() as connection:
        return [
            Run(
                await add_execution(
                    connection, at=rig.clock.now(), schedule_id=schedule.schedule_id, owner=owner, attempt=1
                ),
                way,
            )
            for way in ways
        ]


def outcome(rig: Rig, run: Run, step: str, owner: UUID) -> Outcome:
    late = step.startswith("late ")
    status = ANSWERS[step.removeprefix("late ")]
    now = rig.clock.now()
    return Outcome(
        execution_id=run.execution_id,
        community_id=1,
        owner=uuid4() if late else owner,
        number=run.attempt,
        status=status,
        attempt_json="[]",
        failed=status is not ExecutionStatus.RUNNING,
        wake_at=None if status is ExecutionStatus.FAILED else now + seconds(_DEADLINE_SECONDS),
        finished_at=now if status is ExecutionStatus.FAILED else None,
        error=None,
        engine_execution_id=None,
        started_at=now,
        lateness_ms=0,
    )


async def ask(rig: Rig, run: Run, step: str) -> str:
    """A caller's step; answers what was told."""
    executions, caller = rig.executions, STRANGER if "stranger" in step else CALLER
    try:
        match step:
            case "cancel":
                await executions.cancel(caller, run.execution_id, reason=None)
            case "heartbeat" | "stranger's beat":
                await executions.heartbeat(caller, run.execution_id)
            case _:
                failed = step == "failed"
                result = {"by": step}
                await executions.complete(caller, run.execution_id, failed=failed, result=result, error=None)
    except StateForbidsException:
        return "conflict"
    except ExecutionNotFoundException:
        return "unknown"
    except ScheduleServiceException as other:
        return repr(other)
    return "ok"


async def in_turns(runs: list[Run], step: Callable[[Run], str | None], rig: Rig) -> None:
    """The callers' steps of all runs, a few at once."""
    room = asyncio.Semaphore(12)

    async def one(run: Run, asked: str) -> None:
        async with room:
            run.told.append(await ask(rig, run, asked))

    async with asyncio.TaskGroup() as tasks:
        for run in runs:
            asked = step(run)
            if asked is not None:
                tasks.create_task(one(run, asked))


async def statuses(rig: Rig, runs: list[Run]) -> dict[UUID, ExecutionStatus]:
    rows = await rig.execute(
        "SELECT execution_id, status, (status IN ('succeeded', 'failed', 'timed_out', 'cancelled'))"
        " = (finished_at IS NOT NULL) AS whole FROM executions WHERE execution_id = ANY($1::uuid[])",
        [run.execution_id for run in runs],
    )
    assert all(row["whole"] for row in rows)
    return {row["execution_id"]: ExecutionStatus(row["status"]) for row in rows}


async def walk(rig: Rig, number: int, seed: int) -> Counter[ExecutionStatus]:
    owner = uuid4()
    runs = await prepared(rig, orders(number, seed), owner)
    looker = Looker(rig.clock, claim_ahead_ms=50)
    for place in range(LONGEST):
        rig.clock.move(_STEP_SECONDS)
        here = [run for run in runs if place < len(run.steps)]
        answers = [run for run in here if run.steps[place].removeprefix("late ") in ANSWERS]
        looks = [run for run in here if run.steps[place] == "look"]
        async with rig.database.transaction() as connection:
            for first in range(0, len(answers), 500):
                batch = [outcome(rig, run, run.steps[place], owner) for run in answers[first : first + 500]]
                await settling.settle(connection, batch)
            for first in range(0, len(looks), 500):
                await looker.look(connection, [f"x:{run.execution_id}" for run in looks[first : first + 500]], owner)
        silent = {run.execution_id for run in (*answers, *looks)}
        callers = [run for run in here if run.execution_id not in silent]
        await in_turns(callers, lambda run, place=place: run.steps[place], rig)  # type: ignore[misc]
        for run in here:
            run.take(run.steps[place])
    found = await statuses(rig, runs)
    wrong = [run for run in runs if found[run.execution_id] is not run.status or run.told != run.expected]
    assert not wrong, (
        f"seed {seed}: {len(wrong)} of {number}, the first: {wrong[0]}, found {found[wrong[0].execution_id]}"
    )
    return Counter(found.values())


@pytest.mark.fault("19a")
async def test_in_whatever_order_they_come_the_first_final_outcome_stands(rig: Rig) -> None:
    came = await walk(rig, 400, seed=random.randrange(1 << 32))
    assert set(came) >= FINAL


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_ten_thousand_orders(rig: Rig) -> None:
    came = await walk(rig, 10_000, seed=random.randrange(1 << 32))
    assert set(came) >= FINAL


@pytest.mark.fault("19a")
async def test_of_what_comes_at_once_one_wins_and_everybody_is_told_so(rig: Rig) -> None:
    """The same without an order: whatever wins, all that agree with it hear so, and all that do not."""
    owner = uuid4()
    runs = await prepared(rig, [["succeeded", "failed", "cancel", "succeeded", "heartbeat"]] * 60, owner)
    room = asyncio.Semaphore(6)

    async def all_at_once(run: Run) -> None:
        async def settle() -> str:
            async with rig.database.connection() as connection:
                await settling.settle(connection, [outcome(rig, run, "taken", owner)])
            return "settled"

        async with room:
            run.told = list(await asyncio.gather(*(ask(rig, run, step) for step in run.steps), settle()))

    await asyncio.gather(*map(all_at_once, runs))
    found = await statuses(rig, runs)
    wins = {
        ExecutionStatus.SUCCEEDED: "ok conflict conflict ok",
        ExecutionStatus.FAILED: "conflict ok conflict conflict",
        ExecutionStatus.CANCELLED: "conflict conflict ok conflict",
    }
    for run in runs:
        assert run.told == [*wins[found[run.execution_id]].split(), "ok", "settled"], run
