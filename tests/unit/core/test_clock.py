"""The clock of the service: Postgres's, by an offset to this process's monotonic time, moved here by hand."""

import asyncio
import os
import resource
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.clock import DatabaseClock, SystemClock, from_ms, in_turns, to_ms, truncate_to_ms
from app.core.tasks import end
from tests.clocks import START, ManualClock

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an alarm is the loop's timer")
# Hypothesis asks for bounds without a zone.
_EARLY = datetime(1, 1, 2, tzinfo=UTC).replace(tzinfo=None)


class HandMovedDatabaseClock(DatabaseClock):
    """A `DatabaseClock` and its Postgres, both on monotonic time that a test moves."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.seconds = 500.0
        self.database_ahead = START.timestamp() - self.seconds
        patch.setattr(time, "monotonic", lambda: self.seconds)

    def measure(self, *, there: float = 0.001, back: float = 0.001) -> float:
        """Ask Postgres, the way there and back taking that many seconds."""
        asked_at = self.seconds
        self.seconds += there
        database_now = datetime.fromtimestamp(self.seconds + self.database_ahead, UTC)
        self.seconds += back
        return self.observe(database_now, asked_at, self.seconds)

    def error_ms(self) -> float:
        """How far the clock is ahead of Postgres's."""
        return self.now_ms() - (self.seconds + self.database_ahead) * 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandMovedDatabaseClock:
    return HandMovedDatabaseClock(monkeypatch)


async def test_a_thousand_items_that_take_long_let_others_have_turns_in_between() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    seen = []
    async for item in in_turns(range(6)):
        until = time.monotonic() + 0.006
        while time.monotonic() < until:
            pass
        seen.append((item, turns))
    await end(waiting)
    assert seen == [(item, item) for item in range(6)]


def test_it_is_ready_after_the_first_measurement(clock: HandMovedDatabaseClock) -> None:
    assert not clock.ready
    assert clock.skew_seconds == 0.0
    assert clock.measure() == 0.0
    assert clock.ready


def test_it_runs_with_monotonic_time_between_measurements(clock: HandMovedDatabaseClock) -> None:
    clock.measure()
    before = clock.now_ms()
    clock.seconds += 1234.567
    assert clock.now_ms() == pytest.approx(before + 1_234_567, abs=1)
    assert clock.now() == from_ms(clock.now_ms())


def test_the_best_round_trip_of_the_last_six_counts(clock: HandMovedDatabaseClock) -> None:
    clock.measure(there=0.001, back=0.001)
    for _ in range(5):
        # The answer takes long on its way back: such a measurement is behind by that.
        clock.measure(there=0.0, back=0.8)
        assert clock.error_ms() == pytest.approx(-1, abs=1)
    clock.measure(there=0.0, back=0.8)
    # Now the good one is too old to be known, and the best of six bad ones must do.
    clock.seconds += 10
    assert clock.error_ms() == pytest.approx(-800, abs=2)


@pytest.mark.parametrize(("there", "back"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.3, 0.1)])
def test_it_is_never_ahead_of_postgres_whichever_way_takes_long(
    clock: HandMovedDatabaseClock, there: float, back: float
) -> None:
    clock.measure(there=there, back=back)
    assert -1000 * back - 1.1 <= clock.error_ms() <= 0.001


@pytest.mark.fault("14")
def test_a_correction_backwards_under_a_second_is_slewed(clock: HandMovedDatabaseClock) -> None:
    clock.measure(there=0.01, back=0.01)
    stood_at = clock.now_ms()
    clock.database_ahead -= 0.9
    assert clock.measure(there=0.001, back=0.001) == 0.0
    seen = []
    for _ in range(40):
        seen.append(clock.now_ms())
        clock.seconds += 0.05
    assert seen[0] == stood_at
    assert all(earlier <= later for earlier, later in pairwise(seen))
    assert clock.error_ms() == pytest.approx(0, abs=1)


@pytest.mark.parametrize("seconds", [-0.9, -0.05, 0.05, 0.9])
def test_a_small_step_too_is_followed_by_the_next_measurement_however_slow(
    clock: HandMovedDatabaseClock, seconds: float
) -> None:
    for _ in range(6):
        clock.measure(there=0.0001, back=0.0001)
    clock.database_ahead += seconds
    clock.seconds += 10
    clock.measure(there=0.02, back=0.02)
    assert clock.error_ms() == pytest.approx(-20, abs=1)


def test_a_drift_that_a_slow_answer_cannot_prove_waits_for_a_better_one(clock: HandMovedDatabaseClock) -> None:
    clock.measure(there=0.001, back=0.001)
    clock.database_ahead -= 0.01
    clock.measure(there=0.2, back=0.2)
    assert clock.error_ms() == pytest.approx(9, abs=1)
    clock.measure(there=0.001, back=0.001)
    clock.seconds += 1
    assert clock.error_ms() == pytest.approx(-1, abs=1)


