"""What was taken from its owner, or given back, is put into the wheel for any worker with room."""

from collections.abc import Sequence

from app.store.settling import Released
from app.wheel.entries import execution_entry
from app.wheel.wheel import Wheel


async def put_back(wheel: Wheel, released: Sequence[Released]) -> None:
    """Have each released execution looked at when it wants to be; to be called after the commit."""
    await wheel.put([execution_entry(one.community_id, one.execution_id, one.wake_at) for one in released])
