"""A run can be had again by its seed."""

import pytest

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


def test_an_hour_has_five_hundred_faults() -> None:
    assert len(plan(1, seconds=3600, gap_seconds=5, workers=3)) >= 500


def test_only_those_that_are_named_come() -> None:
    planned = plan(1, seconds=60, gap_seconds=2, workers=3, named=["redis", "clock"])
    assert {one.fault.name.split()[0] for one in planned} == {"redis", "clock"}


def test_a_name_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="there are worker killed"):
        plan(1, seconds=60, gap_seconds=2, workers=3, named=["earthquake"])
