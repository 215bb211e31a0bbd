"""How many requests a second a community has of one process."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import RateExceededException
from app.core.rates import CallerRates
from tests.clocks import ManualClock


def taken(rates: CallerRates, community_id: int = 1, most: int = 1000) -> int:
    """How many requests go at once."""
    for number in range(most):
        try:
            rates.take(community_id)
        except RateExceededException:
            return number
    return most


@pytest.mark.parametrize(("per_second", "at_once"), [(50, 50), (0.1, 1), (1, 1), (2.5, 2), (0, 1000)])
def test_a_seconds_worth_goes_at_once(per_second: float, at_once: int) -> None:
    assert taken(CallerRates(per_second, ManualClock())) == at_once


def test_then_it_is_the_rate() -> None:
    clock = ManualClock()
    rates = CallerRates(50, clock)
    assert taken(rates) == 50
    for _ in range(20):
        clock.move(0.1)
        assert taken(rates) == 5


def test_a_long_pause_is_worth_no_more_than_a_second() -> None:
    clock = ManualClock()
    rates = CallerRates(50, clock)
    assert taken(rates) == 50
    clock.move(3600)
    assert taken(rates) == 50


def test_what_is_refused_takes_nothing() -> None:
    clock = ManualClock()
    rates = CallerRates(2, clock)
    taken(rates)
    for _ in range(100):
        assert taken(rates) == 0
    clock.move(0.5)
    assert taken(rates) == 1


def test_one_community_takes_nothing_of_another() -> None:
    rates = CallerRates(3, ManualClock())
    assert [taken(rates, community_id) for community_id in (1, 2, 1)] == [3, 3, 0]


@given(st.floats(0.001, 10_000), st.integers(1, 20), st.floats(0, 1e7))
def test_who_waits_as_long_as_is_said_is_answered(per_second: float, requests: int, began: float) -> None:
    clock = ManualClock()
    clock.move(began)
    rates = CallerRates(per_second, clock)
    for _ in range(requests):
        try:
            rates.take(1)
        except RateExceededException as refused:
            clock.move(ceil(refused.wait_seconds))
            rates.take(1)


def test_who_has_not_asked_for_long_is_forgotten() -> None:
    clock = ManualClock()
    rates = CallerRates(1, clock)
    for community_id in range(10_000):
        rates.take(community_id)
    clock.move(2)
    rates.take(-1)
    assert len(rates._filled) == 1


def test_many_who_ask_are_not_looked_through_at_each_request() -> None:
    rates = CallerRates(1, ManualClock())
    looks = 0
    for community_id in range(10_100):
        before = rates._filled
        rates.take(community_id)
        looks += rates._filled is not before
    assert looks == 1
