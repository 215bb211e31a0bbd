"""Tasks that are told to end do end, whatever a library does with the cancellation."""

import asyncio

from app.core.tasks import end, end_at


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


async def test_an_event_ends_what_has_not_ended() -> None:
    event, task = asyncio.Event(), asyncio.create_task(_for_ever())
    ending = asyncio.create_task(end_at(event, task))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    event.set()
    assert await ending == []
    assert task.cancelled()


async def test_what_ends_before_its_event_is_not_waited_for_further() -> None:
    async def fail() -> None:
        raise ValueError("why")

    async with asyncio.timeout(20):
        (error,) = await end_at(asyncio.Event(), asyncio.create_task(fail()))
    assert str(error) == "why"
