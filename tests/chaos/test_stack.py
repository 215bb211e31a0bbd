"""What a run says of its processes can be relied on."""

import asyncio
from pathlib import Path

from tests.chaos.stack import Stack


async def test_an_end_that_nobody_asked_for_is_noted_and_no_other(server_dir: Path) -> None:
    async with Stack(server_dir / "stack", workers=2) as stack:
        stack.target_url = "http://127.0.0.1:9"
        killed, gone = stack.workers
        await asyncio.gather(stack.start(killed), stack.start(gone))
        await _workers(stack, 2)
        await stack.kill(killed)
        assert gone.process is not None
        gone.process.terminate()
        await gone.process.wait()
        # Whoever starts the next life does not have to look at how the last one ended.
        await asyncio.gather(stack.start(killed), stack.start(gone))
        # The killed one's row is still there.
        await _workers(stack, 3)
        assert await stack.stop(killed) == 0
    assert [(one.life, one.status) for one in stack.exits] == [("w1.1", 0)]


async def _workers(stack: Stack, number: int) -> None:
    connection = await stack.connect()
    async with asyncio.timeout(30):
        while await connection.fetchval("SELECT count(*) FROM workers") < number:
            await asyncio.sleep(0.05)
    await connection.close()
