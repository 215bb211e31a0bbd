"""A run can be had again by its seed."""

import pytest

from tests.chaos.__main__ import read_weather
from tests.chaos.faults import FAULTS
from tests.chaos.plan import plan


def test_the_same_seed_breaks_the_same_things_at_the_same_times_and_another_does_not() -> None:
    first = plan(7, seconds=600, gap_seconds=3, workers=3)
    assert first == plan(7, seconds=600, gap_seconds=3, workers=3)
    assert first != plan(8, seconds=600, gap_seconds=3, workers=3)


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_comes_before_any_comes_again_and_all_end_in_time(seed: int) -> None:
    planned = plan(seed, seconds=300, gap_seconds=3, workers=3)
    assert {one.fault for one in planned[: len(FAULTS)]} == set(FAULTS)
    assert all(one.at_seconds + one.fault.seconds < 300 for one in planned)


@pytest.mark.parametrize(
    "arguments", [[], ["--seconds", "900", "--gap", "1.7", "--plain", "600"]], ids=["an hour", "a quarter of one"]
)
@pytest.mark.parametrize("seed", range(20))
def test_make_chaos_has_five_hundred_faults_over_half_a_million_occurrences(seed: int, arguments: list[str]) -> None:
    weather, _ = read_weather(arguments)
    faults = plan(seed, seconds=weather.seconds, gap_seconds=weather.gap_seconds, workers=3)
    assert len(faults) >= 500
    # Those alone that nobody changes: each has one a second.
    assert weather.plain * weather.seconds >= 500_000


def test_only_those_that_are_named_come() -> None:
    planned = plan(1, seconds=60, gap_seconds=2, workers=3, named=["redis", "clock"])
    assert {one.fault.name.split()[0] for one in planned} == {"redis", "clock"}


def test_a_name_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="there are worker killed"):
        plan(1, seconds=60, gap_seconds=2, workers=3, named=["earthquake"])
