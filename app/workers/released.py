"""What was taken from its owner, given back, or woken is put into the wheel for any worker with room."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.execution import Wake
from app.store import settling
from app.store.database import Database
from app.wheel.entries import execution_entry
from app.wheel.wheel import Wheel

log = structlog.get_logger()


async def put_wakes(wheel: Wheel, wakes: Sequence[Wake]) -> None:
    """Have each execution looked at when it wants to be; to be called after the commit."""
    await wheel.put([execution_entry(one.community_id, one.execution_id, one.wake_at) for one in wakes])


async def hand_back(database: Database, wheel: Wheel, clock: Clock, unsent: Sequence[Assignment], owner: UUID) -> None:
    """Release what a worker that stops has not sent."""
    if not unsent:
        return
    executions = [one.execution_id for one in unsent]
    try:
        released = await database.run(
            lambda connection: settling.release(connection, executions, owner=owner, now=clock.now())
        )
    except StoreUnavailableException:
        # Without a row this worker is dead to the others, who release what is pending under its id.
        return
    await put_wakes(wheel, released)
    log.info("executions_handed_back", category="SYSTEM", executions=len(released))
