"""How much a worker claims: by what it delivered of late, and by what it has in its hands."""

import pytest

from app.workers.room import FEW, HELD_AT_MOST, LARGEST_BATCH, Room
from tests.clocks import ManualClock

_FIRST_ROUNDS = 40
"""Four rounds of ten senders, for a worker that has delivered nothing yet."""


def _room(per_second: int = 0) -> tuple[ManualClock, Room]:
    """The room of a worker with ten senders that has delivered at that rate for ten seconds."""
    clock = ManualClock()
    room = Room(clock, concurrency=10)
    for _ in range(per_second * 10):
        clock.move(1 / per_second)
        room.delivered()
    return clock, room


def test_a_worker_that_has_delivered_nothing_yet_has_room_for_a_few_rounds() -> None:
    _, room = _room()
    assert room.left(waiting=0, in_flight=0) == _FIRST_ROUNDS
    assert room.left(waiting=7, in_flight=10) == _FIRST_ROUNDS - 17


def test_a_quick_one_has_room_for_what_goes_out_within_a_moment() -> None:
    _, slow = _room(500)
    _, quick = _room(1_000)
    assert _FIRST_ROUNDS < slow.left(waiting=0, in_flight=0) < quick.left(waiting=0, in_flight=0) < HELD_AT_MOST


def test_its_rate_fades_when_it_delivers_no_more() -> None:
    clock, room = _room(1_000)
    before = room.left(waiting=0, in_flight=0)
    clock.move(1)
    assert room.left(waiting=0, in_flight=0) == pytest.approx(before / 2, abs=1)
    clock.move(60)
    assert room.left(waiting=0, in_flight=0) == _FIRST_ROUNDS


def test_less_than_a_quarter_is_none() -> None:
    _, room = _room()
    assert room.left(waiting=_FIRST_ROUNDS * 3 // 4, in_flight=0) == _FIRST_ROUNDS // 4
    assert room.left(waiting=_FIRST_ROUNDS * 3 // 4 + 1, in_flight=0) == 0
    assert room.left(waiting=10 * _FIRST_ROUNDS, in_flight=0) == 0


def test_however_many_senders_it_has_it_holds_no_more_than_a_crash_may_delay() -> None:
    room = Room(ManualClock(), concurrency=10_000)
    assert room.left(waiting=0, in_flight=0) + FEW == HELD_AT_MOST
    assert room.left_for_few(waiting=0, in_flight=0) == HELD_AT_MOST


def test_when_there_is_no_room_for_more_there_is_for_a_few() -> None:
    _, room = _room()
    assert room.left(waiting=_FIRST_ROUNDS, in_flight=0) == 0
    assert room.left_for_few(waiting=_FIRST_ROUNDS, in_flight=0) == FEW
    assert room.left_for_few(waiting=_FIRST_ROUNDS + FEW - 3, in_flight=2) == 1
    assert room.left_for_few(waiting=_FIRST_ROUNDS + FEW, in_flight=0) == 0


@pytest.mark.parametrize(
    ("delivered", "batch"),
    [(0, 25), (49, 25), (50, 100), (5_000, 100), (10_000, 200), (20_000, LARGEST_BATCH)],
)
def test_a_batch_grows_with_the_rate_within_bounds(delivered: int, batch: int) -> None:
    room = Room(ManualClock(), concurrency=10)
    for _ in range(delivered):
        room.delivered()
    assert room.batch() == batch
