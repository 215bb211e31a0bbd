"""Storing many schedules by one statement."""

import asyncio
from dataclasses import replace

from app.core.clock import to_ms
from app.core.ids import new_id
from app.core.schedule import Schedule, ScheduleStatus
from app.store import creating
from app.store.database import Connection, Database
from tests.clocks import START
from tests.integration.definitions import cron

_MODEL = Schedule(
    schedule_id=new_id(0),
    community_id=1,
    definition=cron(),
    status=ScheduleStatus.ACTIVE,
    status_reason=None,
    next_execution_at=START,
    next_due_at=START,
    searched_to=START,
    last_execution_at=None,
    last_execution_id=None,
    execution_count=0,
    created_by=None,
    created_at=START,
    updated_at=START,
    revision=1,
)


def named(*names: str | None) -> list[Schedule]:
    return [
        replace(_MODEL, schedule_id=new_id(to_ms(START)), definition=replace(_MODEL.definition, name=name))
        for name in names
    ]


async def test_nothing_to_store_is_nothing_stored(database: Database) -> None:
    assert await database.run(lambda connection: creating.insert(connection, [])) == set()


async def test_of_two_with_one_name_the_first_is_stored(database: Database) -> None:
    new = named("b", "a", "b", None, None)
    stored = await database.run(lambda connection: creating.insert(connection, new))
    assert stored == {new[place].schedule_id for place in (0, 1, 3, 4)}


async def test_two_batches_with_the_same_names_in_opposite_order_do_not_deadlock(database: Database) -> None:
    names = [f"name-{place:03}" for place in range(200)]
    batches = [named(*names), named(*reversed(names))]
    attempts = 0

    async def insert(batch: list[Schedule]) -> int:
        async def work(connection: Connection) -> int:
            nonlocal attempts
            attempts += 1
            return len(await creating.insert(connection, batch))

        return await database.run(work)

    stored = await asyncio.gather(*(insert(batch) for batch in batches))
    assert sorted(stored) == [0, 200]
    assert attempts == 2
