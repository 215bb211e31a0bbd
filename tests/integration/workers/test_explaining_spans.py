"""Why a schedule fired, or did not, within a time span: each occurrence once, and all of them in words."""

from datetime import datetime, timedelta

import pytest

from app.core.errors import InvalidScheduleException
from app.core.explaining import Verdict
from tests.clocks import START
from tests.integration.definitions import cron, interval
from tests.integration.workers.asking import ANNA, MINUTE, Asking
from tests.integration.workers.rig import Rig
from tests.integration.workers.stages import delivering


async def test_a_time_span_counts_what_became_of_each_occurrence(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60, grace_period_seconds=5))
    async with delivering(worker):
        for number in (1, 2):
            await asking.fire(worker, START + number * MINUTE)
        await asking.fire(worker, START + timedelta(minutes=5, seconds=1))
        await rig.schedules.pause(ANNA, schedule.schedule_id, reason="lunch")
        rig.clock.move(120)
        await rig.schedules.resume(ANNA, schedule.schedule_id, reason=None)
    span = await asking.between(schedule, START, START + 10 * MINUTE)
    assert [one.verdict.value for one in span.occurrences] == [
        *("fired", "fired", "missed", "missed", "fired", "paused", "paused", "will_fire", "will_fire"),
    ]
    assert [one.at for one in span.occurrences] == [START + number * MINUTE for number in range(1, 10)]
    assert span.summary == (
        "9 occurrences from Monday 2026-11-23 at 12:00 to Monday 2026-11-23 at 12:10 (UTC): 3 fired, 2 missed (grace), "
        "2 to come and 2 during a pause. The schedule was created on Monday 2026-11-23 at 12:00 by anna. The schedule "
        'was paused on Monday 2026-11-23 at 12:05:01 by anna ("lunch") and resumed at 12:07:01 by anna.'
    )
    assert span.counts == {Verdict.FIRED: 3, Verdict.MISSED: 2, Verdict.PAUSED: 2, Verdict.WILL_FIRE: 2}
    assert span.next_from is None


async def test_a_long_time_span_goes_on_where_it_stopped(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(1, grace_period_seconds=100))
    async with delivering(worker):
        await asking.fire(worker, START + timedelta(seconds=250))
    start, end = START, START + timedelta(seconds=300)
    told: list[datetime] = []
    pages = 0
    while True:
        span = await asking.between(schedule, start, end)
        told += [one.at for one in span.occurrences]
        pages += 1
        if span.next_from is None:
            break
        assert len(span.occurrences) == 100
        assert span.summary.startswith("The first 100 occurrences")
        start = span.next_from
    assert pages == 3
    assert told == [START + timedelta(seconds=number) for number in range(1, 300)]


async def test_a_time_span_has_a_beginning_an_end_and_a_length(asking: Asking) -> None:
    schedule = await asking.create(cron("0 0 1 1 *"))
    for start, end in ((START, START), (START, START - MINUTE), (START, START + timedelta(days=366, milliseconds=1))):
        with pytest.raises(InvalidScheduleException):
            await asking.between(schedule, start, end)
    span = await asking.between(schedule, START, START + timedelta(days=366))
    assert span.counts == {Verdict.WILL_FIRE: 1}
    none = await asking.between(schedule, START, START + timedelta(days=1))
    assert none.summary.startswith(
        "No occurrence from Monday 2026-11-23 at 12:00 to Tuesday 2026-11-24 at 12:00 (UTC)."
    )
