"""A cancellation that comes while Redis is asked ends whoever asks, in whatever instant it comes."""

import asyncio

from app.wheel.wheel import Wheel

_TURNS = 40
"""More turns of the loop than a command takes: from before it is sent until after its answer."""


async def test_a_command_that_is_cancelled_in_any_instant_ends_who_asked(wheel: Wheel) -> None:
    await wheel.marks()

    async def ask_for_ever() -> None:
        while True:
            await wheel.marks()

    for turns in [*range(_TURNS)] * 3:
        asking = asyncio.create_task(ask_for_ever())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        _, running = await asyncio.wait({asking}, timeout=10)
        assert not running, f"goes on after a cancellation {turns} turns of the loop after it began"
