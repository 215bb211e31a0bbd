"""What a clock jumps over and nothing fires for, over a time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidScheduleException
from app.core.occurrences import DstPolicy, Gap, ScheduleType, Timing, check_timing, lost_times
from app.core.occurrences.zones import load_zone

from .brute_force import EPOCH, cron, examples, expressions, offset, policies, zone_names

NEW_YORK, NUUK = "America/New_York", "America/Nuuk"
SKIP_GAPS = DstPolicy(gap=Gap.SKIP)
MS = timedelta(milliseconds=1)
JUMP = datetime(2027, 3, 14, 7, tzinfo=UTC)


def _lost(timing: Timing, first: datetime, last: datetime) -> list[tuple[str, ...]]:
    return [each.wall_times for each in lost_times(timing, first, last)]


def test_each_jump_of_a_time_is_told_that_takes_something() -> None:
    start, end = datetime(2027, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
    assert _lost(cron("0 */2 * * *", NEW_YORK), start, end) == [("2027-03-14T02:00:00",), ("2028-03-12T02:00:00",)]
    assert _lost(cron("30 2 * * *", NEW_YORK, dst_policy=SKIP_GAPS), start, end) == [
        ("2027-03-14T02:30:00",),
        ("2028-03-12T02:30:00",),
    ]
    assert _lost(cron("0 */2 14 3 *", NEW_YORK), start, end) == [("2027-03-14T02:00:00",)]
    assert _lost(cron("0 */2 * * *", NUUK), start, end) == []
    assert _lost(cron("*/20 23 * * *", NUUK), start, end)[0] == tuple(
        f"2027-03-27T23:{minute}:00" for minute in ("00", "20", "40")
    )


@pytest.mark.parametrize(
    "timing",
    [
        cron("30 2 * * *", NEW_YORK),
        cron("30 2 * * *", dst_policy=SKIP_GAPS),
        cron("*/30 3 * * *", NEW_YORK),
        cron("*/30 2 * * *", NEW_YORK, start_at=JUMP + MS),
        cron("*/30 2 * * *", NEW_YORK, end_at=JUMP - MS),
        Timing(ScheduleType.INTERVAL, NEW_YORK, interval_seconds=60, start_at=JUMP),
        Timing(ScheduleType.ONE_TIME, NEW_YORK, scheduled_time=JUMP),
    ],
)
def test_where_nothing_is_lost_nothing_is_told(timing: Timing) -> None:
    assert _lost(timing, JUMP - timedelta(days=9), JUMP + timedelta(days=9)) == []


def test_an_expression_with_seconds_is_wild_by_its_seconds_too() -> None:
    (found,) = lost_times(cron("*/30 0 2 * * *", NEW_YORK), JUMP, JUMP)
    assert found.text == (
        "02:00 and 02:00:30 do not exist on 2027-03-14 in America/New_York, where the clock jumps from 02:00 to 03:00; "
        "nothing fires in their place, as an expression whose second, minute or hour begins with * follows the real "
        "clock."
    )


def test_both_ends_of_the_time_count() -> None:
    timing = cron("*/30 2 * * *", NEW_YORK)
    assert _lost(timing, JUMP, JUMP) == [("2027-03-14T02:00:00", "2027-03-14T02:30:00")]
    assert _lost(timing, JUMP + MS, JUMP + timedelta(days=9)) == []
    assert _lost(timing, JUMP - timedelta(days=9), JUMP - MS) == []


def test_where_one_cycle_of_the_rules_follows_another_no_jump_is_lost() -> None:
    for year in (2100, 2499, 2500, 2501, 2900, 9998):
        start = datetime(year, 1, 1, tzinfo=UTC)
        assert len(_lost(cron("*/30 2 * * *", NEW_YORK), start, start.replace(year=year + 1))) == 1
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    assert _lost(cron("*/30 2 * * *", NEW_YORK), first, first + timedelta(days=366)) == []
    assert len(_lost(cron("*/30 2 * * *", NEW_YORK), last - timedelta(days=366), last)) == 1


@settings(max_examples=examples(150))
@given(st.data(), st.sampled_from(zone_names()), policies)
def test_lost_is_what_matches_in_a_gap_where_the_rule_does_not_make_up_for_it(
    data: st.DataObject, zone: str, policy: DstPolicy
) -> None:
    changes = [
        second
        for second in load_zone(zone).starts
        if 0 <= second < 2_145_916_800 and second % 60 == 0 and offset(zone, second) > offset(zone, second - 1)
    ]
    assume(changes)
    second = data.draw(st.sampled_from(changes))
    walls = range(second + offset(zone, second - 1), second + offset(zone, second), 60)
    near = tuple({wall // 3600 % 24 for wall in walls[::30]})
    expression = data.draw(expressions(seconds=False, near_hours=near))
    timing = cron(expression.text, zone, dst_policy=policy)
    try:
        check_timing(timing)
    except InvalidScheduleException:
        assume(False)
    skipped = [
        wall
        for wall in walls
        if wall % 60 == 0
        and expression.matches_time(wall % 86_400)
        and expression.matches_day((EPOCH + timedelta(seconds=wall)).date())
    ]
    at = EPOCH + timedelta(seconds=second)
    expected = [(EPOCH + timedelta(seconds=wall)).replace(tzinfo=None).isoformat() for wall in skipped[:5]]
    lost = _lost(timing, at, at)
    if skipped and (expression.wild or policy.gap is Gap.SKIP):
        assert lost == [tuple(expected)]
    else:
        assert lost == []
