"""How long a child that ends again and again is waited with, and how its end is told."""

import signal

import pytest

from app.restarts import Restarts, spoken


def test_each_end_is_waited_for_twice_as_long_as_the_one_before_up_to_ten_seconds() -> None:
    restarts = Restarts()
    assert [restarts.delay_seconds(0.1) for _ in range(8)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_the_first_delay_is_what_its_keeper_asks_for() -> None:
    restarts = Restarts(first_delay_seconds=0.5)
    assert [restarts.delay_seconds(0.1) for _ in range(3)] == [0.5, 1.0, 2.0]


def test_one_that_ran_for_half_a_minute_begins_anew() -> None:
    restarts = Restarts(first_delay_seconds=0.5)
    assert [restarts.delay_seconds(ran) for ran in (1, 1, 30, 31, 1)] == [0.5, 1.0, 2.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("status", "words"), [(0, "status 0"), (3, "status 3"), (-signal.SIGKILL, "SIGKILL"), (-4_711, "status -4711")]
)
def test_an_end_by_a_signal_is_told_by_its_name(status: int, words: str) -> None:
    assert spoken(status) == words
