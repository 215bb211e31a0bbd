"""The circuit by itself: who is asked, how often, and what closes it."""

import asyncio
import time

import pytest
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import capture_logs

from app.wheel.circuit import RedisAwayException, RedisCircuit
from tests.clocks import ManualClock


class Mending:
    """A mending that says what it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: bool | Exception = ConnectionRefusedError("nobody there")

    async def __call__(self) -> bool:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def mending() -> Mending:
    return Mending()


@pytest.fixture
async def circuit(clock: ManualClock, mending: Mending) -> RedisCircuit:
    return RedisCircuit(clock, mending)


async def _fail(circuit: RedisCircuit) -> None:
    with pytest.raises(ConnectionError):
        async with circuit.command(5):
            raise ConnectionResetError("cut")
    await _turns()


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def _pass(clock: ManualClock, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        clock.move(0.1)
        await _turns()


async def test_it_is_closed_until_a_command_fails(circuit: RedisCircuit, mending: Mending) -> None:
    async with circuit.command(5):
        pass
    assert circuit.error is None
    await _fail(circuit)
    assert circuit.error == "cut"
    with pytest.raises(RedisAwayException, match="cut"):
        async with circuit.command(5):
            pytest.fail("Redis is not asked")
    await circuit.close()
    assert mending.asked == 0


async def test_what_is_wrong_with_the_caller_does_not_open_it(circuit: RedisCircuit) -> None:
    with pytest.raises(LookupError):
        async with circuit.command(5):
            raise LookupError
    task = asyncio.create_task(_for_ever(circuit))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert circuit.error is None


async def _for_ever(circuit: RedisCircuit) -> None:
    async with circuit.command(60):
        await asyncio.Event().wait()


@pytest.mark.fault("8")
async def test_a_command_that_takes_too_long_opens_it_and_ends_all_that_wait(circuit: RedisCircuit) -> None:
    patient = [asyncio.create_task(_for_ever(circuit)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with circuit.command(0.01):
            await asyncio.Event().wait()
    async with asyncio.timeout(1):
        outcomes = await asyncio.gather(*patient, return_exceptions=True)
    assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)
    assert circuit.error == "TimeoutError"
    await circuit.close()


async def test_time_in_which_the_process_itself_stood_still_does_not_count(circuit: RedisCircuit) -> None:
    answer = asyncio.get_running_loop().create_future()
    # What came over the socket meanwhile is read only after the timers that have run out.
    asyncio.get_running_loop().call_later(0.02, lambda: answer.get_loop().call_soon(answer.set_result, None))
    async with circuit.command(0.01):
        time.sleep(0.1)  # noqa: ASYNC251 - what is tested
        await answer
    assert circuit.error is None


async def test_one_asks_five_times_a_second_until_it_is_mended(
    circuit: RedisCircuit, clock: ManualClock, mending: Mending
) -> None:
    for _ in range(3):
        await _fail(circuit)
    await _pass(clock, 2)
    assert mending.asked == pytest.approx(10, abs=1)
    assert circuit.error == "nobody there"
    mending.answer = False
    await _pass(clock, 0.3)
    assert circuit.error is not None, "more failed while it was mended"
    mending.answer = True
    await _pass(clock, 0.3)
    assert circuit.error is None
    asked = mending.asked
    await _pass(clock, 5)
    assert mending.asked == asked


async def test_a_redis_that_comes_and_goes_is_believed_more_slowly_each_time(
    circuit: RedisCircuit, clock: ManualClock, mending: Mending
) -> None:
    mending.answer = True
    waited = []
    for _ in range(8):
        await _fail(circuit)
        began = clock.monotonic()
        while circuit.error is not None:
            await _pass(clock, 0.1)
        waited.append(clock.monotonic() - began)
    assert waited == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0], abs=0.15)
    await _pass(clock, 11)
    await _fail(circuit)
    await _pass(clock, 0.3)
    assert circuit.error is None


async def test_what_is_told_of_it_names_no_request_that_happened_to_find_out(
    circuit: RedisCircuit, clock: ManualClock, mending: Mending
) -> None:
    mending.answer = True
    with capture_logs(processors=[merge_contextvars]) as logs:
        with bound_contextvars(request_id="one of many"):
            await _fail(circuit)
        await _pass(clock, 0.3)
    assert [(line["event"], line.get("request_id")) for line in logs] == [
        ("redis_away", "one of many"),
        ("redis_back", None),
    ]


async def test_why_it_is_away_is_said_again_where_that_changes_and_not_often(
    circuit: RedisCircuit, clock: ManualClock, mending: Mending
) -> None:
    with capture_logs() as logs:
        await _fail(circuit)
        await _pass(clock, 9)
        assert [line["error"] for line in logs] == ["cut"]
        mending.answer = ConnectionError("another password")
        await _pass(clock, 60)
        assert [line["error"] for line in logs] == ["cut", "another password"]
        for change in range(30):
            mending.answer = ConnectionError(f"change {change}")
            await _pass(clock, 1)
    assert len(logs) == pytest.approx(5, abs=1)
    await circuit.close()
