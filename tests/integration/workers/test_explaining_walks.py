"""Random lives: whatever callers and outages do, every instant has an explanation, and it agrees with the records."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from app.core.errors import ScheduleServiceException
from app.core.execution import ExecutionStatus, Trigger
from app.core.explaining import Occurrence, Verdict
from app.core.schedule import Schedule
from app.workers.loop import Worker
from tests.integration.calendars import calendar, keeps, stored
from tests.integration.definitions import cron, interval
from tests.integration.workers.asking import Asking
from tests.integration.workers.rig import CALLER, Rig
from tests.integration.workers.stages import look_again

RULES = (
    interval(60),
    interval(90, jitter_seconds=60),
    interval(60, coalesce=False),
    cron("*/2 * * * *"),
    cron("1-59/3 * * * *", timezone="America/New_York"),
    cron("*/7 * * * *", **keeps("holidays")),
)
STEPS = 40
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
WITHOUT_RECORD = {Verdict.PAUSED, Verdict.DUE, Verdict.WILL_FIRE, Verdict.WILL_BE_SKIPPED, Verdict.SKIPPED}
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


@pytest.mark.parametrize("seed", range(6))
async def test_every_occurrence_of_a_random_life_is_explained_by_its_record_or_by_its_state(
    rig: Rig, asking: Asking, seed: int
) -> None:
    dice = random.Random(seed)
    worker = await rig.worker()
    # The day is off, and ends on the way.
    await stored(asking.calendars, CALLER, calendar("holidays", "2026-11-23"))
    rig.clock.move_to(MIDNIGHT - timedelta(hours=2))
    schedule = await rig.create()
    await live(rig, worker, schedule, dice)
    own = [run for run in await rig.history(schedule) if run.trigger is Trigger.SCHEDULE]
    told: dict[datetime, Occurrence] = {}
    start: datetime | None = schedule.created_at
    while start is not None:
        span = await asking.between(schedule, start, rig.clock.now() + timedelta(minutes=10))
        told |= {one.at: one for one in span.occurrences}
        start = span.next_from
    for run in own:
        of_run = [one for one in told.values() if one.execution_id == run.execution_id]
        assert len(of_run) == run.coalesced_count
        at_last = NOT_TRIGGERED.get(run.status, Verdict.PENDING)
        before = at_last if run.status in NOT_TRIGGERED else Verdict.COALESCED
        assert [one.verdict for one in of_run] == [*[before] * (run.coalesced_count - 1), at_last]
    for one in told.values():
        if one.execution_id is None:
            assert one.verdict in WITHOUT_RECORD, one.summary
            assert one.verdict in (Verdict.PAUSED, Verdict.SKIPPED) or one.at > own[-1].scheduled_for