@pytest.mark.fault("14")
def test_a_step_backwards_beyond_a_second_is_taken_at_once_and_told(clock: HandMovedDatabaseClock) -> None:
    clock.measure()
    clock.now_ms()
    clock.database_ahead -= 3600
    assert clock.measure(there=0.3, back=0.0) == pytest.approx(-3600, abs=0.01)
    assert clock.error_ms() == pytest.approx(-1, abs=1)
    # Told once: the next measurement is a usual one.
    assert clock.measure() == 0.0


def test_a_step_forwards_is_taken_at_once_and_told(clock: HandMovedDatabaseClock) -> None:
    clock.measure()
    clock.database_ahead += 3600
    assert clock.measure(there=0.4, back=0.0) == pytest.approx(3600, abs=0.01)
    assert clock.error_ms() == pytest.approx(-1, abs=1)
    assert clock.measure() == 0.0


def test_a_slow_answer_is_not_taken_for_a_step(clock: HandMovedDatabaseClock) -> None:
    clock.measure()
    for there, back in ((4.9, 0.0), (0.0, 4.9)):
        assert clock.measure(there=there, back=back) == 0.0
        assert clock.error_ms() == pytest.approx(-1, abs=1.1)


def test_several_steps_are_each_told(clock: HandMovedDatabaseClock) -> None:
    clock.measure()
    for step in (-2.0, 30.0, -30.0, -500.0, 2.0):
        clock.seconds += 10
        clock.now_ms()
        clock.database_ahead += step
        assert clock.measure() == pytest.approx(step, abs=0.01)


