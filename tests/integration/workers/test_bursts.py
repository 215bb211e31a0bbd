"""A hundred thousand at midnight: they are shared, and others do not wait for them."""

from dataclasses import replace

import pytest

from app.core.clock import to_ms
from app.core.principal import Principal, Role
from app.core.queries import Answer
from app.core.schedule import Schedule
from app.wheel.entries import Entry, shard_of
from tests.integration.workers.rig import CALLER, MINUTELY, Rig, next_of

_BURST = 5_000


def neighbour(rig: Rig) -> Principal:
    """Somebody of a community whose entries stand in another shard than CALLER's."""
    shards = rig.wheel.shards
    other = next(one for one in range(2, 100) if shard_of(one, shards) != shard_of(CALLER.community_id, shards))
    return Principal(community_id=other, user="neighbour", role=Role.ADMIN)


async def burst(rig: Rig, due_ms: int) -> None:
    """Thousands of entries of one community, all due at once: a look finds nothing behind them, and costs as much."""
    members = [f"s:00000000-0000-7000-8000-{number:012x}" for number in range(_BURST)]
    await rig.wheel.put([Entry(CALLER.community_id, member, due_ms) for member in members])


@pytest.mark.fault("16")
async def test_another_communitys_schedule_does_not_wait_for_thousands_that_are_due_before_it(rig: Rig) -> None:
    worker = await rig.worker()
    created: list[Schedule] = []

    def keep(schedule: Schedule) -> Answer:
        created.append(schedule)
        return Answer(201, {}, b"")

    await rig.schedules.create(neighbour(rig), replace(MINUTELY), answer=keep, idempotency=None)
    (schedule,) = created
    (due,) = next_of(schedule)
    await burst(rig, to_ms(due) - 1_000)
    rig.clock.move_to(due)
    look = await rig.fire(worker)
    assert [assignment.schedule_id for assignment in look.assignments] == [schedule.schedule_id]


@pytest.mark.fault("16")
async def test_a_burst_is_claimed_by_room_and_the_rest_is_left_to_others(rig: Rig) -> None:
    first, second = await rig.worker(), await rig.worker()
    await burst(rig, to_ms(rig.clock.now()))
    rig.clock.move(0.1)
    claims = [await worker.claimer.run_once() for worker in (first, second)]
    members = [{member for claim in some for member in claim.members} for some in claims]
    assert all(0 < len(some) <= 100 for some in members)
    assert not members[0] & members[1]
