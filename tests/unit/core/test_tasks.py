"""Tasks that are told to end do end, whatever a library does with the cancellation."""

import asyncio

from app.core.tasks import end


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def test_what_runs_for_ever_ends() -> None:
    running = [asyncio.create_task(_for_ever()) for _ in range(3)]
    await asyncio.sleep(0)
    assert await end(*running) == []
    assert all(task.cancelled() for task in running)


async def test_what_ended_by_itself_stays_as_it_ended() -> None:
    async def fail() -> None:
        raise ValueError("why")

    async def answer() -> int:
        return 7

    failed, answered = asyncio.create_task(fail()), asyncio.create_task(answer())
    await asyncio.wait([failed, answered])
    (error,) = await end(failed, answered)
    assert str(error) == "why"
    assert answered.result() == 7


async def test_a_cancellation_that_a_library_lost_is_repeated() -> None:
    lost = 0

    async def lose_the_first() -> None:
        nonlocal lost
        while True:
            try:
                await _for_ever()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost += 1

    task = asyncio.create_task(lose_the_first())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        assert await end(task) == []
    assert lost == 1
    assert task.cancelled()


async def test_nothing_to_end_is_no_wait() -> None:
    assert await end() == []