@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.floats(-0.9, 0.9), st.floats(0, 0.04), st.floats(0, 0.04)),
        min_size=1,
        max_size=30,
    )
)
def test_time_never_runs_backwards_while_corrections_are_small(
    measurements: list[tuple[float, float, float, float]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = HandMovedDatabaseClock(patch)
        true_ahead = clock.database_ahead
        clock.measure()
        last = clock.now_ms()
        for passed, wrong_by, there, back in measurements:
            clock.seconds += passed
            # Never more than 0.9 s from the true one: between two measurements up to 1.8, which is a step.
            clock.database_ahead = true_ahead + wrong_by / 2
            assert clock.measure(there=there, back=back) == 0.0
            assert clock.now_ms() >= last
            last = clock.now_ms()


def test_the_skew_is_how_far_this_machine_is_ahead(
    clock: HandMovedDatabaseClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.measure()
    monkeypatch.setattr(time, "time", lambda: clock.seconds + clock.database_ahead + 12.5)
    assert clock.skew_seconds == pytest.approx(12.5, abs=0.01)


@given(st.datetimes(timezones=st.just(timezone(timedelta(hours=5, minutes=45))), min_value=_EARLY))
def test_instants_are_truncated_and_never_rounded_up(instant: datetime) -> None:
    truncated = truncate_to_ms(instant)
    assert truncated.tzinfo is UTC
    assert timedelta(0) <= instant - truncated < timedelta(milliseconds=1)
    assert from_ms(to_ms(instant)) == truncated == truncate_to_ms(truncated)


# wait


def measure(clock: DatabaseClock, ahead: float) -> None:
    """Have it find Postgres's clock so many seconds ahead of one that runs with this machine's."""
    now = time.monotonic()
    clock.observe(datetime.fromtimestamp(START.timestamp() + now + ahead, UTC), now, now)


async def test_a_wait_ends_when_its_event_is_set() -> None:
    clock, event = SystemClock(), asyncio.Event()
    waiting = asyncio.create_task(clock.wait(event, clock.now_ms() + 3_600_000))
    await asyncio.sleep(0)
    assert not waiting.done()
    event.set()
    await asyncio.wait_for(waiting, 5)


async def test_a_wait_ends_when_its_time_has_come() -> None:
    clock, event = SystemClock(), asyncio.Event()
    until = clock.now_ms() + 30
    await asyncio.wait_for(clock.wait(event, until), 5)
    # "About": whoever must not be early looks at the clock.
    assert clock.now_ms() >= until - 2


@pytest.mark.parametrize("late_ms", [0, 1, 10**9])
async def test_a_wait_for_the_past_gives_others_a_turn(late_ms: int) -> None:
    clock, event, turns = SystemClock(), asyncio.Event(), []

    async def other() -> None:
        turns.append(1)

    task = asyncio.create_task(other())
    await clock.wait(event, clock.now_ms() - late_ms)
    assert turns == [1]
    await task


async def test_a_cancelled_wait_leaves_no_timer_behind() -> None:
    clock, event = SystemClock(), asyncio.Event()
    waiting = asyncio.create_task(clock.wait(event, clock.now_ms() + 20))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    # Had the timer been left, it would end this wait as well.
    second = asyncio.create_task(clock.wait(event, clock.now_ms() + 60))
    await asyncio.wait({second})
    assert second.exception() is None


@pytest.mark.parametrize("seconds", [-3600, -0.5, 0.5, 3600])
async def test_whoever_waits_looks_again_when_the_clock_was_set(seconds: float) -> None:
    clock, event = DatabaseClock(), asyncio.Event()
    measure(clock, 0)
    waiting = asyncio.create_task(clock.wait(event, clock.now_ms() + 3_000_000))
    await asyncio.sleep(0)
    measure(clock, 0)
    await asyncio.sleep(0)
    assert not waiting.done()
    measure(clock, seconds)
    await asyncio.wait_for(waiting, 5)


# alarm


async def test_an_alarm_rings_again_and_again_and_is_never_early() -> None:
    clock, event = SystemClock(), asyncio.Event()
    with clock.alarm(event, event.set) as wait:
        for ahead_ms in (5, 1, 30, 0, -7, 2):
            until = clock.now_ms() + ahead_ms
            event.clear()
            async with asyncio.timeout(5):
                await wait(until)
            assert clock.now_ms() >= until


async def test_whoever_waits_for_an_alarm_hears_the_event_before() -> None:
    clock, event = SystemClock(), asyncio.Event()
    with clock.alarm(event, event.set) as wait:
        for ahead_ms in (900, 3_600_000):
            event.clear()
            waiting = asyncio.create_task(wait(clock.now_ms() + ahead_ms))
            await asyncio.sleep(0)
            assert not waiting.done()
            event.set()
            await asyncio.wait_for(waiting, 5)


async def test_an_alarm_that_was_set_anew_does_not_ring_for_the_old_instant() -> None:
    clock, event = SystemClock(), asyncio.Event()
    with clock.alarm(event, event.set) as wait:
        waiting = asyncio.create_task(wait(clock.now_ms() + 20))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        until = clock.now_ms() + 60
        await wait(until)
        assert clock.now_ms() >= until


@pytest.mark.parametrize("ahead_seconds", [-86_400, 0, 86_400])
async def test_an_alarm_of_postgres_clock_goes_by_that_clock(ahead_seconds: float) -> None:
    clock, event = DatabaseClock(), asyncio.Event()
    measure(clock, ahead_seconds)
    with clock.alarm(event, event.set) as wait:
        until = clock.now_ms() + 20
        async with asyncio.timeout(5):
            await wait(until)
        assert clock.now_ms() >= until


@on_linux
async def test_an_alarm_calls_at_its_instant_before_who_waits_has_a_turn() -> None:
    clock, event = SystemClock(), asyncio.Event()
    order: list[str] = []

    def ring() -> None:
        order.append("rung" if clock.now_ms() >= until else "early")
        event.set()

    with clock.alarm(event, ring) as wait:
        until = clock.now_ms() + 20
        await wait(until)
        order.append("waited")
    assert order == ["rung", "waited"]


@on_linux
async def test_an_alarm_within_a_second_needs_no_timer_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, event = SystemClock(), asyncio.Event()
    asked: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def note(seconds: float, *rest: Any) -> asyncio.TimerHandle:
        asked.append(seconds)
        return call_later(seconds, *rest)

    monkeypatch.setattr(loop, "call_later", note)
    with clock.alarm(event, event.set) as wait:
        await wait(clock.now_ms() + 20)
        assert asked == []
        event.clear()
        far = asyncio.create_task(wait(clock.now_ms() + 5_000))
        await asyncio.sleep(0)
        assert len(asked) == 1
        event.set()
        await far


async def test_where_no_file_may_be_opened_an_alarm_is_the_loops_timer() -> None:
    clock, event = SystemClock(), asyncio.Event()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with clock.alarm(event, event.set) as wait:
            until = clock.now_ms() + 20
            async with asyncio.timeout(5):
                await wait(until)
            assert clock.now_ms() >= until - 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_an_alarm_leaves_no_file_open_and_no_reader_behind() -> None:
    clock, event = SystemClock(), asyncio.Event()
    before = os.listdir("/dev/fd")
    for _ in range(50):
        with clock.alarm(event, event.set) as wait:
            event.clear()
            await wait(clock.now_ms() + 1)
    assert len(os.listdir("/dev/fd")) == len(before)


@pytest.mark.parametrize("seconds", [-3600, -0.5, 0.5, 3600])
async def test_an_alarm_is_set_anew_when_the_clock_was_set(seconds: float) -> None:
    clock, event = DatabaseClock(), asyncio.Event()
    measure(clock, 0)
    with clock.alarm(event, event.set) as wait:
        waiting = asyncio.create_task(wait(clock.now_ms() + 900))
        await asyncio.sleep(0)
        measure(clock, 0)
        await asyncio.sleep(0)
        assert not waiting.done()
        measure(clock, seconds)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waiting.done()


async def test_the_clock_by_hand_waits_like_a_real_one() -> None:
    clock, event = ManualClock(), asyncio.Event()
    until = clock.now_ms() + 1000
    by_time = asyncio.create_task(clock.wait(event, until))
    await asyncio.sleep(0)
    clock.move(0.999)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not by_time.done()
    clock.move(0.001)
    await asyncio.wait_for(by_time, 5)
    by_event = asyncio.create_task(clock.wait(event, until + 1))
    await asyncio.sleep(0)
    event.set()
    await asyncio.wait_for(by_event, 5)
