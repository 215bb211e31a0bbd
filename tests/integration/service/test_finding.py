"""Reading schedules: one, lists, and what is to come."""

from datetime import timedelta
from uuid import uuid4

import pytest

from app.core.errors import InvalidScheduleException, ScheduleNotFoundException
from app.core.occurrences import ScheduleType
from app.core.queries import ScheduleFilter
from app.core.schedule import Schedule, ScheduleStatus
from app.service import paging
from tests.clocks import START
from tests.integration.definitions import WORKFLOW, cron, interval, one_time
from tests.integration.service.world import CALLER, STRANGER, World


async def found(world: World, wanted: ScheduleFilter) -> list[Schedule]:
    page = await world.schedules.find(CALLER, wanted, limit=50, cursor=None)
    assert page.next_cursor is None
    return list(page.items)


async def test_another_communitys_schedule_is_neither_found_nor_listed(world: World) -> None:
    schedule = await world.create(cron())
    with pytest.raises(ScheduleNotFoundException):
        await world.schedules.get(STRANGER, schedule.schedule_id)
    page = await world.schedules.find(STRANGER, ScheduleFilter(), limit=10, cursor=None)
    assert page.items == ()


async def test_each_filter_and_all_together_select(world: World) -> None:
    other_workflow = uuid4()
    a = await world.create(cron(name="job_a", tags=("x", "y")))
    world.clock.move(0.001)
    b = await world.create(interval(60, name="job%b", workflow_id=other_workflow, tags=("y",)))
    world.clock.move(0.001)
    c = await world.create(one_time(START + timedelta(days=1), name="Job_c"))
    paused = await world.schedules.pause(CALLER, c.schedule_id, reason=None)
    cases = [
        (ScheduleFilter(), [a, b, paused]),
        (ScheduleFilter(status=ScheduleStatus.ACTIVE), [a, b]),
        (ScheduleFilter(status=ScheduleStatus.PAUSED), [paused]),
        (ScheduleFilter(schedule_type=ScheduleType.INTERVAL), [b]),
        (ScheduleFilter(workflow_id=other_workflow), [b]),
        (ScheduleFilter(workflow_id=WORKFLOW), [a, paused]),
        (ScheduleFilter(tag="y"), [a, b]),
        (ScheduleFilter(tag="z"), []),
        (ScheduleFilter(name_prefix="job"), [a, b]),
        (ScheduleFilter(name_prefix="job%"), [b]),
        (ScheduleFilter(name_prefix="job_"), [a]),
        (ScheduleFilter(name_prefix="\\"), []),
        (ScheduleFilter(due_before=START + timedelta(seconds=60)), []),
        (ScheduleFilter(due_before=START + timedelta(seconds=61)), [b]),
        (
            ScheduleFilter(
                status=ScheduleStatus.ACTIVE,
                schedule_type=ScheduleType.CRON,
                workflow_id=WORKFLOW,
                tag="x",
                name_prefix="job",
                due_before=START + timedelta(days=1),
            ),
            [a],
        ),
    ]
    for wanted, expected in cases:
        assert await found(world, wanted) == expected, wanted


async def test_what_is_rare_is_found_by_following_the_cursor(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "_WINDOWS", (2, 4))
    stored = []
    for place in range(16):
        stored.append(await world.create(cron(tags=("rare",) if place == 14 else ())))
        world.clock.move(0.001)
    parts, cursor = [], None
    while True:
        page = await world.schedules.find(CALLER, ScheduleFilter(tag="rare"), limit=5, cursor=cursor)
        parts.append(list(page.items))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert parts == [[], [], [stored[14]]]


@pytest.mark.parametrize("cursor", ["", "garbage", "A" * 21 + "_", "-" * 22 + "=", "'; DROP TABLE audit_log; --"])
async def test_a_garbage_cursor_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(InvalidScheduleException) as refused:
        await world.schedules.find(CALLER, ScheduleFilter(), limit=1, cursor=cursor)
    assert refused.value.errors[0].field == "cursor"


async def test_upcoming_begins_with_what_waits_and_ends_with_the_limit(world: World) -> None:
    schedule = await world.create(interval(60, max_executions=3))
    minutes = [START + timedelta(minutes=n) for n in range(1, 5)]
    assert await world.schedules.upcoming(CALLER, schedule.schedule_id, 2) == minutes[:2]
    assert await world.schedules.upcoming(CALLER, schedule.schedule_id, 100) == minutes[:3]
    world.clock.move(60)
    await world.look(schedule)
    assert await world.schedules.upcoming(CALLER, schedule.schedule_id, 100) == minutes[1:3]


async def test_nothing_is_upcoming_for_one_that_is_not_active(world: World) -> None:
    schedule = await world.create(one_time(START + timedelta(minutes=1)))
    assert await world.schedules.upcoming(CALLER, schedule.schedule_id, 5) == [START + timedelta(minutes=1)]
    await world.schedules.pause(CALLER, schedule.schedule_id, reason=None)
    assert await world.schedules.upcoming(CALLER, schedule.schedule_id, 5) == []
