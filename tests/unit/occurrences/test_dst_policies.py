"""What a caller may choose for the two days a year on which clocks jump, in zones that jump in every way."""

from datetime import UTC, datetime
from itertools import product

import pytest

from app.core.occurrences import DstPolicy, Fold, Gap, count_occurrences, latest_occurrence, occurrences_after

from .brute_force import cron

DEFAULT = DstPolicy()
SKIP = DstPolicy(gap=Gap.SKIP)
TWICE = DstPolicy(fold=Fold.TWICE)
SKIP_TWICE = DstPolicy(gap=Gap.SKIP, fold=Fold.TWICE)
ALL = [DstPolicy(gap, fold) for gap, fold in product(Gap, Fold)]

CASES = [
    # An hour forward, and an hour back.
    ("30 2 * * *", "Europe/Berlin", DEFAULT, "2026-03-28T12:00Z", "2026-03-29T03:00+02:00 2026-03-30T02:30+02:00"),
    ("30 2 * * *", "Europe/Berlin", SKIP, "2026-03-28T12:00Z", "2026-03-30T02:30+02:00 2026-03-31T02:30+02:00"),
    ("0,30 2,3 * * *", "Europe/Berlin", SKIP, "2026-03-28T12:00Z", "2026-03-29T03:00+02:00 2026-03-29T03:30+02:00"),
    ("30 2 * * *", "Europe/Berlin", TWICE, "2026-03-28T12:00Z", "2026-03-29T03:00+02:00 2026-03-30T02:30+02:00"),
    ("30 2 * * *", "Europe/Berlin", TWICE, "2026-10-24T12:00Z",
     "2026-10-25T02:30+02:00 2026-10-25T02:30+01:00 2026-10-26T02:30+01:00"),
    ("30 2 * * *", "Europe/Berlin", SKIP, "2026-10-24T12:00Z", "2026-10-25T02:30+02:00 2026-10-26T02:30+01:00"),
    ("0,30 2 * * *", "Europe/Berlin", SKIP_TWICE, "2026-10-24T12:00Z",
     "2026-10-25T02:00+02:00 2026-10-25T02:30+02:00 2026-10-25T02:00+01:00 2026-10-25T02:30+01:00"),
    ("30 1 * * *", "America/New_York", TWICE, "2026-10-31T12:00Z",
     "2026-11-01T01:30-04:00 2026-11-01T01:30-05:00 2026-11-02T01:30-05:00"),
    ("59 59 1 * * *", "America/New_York", TWICE, "2026-11-01T04:00Z",
     "2026-11-01T01:59:59-04:00 2026-11-01T01:59:59-05:00 2026-11-02T01:59:59-05:00"),
    ("0 2 * * *", "America/New_York", SKIP, "2026-03-07T12:00Z", "2026-03-09T02:00-04:00"),
    ("0 3 * * *", "America/New_York", SKIP, "2026-03-07T12:00Z", "2026-03-08T03:00-04:00 2026-03-09T03:00-04:00"),
    # Half an hour.
    ("15 2 * * *", "Australia/Lord_Howe", SKIP, "2026-10-02T00:00Z", "2026-10-03T02:15+10:30 2026-10-05T02:15+11:00"),
    ("45 1 * * *", "Australia/Lord_Howe", TWICE, "2026-04-04T00:00Z",
     "2026-04-05T01:45+11:00 2026-04-05T01:45+10:30 2026-04-06T01:45+10:30"),
    # Two hours.
    ("30 1 * * *", "Antarctica/Troll", SKIP, "2026-03-28T12:00Z", "2026-03-30T01:30+02:00"),
    ("30 1 * * *", "Antarctica/Troll", TWICE, "2026-10-24T12:00Z", "2026-10-25T01:30+02:00 2026-10-25T01:30+00:00"),
    # A day that was never shown.
    ("0 12 * * *", "Pacific/Apia", DEFAULT, "2011-12-29T00:00Z",
     "2011-12-29T12:00-10:00 2011-12-31T00:00+14:00 2011-12-31T12:00+14:00"),
    ("0 12 * * *", "Pacific/Apia", SKIP, "2011-12-29T00:00Z", "2011-12-29T12:00-10:00 2011-12-31T12:00+14:00"),
    ("0 0 30 12 *", "Pacific/Apia", SKIP, "2011-12-01T00:00Z", "2012-12-30T00:00+14:00"),
    # A midnight that did not exist, and an hour before midnight shown twice.
    ("0 0 * * *", "America/Sao_Paulo", SKIP, "2017-10-13T12:00Z", "2017-10-14T00:00-03:00 2017-10-16T00:00-02:00"),
    ("30 23 * * *", "America/Sao_Paulo", TWICE, "2018-02-17T12:00Z",
     "2018-02-17T23:30-02:00 2018-02-17T23:30-03:00 2018-02-18T23:30-03:00"),
    # 44 minutes and a half.
    ("22 0 * * *", "Africa/Monrovia", SKIP, "1972-01-06T12:00Z", "1972-01-08T00:22+00:00"),
    # The search starts while the clock shows it for the second time.
    ("30 2 * * *", "Europe/Berlin", TWICE, "2026-10-25T02:15+01:00", "2026-10-25T02:30+01:00 2026-10-26T02:30+01:00"),
    ("30 2 * * *", "Europe/Berlin", SKIP, "2026-10-25T02:15+01:00", "2026-10-26T02:30+01:00"),
    ("30 2 * * *", "Europe/Berlin", TWICE, "2026-10-25T02:30+01:00", "2026-10-26T02:30+01:00"),
    # As far away as the calendar goes.
    ("30 2 * * *", "Europe/Berlin", SKIP, "2126-03-30T12:00Z", "2126-04-01T02:30+02:00"),
    ("30 2 * * *", "Europe/Berlin", TWICE, "9126-10-30T12:00Z", "9126-10-31T02:30+02:00 9126-10-31T02:30+01:00"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "policy", "after", "expected"), CASES)
def test_a_fixed_expression_follows_its_policy(
    expression: str, zone: str, policy: DstPolicy, after: str, expected: str
) -> None:
    timing = cron(expression, zone, dst_policy=policy)
    start = datetime.fromisoformat(after)
    instants = [datetime.fromisoformat(text) for text in expected.split()]
    assert occurrences_after(timing, start, len(instants)) == instants
    assert count_occurrences(timing, start, instants[-1]) == len(instants)
    assert latest_occurrence(timing, instants[-1]) == instants[-1]


@pytest.mark.parametrize("policy", ALL)
def test_a_wild_expression_follows_the_real_clock_whatever_is_chosen(policy: DstPolicy) -> None:
    timing = cron("*/30 2 * * *", "Europe/Berlin", dst_policy=policy)
    spring, autumn = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)
    assert occurrences_after(timing, spring, 1) == [datetime(2026, 3, 30, 0, 0, tzinfo=UTC)]
    assert [instant.isoformat()[11:16] for instant in occurrences_after(timing, autumn, 4)] == [
        "00:30", "01:00", "01:30", "01:00",
    ]  # fmt: skip


def test_equal_policies_are_equal_keys() -> None:
    assert len({DstPolicy(gap, fold) for gap, fold in product(Gap, Fold)} | set(ALL)) == 4
    assert DstPolicy(Gap("skip"), Fold("twice")) == SKIP_TWICE
