"""The values of a schedule: the ceiling of its backoff, and which changes are changes of timing."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.schedule import OverlapPolicy, RetryPolicy
from tests.integration.definitions import cron, interval, one_time
from tests.unit.core.late import NOON


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (11, 300), (64, 300), (101, 300)]
)
def test_the_backoff_doubles_up_to_its_maximum(failures: int, seconds: float) -> None:
    assert RetryPolicy().backoff_ceiling_seconds(failures) == seconds


def test_a_multiplier_of_one_waits_the_same_each_time() -> None:
    policy = RetryPolicy(initial_backoff_seconds=7.5, multiplier=1)
    assert {policy.backoff_ceiling_seconds(failures) for failures in range(1, 100)} == {7.5}


def test_an_initial_backoff_beyond_the_maximum_is_the_maximum() -> None:
    assert RetryPolicy(initial_backoff_seconds=900, max_backoff_seconds=10).backoff_ceiling_seconds(1) == 10


@given(
    st.integers(1, 10**6), st.floats(0.001, 86_400), st.floats(0.001, 86_400), st.floats(1, 100) | st.integers(1, 100)
)
def test_the_backoff_is_bounded_and_never_falls(
    failures: int, initial: float, longest: float, multiplier: float
) -> None:
    policy = RetryPolicy(initial_backoff_seconds=initial, max_backoff_seconds=longest, multiplier=multiplier)
    ceiling = policy.backoff_ceiling_seconds(failures)
    assert math.isfinite(ceiling)
    assert 0 < ceiling <= longest
    assert ceiling <= policy.backoff_ceiling_seconds(failures + 1)


@pytest.mark.parametrize(
    "other",
    [
        cron("5 * * * *"),
        cron(timezone="Europe/Berlin"),
        cron(jitter_seconds=1),
        cron(start_at=NOON),
        cron(end_at=NOON + timedelta(days=1)),
        interval(3600),
        one_time(NOON),
    ],
)
def test_what_changes_the_instants_is_a_change_of_timing(other: object) -> None:
    assert not cron().same_timing(other)  # type: ignore[arg-type]


def test_what_leaves_the_instants_alone_is_not_a_change_of_timing() -> None:
    other = replace(
        cron(),
        name="another",
        coalesce=False,
        grace_period_seconds=5,
        max_executions=1,
        overlap_policy=OverlapPolicy.ALLOW,
        retry=RetryPolicy(max_retries=0),
        context_data={"a": 1},
    )
    assert cron().same_timing(other)
    assert interval(60).same_timing(interval(60))


def test_an_interval_without_a_start_counts_from_the_creation() -> None:
    assert interval(60).timing(NOON, None).anchor == NOON
