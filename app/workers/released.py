"""What was taken from its owner, given back, or woken is put into the wheel for any worker with room."""

from collections.abc import Sequence

from app.core.execution import Wake
from app.wheel.entries import execution_entry
from app.wheel.wheel import Wheel


async def put_back(wheel: Wheel, wakes: Sequence[Wake]) -> None:
    """Have each execution looked at when it wants to be; to be called after the commit."""
    await wheel.put([execution_entry(one.community_id, one.execution_id, one.wake_at) for one in wakes])
