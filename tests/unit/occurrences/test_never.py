"""Expressions that never occur because the clocks jump over all their times, and what is to be written instead."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.core.occurrences import DEFAULT_POLICY, DstPolicy, Gap, ScheduleType, Timing, never_occurs, next_occurrence

from .brute_force import cron

BERLIN = "Europe/Berlin"
SKIP_GAPS = DstPolicy(gap=Gap.SKIP)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LOST = "do not exist on 2027-03-28 in Europe/Berlin, where the clock jumps from 02:00 to 03:00"


def test_it_is_refused_with_what_is_lost_next_and_what_fires() -> None:
    refusal = never_occurs(cron("*/30 2 * 3 SUNL", BERLIN), NOW)
    assert refusal is not None
    assert refusal.detail == (
        f"cron_expression '*/30 2 * 3 SUNL': it never occurs: 02:00 and 02:30 {LOST}; nothing fires in their place, as "
        "an expression whose minute or hour begins with * follows the real clock. So it is with all its times; "
        "'0-59/30 2 * 3 SUNL' fires at the first instant after"
    )


@pytest.mark.parametrize(
    ("timing", "instead"),
    [
        (cron("*/30 2 * 3 SUNL", BERLIN), "0-59/30 2 * 3 SUNL"),
        (cron("* 2 * 3 SUNL", BERLIN), "0-59 2 * 3 SUNL"),
        (cron("*/30 */5 2 * 3 SUNL", BERLIN), "0-59/30 0-59/5 2 * 3 SUNL"),
        (cron("*/30 2 * 3 SUNL", BERLIN, dst_policy=SKIP_GAPS), "0-59/30 2 * 3 SUNL"),
        (cron("30 2 * 3 SUNL", BERLIN, dst_policy=SKIP_GAPS), None),
        (cron("*/20 2 * 3 SUN#2", "America/New_York"), "0-59/20 2 * 3 SUN#2"),
        (cron("*/30 2 * 3 SUNL", BERLIN, end_at=NOW + timedelta(days=1)), "0-59/30 2 * 3 SUNL"),
    ],
)
def test_what_is_to_be_written_instead_occurs(timing: Timing, instead: str | None) -> None:
    refusal = never_occurs(timing, NOW)
    assert refusal is not None
    (error,) = refusal.errors
    assert error.field == "cron_expression"
    assert ("with dst_policy gap 'after'" in error.message) == (timing.dst_policy.gap is Gap.SKIP)
    written = re.findall(r"'([^']+)'(?: with dst_policy gap 'after')? fires at", error.message)
    assert written == ([] if instead is None else [instead])
    repaired = replace(timing, dst_policy=DEFAULT_POLICY, end_at=None)
    assert next_occurrence(replace(repaired, cron_expression=instead or timing.cron_expression), NOW) is not None


@pytest.mark.parametrize(
    ("timing", "after"),
    [
        (cron("*/30 2 * 3 *", BERLIN), NOW),
        (cron("*/30 1,2 * 3 SUNL", BERLIN), NOW),
        (cron("30 2 * 3 SUNL", BERLIN), NOW),
        (cron("*/30 2 * 3 SUNL"), NOW),
        # Before there was such a time.
        (cron("*/30 2 * 3 SUNL", BERLIN), datetime(1970, 1, 1, tzinfo=UTC)),
        (cron("*/30 2 * 3 SUNL", BERLIN), datetime(9999, 12, 31, tzinfo=UTC)),
        # Nothing is left of it, which is no matter of the clocks.
        (cron("*/30 2 * * *", BERLIN, end_at=NOW), NOW),
        (Timing(ScheduleType.INTERVAL, BERLIN, interval_seconds=60, start_at=NOW, end_at=NOW), NOW),
        (Timing(ScheduleType.ONE_TIME, BERLIN, scheduled_time=NOW), NOW),
    ],
)
def test_what_occurs_or_has_only_come_to_its_end_is_not_refused(timing: Timing, after: datetime) -> None:
    assert never_occurs(timing, after) is None
