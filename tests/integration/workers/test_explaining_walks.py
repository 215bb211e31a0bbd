"""Random lives: whatever callers and outages do, every instant has an explanation, and it agrees with the records."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from app.core.errors import ScheduleServiceException
from app.core.execution import ExecutionStatus, Trigger
from app.core.explaining import Verdict
from app.core.schedule import Schedule
from app.service.explaining import ExplainingService
from app.workers.loop import Worker
from tests.clocks import START
from tests.integration.definitions import cron, interval
from tests.integration.workers.rig import CALLER, Rig
from tests.integration.workers.stages import look_again

RULES = (interval(60), interval(90), cron("*/2 * * * *"), cron("1-59/3 * * * *", timezone="America/New_York"))
STEPS = 40
NOT_TRIGGERED = {ExecutionStatus.MISSED: Verdict.MISSED, ExecutionStatus.SKIPPED: Verdict.SKIPPED}


async def live(rig: Rig, worker: Worker, schedule: Schedule, dice: random.Random) -> None:
    """A random life: workers look or do not, callers pause, resume, change and skip."""

    async def change() -> None:
        rule = dice.choice(RULES)
        await rig.schedules.change(CALLER, schedule.schedule_id, lambda _: rule, expected_revision=None)

    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: look_again(rig, worker),
        lambda: look_again(rig, worker),
        lambda: look_again(rig, worker),
        lambda: rig.schedules.pause(CALLER, schedule.schedule_id, reason="random"),
        lambda: rig.schedules.resume(CALLER, schedule.schedule_id, reason=None),
        lambda: rig.schedules.skip_next(CALLER, schedule.schedule_id, reason=None, expected_revision=None),
        change,
    ]
    for _ in range(STEPS):
        rig.clock.move(dice.choice((0.03, 1, 20, 59.96, 60, 130, 1000)))
        with suppress(ScheduleServiceException):  # not possible in the state that it is in
            await dice.choice(steps)()


@pytest.mark.parametrize("seed", range(80))
async def test_every_occurrence_of_a_random_life_is_explained_by_its_record_or_by_its_state(
    rig: Rig, seed: int
) -> None:
    dice = random.Random(seed)
    worker = await rig.worker()
    schedule = await rig.create()
    await live(rig, worker, schedule, dice)
    service = ExplainingService(rig.database, rig.clock, execution_days=30)
    own = [run for run in await rig.history(schedule) if run.trigger is Trigger.SCHEDULE]
    told: dict[datetime, Verdict] = {}
    start, end = START, rig.clock.now() + timedelta(minutes=10)
    while start is not None:
        span, _ = await service.between(CALLER, schedule.schedule_id, start, end)
        told |= {one.at: one.verdict for one in span.occurrences}
        start = span.next_from
    assert Verdict.UNEXPLAINED not in told.values()
    assert Verdict.NOT_AN_OCCURRENCE not in told.values()
    for run in own:
        expected = NOT_TRIGGERED.get(run.status, Verdict.PENDING)
        assert told[run.scheduled_for] is expected
        covered = [at for at in told if (run.covers_from or run.scheduled_for) <= at <= run.scheduled_for]
        assert len(covered) == run.coalesced_count
        stands_in = expected if run.status in NOT_TRIGGERED else Verdict.COALESCED
        assert {told[at] for at in covered[:-1]} <= {stands_in}
    recorded = {at for run in own for at in told if (run.covers_from or run.scheduled_for) <= at <= run.scheduled_for}
    for at in told.keys() - recorded:
        ahead = {Verdict.WILL_FIRE, Verdict.WILL_BE_SKIPPED, Verdict.DUE, Verdict.PAUSED}
        assert told[at] in ahead, at
        assert told[at] is Verdict.PAUSED or at >= own[-1].scheduled_for
