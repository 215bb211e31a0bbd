"""The evaluator beside croniter and cronsim: the same where their rules are ours, and each other class shown."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from croniter import croniter
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidScheduleException
from app.core.occurrences import Timing, check_timing, occurrences_after
from app.core.occurrences.zones import load_zone

from .brute_force import EPOCH, cron, examples, offset, zone, zone_names

NEW_YORK = "America/New_York"
_COUNT = 3


def _by_croniter(expression: str, name: str, after: datetime) -> list[datetime]:
    steps = croniter(expression, after.astimezone(zone(name)), ret_type=datetime, second_at_beginning=True)
    return [steps.get_next().astimezone(UTC) for _ in range(_COUNT)]


def _by_cronsim(expression: str, name: str, after: datetime) -> list[datetime]:
    steps = CronSim(expression, after.astimezone(zone(name)))
    return [next(steps).astimezone(UTC) for _ in range(_COUNT)]


# The part of the dialect that all three share.
_clock = st.sampled_from(("*", "0", "30", "5,35", "*/15", "*/7", "10-20", "10-40/10", "3/20", "59"))
_hours = st.sampled_from(("*", "0", "1", "2", "3", "1,2", "2-4", "*/2", "0-22/2", "23", "9-17", "1/6"))
_months = st.sampled_from(("*", "*", "*", "3", "MAR", "10,11", "JAN-JUN", "*/2", "4/3"))
_days = st.sampled_from(("*", "*", "*", "1", "31", "15,L", "L", "1-7", "10-20/3", "29"))
_weekdays = st.sampled_from(("*", "*", "*", "0", "7", "SUN", "MON-FRI", "1-5/2", "5-7", "2,4"))
_nth_weekdays = st.sampled_from(("FRI#2", "5#5", "0#1", "MON#1"))


@st.composite
def _shared(draw: st.DrawFn) -> str:
    day, weekday = draw(_days), draw(_weekdays)
    if day == "*" and draw(st.integers(0, 4)) == 0:
        weekday = draw(_nth_weekdays)
    return f"{draw(_clock)} {draw(_hours)} {day} {draw(_months)} {weekday}"


def _is_accepted(timing: Timing) -> bool:
    try:
        check_timing(timing)
    except InvalidScheduleException:
        return False
    return True


@settings(max_examples=examples(300))
@given(
    _shared(),
    st.sampled_from(zone_names()),
    st.integers(0, 2_145_000_000),
    st.none() | st.integers(-7200, 90_000),
    st.data(),
)
def test_five_fields_agree_with_cronsim_in_all_zones(
    expression: str, name: str, second: int, near_a_change: int | None, data: st.DataObject
) -> None:
    timing = cron(expression, name)
    assume(_is_accepted(timing))
    changes = [change for change in load_zone(name).starts if 86_400 <= change < 2_145_000_000]
    if changes and near_a_change is not None:
        second = data.draw(st.sampled_from(changes)) - near_a_change
    after = EPOCH + timedelta(seconds=second)
    found = occurrences_after(timing, after, _COUNT)
    # Classes that are shown below: a search from inside a fold; wild, over a change at midnight or within an hour.
    assume(after.astimezone(zone(name)).fold == 0)
    fixed = expression[0] != "*" and expression.split()[1][0] != "*"
    # Also where it begins within the hour after such a change.
    passed = [change for change in changes if second - 3600 <= change <= _second(found[-1])]
    assume(fixed or all(_is_at_full_hours(name, change) for change in passed))
    assume(name != "Africa/Monrovia" or second > 70_000_000)
    assert found == _by_cronsim(expression, name, after)


def _is_at_full_hours(name: str, change: int) -> bool:
    """Whether the clock goes from one full hour to another of the same day."""
    low, high = sorted(change + offset(name, at) for at in (change - 1, change))
    return low % 3600 == high % 3600 == 0 and (low - 1) // 86_400 == high // 86_400


@settings(max_examples=examples(200))
@given(_shared(), st.sampled_from(zone_names()), st.integers(86_400, 2_145_000_000))
def test_five_fields_agree_with_croniter_away_from_changes(expression: str, name: str, second: int) -> None:
    timing = cron(expression, name)
    assume(_is_accepted(timing))
    after = EPOCH + timedelta(seconds=second)
    found = occurrences_after(timing, after, _COUNT)
    last = _second(found[-1])
    assume(last < 4_000_000_000)
    changes = [change for change in load_zone(name).starts if second - 90_000 < change < last + 90_000]
    assert offset(name, second) % 60 == 0 or name == "Africa/Monrovia"
    theirs = _by_croniter(expression, name, after)
    # Near a change croniter fires fixed expressions twice, and wild ones in gaps where we have nothing: shown below.
    near = [second, *map(_second, found), *map(_second, theirs)]
    assume(not any(abs(change - at) < 90_000 for change in changes for at in near))
    assert found == theirs


def _second(instant: datetime) -> int:
    return int((instant - EPOCH).total_seconds())


@settings(max_examples=examples(150))
@given(_clock, _clock, _hours, _weekdays, st.integers(0, 2_145_000_000))
def test_six_fields_agree_with_both_in_utc(second: str, minute: str, hour: str, weekday: str, at: int) -> None:
    expression = f"{second} {minute} {hour} * * {weekday}"
    after = EPOCH + timedelta(seconds=at)
    found = occurrences_after(cron(expression), after, _COUNT)
    assert found == _by_croniter(expression, "UTC", after)
    assert found == _by_cronsim(expression, "UTC", after)


@dataclass(frozen=True)
class Class:
    """A kind of expression on which one of them differs; `theirs` is None where it refuses or finds nothing."""

    why: str
    whose: str
    expression: str
    ours: str
    theirs: str | None
    zone: str = "UTC"
    after: str = "2026-01-01T00:00Z"


CLASSES = [
    Class("a range from a value to itself is that value, not the whole field",
          "croniter", "0 0 * * 5-5", "2026-01-02T00:00Z 2026-01-09T00:00Z", "2026-01-02T00:00Z 2026-01-03T00:00Z"),
    Class("the same by name", "croniter", "0 0 * * SUN-SUN", "2026-01-04T00:00Z", "2026-01-02T00:00Z"),
    Class("a range of one value with a step is that value",
          "croniter", "7-7/3 * * * *", "2026-01-01T00:07Z", "2026-01-01T00:03Z"),
    Class("… and does not run to the end of the field",
          "cronsim", "7-7/3 * * * *", "2026-01-01T00:07Z 2026-01-01T01:07Z", "2026-01-01T00:07Z 2026-01-01T00:10Z"),
    Class("either of two restricted day fields fires, the nth weekday too",
          "croniter", "0 0 13 * FRI#1", "2026-01-02T00:00Z 2026-01-13T00:00Z", None),
    Class("… and the last weekday", "croniter", "0 0 13 * L5", "2026-01-13T00:00Z 2026-01-30T00:00Z", None),
    Class("… and the nearest weekday", "croniter", "0 0 15W * SAT", "2026-01-03T00:00Z 2026-01-10T00:00Z", None),
    Class("a day of month with a star does not restrict: both must match",
          "croniter", "0 0 */2 * MON", "2026-01-05T00:00Z 2026-01-19T00:00Z", "2026-01-03T00:00Z 2026-01-05T00:00Z"),
    Class("a day of week with a star does not restrict: both must match",
          "croniter", "0 0 13 * */5", "2026-02-13T00:00Z", "2026-01-02T00:00Z"),
    Class("`a/s` in the day of week runs to 6",
          "cronsim", "0 0 * * 5/2", "2026-01-02T00:00Z 2026-01-09T00:00Z", "2026-01-02T00:00Z 2026-01-04T00:00Z"),
    Class("7 is Sunday, 0, at the start of `a/s` as well",
          "cronsim", "0 0 * * 7/2", "2026-01-03T00:00Z 2026-01-04T00:00Z", "2026-01-04T00:00Z 2026-01-11T00:00Z"),
    Class("SUN ends a range as 7", "cronsim", "0 0 * * SAT-SUN", "2026-01-03T00:00Z 2026-01-04T00:00Z", None),
    Class("values and nth weekdays mix in a list", "croniter", "0 0 * * MON,FRI#2", "2026-01-05T00:00Z", None),
    Class("L-3 is known", "croniter", "0 0 L-3 * *", "2026-01-28T00:00Z", None),
    Class("L-3 is known", "cronsim", "0 0 L-3 * *", "2026-01-28T00:00Z", None),
    Class("LW is known", "croniter", "0 0 LW * *", "2026-01-30T00:00Z", None),
    Class("15W may stand in a list", "croniter", "0 0 1,15W * *", "2026-01-15T00:00Z", None),
    Class("15W is known", "cronsim", "0 0 15W * *", "2026-01-15T00:00Z", None),
    Class("5L is known", "croniter", "0 0 * * 5L", "2026-01-30T00:00Z", None),
    Class("FRIL is known", "cronsim", "0 0 * * FRIL", "2026-01-30T00:00Z", None),
    Class("L5 is known", "cronsim", "0 0 * * L5", "2026-01-30T00:00Z", None),
    Class("a fixed time that the clock shows twice fires once",
          "croniter", "30 1 * * *", "2026-11-01T05:30Z 2026-11-02T06:30Z", "2026-11-01T05:30Z 2026-11-01T06:30Z",
          NEW_YORK, "2026-10-31T12:00Z"),
    Class("from inside a fold nothing earlier is answered",
          "cronsim", "30 1 * * *", "2026-11-02T06:30Z", "2026-11-01T05:30Z", NEW_YORK, "2026-11-01T06:15Z"),
    Class("a wild expression has nothing in a gap",
          "croniter", "*/30 2 * * *", "2026-03-09T06:00Z", "2026-03-08T07:00Z", NEW_YORK, "2026-03-08T04:15Z"),
    Class("… nor where only the hour is wild",
          "croniter", "30 */2 * * *", "2026-03-08T08:30Z", "2026-03-08T07:00Z", NEW_YORK, "2026-03-08T06:15Z"),
    Class("a wild expression has nothing in a gap at midnight",
          "cronsim", "* 0 1 * 0", "1987-11-01T04:00Z", "1987-10-25T05:00Z", "Brazil/Acre", "1987-10-25T04:59Z"),
    Class("nothing earlier than the start is answered where midnight comes twice",
          "cronsim", "* 0 * * *", "1993-10-31T04:00Z", "1993-10-31T03:00Z", "America/Moncton", "1993-10-31T03:00:59Z"),
    Class("… nor where a fold begins within an hour",
          "cronsim", "* 2 * * *", "1997-10-25T21:00Z", "1997-10-25T20:00Z", "Asia/Bishkek", "1997-10-25T20:29:59Z"),
    Class("the daylight rule holds for six fields as well",
          "cronsim", "0 30 2 * * *", "2026-03-08T07:00Z", "2026-03-09T06:30Z", NEW_YORK, "2026-03-07T12:00Z"),
    Class("… in a fold", "cronsim", "0 30 1 * * *", "2026-11-01T05:30Z 2026-11-02T06:30Z",
          "2026-11-01T05:30Z 2026-11-01T06:30Z", NEW_YORK, "2026-10-31T12:00Z"),
    Class("a gap ends to the second", "cronsim", "22 0 * * *", "1972-01-07T00:44:30Z", "1972-01-07T00:45Z",
          "Africa/Monrovia", "1972-01-06T12:00Z"),
    Class("a gap ends to the second", "croniter", "22 0 * * *", "1972-01-07T00:44:30Z", "1972-01-07T00:45Z",
          "Africa/Monrovia", "1972-01-06T12:00Z"),
]  # fmt: skip


@pytest.mark.parametrize("case", CLASSES, ids=lambda case: f"{case.why}, unlike {case.whose}")
def test_each_class_of_disagreement_is_as_described(case: Class) -> None:
    after = datetime.fromisoformat(case.after)
    expected = [datetime.fromisoformat(text) for text in case.ours.split()]
    assert occurrences_after(cron(case.expression, case.zone), after, len(expected)) == expected
    other = _by_croniter if case.whose == "croniter" else _by_cronsim
    if case.theirs is None:
        with pytest.raises(Exception, match=r".+"):
            other(case.expression, case.zone, after)
    else:
        theirs = [datetime.fromisoformat(text) for text in case.theirs.split()]
        assert other(case.expression, case.zone, after)[: len(theirs)] == theirs


def test_a_reversed_range_is_refused_where_croniter_turns_it_around() -> None:
    assert croniter.expand("5-1 * * * *")
    assert not _is_accepted(cron("5-1 * * * *"))


def test_what_never_occurs_is_refused_where_croniter_finds_out_by_searching() -> None:
    assert croniter.is_valid("0 0 30 2 *")
    assert not _is_accepted(cron("0 0 30 2 *"))


def test_cronsim_leaves_out_the_first_match_after_a_half_hour_change_just_before_the_search() -> None:
    """Thimphu went from +05:30 to +06:00 at midnight; 13:00 on that day exists, and is a match."""
    after = datetime(1987, 9, 30, 18, 30, 1, tzinfo=UTC)
    assert occurrences_after(cron("* 13-16 * * *", "Asia/Thimphu"), after, 1) == [datetime(1987, 10, 1, 7, tzinfo=UTC)]
    assert _by_cronsim("* 13-16 * * *", "Asia/Thimphu", after)[0] == datetime(1987, 10, 1, 7, 30, tzinfo=UTC)
