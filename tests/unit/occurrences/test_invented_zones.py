"""Changes of the clocks that no zone has made yet, one soon after another, against the scan.

A gap may follow a fold so soon that it jumps over times that were shown before it. What no clock has done, and none
does here, is to show later what it had jumped over: what "once" should mean then is nobody's rule.
"""

import struct
from bisect import bisect_right
from collections.abc import Callable
from datetime import date

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidScheduleException
from app.core.occurrences import DstPolicy, Fold, Gap
from app.core.occurrences.cron_fields import parse_cron
from app.core.occurrences.daylight import ZonedCron, floors_of
from app.core.occurrences.listed_days import days_of
from app.core.occurrences.wall_clock import WallClock
from app.core.occurrences.zones import Zone

from .brute_force import Expression, examples, expressions, policies, scan
from .calendars import Calendar, calendars_around

NOON = 1_782_734_400  # 2026-06-29T12:00:00Z
Changes = list[tuple[int, int]]
"""The UTC second of each change, and the offset from then on."""


def _zone(changes: Changes) -> Zone:
    """A zone whose clocks show UTC until the first change."""
    offsets = sorted({0, *(offset for _, offset in changes)})
    types = b"".join(struct.pack(">iBB", offset, 0, 0) for offset in (0, *offsets))
    times = b"".join(struct.pack(">q", second) for second, _ in changes)
    indexes = bytes(1 + offsets.index(offset) for _, offset in changes)
    header = b"TZif2" + bytes(15)
    no_data = struct.pack(">6L", 0, 0, 0, 0, 1, 4) + struct.pack(">iBB", 0, 0, 0) + b"ABC\0"
    counts = struct.pack(">6L", 0, 0, 0, len(changes), 1 + len(offsets), 4)
    return Zone("Invented/Zone", header + no_data + header + counts + times + indexes + types + b"ABC\0\n\n")


def _clock(changes: Changes) -> Callable[[int], int]:
    seconds = [second for second, _ in changes]
    offsets = [0, *(offset for _, offset in changes)]
    return lambda second: offsets[bisect_right(seconds, second)]


def _zoned(expression: str, zone: Zone, policy: DstPolicy, calendar: Calendar | None = None) -> ZonedCron:
    fields = parse_cron(expression)
    days = days_of(fields.days, None if calendar is None else calendar.days)
    return ZonedCron(WallClock(fields, days), zone, floors_of(zone, policy, wild=fields.wild))


def _assert_agrees(zoned: ZonedCron, expected: list[int], window: range) -> None:
    after, until = window.start - 1, window.stop - 1
    found, at = [], after
    while (following := zoned.next_after(at)) is not None and following <= until:
        found.append(following)
        at = following
    assert found == expected
    assert zoned.count(after, until) == len(expected)
    for index, second in enumerate(expected):
        assert zoned.last_until(second) == second
        assert zoned.count(after, second - 1) == index
        if index:
            assert zoned.last_until(second - 1) == expected[index - 1]


@st.composite
def _changes(draw: st.DrawFn) -> Changes:
    changes, second, offset = [], NOON, 0
    for _ in range(draw(st.integers(1, 4))):
        offset += 10 * draw(st.integers(1, 60) | st.sampled_from((180, 360, 360, 720))) * draw(st.sampled_from((-1, 1)))
        changes.append((second, offset))
        second += 10 * draw(st.integers(1, 30) | st.integers(1, 700))
    return changes


def _shows_later_what_it_jumped_over(changes: Changes) -> bool:
    shown: list[tuple[int, int]] = []
    jumped: list[tuple[int, int]] = []
    offset, since = 0, NOON - 10**6
    for second, new_offset in [*changes, (NOON + 10**6, 0)]:
        piece = since + offset, second + offset
        if any(piece[0] < stop and start < piece[1] for start, stop in jumped):
            return True
        shown.append(piece)
        if new_offset > offset:
            furthest = max(stop for _, stop in shown)
            jumped.append((max(furthest, second + offset), second + new_offset))
        offset, since = new_offset, second
    return False


@settings(max_examples=examples(100))
@given(st.data(), _changes(), policies, st.booleans())
def test_changes_soon_after_one_another_agree_with_the_scan(
    data: st.DataObject, changes: Changes, policy: DstPolicy, with_days_off: bool
) -> None:
    assume(not _shows_later_what_it_jumped_over(changes))
    near = tuple({(NOON + offset) // 3600 % 24 for _, offset in changes})
    expression: Expression = data.draw(expressions(seconds=False, near_hours=(11, 12, 13, *near)))
    calendar = None
    if with_days_off:
        calendar = data.draw(calendars_around(date(2026, 6, 29), reach=3, longest=3))
    try:
        zoned = _zoned(expression.text, _zone(changes), policy, calendar)
    except InvalidScheduleException:
        assume(False)
    window = range(NOON - 7200, changes[-1][0] + 7200, 10)
    _assert_agrees(zoned, scan(expression, _clock(changes), window, policy, calendar), window)


# 12:00 -> 11:00 (back an hour), and at 11:20 forward to 11:50, and at 12:10 forward to 13:00.
_FOLD_AND_TWO_GAPS = [(NOON, -3600), (NOON + 1200, -1800), (NOON + 2400, 1200)]


def _clock_times(policy: DstPolicy) -> list[tuple[int, str]]:
    """Minutes since the first change, and the time of each of the ten-minute marks that fires then."""
    found, at = [], NOON - 3601
    zoned = _zoned("0,10,20,30,40,50 11-12 * * *", _zone(_FOLD_AND_TWO_GAPS), policy)
    clock = _clock(_FOLD_AND_TWO_GAPS)
    while (following := zoned.next_after(at)) is not None and following < NOON + 86_400 // 2:
        shown = (following + clock(following)) % 86_400
        found.append(((following - NOON) // 60, f"{shown // 3600}:{shown // 60 % 60:02}"))
        at = following
    return found


_BEFORE = [(-60, "11:00"), (-50, "11:10"), (-40, "11:20"), (-30, "11:30"), (-20, "11:40"), (-10, "11:50")]


def test_a_gap_over_times_that_were_shown_before_a_fold_fires_none_of_them_again() -> None:
    once = _clock_times(DstPolicy())
    # 11:50 to 12:00 comes back after the first gap; 12:20 to 12:50 is first jumped over by the second one.
    assert once == [*_BEFORE, (30, "12:00"), (40, "13:00")]
    assert _clock_times(DstPolicy(gap=Gap.SKIP)) == [*_BEFORE, (30, "12:00")]
    twice = [(0, "11:00"), (10, "11:10"), (20, "11:50"), (30, "12:00")]
    assert _clock_times(DstPolicy(fold=Fold.TWICE)) == [*_BEFORE, *twice, (40, "13:00")]
    assert _clock_times(DstPolicy(gap=Gap.SKIP, fold=Fold.TWICE)) == [*_BEFORE, *twice]
